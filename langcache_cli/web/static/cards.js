// The cards from the bar at the top to the charts.
import { bands, bar, clock, columns, el, icon, spark, stacked, svg } from "./charts.js";
import { BEFORE, WORDS, bytes, count, day, exactTime, ms, number, percent, short, span } from "./format.js";
import { $, SHAPES, behind, copyButton, empty, facts, head, swap } from "./page.js";
import { state } from "./state.js";

// -- the bar and the verdict --

export function topBar(choose) {
  const d = state.data ?? state.status;
  const env = d.env === "unset" ? "no environment set" : d.env;
  const marks = [el("span", { class: `env ${d.env === "prod" ? "prod" : ""}` }, env)];
  if (d.read_only) marks.push(el("span", { class: "env" }, "read only"));
  $("target").replaceChildren(el("b", {}, d.target), ` namespace ${d.namespace}`, ...marks);
  const button = (w) =>
    el("button", { "aria-pressed": String(w === state.window), "data-name": w, onclick: () => choose(w) }, w);
  swap($("windows"), d.windows.map(button));
}

const UNREACHABLE = {
  kind: "bad",
  shape: SHAPES.off,
  title: "Redis cannot be reached",
  ways: ["langcache redis status", "langcache redis start", "langcache doctor"],
};

// A server can only be started on the machine of the command: elsewhere, as in a pod, that is no way out.
const isLocal = (target) => /:\/\/(\*\*\*@)?(localhost:|127\.|\[::1\]:)/.test(target ?? "");
const waysOut = (target) => UNREACHABLE.ways.filter((way) => way !== "langcache redis start" || isLocal(target));

// What the page says first: {kind, shape, title, text, ways}.
function opinion(now, d) {
  if (now.status === "gone") {
    const text = "Is it still running? This page tries again by itself.";
    return { kind: "bad", shape: SHAPES.off, title: "No answer from this dashboard's server", text };
  }
  if (now.status === "disabled") {
    const text = "REDIS_ENABLED=false: every call goes straight to its function. Nothing is cached.";
    return { kind: "idle", shape: SHAPES.off, title: "The cache is switched off", text };
  }
  if (now.status === "unreachable" && now.error.includes("NOPERM")) {
    const text = `${now.error}. This page tries again by itself.`;
    return { ...UNREACHABLE, title: "Redis does not allow it", text, ways: ["langcache check"] };
  }
  if (now.status === "unreachable") {
    const text = "Calls go straight to their functions meanwhile; nothing is lost but speed.";
    const error = now.error.replace(/^Redis cannot be reached: /, "");
    return { ...UNREACHABLE, ways: waysOut(now.target), text: `${error}. ${text} This page tries again by itself.` };
  }
  if (d.numbers === false) {
    const text = "Redis answers, and the counters did not come: they are unknown, not 0.";
    return { kind: "warn", shape: SHAPES.warn, title: "The numbers are missing", text };
  }
  if (!d.total.calls) {
    const text =
      "Redis answers. Has the application been asked for anything, and does it use this Redis, database and namespace?";
    const title = `No call was counted in ${WORDS[d.window]}`;
    return { kind: "idle", shape: SHAPES.ok, title, text, ways: ["langcache check --roundtrip", "langcache types"] };
  }
  const t = d.total;
  const isBad = d.findings.some((f) => f.level === "bad");
  const kind = isBad ? "bad" : d.findings.length || d.status === "degraded" ? "warn" : "";
  const title = `${percent(t.answered_ratio)} of ${number.format(t.calls)} calls were answered from the cache`;
  const spared = `${number.format(t.hits + t.joined)} loads: ${span(t.saved_seconds)} of waiting`;
  const text = `In ${WORDS[d.window]} that spared ${spared} for the functions behind it.`;
  return { kind, shape: kind ? SHAPES.warn : SHAPES.ok, title, text };
}

let saidBefore = "";

