// Charts as plain SVG. Text goes in as text nodes, never as markup.

const NS = "http://www.w3.org/2000/svg";
const STEPS = [300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800];
const round = (x) => Math.round(x * 10) / 10;

// -- nodes --

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) if (value != null) node.setAttribute(name, value);
  for (const child of children) if (child != null) node.append(child);
  return node;
}

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat()) if (child != null && child !== false) node.append(child);
  return node;
}

export function icon(path) {
  const line = { fill: "none", stroke: "currentColor", "stroke-width": 2 };
  const ends = { "stroke-linecap": "round", "stroke-linejoin": "round" };
  return svg("svg", { viewBox: "0 0 24 24", ...line, ...ends, "aria-hidden": "true" }, svg("path", { d: path }));
}

// -- scales --

// Round numbers from 0 to beyond `top`.
export function nice(top) {
  if (!(top > 0)) return [0, 1];
  const raw = top / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].find((m) => m * power >= raw) * power;
  const ticks = [];
  for (let v = 0; v < top + step; v += step) ticks.push(v);
  return ticks;
}

export const clock = (t) =>
  new Date(t * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });

// Pairs of time and text, on the viewer's clock, as many as there is room for.
export function timeLabels(at, width) {
  const room = Math.max(2, Math.floor(width / 90));
  const step = STEPS.find((s) => (at.at(-1) - at[0]) / s <= room) ?? STEPS.at(-1);
  const offset = new Date(at[0] * 1000).getTimezoneOffset() * 60;
  const day = (t) => new Date(t * 1000).toLocaleDateString("en", { weekday: "short", day: "numeric" });
  const labels = [];
  for (let t = Math.ceil((at[0] - offset) / step) * step + offset; t <= at.at(-1); t += step) {
    labels.push([t, step >= 86400 ? day(t) : clock(t)]);
  }
  return labels;
}

// -- what all charts over time share --

function frame(host, { at, step, height, left = 44, right = 8, top = 14, bottom = 22 }) {
  const width = Math.max(260, host.clientWidth);
  const h = host.clientHeight || height;
  const box = { width, height: h, left, right: width - right, top, bottom: h - bottom };
  const end = at.at(-1) + step;
  const x = (t) => box.left + ((t - at[0]) / (end - at[0])) * (box.right - box.left);
  return { box, x, end };
}

function axes(root, box, ticks, y, format, labels, x) {
  const g = svg("g", { class: "axis" });
  for (const tick of ticks) {
    const at = round(y(tick));
    g.append(svg("line", { x1: box.left, x2: box.right, y1: at, y2: at, class: tick === ticks[0] ? "base" : null }));
    g.append(svg("text", { x: box.left - 8, y: at + 4, "text-anchor": "end" }, format(tick)));
  }
  for (const [t, text] of labels) {
    if (x(t) <= box.left + 8 || x(t) >= box.right - 12) continue;
    g.append(svg("text", { x: round(x(t)), y: box.bottom + 16, "text-anchor": "middle" }, text));
  }
  root.append(g);
}

// Events: outages as bands that end where the event is, everything else as a line with a flag.
function marks(root, box, x, events, at, end) {
  for (const event of events) {
    if (event.at < at[0] || event.at > end) continue;
    const px = round(x(event.at));
    if (event.what === "outage") {
      const from = round(x(Math.max(at[0], event.at - (+event.seconds || 0))));
      const size = { width: Math.max(2, round(px - from)), height: box.bottom - box.top };
      root.append(svg("rect", { class: "outage", x: from, y: box.top, ...size }));
    } else {
      root.append(svg("line", { class: "event", x1: px, x2: px, y1: box.top, y2: box.bottom }));
      root.append(svg("path", { class: "event-flag", d: `M${px - 4} ${box.top - 7}h8l-4 6z` }));
    }
  }
}

const shownSteps = new WeakMap(); // host -> the step whose numbers are shown, kept when the chart is drawn anew

function place(tip, x, y) {
  const size = tip.getBoundingClientRect();
  const beside = x + 16 + size.width > innerWidth ? x - size.width - 16 : x + 16;
  tip.style.left = `${Math.max(8, Math.min(innerWidth - size.width - 8, beside))}px`;
  tip.style.top = `${Math.max(8, Math.min(innerHeight - size.height - 8, y - size.height / 2))}px`;
}

