// Looking for keys, and at one entry.
import { removeEntry } from "./actions.js";
import { bytes, ms, number, span, visible, visibleKey } from "./format.js";
import { $, closeButton, dialog, el, empty, facts, keyLabel, table } from "./page.js";
import { ask, state } from "./state.js";

const FIRST = 10; // rows before "More" is pressed
const MOST = 500;
const ROUNDS = 200; // requests of one search that finds little; each takes a quarter of a second

const found = { rows: [], cursor: "", searched: 0, room: FIRST, turn: 0, isKnown: false };

// True until a search has been answered: at first, and after an error.
export const areKeysUnknown = () => !found.isKnown;

export async function findKeys(more = false, round = 1) {
  const turn = ++found.turn;
  if (!more) Object.assign(found, { rows: [], cursor: "", searched: 0, room: FIRST });
  const asked = { find: $("find-text").value, type: $("find-type").value, cursor: found.cursor };
  let page;
  try {
    page = await ask(`keys?${new URLSearchParams(asked)}`);
  } catch (error) {
    if (turn !== found.turn) return;
    found.isKnown = false;
    $("keys-list").replaceChildren(empty(error.message));
    return;
  }
  if (turn !== found.turn) return; // a later search is under way
  found.isKnown = true;
  found.rows.push(...page.keys);
  found.cursor = page.cursor;
  found.searched += page.searched;
  draw();
  if (found.cursor && found.rows.length < FIRST && round < ROUNDS && !document.hidden) findKeys(true, round + 1);
}

function draw() {
  const rows = found.rows.slice(0, found.room);
  const note = found.cursor
    ? `${number.format(found.rows.length)} found so far, ${number.format(found.searched)} searched`
    : `all ${number.format(found.rows.length)} that match, ${number.format(found.searched)} searched`;
  $("keys-note").textContent = note;
  const isFull = found.rows.length >= MOST;
  const more = rows.length < found.rows.length || (found.cursor && !isFull);
  const button = el("button", { class: "quiet", "data-name": "more", onclick: showMore }, rows.length ? "More" : "Search on");
  const hasFocus = $("keys-list").contains(document.activeElement);
  $("keys-list").replaceChildren(
    rows.length ? table(["Key", "Ends in", "Size"], rows.map(row)) : empty(found.cursor ? "Nothing found yet." : "No key matches."),
    more ? el("div", { class: "actions" }, button) : isFull ? empty("Search for a part of the key to see others.") : "",
  );
  if (hasFocus && more) button.focus({ preventScroll: true });
}

function showMore() {
  found.room += found.room === FIRST ? 40 : 50;
  if (found.rows.length < found.room && found.cursor) findKeys(true);
  else draw();
}

function row(k) {
  const open = () => showKey(k.address);
  const name = k.address
    ? el("button", { class: "mono", title: visibleKey(k.key).slice(0, 400), onclick: open }, keyLabel(k.key))
    : el("span", { class: "mono" }, keyLabel(k.key));
  const ends = k.ttl_ms < 0 ? "never" : span(k.ttl_ms / 1000);
  return el("tr", {}, el("td", { class: "key" }, name), el("td", {}, ends), el("td", {}, k.bytes == null ? "–" : bytes(k.bytes)));
}

const KINDS = {
  entry: "an entry",
  loading: "a load is under way; there is no value yet",
  failed: "a load has just failed",
  foreign: "not written by langcache",
};

function indented(e) {
  if (e.truncated) return `${e.value}\n…`;
  try {
    return JSON.stringify(JSON.parse(e.value), null, 2);
  } catch {
    return e.value;
  }
}

const date = (t) => new Date(t * 1000).toLocaleString("en-GB");

export async function showKey(address) {
  let e;
  try {
    e = await ask(`key?key=${address}`);
  } catch (error) {
    dialog("This key", el("p", {}, error.message), el("div", { class: "actions" }, closeButton("Close")));
    return;
  }
  const pairs = [
    ["What it is", e.is_being_replaced ? "an entry, whose successor is being loaded" : KINDS[e.kind]],
    ["Ends in", e.ttl_ms < 0 ? "never" : span(e.ttl_ms / 1000)],
    ["Size", e.bytes == null ? "unknown" : bytes(e.bytes)],
    e.created && ["Stored", date(e.created)],
    e.fresh_until && ["Fresh until", date(e.fresh_until)],
    e.load_ms != null && ["Its load took", ms(e.load_ms)],
    e.schema && ["Schema", e.schema],
    e.compression && ["Compressed", e.compression],
    e.tag_versions.length && ["Versions of its tags", e.tag_versions.join(", ")],
    e.problem && ["Problem", e.problem],
  ].filter(Boolean);
  const buttons = [
    !state.data?.read_only && el("button", { class: "danger", onclick: () => removeEntry(e.address) }, "Remove this entry"),
    closeButton("Close"),
  ];
  dialog(
    el("span", { class: "keyname mono" }, visibleKey(e.key)),
    facts(pairs),
    e.value && el("pre", { tabindex: "0", "aria-label": "Value" }, visible(indented(e))),
    el("div", { class: "actions" }, buttons),
  );
}

// The choice of types follows the overview.
export function typeChoice() {
  const select = $("find-type");
  const names = Object.keys(state.data.types);
  if (names.length + 1 === select.options.length && names.every((name, i) => select.options[i + 1].value === name)) return;
  const chosen = select.value;
  const options = names.map((name) => el("option", { value: name, selected: name === chosen }, name));
  select.replaceChildren(el("option", { value: "" }, "all types"), ...options);
}

export function listenToSearch() {
  $("find").onsubmit = (event) => {
    event.preventDefault();
    findKeys();
  };
  $("find-text").onchange = () => findKeys();
  $("find-type").onchange = () => findKeys();
}