export function verdict() {
  const d = state.data;
  const isLost = ["gone", "unreachable", "disabled"].includes(state.status.status);
  const said = opinion(state.status, d);
  const since = isLost && d ? ` Below, paler: the numbers of ${exactTime(d.now)}.` : "";
  const all = JSON.stringify([said, since]);
  if (all !== saidBefore) {
    const ways = said.ways ? el("div", { class: "ways" }, said.ways.map(copyButton)) : null;
    $("verdict").className = `verdict ${said.kind}`;
    const text = el("div", {}, el("h1", {}, said.title), el("p", {}, said.text + since), ways);
    swap($("verdict"), icon(said.shape), text);
    saidBefore = all; // said again only if it changes: screen readers read it out
  }
  const main = $("main").classList;
  main.toggle("nothing", isLost && !d);
  main.toggle("old", isLost && Boolean(d));
  main.toggle("no-calls", Boolean(d && !d.total.calls));
  $("live").classList.toggle("late", isLost);
  const sign = { bad: "✕ ", warn: "! " }[said.kind] ?? "";
  const rate = d?.total.hit_ratio != null ? `${percent(d.total.hit_ratio)} · ` : "";
  document.title = `${sign}${rate}langcache`;
}

export function findings() {
  const one = (f) =>
    el(
      "div",
      { class: `finding ${f.level}` },
      el("span", { class: "mark", "aria-hidden": "true" }, f.level === "bad" ? "✕" : "!"),
      el("div", {}, el("b", {}, `${f.title}. `), el("span", { class: "text" }, f.text)),
      f.command && copyButton(f.command),
    );
  swap($("findings"), state.data.findings.map(one));
}

// -- the tiles --

// The sum over all types for each step.
export function whole(name) {
  const types = Object.values(state.data.series.types);
  return state.data.series.at.map((_, i) => types.reduce((sum, t) => sum + (t[name][i] ?? 0), 0));
}

// Minutes of each step; of the one that runs, those that have passed.
function minutes() {
  const d = state.data;
  return d.series.at.map((t) => Math.max(10, Math.min(d.step_seconds, d.now - t)) / 60);
}

function tile(label, value, text, picture, cls = "") {
  return el(
    "div",
    { class: `tile ${cls}` },
    el("div", { class: "label" }, label),
    el("div", { class: "value" }, value),
    el("div", { class: "note" }, text),
    picture,
  );
}

function change(now, then, unit, isGood) {
  if (then == null || now == null) return WORDS[state.data.window];
  if (unit === "%" && !then) return `none in ${BEFORE[state.data.window]}`;
  const diff = unit === "pt" ? (now - then) * 100 : (now / then - 1) * 100;
  const cls = isGood && Math.abs(diff) >= 0.5 ? (diff > 0 ? "up" : "down") : null;
  const text = `${diff >= 0 ? "+" : "−"}${Math.abs(diff).toFixed(1)} ${unit}`;
  return [el("span", { class: cls }, text), ` on ${BEFORE[state.data.window]}`];
}

const flat = (height, label, ...parts) =>
  svg(
    "svg",
    {
      width: "100%",
      height,
      viewBox: `0 0 1000 ${height}`,
      preserveAspectRatio: "none",
      ...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" }),
    },
    ...parts,
  );

function share(parts, all) {
  let x = 0;
  const rects = parts.map(([cls, n]) => {
    const width = all ? (1000 * n) / all : 0;
    x += width;
    return svg("rect", { class: cls, x: x - width, width, height: 6 });
  });
  return flat(6, null, ...rects);
}

function rateTile() {
  const { total, previous } = state.data;
  const [hits, misses] = [whole("hits"), whole("misses")];
  const rates = hits.map((h, i) => (h + misses[i] ? h / (h + misses[i]) : null));
  const min = Math.min(0.5, ...rates.filter((r) => r != null));
  const line = spark(rates, { min, max: 1, width: 190, fill: true, label: "hit rate over the window" });
  return tile("Hit rate", percent(total.hit_ratio), change(total.hit_ratio, previous?.hit_ratio, "pt", true), line);
}