// Follows the pointer, and the arrow keys: shows the numbers of one step in the element `tip`.
function crosshair(host, root, { box, x, at, step, rows, events, title }) {
  const line = svg("line", { class: "cross", y1: box.top, y2: box.bottom, visibility: "hidden" });
  const tip = document.getElementById("tip");
  root.append(line);
  const row = ([name, cls, value]) =>
    el("tr", {}, el("td", {}, cls && el("i", { class: cls }), name), el("td", {}, el("b", {}, value)));

  const hide = () => {
    shownSteps.delete(host);
    tip.hidden = true;
    line.setAttribute("visibility", "hidden");
  };
  const mark = (i) => {
    const index = Math.max(0, Math.min(at.length - 1, i));
    shownSteps.set(host, index);
    const px = round(x(at[index] + step / 2));
    for (const name of ["x1", "x2"]) line.setAttribute(name, px);
    line.setAttribute("visibility", "visible");
    const near = events.filter((e) => e.at >= at[index] && e.at < at[index] + step);
    const told = near.map((e) => el("div", { class: "ev" }, `${clock(e.at)} ${e.what}: ${e.target}`));
    tip.replaceChildren(el("b", {}, title(at[index])), el("table", {}, rows(index).map(row)), ...told);
    tip.hidden = false;
    return px;
  };
  const show = (i, clientX, clientY) => {
    const px = mark(i);
    const rect = host.getBoundingClientRect();
    place(tip, clientX ?? rect.left + px, clientY ?? rect.top + 30);
  };

  host.onpointermove = (e) => {
    const inside = e.clientX - host.getBoundingClientRect().left - box.left;
    show(Math.floor((inside / (box.right - box.left)) * at.length), e.clientX, e.clientY);
  };
  host.onpointerleave = hide;
  host.onblur = hide;
  host.onkeydown = (e) => {
    if (e.key === "Escape") hide();
    if (e.key !== "ArrowRight" && e.key !== "ArrowLeft") return;
    show((shownSteps.get(host) ?? at.length) + (e.key === "ArrowRight" ? 1 : -1));
    e.preventDefault();
  };
  if (shownSteps.has(host)) mark(shownSteps.get(host));
}

function mount(host, root, box, label) {
  root.setAttribute("viewBox", `0 0 ${box.width} ${box.height}`);
  root.setAttribute("role", "img");
  root.setAttribute("aria-label", label);
  host.tabIndex = 0;
  host.setAttribute("role", "group");
  host.setAttribute("aria-label", label);
  host.replaceChildren(root);
}

// -- charts over time --

// Columns of layers on top of each other. `layers`: [{fill, values}], the lowest first. `rows(i)` lists
// [name, class, text] of step i. With `running` the last column is paler: its step has not ended.
export function stacked(host, { at, step, layers, events = [], format, title, label, rows, running }) {
  const { box, x, end } = frame(host, { at, step, height: 220 });
  const root = svg("svg");
  const gap = at.length > 100 ? 0.4 : 1;
  const sums = at.map((_, i) => layers.reduce((sum, layer) => sum + layer.values[i], 0));
  const ticks = nice(Math.max(...sums));
  const y = (v) => box.bottom - (v / (ticks.at(-1) || 1)) * (box.bottom - box.top);
  axes(root, box, ticks, y, format, timeLabels(at, box.right - box.left), x);
  let low = at.map(() => 0);
  for (const layer of layers) {
    const high = low.map((v, i) => v + layer.values[i]);
    const column = (i) =>
      layer.values[i] > 0
        ? `M${round(x(at[i]))} ${round(y(low[i]))}V${round(y(high[i]))}` +
          `H${round(x(at[i] + step) - gap)}V${round(y(low[i]))}z`
        : "";
    const last = at.length - 1;
    const whole = at.map((_, i) => (running && i === last ? "" : column(i))).join("");
    root.append(svg("path", { class: layer.fill, d: whole }));
    if (running) root.append(svg("path", { class: `${layer.fill} running`, d: column(last) }));
    low = high;
  }
  marks(root, box, x, events, at, end);
  mount(host, root, box, label);
  crosshair(host, root, { box, x, at, step, events, title, rows });
}

// The steps of a band without a gap in between: lists of [x, y of the lower line, y of the upper one].
function runs(pair, at, place) {
  const found = [[]];
  at.forEach((t, i) => {
    if (pair.low[i] > 0 && pair.high[i] > 0) found.at(-1).push(place(t, pair.low[i], pair.high[i]));
    else if (found.at(-1).length) found.push([]);
  });
  return found.filter((points) => points.length);
}

