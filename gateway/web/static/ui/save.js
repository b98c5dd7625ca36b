// What is seen, as a file: CSV that a spreadsheet opens and does not run, or JSON.

import { h } from "../dom.js";

const MARK = "\ufeff"; // by which spreadsheets know UTF-8
const RUN = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/; // a device could name itself as a formula
const NUMBER = /^-?\d+(\.\d+)?$/;

function cell(value) {
  if (value === null || value === undefined) return "";
  let text = typeof value === "object" ? JSON.stringify(value) : String(value);
  if (RUN.test(text) && !NUMBER.test(text)) text = `'${text}`;
  return /[",;\t\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Rows of values as CSV; the first row names them. */
export const csv = (rows) => `${MARK}${rows.map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;

/** Let the browser keep a text as a file. */
export function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A time for a file's name or a column: 2026-03-01T08:00:00.000Z. */
export const iso = (ms) => (ms ? new Date(ms).toISOString() : "");

const stamp = (ms) => iso(ms).slice(0, 19).replaceAll(":", "").replace("T", "-");

/** `alarms-2026-03-01-080000.csv` */
export const fileName = (what, now, ending) => `${what}-${stamp(now)}.${ending}`;
