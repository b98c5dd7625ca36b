// Which words does the page say? Every text that is seen, as [Chinese, English], by its key.

import { words as common } from "./words/common.js";

const WORDS = { ...common };
const KEPT = "fieldgate.lang";

export const LANGUAGES = { zh: "中文", en: "English" };
let chosen = localStorage.getItem(KEPT) ?? (navigator.language.startsWith("zh") ? "zh" : "en");
document.documentElement.lang = chosen === "zh" ? "zh-CN" : "en";

/** A page's own words, beside those of all. */
export function addWords(words) {
  Object.assign(WORDS, words);
}

/** The language now: zh or en. */
export const lang = () => chosen;

/** Speak the other language from now on. */
export function setLang(code) {
  chosen = code;
  localStorage.setItem(KEPT, code);
  document.documentElement.lang = code === "zh" ? "zh-CN" : "en";
}

/** The text of a key, `{0}`, `{1}` … filled in. A key without text is shown as it is. */
export function t(key, ...values) {
  const text = WORDS[key]?.[chosen === "zh" ? 0 : 1] ?? key;
  return text.replace(/{(\d)}/g, (_, n) => String(values[n] ?? ""));
}

/** The text of a word that the field uses (`kind`, `robbery`), or that word if it is a new one. */
export function term(group, word) {
  if (word === null || word === undefined || word === "") return t("unknown");
  return WORDS[`${group}.${word}`] ? t(`${group}.${word}`) : String(word);
}

/** How long: 8 s, 3 min 20 s, 2 h 5 min, 3 d. */
export function duration(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return t("s", s);
  if (s < 3600) return t("min_s", Math.floor(s / 60), String(s % 60).padStart(2, "0"));
  if (s < 86400) return t("h_min", Math.floor(s / 3600), String(Math.floor((s % 3600) / 60)).padStart(2, "0"));
  return t("d", Math.floor(s / 86400));
}

/** A time of day; with the date if it is another day. */
export function clock(ms, now = Date.now()) {
  if (!ms) return "–";
  const when = new Date(ms);
  const two = (n) => String(n).padStart(2, "0");
  const time = `${two(when.getHours())}:${two(when.getMinutes())}:${two(when.getSeconds())}`;
  const isToday = when.toDateString() === new Date(now).toDateString();
  return isToday ? time : `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())} ${time}`;
}

/** A distance: 80 m, 1.4 km. */
export const distance = (m) => (m < 1000 ? t("m", Math.round(m)) : t("km", (m / 1000).toFixed(1)));
