// All alarms: waiting, in hand and closed, newest first.

import { bdi, h } from "../dom.js";
import { addWords, clock, t, term } from "../i18n.js";
import { words } from "../words/alarms.js";

addWords(words);
const SOON_MS = 500; // of many changes at once one reading
const STAGES = ["", "stored", "accepted", "acknowledged", "closed"];

export async function mount(root, app) {
  let next = null;
  let asked = 0;
  const rows = h("tbody");
  const stage = h("select", { on: { change: () => load() } }, STAGES.map((each) => h("option", { value: each }, each ? t(`stage.${each}`) : t("alarms.all"))));
  const more = h("button", { type: "button", hidden: true, on: { click: () => load(next) } }, t("more"));
  const empty = h("p", { class: "empty", hidden: true }, t("alarms.nothing"));
  const heads = ["raised", "alarms.kind", "alarms.where", "alarms.stage", "alarms.by", "alarms.since"];
  root.replaceChildren(h("div", { class: "sheet" },
    h("header", {}, h("h1", {}, t("page.alarms")), h("label", { class: "filters" }, t("alarms.stage"), stage)),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("page.alarms") },
      h("table", {}, h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, t(head))))), rows)),
    empty, more));

  async function load(before = null) {
    const mine = ++asked;
    const query = new URLSearchParams({ limit: "100" });
    if (stage.value) query.set("stage", stage.value);
    if (before !== null) query.set("before", before);
    await app.attempt(async () => {
      const page = await app.session.get(`/api/v1/alarms?${query}`);
      if (mine !== asked) return;
      if (before === null) rows.replaceChildren();
      rows.append(...page.alarms.map(row));
      next = page.next;
      more.hidden = next === null;
      empty.hidden = rows.children.length > 0;
    });
  }

  function row(alarm) {
    const last = alarm.stages.at(-1);
    return h("tr", {},
      h("td", { class: "num" }, clock(alarm.received, app.now())),
      h("td", {}, h("a", { href: `#/map/alarm/${encodeURIComponent(alarm.id)}` }, term("kind", alarm.kind))),
      h("td", {}, app.named(alarm.device)),
      h("td", {}, h("span", { class: `tag ${alarm.stage}` }, t(`stage.${alarm.stage}`))),
      h("td", {}, bdi(last?.by ?? "–", 64)),
      h("td", { class: "num" }, app.age(last?.t)));
  }

  await load();
  let timer = null;
  const off = app.alarms.onChange(() => {
    timer ??= setTimeout(() => {
      timer = null;
      load();
    }, SOON_MS);
  });
  return () => {
    off();
    clearTimeout(timer);
  };
}