function callsTile() {
  const d = state.data;
  const [hits, misses, bypassed, per] = [whole("hits"), whole("misses"), whole("bypassed"), minutes()];
  const calls = hits.map((h, i) => (h + misses[i] + bypassed[i]) / per[i]);
  const line = spark(calls, { min: 0, width: 190, fill: true, cls: "s-mute", label: "calls over the window" });
  const value = short.format(d.total.calls / ((d.now - d.series.at[0]) / 60));
  return tile("Calls a minute", value, change(d.total.calls, d.previous?.calls, "%"), line);
}

function speedTile() {
  const { hit_p95_ms: hit, load_p95_ms: load } = state.data.total;
  if (!hit || !load) return tile("A hit, against a load", "–", `p95 ${ms(hit)} against ${ms(load)}`);
  const times = load / hit;
  const top = Math.max(hit, load);
  const picture = flat(
    18,
    null,
    svg("rect", { class: "f-hit", y: 0, width: Math.max(4, (1000 * hit) / top), height: 7, rx: 2 }),
    svg("rect", { class: "f-load", y: 11, width: Math.max(4, (1000 * load) / top), height: 7, rx: 2 }),
  );
  const value = [`${times >= 10 ? Math.round(times) : times.toPrecision(2)}×`, el("small", {}, " faster")];
  return tile("A hit, against a load", value, `p95 ${ms(hit)} against ${ms(load)}`, picture);
}

function memoryTile() {
  const s = state.data.server;
  const used = s.max_memory_bytes ? s.used_memory_bytes / s.max_memory_bytes : 0;
  const limit = s.max_memory_bytes ? ` of ${bytes(s.max_memory_bytes)}` : ", no limit";
  const filled = svg("rect", {
    class: used > 0.9 ? "f-bad" : "f-hit",
    width: Math.min(1000, Math.max(4, used * 1000)),
    height: 6,
    rx: 3,
  });
  const track = svg("rect", { class: "track", width: 1000, height: 6, rx: 3 });
  const picture = s.max_memory_bytes ? flat(6, `${percent(used)} of the memory`, track, filled) : null;
  const text = `${number.format(s.evicted_keys)} keys evicted, ${s.eviction_policy}`;
  return tile("Memory of Redis", [bytes(s.used_memory_bytes), el("small", {}, limit)], text, picture);
}

function keysTile() {
  const { types, keyspace } = state.data;
  const keys = Object.values(types).reduce((sum, t) => sum + t.keys, 0);
  const text = keyspace.exact
    ? `of ${number.format(keyspace.database_keys)} in this database`
    : `estimated from ${number.format(keyspace.sampled)} keys`;
  const parts = Object.entries(types).map(([name, t]) => [colour(name), t.keys]);
  return tile("Keys of this cache", count(keys, keyspace.exact), text, share(parts, keys), "span");
}

export function tiles() {
  swap($("tiles"), rateTile(), callsTile(), speedTile(), memoryTile(), keysTile());
}

// -- the charts --

// In the order in which they are stacked: name, text, class. Each call is in exactly one of them.
const LAYERS = [
  ["fresh", "hits", "hit"],
  ["stale", "old values, reloading", "stale"],
  ["joined", "waited for another's load", "join"],
  ["loaded", "loaded", "load"],
  ["bypassed", "past the cache", "bad"],
];

const title = (t) => {
  const step = state.data.step_seconds;
  return step >= 3600 ? `${day(t)} ${clock(t)}` : `${clock(t)}–${clock(t + step)}`;
};