// Lines with a band above each, logarithmic. `pairs`: [{low, high, fill, stroke}]; null is a gap.
export function bands(host, { at, step, pairs, events = [], format, title, label, rows }) {
  const { box, x, end } = frame(host, { at, step, height: 230, left: 52 });
  const root = svg("svg");
  const all = pairs.flatMap((p) => [...p.low, ...p.high]).filter((v) => v > 0);
  if (!all.length) {
    host.replaceChildren(el("div", { class: "empty" }, "No call was timed in this window."));
    return;
  }
  const lo = Math.floor(Math.log10(Math.min(...all)) * 2) / 2;
  const hi = Math.max(lo + 0.5, Math.ceil(Math.log10(Math.max(...all)) * 2) / 2);
  const ticks = [];
  for (let e = Math.floor(lo); e <= Math.ceil(hi); e++) {
    for (const v of [10 ** e, 3 * 10 ** e]) {
      if (Math.log10(v) >= lo - 0.03 && Math.log10(v) <= hi + 0.03) ticks.push(v);
    }
  }
  const y = (v) => box.bottom - ((Math.log10(v) - lo) / (hi - lo)) * (box.bottom - box.top);
  axes(root, box, ticks, y, format, timeLabels(at, box.right - box.left), x);
  const line = (points, i) => points.map((p) => `${round(p[0])} ${round(p[i])}`).join("L");
  const half = at.length === 1 ? step / 4 : 0; // one step alone: a short line in place of a point
  for (const pair of pairs) {
    for (let points of runs(pair, at, (t, low, high) => [x(t + step / 2), y(low), y(high)])) {
      if (points.length === 1) {
        const wide = half ? x(half) - x(0) : 2;
        points = [-wide, wide].map((shift) => [points[0][0] + shift, points[0][1], points[0][2]]);
      }
      const area = `M${line(points, 2)}L${line([...points].reverse(), 1)}z`;
      root.append(svg("path", { class: `band ${pair.fill}`, d: area }));
      root.append(svg("path", { class: `stroke ${pair.stroke}`, d: `M${line(points, 1)}` }));
    }
  }
  marks(root, box, x, events, at, end);
  mount(host, root, box, label);
  crosshair(host, root, { box, x, at, step, events, title, rows });
}

// -- small ones --

// A line without axes; null is a gap. With `fill` it is as wide as its place.
export function spark(
  values,
  { width = 110, height = 26, cls = "s-hit", min = null, max = null, label = "", fill = false } = {},
) {
  const known = values.filter((v) => v != null);
  const lo = min ?? Math.min(...known);
  const hi = max ?? Math.max(...known);
  const size = { width: fill ? "100%" : width, height, viewBox: `0 0 ${width} ${height}` };
  const root = svg("svg", { ...size, preserveAspectRatio: "none", role: "img", "aria-label": label });
  const y = (v) => height - 3 - ((v - lo) / (hi - lo || 1)) * (height - 6);
  const each = (width - 4) / Math.max(1, values.length - 1);
  let pen = "M";
  let d = "";
  values.forEach((v, i) => {
    if (v != null) d += `${pen}${round(i * each + 2)} ${round(y(v))}`;
    if (v != null && values.length === 1) d += `H${width - 2}`;
    pen = v == null ? "M" : "L";
  });
  if (d) root.append(svg("path", { class: `stroke ${cls}`, d, "vector-effect": "non-scaling-stroke" }));
  return root;
}

// A bar on a track, with a whisker where the value is an estimate.
export function bar(value, error, top, cls, label) {
  const size = { viewBox: "0 0 1000 18", preserveAspectRatio: "none" };
  const root = svg("svg", { ...size, role: "img", "aria-label": label });
  const w = (v) => round(Math.max(0, Math.min(1000, (v / (top || 1)) * 1000)));
  root.append(svg("rect", { class: "track", width: 1000, height: 18, rx: 4 }));
  root.append(svg("rect", { class: cls, width: Math.max(value ? 4 : 0, w(value)), height: 18, rx: 4 }));
  if (error) {
    const [a, b] = [w(value - error), w(value + error)];
    const d = `M${a} 9H${b}M${a} 5v8M${b} 5v8`;
    root.append(svg("path", { class: "err", d, "vector-effect": "non-scaling-stroke" }));
  }
  return root;
}

// A few columns, drawn as wide as there is room. `parts`: [{value, cls}].
export function columns(parts, { height = 64, label }) {
  const top = Math.max(1, ...parts.map((p) => p.value));
  const each = 100 / parts.length;
  const size = { width: "100%", height, viewBox: `0 0 100 ${height}`, preserveAspectRatio: "none" };
  const root = svg("svg", { ...size, role: "img", "aria-label": label });
  parts.forEach((p, i) => {
    const h = p.value ? Math.max(2, (p.value / top) * (height - 2)) : 0;
    const place = { x: round((i + 0.12) * each), y: round(height - h) };
    root.append(svg("rect", { class: p.cls, ...place, width: round(each * 0.76), height: round(h) }));
  });
  const floor = { x1: 0, x2: 100, y1: height - 0.5, y2: height - 0.5 };
  root.append(svg("line", { class: "floor", ...floor, "vector-effect": "non-scaling-stroke" }));
  return root;
}
