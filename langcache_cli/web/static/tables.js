// The cache types, and the keys that stand out.
import { clearType } from "./actions.js";
import { colour } from "./cards.js";
import { el, icon, spark, svg } from "./charts.js";
import { WORDS, bytes, count, ms, number, percent, short, span } from "./format.js";
import { showKey } from "./keys.js";
import { $, SHAPES, empty, head, keyLabel, swap, table } from "./page.js";
import { state } from "./state.js";

const LOW = 0.6;

// Heading, and when the column is left out: "wide-only" below 640 pixels, "mid-only" below 1080 too.
const COLUMNS = [
  ["Type", ""],
  ["Calls", ""],
  ["Hit rate", ""],
  [el("span", { class: "unseen" }, "Hit rate over the window"), "wide-only"],
  ["Hit p95", "wide-only mid-only"],
  ["Load p95", "wide-only mid-only"],
  ["Spared", "wide-only"],
  ["Keys", "wide-only"],
  ["Memory", "wide-only"],
  ["TTL", "wide-only mid-only"],
  [el("span", { class: "unseen" }, "Actions"), ""],
];

function cells(t, rates) {
  const isLow = t.hit_ratio != null && t.hit_ratio < LOW;
  return [
    number.format(t.calls),
    el("span", { class: isLow ? "low" : null, title: isLow ? "under 60 %" : null }, percent(t.hit_ratio)),
    rates ? spark(rates, { min: 0, max: 1, height: 22, width: 96, label: "hit rate over the window" }) : "",
    ms(t.hit_p95_ms),
    ms(t.load_p95_ms),
    t.saved_seconds >= 1 ? span(t.saved_seconds) : "–",
  ];
}

const row = (cls, content) =>
  el("tr", { class: cls }, content.map((c, i) => el("td", { class: COLUMNS[i][1] || null }, c)));

function ratesOf(name) {
  const s = state.data.series.types[name];
  if (!s) return null;
  return state.data.series.at.map((_, i) => {
    const asked = s.hits[i] + s.misses[i];
    return asked ? s.hits[i] / asked : null;
  });
}

function rowsOf(name, t) {
  const { keyspace, read_only: readOnly } = state.data;
  const open = state.open.has(name);
  const flip = () => {
    if (!state.open.delete(name)) state.open.add(name);
    types();
  };
  const options = { class: "open", "aria-expanded": String(open), "data-name": `open ${name}`, onclick: flip };
  const toggle = el("button", options, icon(SHAPES.more), el("span", { class: `swatch ${colour(name)}` }), name);
  const action = readOnly
    ? ""
    : el(
        "button",
        {
          class: "danger",
          "aria-label": `Clear ${name}`,
          "data-name": `clear ${name}`,
          disabled: !t.keys,
          onclick: () => clearType(name, t),
        },
        "Clear…",
      );
  const sizes = [count(t.keys, keyspace.exact), t.keys ? bytes(t.bytes) : "–", span(t.ttl_seconds)];
  const rows = [row(null, [toggle, ...cells(t, ratesOf(name)), ...sizes, action])];
  if (!open) return rows;
  for (const f of t.functions) {
    const own = f.name.startsWith(`${name}:`) ? f.name.slice(name.length + 1) : f.name;
    rows.push(row("sub", [el("span", { class: "mono" }, own), ...cells(f, null), "", "", "", ""]));
  }
  if (!t.functions.length) {
    rows.push(el("tr", { class: "sub" }, el("td", { colspan: 11 }, "No function of this type was called.")));
  }
  return rows;
}

export function types() {
  const body = Object.entries(state.data.types).flatMap(([name, t]) => rowsOf(name, t));
  const headings = el("tr", {}, COLUMNS.map(([text, cls]) => el("th", { scope: "col", class: cls || null }, typeof text === "string" ? text : text.cloneNode(true))));
  const all = el("table", { class: "data" }, el("thead", {}, headings), el("tbody", {}, body));
  swap($("types"), head("Cache types", WORDS[state.data.window]), el("div", { class: "table" }, all));
}

// -- asked most, biggest --

const share = (part, cls) =>
  svg(
    "svg",
    { width: 54, height: 10, viewBox: "0 0 54 10", "aria-hidden": "true" },
    svg("rect", { class: "track", width: 54, height: 10, rx: 3 }),
    svg("rect", { class: cls, width: Math.max(2, 54 * part), height: 10, rx: 3 }),
  );

function ranked(k, top, isHot) {
  const open = () => showKey(encodeURIComponent(k.key.toWellFormed?.() ?? k.key));
  const name = el("button", { class: "mono", "data-name": `rank ${k.key}`, onclick: open }, keyLabel(k.key));
  const value = isHot ? short.format(k.calls) : bytes(k.bytes);
  const part = share((isHot ? k.calls : k.bytes) / top, colour(k.type));
  return el("tr", {}, el("td", { class: "key" }, name), el("td", {}, value), el("td", {}, part));
}

export function ranks() {
  const { hot, hot_problem: problem, biggest, keyspace } = state.data;
  const isHot = (state.tab ?? (hot.length || !biggest.length ? "hot" : "big")) === "hot";
  const choose = (name) => {
    state.tab = name;
    ranks();
  };
  const tab = (name, text) =>
    el("button", { "aria-pressed": String(isHot === (name === "hot")), "data-name": name, onclick: () => choose(name) }, text);
  const tabs = el("div", { class: "tabs", role: "group", "aria-label": "Order" }, tab("hot", "Asked most"), tab("big", "Biggest"));
  const sampled = keyspace.exact ? "" : `of ${number.format(keyspace.sampled)} looked at`;
  const top = Math.max(1, ...(isHot ? hot.map((k) => k.calls) : biggest.map((k) => k.bytes)));
  const rows = (isHot ? hot : biggest).map((k) => ranked(k, top, isHot));
  const heading = [el("h2", { class: "unseen" }, "Top keys"), tabs, el("div", { class: "legend" }, isHot ? "estimated" : sampled)];
  const list = rows.length
    ? table([], rows, isHot ? "Keys asked for most" : "Biggest entries")
    : empty(isHot ? problem || "No key stands out." : "Nothing yet.");
  swap($("ranks"), el("div", { class: "head" }, heading), list);
}