export function answers() {
  const d = state.data;
  const [hits, stale, misses, joined, per] = [...["hits", "stale", "misses", "joined"].map(whole), minutes()];
  const values = {
    fresh: hits.map((h, i) => h - stale[i]),
    stale,
    joined,
    loaded: misses.map((m, i) => m - joined[i]),
    bypassed: whole("bypassed"),
  };
  const shown = LAYERS.filter(([name]) => values[name].some((v) => v));
  const visible = shown.filter(([name]) => !state.hidden.has(name));
  const toggle = (name) => {
    if (!state.hidden.delete(name)) state.hidden.add(name);
    answers();
  };
  const legend = ([name, text, cls]) => {
    const pressed = String(!state.hidden.has(name));
    const options = { "aria-pressed": pressed, "data-name": name, onclick: () => toggle(name) };
    return el("button", options, el("i", { class: `b-${cls}` }), text);
  };
  swap($("answers-legend"), shown.map(legend));
  const rate = (i) => (hits[i] + misses[i] ? hits[i] / (hits[i] + misses[i]) : null);
  const rows = (i) => [
    ...shown.map(([name, text, cls]) => [text, `b-${cls}`, `${short.format(values[name][i] / per[i])} /min`]),
    ["hit rate", "", percent(rate(i))],
  ];
  stacked($("answers"), {
    at: d.series.at,
    step: d.step_seconds,
    layers: visible.map(([name, , cls]) => ({ fill: `f-${cls}`, values: values[name].map((v, i) => v / per[i]) })),
    events: d.events,
    format: (v) => short.format(v),
    label: `Calls a minute by where their answer came from, ${WORDS[d.window]}. Arrow keys read it step by step.`,
    title,
    rows,
    running: d.series.at.length > 1,
  });
  behind($("answers-table"), ["Time", ...shown.map(([, text]) => text), "hit rate"], () =>
    d.series.at.map((t, i) => {
      const cells = shown.map(([name]) => el("td", {}, number.format(values[name][i])));
      return el("tr", {}, el("td", {}, title(t)), cells, el("td", {}, percent(rate(i))));
    }),
  );
}

export function latency() {
  const d = state.data;
  const l = d.series.latency;
  const swatch = (cls, text) => el("span", {}, el("i", { class: cls }), text);
  const kinds = [swatch("b-load", "a load"), swatch("b-hit", "a hit")];
  $("latency-legend").replaceChildren(...kinds, el("span", {}, "line: half are faster; band: 95 % are"));
  const rows = (i) => [
    ["load, p50", "b-load", ms(l.load_p50_ms[i])],
    ["load, p95", "b-load", ms(l.load_p95_ms[i])],
    ["hit, p50", "b-hit", ms(l.hit_p50_ms[i])],
    ["hit, p95", "b-hit", ms(l.hit_p95_ms[i])],
  ];
  bands($("latency"), {
    at: d.series.at,
    step: d.step_seconds,
    pairs: [
      { low: l.load_p50_ms, high: l.load_p95_ms, fill: "f-load", stroke: "s-load" },
      { low: l.hit_p50_ms, high: l.hit_p95_ms, fill: "f-hit", stroke: "s-hit" },
    ],
    format: ms,
    title,
    label: "How long hits and loads take, logarithmic. Arrow keys read it step by step.",
    rows,
  });
  behind($("latency-table"), ["Time", ...(d.series.at.length ? rows(0).map(([text]) => text) : [])], () =>
    d.series.at.map((t, i) => el("tr", {}, el("td", {}, title(t)), rows(i).map((r) => el("td", {}, r[2])))),
  );
}

// -- memory --

export const colour = (name) => {
  const i = Object.keys(state.data.types).indexOf(name);
  return i < 0 ? "k5" : `k${Math.min(i, 5)}`;
};

function endings(ends) {
  const label = ends.map((e) => `${e.label}: ${bytes(e.bytes)}`).join(", ");
  const cls = (e) => (e.label === "never" ? "f-bad" : "f-hit");
  const picture = columns(ends.map((e) => ({ value: e.bytes, cls: cls(e) })), { height: 46, label });
  const names = ends.map((e) =>
    el(
      "span",
      { title: `${bytes(e.bytes)} in ${number.format(e.keys)} keys` },
      e.label,
      el("br"),
      el("b", {}, e.bytes ? bytes(e.bytes) : "–"),
    ),
  );
  return [el("h3", { class: "minor" }, "When it ends by itself"), picture, el("div", { class: "colnames" }, names)];
}

