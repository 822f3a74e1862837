// The report of `langcache bench`: draws the document in #data. Computes nothing that the document does not say.
import { bands, el, icon, svg } from "./charts.js";

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const names = Object.keys(data.paths);
const measured = names.filter((name) => data.paths[name].count);
const TEXT = {
  noop: "nothing at all",
  ping: "PING",
  get: "bare GET",
  hit: "cached hit",
  miss: "miss: database and store",
  database: "database alone",
};
const COLOURS = { noop: "k5", ping: "k1", get: "k3", hit: "k0", miss: "k2", database: "k4" };
// Functions of an application have names of their own: "prefix:function hit" and "prefix:function origin".
const colour = (name) => COLOURS[name] ?? (name.endsWith(" hit") ? "k0" : "k4");
const TICK = "M20 6 9 17l-5-5";
const CROSS = "M12 8v5M12 16.5v.5M12 3 2 20h20z";
const number = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

function ms(value) {
  if (value == null) return "–";
  if (value >= 1000) return `${(value / 1000).toPrecision(3)} s`;
  if (value >= 100) return `${Math.round(value)} ms`;
  return value >= 1 ? `${value.toPrecision(3)} ms` : `${(value * 1000).toPrecision(3)} µs`;
}

const times = (ratio) => (ratio >= 10 ? number.format(ratio) : ratio.toPrecision(2));
const title = (name) => TEXT[name] ?? name;
const pathname = (name) =>
  el("span", { class: "pathname" }, el("span", { class: `swatch ${colour(name)}` }), title(name));

// The latency at a percentile, from the nearest quantile.
function at(path, percent) {
  const far = (index) => Math.abs(data.quantile_percents[index] - percent);
  return path.quantiles_ms[path.quantiles_ms.reduce((best, _, i) => (far(i) < far(best) ? i : best), 0)];
}

// -- the answer --

function sentence() {
  const { hit, miss } = data.paths;
  if (data.speedup_ratio) {
    const ratio = `${times(data.speedup_ratio)} times as long`;
    return `A hit takes ${ms(hit.p50_ms)}, a miss ${ms(miss.p50_ms)}: ${ratio}`;
  }
  return measured.map((name) => `${title(name)}: ${ms(data.paths[name].p50_ms)}`).join(", ") || "Nothing was measured";
}

function verdict() {
  const { hit, get } = data.paths;
  const own = hit?.count && get?.count && hit.p50_ms > get.p50_ms;
  const errors = names.reduce((sum, name) => sum + data.paths[name].errors, 0);
  const asked = data.rate_per_second
    ? `${number.format(data.rate_per_second)} a second`
    : `${number.format(data.concurrency)} at a time`;
  const made = `${data.repeats} turns of ${data.turn_seconds} s of each path, in random order, ${asked};`;
  const text =
    `Medians. ${own ? `${ms(hit.p50_ms - get.p50_ms)} of the hit are beyond a bare GET. ` : ""}` +
    `${made} ${number.format(errors)} errors.`;
  const bad = data.status !== "valid";
  const head = bad ? `${data.status.toUpperCase()}: ${sentence()}` : sentence();
  const reasons = data.reasons.length ? el("ul", {}, data.reasons.map((reason) => el("li", {}, reason))) : null;
  $("verdict").classList.toggle("bad", bad);
  $("verdict").replaceChildren(
    icon(bad ? CROSS : TICK),
    el("div", {}, el("h1", { class: bad ? "down" : null }, head), el("p", {}, text), reasons),
  );
}

// -- charts --

function decades(values) {
  const known = values.filter((value) => value > 0);
  const lo = Math.floor(Math.log10(Math.min(...known)));
  const hi = Math.max(lo + 1, Math.ceil(Math.log10(Math.max(...known))));
  const ticks = Array.from({ length: hi - lo + 1 }, (_, i) => 10 ** (lo + i));
  return { ticks, share: (value) => (Math.log10(value) - lo) / (hi - lo) };
}

function ladder() {
  const host = $("ladder");
  const width = Math.max(260, host.clientWidth);
  const [left, right, top, each] = [width < 560 ? 96 : 176, 84, 22, 40];
  const height = top + each * measured.length + 6;
  const scale = decades(measured.flatMap((name) => [at(data.paths[name], 1), data.paths[name].max_ms]));
  const x = (value) => left + scale.share(value) * (width - left - right);
  const label = "Latency of each path, logarithmic; the table below has the numbers";
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  const axis = svg("g", { class: "axis" });
  scale.ticks.forEach((tick, i) => {
    axis.append(svg("line", { x1: x(tick), x2: x(tick), y1: top, y2: height }));
    if (width > 560 || i % 2 === 0) axis.append(svg("text", { x: x(tick), y: 12, "text-anchor": "middle" }, ms(tick)));
  });
  root.append(axis);
  measured.forEach((name, index) => root.append(...row(name, top + each * (index + 0.5), x, left, width)));
  host.style.height = `${height}px`;
  host.replaceChildren(root);
}

