// The parts of the page that all cards use.
import { el, icon } from "./charts.js";
import { keyParts, visibleKey } from "./format.js";

export const $ = (id) => document.getElementById(id);

export const SHAPES = {
  ok: "M20 6 9 17l-5-5",
  warn:
    "M12 9v4m0 4h.01M10.3 3.9 1.8 18a2 2 0 0 0 1.7 3h17a2 2 0 0 0 1.7-3L13.7 3.9a2 2 0 0 0-3.4 0z",
  off: "M18.4 6.6a9 9 0 1 1-12.8 0M12 2v10",
  sun:
    "M12 3v1m0 16v1m9-9h-1M4 12H3m15.4-6.4-.7.7M6.3 17.7l-.7.7m12.8 0-.7-.7M6.3 6.3l-.7-.7" +
    "M16 12a4 4 0 1 1-8 0 4 4 0 0 1 8 0z",
  moon: "M21 12.8A9 9 0 1 1 11.2 3a7 7 0 0 0 9.8 9.8z",
  more: "m9 6 6 6-6 6",
};

// Replace what is in an element, and leave the focus on what has the same `data-name` afterwards.
export function swap(host, ...children) {
  const held = host.contains(document.activeElement) ? document.activeElement.dataset.name : null;
  host.replaceChildren(...children.flat().filter((child) => child != null && child !== false));
  if (held) host.querySelector(`[data-name="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
}

export const head = (title, note) =>
  el("div", { class: "head" }, el("h2", {}, title), el("div", { class: "legend" }, note));

export const empty = (...content) => el("div", { class: "empty" }, ...content);

export const facts = (pairs) =>
  el("dl", {}, pairs.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));

// A table in a place that scrolls by itself. `columns`: texts, or nodes.
export function table(columns, rows, caption) {
  const heading = columns.length ? el("thead", {}, el("tr", {}, columns.map((c) => el("th", { scope: "col" }, c)))) : null;
  const title = caption && el("caption", { class: "unseen" }, caption);
  return el("div", { class: "table" }, el("table", { class: "data" }, title, heading, el("tbody", {}, rows)));
}

// Put a table into a <details>, when it is opened and while it stays open.
export function behind(details, columns, rows) {
  const fill = () => {
    if (details.open) details.replaceChildren(details.firstElementChild, table(columns, rows()));
  };
  details.ontoggle = fill;
  fill();
}

export function copyButton(text) {
  const copy = async (event) => {
    const button = event.currentTarget;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      getSelection().selectAllChildren(button); // not allowed here: it can be copied by hand
      return;
    }
    note(`copied: ${text}`);
  };
  return el("button", { class: "copy", title: "Copy", "data-name": `copy ${text}`, onclick: copy }, el("code", {}, text));
}

let noteEnds = null;

// Say something for some seconds.
export function note(text) {
  clearTimeout(noteEnds);
  $("note").textContent = text;
  noteEnds = setTimeout(() => $("note").replaceChildren(), 8000);
}

export function keyLabel(key) {
  const [start, rest] = keyParts(visibleKey(key));
  return [el("span", { class: "pre" }, start), rest];
}

export function dialog(title, ...content) {
  const heading = el("h3", { id: "dialog-title", tabindex: "-1" }, title);
  $("dialog").replaceChildren(heading, ...content.flat().filter(Boolean));
  if (!$("dialog").open) $("dialog").showModal();
}

export const closeDialog = () => $("dialog").close();

export const closeButton = (text) => el("button", { class: "quiet", autofocus: true, onclick: closeDialog }, text);

export { el, icon };
