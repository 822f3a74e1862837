// The page: asks for the overview again and again, and draws it.
import { onChange } from "./actions.js";
import { answers, events, findings, foot, latency, memory, server, tiles, topBar, verdict } from "./cards.js";
import { el, icon } from "./charts.js";
import { areKeysUnknown, findKeys, listenToSearch, typeChoice } from "./keys.js";
import { $, SHAPES } from "./page.js";
import { Refused, ask, state } from "./state.js";
import { ranks, types } from "./tables.js";

const LONGEST_PAUSE_SECONDS = 60;
let timer = null;
let turn = 0;
let isAsking = false;
let isGated = false;

// -- asking --

async function refresh() {
  clearTimeout(timer);
  const mine = ++turn;
  isAsking = true;
  let answer;
  try {
    answer = await ask(`overview?window=${state.window}`);
    state.failures = 0;
  } catch (error) {
    if (error instanceof Refused && [401, 403].includes(error.status)) return gate(error);
    state.failures++;
    answer = { status: "gone" };
  }
  if (isGated) return location.reload(); // the login came after the page
  if (mine !== turn) return; // another window was chosen meanwhile
  isAsking = false;
  state.status = answer;
  if (answer.total) state.data = answer;
  schedule();
  draw(); // outside of the `try`: a mistake in drawing is no network error, and goes to the console
  document.body.dataset.ready = "1";
}

// The next request is made after this one has been answered: slow answers never pile up.
function schedule() {
  clearTimeout(timer);
  if (!state.live || document.hidden) return;
  const pause = (state.data?.refresh_seconds ?? 5) * 2 ** Math.min(state.failures, 4);
  timer = setTimeout(refresh, Math.min(LONGEST_PAUSE_SECONDS, pause) * 1000);
}

// -- drawing --

function draw() {
  if (state.data ?? state.status.target) topBar(choose);
  verdict();
  if (!state.status.total) return;
  for (const card of [findings, tiles, memory, types, ranks, events, server, foot, typeChoice]) card();
  charts();
  if (areKeysUnknown()) findKeys();
}

function charts() {
  if (!state.data?.total.calls || !state.data.series.at.length) return; // hidden
  answers();
  latency();
}

function choose(window) {
  state.window = window;
  remember();
  refresh();
}

// -- who may: a token is asked for where the address had none --

function gate(error) {
  isGated = true;
  const input = el("input", { type: "password", placeholder: "token", "aria-label": "token", autocomplete: "off" });
  const open = (event) => {
    event.preventDefault();
    sessionStorage.setItem("langcache-token", input.value.trim());
    location.reload();
  };
  const told = state.token ? `This token was refused: ${error.message}.` : "";
  const where = "Log in to the application, or give the token of the address that langcache dashboard printed.";
  const field = el("div", { class: "find" }, input, el("button", { class: "quiet" }, "Open"));
  const form = el("form", { onsubmit: open }, el("h1", {}, "A token is needed"), el("p", {}, `${told} ${where}`), field);
  $("main").className = "";
  $("main").replaceChildren(el("section", { class: "card gate" }, form));
  document.body.dataset.ready = "1";
}

// -- the controls --

const prefersDark = matchMedia("(prefers-color-scheme: dark)");

function theme() {
  const chosen = given.get("theme") ?? localStorage.getItem("langcache-theme") ?? (prefersDark.matches ? "dark" : "light");
  document.documentElement.dataset.theme = chosen;
  $("theme").replaceChildren(icon(chosen === "dark" ? SHAPES.sun : SHAPES.moon));
}

function remember() {
  history.replaceState(null, "", `${location.pathname}${location.search}#window=${state.window}`);
}

function listen() {
  $("theme").onclick = () => {
    given.delete("theme");
    localStorage.setItem("langcache-theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    theme();
  };
  prefersDark.onchange = theme;
  $("live").onclick = () => {
    state.live = !state.live;
    $("live").setAttribute("aria-pressed", String(state.live));
    $("live-text").textContent = state.live ? "live" : "paused";
    if (state.live) refresh();
    else clearTimeout(timer);
  };
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden && state.live && !isAsking) refresh();
  });
  addEventListener("resize", charts);
  listenToSearch();
  onChange(() => {
    refresh();
    findKeys();
  });
}

const given = new URLSearchParams(location.hash.slice(1));
if (given.get("token")) sessionStorage.setItem("langcache-token", given.get("token"));
state.token = sessionStorage.getItem("langcache-token");
state.window = ["1h", "6h", "24h", "7d"].includes(given.get("window")) ? given.get("window") : "1h";
remember(); // and the token is out of the address bar
theme();
listen();
await refresh();
