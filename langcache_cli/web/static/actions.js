// The two things that the page can change: clear a type, remove an entry.
import { ms, number, short } from "./format.js";
import { closeButton, closeDialog, dialog, el, note } from "./page.js";
import { ask, state } from "./state.js";

let changed = () => {}; // draws the page anew

export const onChange = (callback) => (changed = callback);

function tellRemoved(answer) {
  const keys = answer.removed === 1 ? "1 key" : `${number.format(answer.removed)} keys`;
  note(
    answer.deferred
      ? "Redis has not confirmed it yet; until it has, calls go past the cache."
      : `Removed ${keys} in ${ms(answer.ms)}.`,
  );
}

// Ask, close the dialog and say what was removed; or say in the dialog why it was not.
async function remove(body, button) {
  button.disabled = true;
  try {
    tellRemoved(await ask("clear", body));
  } catch (error) {
    button.disabled = false;
    button.closest("dialog").querySelector(".failed").textContent = `Not removed: ${error.message}`;
    return false;
  }
  closeDialog();
  changed();
  return true;
}

const failed = () => el("p", { class: "failed", role: "alert" });

export function clearType(name, t) {
  const { env, namespace, keyspace, window_seconds: seconds } = state.data;
  const isProd = env === "prod";
  const keys = `${keyspace.exact ? "" : "≈ "}${(keyspace.exact ? number : short).format(t.keys)} keys`;
  const go = el("button", { class: "danger go", disabled: isProd }, `Remove ${keys}`);
  go.onclick = () => remove({ type: name }, go);
  const input = el("input", { placeholder: namespace, "aria-label": "namespace", autocomplete: "off" });
  input.oninput = () => (go.disabled = input.value !== namespace);
  const more = short.format(t.hits / (seconds / 60));
  const each = t.load_p50_ms == null ? "" : `, each about ${ms(t.load_p50_ms)}`;
  const cost = `Its functions are then asked about ${more} times a minute more until the cache is warm again${each}.`;
  dialog(
    `Clear the type ${name}?`,
    el("p", {}, `${cost} Nothing else is touched, and who did it is written down.`),
    isProd && el("p", {}, `This is production. Type the namespace to go on: ${namespace}`),
    isProd && input,
    failed(),
    el("div", { class: "actions" }, closeButton("Keep"), go),
  );
}

export async function removeEntry(address, done) {
  const go = el("button", { class: "danger go" }, "Remove it");
  go.onclick = async () => (await remove({ address }, go)) && done();
  dialog(
    "Remove this entry?",
    el("p", { class: "keyname mono" }, decoded(address)),
    el("p", {}, "Its function is asked for it again by the next call."),
    failed(),
    el("div", { class: "actions" }, closeButton("Keep"), go),
  );
}

function decoded(address) {
  try {
    return decodeURIComponent(address);
  } catch {
    return address; // bytes that are no UTF-8
  }
}