export function memory() {
  const { types, keyspace } = state.data;
  const rows = Object.entries(types).filter(([, t]) => t.keys);
  rows.sort((a, b) => b[1].bytes - a[1].bytes);
  const { own, other } = keyspace;
  const top = Math.max(1, ...[own, other, ...rows.map(([, t]) => t)].map((t) => t.bytes + t.bytes_error));
  $("memory-note").textContent = keyspace.exact
    ? "counted just now"
    : `estimated from ${number.format(keyspace.sampled)} keys; whiskers: 95 %`;
  const row = (name, t, cls) =>
    el(
      "div",
      { class: "barrow" },
      el("span", { class: "name" }, name),
      bar(t.bytes, t.bytes_error, top, cls, `${name}: ${bytes(t.bytes)}`),
      el(
        "span",
        { class: "num" },
        `${bytes(t.bytes)} `,
        el("small", {}, t.bytes_error ? `± ${bytes(t.bytes_error)}` : `${short.format(t.keys)} keys`),
      ),
    );
  const bars = rows.map(([name, t]) => row(name, t, colour(name)));
  if (own.keys) bars.push(row("counters", own, "k5"));
  if (other.keys) bars.push(row("others' keys", other, "k5"));
  const content = bars.length
    ? [el("div", { class: "bars" }, bars), ...endings(keyspace.ends)]
    : [empty("No keys yet. ", el("code", {}, "langcache warm --sample"), " makes some.")];
  const problem = keyspace.problem && el("p", { class: "problem" }, keyspace.problem);
  swap($("memory"), problem || null, ...(keyspace.problem && !bars.length ? [] : content));
}

// -- what happened, the server, the foot --

function told(event) {
  const counted = (unit) => `${event.target}: ${number.format(event.count)} ${unit} in ${ms(event.seconds * 1000)}`;
  if (event.what === "clear") return counted("keys");
  if (event.what === "warm") return counted("entries");
  if (event.what === "start") return `${event.target}: ${number.format(event.count)} processes`;
  if (event.what === "overflow") return `${number.format(event.count)} invalidations became one of all keys`;
  if (event.what === "outage") return `${event.target} for ${span(event.seconds)}`;
  return event.target;
}

export function events() {
  const d = state.data;
  const one = (e) =>
    el(
      "li",
      {},
      el("time", { datetime: new Date(e.at * 1000).toISOString() }, d.now - e.at > 86400 ? `${day(e.at)} ${clock(e.at)}` : clock(e.at)),
      el("span", { class: `kind ${e.what}` }, e.what),
      el("span", {}, told(e)),
      el("span", { class: "by" }, e.via ? `${e.by} (${e.via})` : e.by),
    );
  const list = d.events.length
    ? el("ul", { class: "events" }, d.events.slice(0, 12).map(one))
    : empty("Nothing was cleared or warmed, and Redis was never away.");
  swap($("events"), head("What happened", ""), list);
}

export function server() {
  const s = state.data.server;
  const asked = s.keyspace_hits + s.keyspace_misses;
  const found = percent(asked ? s.keyspace_hits / asked : null);
  const pairs = [
    ["Version", `${s.product} ${s.version}`],
    ["Up for", span(s.uptime_seconds)],
    ["Connections", number.format(s.connected_clients)],
    ["At the memory limit", s.eviction_policy],
    ["Keys in the database", number.format(s.database_keys)],
    ["Look-ups of all clients", `${short.format(asked)}, ${found} found`],
  ];
  swap($("server"), head("Server", ""), facts(pairs));
}

export function foot() {
  const d = state.data;
  const command = el("code", {}, `langcache stats --window ${d.window}`);
  const collected = `Collected at ${exactTime(d.now)} in ${number.format(d.cost.wall_ms)} ms. The same in a terminal: `;
  const whose = "Numbers of all processes, of the cache's own calls only.";
  swap($("foot"), el("span", {}, collected, command), el("span", {}, whose));
}
