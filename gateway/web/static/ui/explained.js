// What captured bytes say, field by field, and what is wrong with them.

import { bdi, h } from "../dom.js";
import { t, term } from "../i18n.js";
import { pairs, table } from "./list.js";
import { said } from "./said.js";

const TAGS = { accepted: "good", salvaged: "care", unreadable: "wrong", refused: "wrong" };

/** An explanation as the gateway gives it. */
export function explained({ form, messages }) {
  return h("div", { class: "explained" },
    pairs([[t("quarantine.form"), form]]),
    messages.map((message, n) => reading(message, messages.length > 1 ? n + 1 : null)));
}

function reading(message, n) {
  return h("article", {},
    h("p", {}, n === null ? null : `${t("quarantine.message", n)} `, h("span", { class: `tag ${TAGS[message.verdict] ?? ""}` }, term("verdict", message.verdict)),
      message.id ? h("span", { class: "mono" }, " ", bdi(message.id)) : null),
    message.problems.length ? h("div", {}, h("h4", {}, t("quarantine.problems")),
      h("ul", {}, message.problems.map((each) => h("li", {}, said(each.detail, 400))))) : null,
    message.fields.length ? fields(message) : h("p", { class: "quiet" }, t("quarantine.no_fields")),
    message.ignored.length ? h("p", {}, `${t("quarantine.ignored")}: `, h("span", { class: "mono" }, bdi(message.ignored.join(", "), 400))) : null,
    h("p", { class: "quiet" }, `${t("quarantine.effect")}: `, said(message.effect)));
}

function fields(message) {
  const wrong = new Set(message.problems.map(({ field }) => field?.split(/[.[]/)[0]).filter(Boolean));
  return table(t("quarantine.says"), ["quarantine.field", "quarantine.value", "quarantine.meaning"].map((key) => t(key)), message.fields.map((field) => [
    h("td", { class: wrong.has(field.name.split(/[.[]/)[0]) ? "mono bad" : "mono" }, bdi(field.name, 80)),
    h("td", { class: "mono" }, bdi(field.shown, 200), field.unit && field.unit !== "ms since 1970 UTC" ? ` ${field.unit}` : ""),
    h("td", {}, said(field.meaning))]));
}
