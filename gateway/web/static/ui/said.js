// What the gateway says in English, in the language of the page, as far as there are words for it.

import { bdi, h } from "../dom.js";
import { lang } from "../i18n.js";
import { SAID } from "../words/contract.js";

const LONGEST = 1000;
const PLAIN = new Map(Object.entries(SAID).filter(([said]) => !said.includes("{}")));
const FORMS = Object.entries(SAID).filter(([said]) => said.includes("{}"))
  .map(([said, words]) => [new RegExp(`^${said.split("{}").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("([^]+?)")}$`), words]);

/** The text in Chinese, or null if there are no words for it. */
function inChinese(text) {
  if (PLAIN.has(text) || text.length > LONGEST) return PLAIN.get(text) ?? null;
  for (const [form, words] of FORMS) {
    const found = form.exec(text);
    if (!found) continue;
    let n = 0;
    return words.replace(/{(\d?)}/g, (_, at) => found[1 + (at === "" ? n++ : Number(at))] ?? "");
  }
  return null;
}

/** A text of the gateway's, which may have words of the field in it. Parts are parted by `; `. */
export function said(text, longest = 600) {
  if (lang() !== "zh") return h("span", { lang: "en" }, bdi(text, longest));
  const whole = inChinese(text);
  const parts = whole === null ? text.split("; ").map(inChinese) : [whole];
  return parts.includes(null) ? h("span", { lang: "en" }, bdi(text, longest)) : h("span", {}, bdi(parts.join("；"), longest));
}