function row(name, y, x, left, width) {
  const path = data.paths[name];
  const [p1, p5, p50, p95, p999] = [1, 5, 50, 95, 99.9].map((percent) => x(at(path, percent)));
  const fill = colour(name);
  const bar = { x: p5, y: y - 8, width: Math.max(3, p95 - p5), height: 16, rx: 4 };
  return [
    svg("text", { class: "rowname", x: 0, y: y + 4 }, left < 120 ? name : title(name)),
    svg("line", { class: "whisker", x1: p1, x2: p999, y1: y, y2: y }),
    svg("rect", { class: fill, "fill-opacity": 0.35, ...bar }),
    svg("rect", { class: fill, x: p50 - 2, y: y - 11, width: 4, height: 22, rx: 2 }),
    svg("circle", { class: "dot-max", cx: x(path.max_ms), cy: y, r: 2.5 }),
    svg("text", { class: "rowvalue", x: width, y: y + 4, "text-anchor": "end" }, ms(path.p50_ms)),
  ];
}

// The points of a curve, as far as there are runs enough to say: beyond 1 - 1/n there is only the slowest.
function points(document, name) {
  const path = document?.paths?.[name];
  if (!path?.quantiles_ms?.length) return [];
  const last = 100 * (1 - 1 / path.count);
  return document.quantile_percents
    .map((percent, i) => [percent, path.quantiles_ms[i]])
    .filter(([percent]) => percent <= Math.min(last, 99.99));
}

