// Bytes as a person reads them: their places, hexadecimal, and what of them is text.

import "./words.js";

import { h } from "../dom.js";
import { addWords, t } from "../i18n.js";
import { words } from "../words/records.js";

addWords(words);
const WIDTH = 16;
const FIRST_LINES = 32;

/** Base64 as bytes. */
export const bytesOf = (base64) => Uint8Array.from(atob(base64), (each) => each.charCodeAt(0));

function line(bytes, at) {
  const part = [...bytes.subarray(at, at + WIDTH)];
  const hex = part.map((byte) => byte.toString(16).padStart(2, "0"));
  const spaced = `${hex.slice(0, 8).join(" ")}  ${hex.slice(8).join(" ")}`.padEnd(3 * WIDTH);
  const text = part.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·")).join("");
  return `${at.toString(16).padStart(4, "0")}  ${spaced} ${text}`;
}

const dump = (bytes) => Array.from({ length: Math.ceil(bytes.length / WIDTH) }, (_, n) => line(bytes, n * WIDTH)).join("\n");

/** The first lines; all of them on demand. */
export function hexDump(bytes) {
  const most = WIDTH * FIRST_LINES;
  const shown = h("pre", { class: "hex", tabindex: "0", role: "region", "aria-label": t("quarantine.bytes") }, dump(bytes.subarray(0, most)));
  if (bytes.length <= most) return shown;
  const all = h("button", { type: "button" }, t("quarantine.whole", bytes.length));
  all.addEventListener("click", () => {
    shown.textContent = dump(bytes);
    all.remove();
  });
  return h("div", {}, shown, all);
}
