// What went wrong, in full: what the gateway says, with the facts that it gives, and "try again".

import "./words.js";

import { bdi, h, icon } from "../dom.js";
import { t } from "../i18n.js";

const PLAIN = new Set(["type", "title", "status", "detail"]);
const LONGEST = 300;

/** An error in place of what was asked for. `again`: called to ask once more. */
export function problem(error, again) {
  const told = error.problem ?? {};
  const facts = Object.entries(told).filter(([name]) => !PLAIN.has(name));
  const head = error.status === 0 ? t("no_answer") : `${told.status ?? error.status ?? ""} ${told.title ?? ""}`.trim();
  return h("div", { class: "wrong problem", role: "alert" },
    h("p", {}, icon("alarm"), " ", h("strong", {}, bdi(head || t("ui.wrong")))),
    h("p", {}, bdi(error.message, LONGEST)),
    facts.length ? h("dl", { class: "pairs" }, facts.map(([name, value]) => [
      h("dt", { class: "mono" }, bdi(name)),
      h("dd", { class: "mono" }, bdi(typeof value === "string" ? value : JSON.stringify(value), LONGEST))])) : null,
    again ? h("button", { type: "button", on: { click: again } }, t("ui.again")) : null);
}