function curve() {
  const host = $("curve");
  const width = Math.max(260, host.clientWidth);
  const height = host.clientHeight;
  const [left, right, top, bottom] = [56, 12, 10, 24];
  const keys = measured.filter((name) => name !== "noop" || measured.length === 1);
  const then = data.comparison?.baseline;
  const all = keys.flatMap((name) => [...points(data, name), ...points(then, name)].map((point) => point[1]));
  const scale = decades(all);
  const x = (percent) => left + (-Math.log10(1 - percent / 100) / 4) * (width - left - right);
  const y = (value) => height - bottom - scale.share(value) * (height - bottom - top);
  const label = "Latency by percentile; the table below has the numbers";
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  const axis = svg("g", { class: "axis" });
  for (const tick of scale.ticks) {
    axis.append(svg("line", { x1: left, x2: width - right, y1: y(tick), y2: y(tick) }));
    axis.append(svg("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, ms(tick)));
  }
  for (const percent of [0, 50, 90, 99, 99.9, 99.99]) {
    const anchor = percent === 0 ? "end" : percent === 99.99 ? "end" : "middle";
    axis.append(svg("text", { x: x(percent), y: height - 6, "text-anchor": anchor }, `${percent} %`));
  }
  root.append(axis);
  const line = (document, name, cls) => {
    const found = points(document, name).map(([p, v]) => `${x(p).toFixed(1)} ${y(v).toFixed(1)}`);
    if (found.length) root.append(svg("path", { class: `stroke line-${colour(name)} ${cls}`, d: `M${found.join("L")}` }));
  };
  for (const name of keys) {
    line(then, name, "then");
    line(data, name, "");
  }
  host.replaceChildren(root);
  const shown = keys.map((name) => el("span", {}, el("i", { class: colour(name) }), title(name)));
  $("curve-legend").replaceChildren(...shown, then ? el("span", {}, "dashed: baseline") : "");
}

let chosen = measured.includes("hit") ? "hit" : measured[0];

// The slices one after the other, with an empty step between two turns; time does not run evenly here, since
// the turns of other paths lie between.
function over() {
  const slices = data.paths[chosen].slices;
  const order = [];
  slices.turn.forEach((turn, i) => {
    if (i && turn !== slices.turn[i - 1]) order.push(null);
    order.push(i);
  });
  const pick = (column) => order.map((i) => (i === null ? null : slices[column][i]));
  const steps = order.map((_, i) => i * 60);
  const info = (i) => (i === null ? "between two turns" : `turn ${slices.turn[i]}, at ${slices.at_seconds[i].toFixed(1)} s`);
  const rows = (i) =>
    [["p50", "p50_ms"], ["p95", "p95_ms"], ["p99", "p99_ms"], ["slowest", "max_ms"]]
      .map(([name, column]) => [name, `b-${colour(chosen)}`, ms(pick(column)[i])])
      .concat([["runs", null, number.format(pick("count")[i] ?? 0)]]);
  bands($("over"), {
    at: steps,
    step: 60,
    pairs: [{ low: pick("p50_ms"), high: pick("max_ms"), fill: colour(chosen), stroke: `line-${colour(chosen)}` }],
    format: ms,
    title: (t) => info(order[t / 60]),
    label: `Latency of ${title(chosen)} over the run`,
    rows,
  });
  for (const text of $("over").querySelectorAll(".axis text[text-anchor=middle]")) text.remove();
  $("over-note").textContent = `line p50, band to the slowest; ${data.repeats} turns, a gap between two`;
}

function choice() {
  const button = (name) => {
    const choose = () => {
      chosen = name;
      choice();
      over();
    };
    return el("button", { type: "button", "aria-pressed": String(name === chosen), onclick: choose }, name);
  };
  $("over-paths").replaceChildren(...measured.map(button));
}

// -- tables --

function table(host, heads, rows) {
  const head = el("tr", {}, heads.map((text) => el("th", { scope: "col" }, text)));
  const body = rows.map((cells) => el("tr", {}, cells.map((cell) => el("td", {}, cell))));
  const made = el("table", { class: "data" }, el("thead", {}, head), el("tbody", {}, body));
  host.replaceChildren(el("div", { class: "table", tabindex: 0, role: "group", "aria-label": heads[0] }, made));
}

function numbers() {
  const heads = ["Path", "Calls", "Errors", "A second", "p50", "p90", "p95", "p99", "p99.9", "Max", "p50 of the turns"];
  table($("numbers"), heads, names.map((name) => {
    const path = data.paths[name];
    const spread = `${ms(path.median_of_turns_lowest_ms)} – ${ms(path.median_of_turns_highest_ms)}`;
    const counts = [path.count, path.errors, path.runs_per_second].map((value) => number.format(value));
    const columns = ["p50_ms", "p90_ms", "p95_ms", "p99_ms", "p99.9_ms", "max_ms"];
    return [pathname(name), ...counts, ...columns.map((column) => (path.count ? ms(path[column]) : "–")), spread];
  }));
  const turns = Array.from({ length: data.repeats }, (_, i) => String(i + 1));
  table($("turns"), ["Path", ...turns], names.map((name) => [pathname(name), ...data.paths[name].turns.p50_ms.map(ms)]));
}

function schedule() {
  if (!data.rate_per_second) return;
  $("schedule").hidden = false;
  const heads = ["Path", "Asked a second", "Reached", "Share", "Lag p50", "Lag p99", "Lag at most"];
  table($("schedule-table"), heads, names.map((name) => {
    const kept = data.paths[name].schedule;
    const share = (100 * kept.reached_per_second) / data.rate_per_second;
    const reached = el("span", { class: share < 99 ? "down" : null }, `${share.toFixed(1)} %`);
    const lags = [kept.lag_p50_ms, kept.lag_p99_ms, kept.lag_max_ms].map(ms);
    const asked = number.format(data.rate_per_second);
    return [pathname(name), asked, number.format(kept.reached_per_second), reached, ...lags];
  }));
}

function compared() {
  const found = data.comparison;
  if (!found) return;
  $("compared").hidden = false;
  const begun = found.baseline.begun_at ? `of ${new Date(found.baseline.begun_at).toLocaleString("en-GB")}` : "";
  $("compared-note").textContent = ["medians", begun, ...found.differences, ...found.warnings, found.summary].filter(Boolean).join("; ");
  const heads = ["Path", "Outcome", "Then", "Now", "Ratio now/then", "Interval"];
  table($("compared-table"), heads, Object.entries(found.paths).map(([name, change]) => {
    const outcome = el("span", { class: `outcome ${change.outcome}` }, change.outcome);
    const interval = change.lowest == null ? "too few turns" : `${change.lowest.toFixed(2)} – ${change.highest.toFixed(2)}`;
    const medians = [found.baseline.paths[name].p50_ms, data.paths[name].p50_ms].map(ms);
    return [pathname(name), outcome, ...medians, change.ratio.toFixed(2), interval];
  }));
}

function facts() {
  const load = (three) => (three ? three.map((value) => value.toFixed(2)).join(", ") : "unknown");
  const { host } = data;
  const pairs = [
    ["begun", new Date(data.begun_at).toLocaleString("en-GB")],
    ["command", data.command_line],
    ...Object.entries(data.versions),
    ["machine", `${host.system}, ${host.cpus} CPUs`],
    ["load before (1, 5, 15 min)", load(host.load_before_processes)],
    ["load after", load(host.load_after_processes)],
    ...Object.entries(data.settings),
  ];
  $("facts").replaceChildren(...pairs.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

// -- start --

const dark = matchMedia("(prefers-color-scheme: dark)");
const dress = () => (document.documentElement.dataset.theme = dark.matches ? "dark" : "light");
dress();
dark.addEventListener("change", dress);
$("target").textContent = data.target;
$("download").href = `data:application/json;charset=utf-8,${encodeURIComponent($("data").textContent)}`;
$("download").download = "bench.json";
const draw = () => {
  if (!measured.length) return;
  ladder();
  curve();
  over();
};
verdict();
compared();
schedule();
numbers();
facts();
if (measured.length) choice();
draw();
addEventListener("resize", draw);
document.body.dataset.ready = "1";
