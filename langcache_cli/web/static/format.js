// Numbers, times and keys as text.

export const number = new Intl.NumberFormat("en");
export const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

export const count = (n, exact) => {
  if (!exact) return `≈ ${short.format(n)}`;
  return n < 1e6 ? number.format(n) : short.format(n);
};

export const percent = (ratio) => (ratio == null ? "–" : `${(ratio * 100).toFixed(1)} %`);

export function ms(v) {
  if (v == null) return "–";
  if (v >= 1000) return `${(v / 1000).toPrecision(3)} s`;
  if (v >= 100) return `${Math.round(v)} ms`;
  return `${v.toPrecision(v >= 1 ? 3 : 2)} ms`;
}

export function bytes(b) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (b >= 1024 && i < units.length - 1) {
    b /= 1024;
    i++;
  }
  return `${i && b < 100 ? b.toPrecision(3) : Math.round(b)} ${units[i]}`;
}

export function span(seconds) {
  if (seconds >= 172800) return `${Math.round(seconds / 86400)} days`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  const [h, m] = [Math.floor(minutes / 60), minutes % 60];
  return [h && `${h} h`, (m || !h) && `${m} min`].filter(Boolean).join(" ");
}

export const WORDS = {
  "1h": "the last hour",
  "6h": "the last 6 hours",
  "24h": "the last 24 hours",
  "7d": "the last 7 days",
};
export const BEFORE = {
  "1h": "the hour before",
  "6h": "the 6 hours before",
  "24h": "the day before",
  "7d": "the week before",
};

export const exactTime = (t) => new Date(t * 1000).toLocaleTimeString("en-GB");
export const day = (t) => new Date(t * 1000).toLocaleDateString("en", { weekday: "short" });

// Characters that are not to be seen, or that turn the text around them, as what they are: \u202e.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const escaped = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
export const visible = (text) => text.replace(UNSEEN, escaped);
export const visibleKey = (key) => visible(key).replace(/[\t\n]/g, escaped);

// The namespace and the prefix, and the rest.
export function keyParts(key) {
  const i = key.indexOf(":", key.indexOf(":") + 1);
  return [key.slice(0, i + 1), key.slice(i + 1)];
}
