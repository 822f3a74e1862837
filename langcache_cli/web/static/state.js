// What the page knows, and how it asks for more.

export const state = {
  token: null,
  window: "1h",
  live: true,
  data: null, // the latest overview with numbers
  status: null, // the latest answer: an overview, or {status: "gone"}
  open: new Set(), // types whose functions are shown
  hidden: new Set(), // layers of the first chart that are switched off
  tab: null, // of the top keys; null until one is chosen
  failures: 0,
};

const PATIENCE_MS = 30000;

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// Ask an endpoint; a body makes it a POST. Throws Refused where the answer is an error, and what `fetch`
// throws where there is none.
export async function ask(path, body) {
  const headers = {};
  if (state.token) headers.Authorization = `Bearer ${state.token}`;
  if (body) Object.assign(headers, { "Content-Type": "application/json", "X-Langcache": "1" });
  const reply = await fetch(`api/${path}`, {
    method: body ? "POST" : "GET",
    headers,
    body: body && JSON.stringify(body),
    cache: "no-store",
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (reply.ok) return reply.json();
  const { error, detail } = await reply.json().catch(() => ({}));
  const told = [error, detail].find((text) => typeof text === "string");
  throw new Refused(reply.status, told ?? `the answer is ${reply.status}`);
}
