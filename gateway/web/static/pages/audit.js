// Who did what, when, from where.

import { bdi, h } from "../dom.js";
import { addWords, clock, t, term } from "../i18n.js";
import { choice, search, span } from "../ui/fields.js";
import { listing } from "../ui/list.js";
import { csv, fileName, iso, save } from "../ui/save.js";
import { words } from "../words/system.js";

addWords(words);
const PAGE = 100;
const ACTS = [
  "alarm.accept", "alarm.acknowledge", "alarm.close", "alarm.hold", "alarm.release", "command.send", "command.cancel", "group.cancel",
  "picture.take", "live.watch", "live.ticket", "media.hold", "media.release", "unit.bind", "unit.unbind", "config.change",
  "device.add", "device.revoke", "token.add", "token.revoke", "session.open", "session.close",
];

/** What was asked for, in a line. */
const asked = (facts) => Object.entries(facts).map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`).join(" · ");

export async function mount(root, app) {
  const renew = () => list.renew();
  const who = search(t("audit.who_whole"), renew);
  const act = choice(t("audit.act"), [["", t("ui.all")], ...ACTS.map((each) => [each, t(`did.${each}`)])], renew);
  const target = search(t("audit.target_whole"), renew);
  const when = span(() => app.now(), renew);
  const outcome = ({ outcome: word, count }) => h("span", {},
    h("span", { class: `tag ${word === "done" || word === "begun" ? "good" : "care"}` }, word === "done" || word === "begun" ? t(`audit.${word}`) : bdi(word, 160)),
    count > 1 ? ` ${t("audit.times", count)}` : "");
  const columns = [
    { head: t("ui.time"), class: "num", cell: (each) => clock(each.t, app.now()) },
    { head: t("audit.who"), cell: (each) => bdi(each.who || "–", 64) },
    { head: t("audit.role"), cell: (each) => (each.role ? term("role", each.role) : "–") },
    { head: t("audit.act"), cell: (each) => (ACTS.includes(each.act) ? h("span", { title: each.act }, t(`did.${each.act}`)) : h("span", { class: "mono" }, bdi(each.act, 64))) },
    { head: t("audit.target"), cell: (each) => h("span", { class: "mono" }, bdi(each.target || "–", 80)) },
    { head: t("audit.facts"), cell: (each) => bdi(asked(each.facts) || "–", 200) },
    { head: t("audit.source"), cell: (each) => bdi(each.source === "command line" ? t("audit.command_line") : each.source || "–", 64) },
    { head: t("audit.outcome"), cell: outcome },
  ];
  const list = listing({ label: t("page.audit"), columns, load, empty: t("audit.nothing"), id: "audit" });
  const keep = () => {
    const fields = ["no", "who", "role", "source", "act", "target", "outcome", "count", "facts", "seal"];
    const rows = list.rows().map((each) => [iso(each.t), ...fields.map((name) => each[name])]);
    save(fileName("audit", app.now(), "csv"), "text/csv", csv([["t", ...fields], ...rows]));
    app.toast(t("ui.saved", rows.length), "good");
  };
  root.replaceChildren(h("div", { class: "sheet" },
    h("header", {}, h("h1", {}, t("page.audit")),
      h("div", { class: "filters" }, when.root, who.root, act.root, target.root,
        h("div", { class: "end" }, h("button", { type: "button", on: { click: keep } }, t("ui.csv"))))),
    h("p", { class: "quiet" }, t("audit.how")), list.root));

  async function load(before) {
    const query = new URLSearchParams({ limit: String(PAGE) });
    const [since, until] = when.ends();
    for (const [name, value] of [["who", who.value], ["act", act.value], ["target", target.value], ["from", since], ["to", until], ["before", before]]) {
      if (value !== null && value !== "") query.set(name, value);
    }
    const page = await app.session.get(`/api/v1/audit?${query}`);
    return { rows: page.audit, next: page.next };
  }

  await list.reload();
  return () => list.end();
}
