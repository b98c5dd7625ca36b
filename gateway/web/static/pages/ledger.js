// What devices have numbered, and whether all of it is here.

import "../ui/device_words.js";

import { bdi, h, icon } from "../dom.js";
import { addWords, clock, t } from "../i18n.js";
import { details } from "../ui/detail.js";
import { lanesTable } from "../ui/device_card.js";
import { choice, search } from "../ui/fields.js";
import { listing, number, tile } from "../ui/list.js";
import { words } from "../words/records.js";

addWords(words);
const PAGE = 50;
const AGAIN_MS = 5000;
const COUNTED = ["missing", "duplicates", "conflicts", "refused", "given_up"];

const missing = ({ lanes }) => lanes.reduce((sum, lane) => sum + lane.missing, 0);
const today = ({ lanes }) => lanes.reduce((sum, lane) => sum + lane.missing_today, 0);
const held = ({ lanes }) => lanes.reduce((sum, lane) => sum + lane.highest - lane.missing - lane.given_up, 0);

export async function mount(root, app, parts) {
  const hero = h("section", { class: "hero", id: "missing-today", "aria-live": "polite" }, t("loading"));
  const tiles = h("dl", { class: "tiles" });
  const sought = search(t("ui.device_id"), () => list.renew());
  const only = choice(t("ledger.with"), [["", t("ui.all")], ...COUNTED.map((each) => [each, t(`ledger.${each}`)])], () => list.renew());
  const doubt = (value) => (value ? h("span", { class: "tag care" }, number(value)) : "0");
  const columns = [
    { head: t("ui.device"), cell: (each) => h("a", { href: `#/ledger/${encodeURIComponent(each.device)}` }, app.named(each.device)) },
    { head: t("ledger.held"), class: "num", cell: (each) => number(held(each)) },
    { head: t("ledger.missing_today"), class: "num", cell: (each) => doubt(today(each)) },
    { head: t("ledger.older"), class: "num", cell: (each) => doubt(missing(each) - today(each)) },
    { head: t("ledger.duplicates"), class: "num", cell: (each) => number(each.duplicates) },
    { head: t("ledger.conflicts"), class: "num", cell: (each) => doubt(each.conflicts) },
    { head: t("ledger.refused"), class: "num", cell: (each) => doubt(each.refused) },
    { head: t("ledger.given_up"), class: "num", cell: (each) => doubt(each.given_up) },
  ];
  const list = listing({ label: t("page.ledger"), columns, load, empty: t("ledger.nothing"), id: "ledger" });
  root.replaceChildren(h("div", { class: "sheet" },
    h("header", {}, h("h1", {}, t("page.ledger"))), hero, tiles,
    h("div", { class: "filters" }, sought.root, only.root), list.root));

  async function load(after) {
    const limit = after === null ? Math.max(PAGE, list.rows().length) : PAGE;
    const query = new URLSearchParams({ limit: String(limit) });
    if (sought.value) query.set("q", sought.value);
    if (only.value) query.set("with", only.value);
    if (after !== null) query.set("after", after);
    const page = await app.session.get(`/api/v1/ledger?${query}`);
    say(page.totals);
    return { rows: page.devices, next: page.next };
  }

  function say({ missing_today: count, missing: all, held: here, ...others }) {
    const older = all - count;
    const now = clock(app.now(), app.now());
    hero.className = `hero ${all ? "care" : "good"}`;
    hero.replaceChildren(icon(all ? "alarm" : "check"), h("div", {},
      h("p", { class: "huge" }, count ? t("ledger.some", number(count)) : t("ledger.zero")),
      h("p", {}, t(count ? "ledger.some_how" : "ledger.zero_how", now)),
      h("p", {}, older ? t("ledger.older_how", number(older)) : count ? t("ledger.no_older") : t("ledger.all_held", number(here))),
      all && only.value !== "missing" ? h("button", { type: "button", id: "show-missing", on: { click: showMissing } }, t("ledger.show_missing")) : null));
    tiles.replaceChildren(
      tile(t("ledger.held"), number(here)),
      tile(t("ledger.missing_today"), number(count), count ? "care" : "good"),
      tile(t("ledger.older"), number(older), older ? "care" : "good"),
      tile(t("ledger.duplicates"), number(others.duplicates), "", t("ledger.duplicates_how")),
      tile(t("ledger.conflicts"), number(others.conflicts), others.conflicts ? "care" : "", t("ledger.conflicts_how")),
      tile(t("ledger.refused"), number(others.refused), others.refused ? "care" : "", t("ledger.refused_how")),
      tile(t("ledger.given_up"), number(others.given_up), others.given_up ? "care" : "", t("ledger.given_up_how")));
  }

  function showMissing() {
    only.value = "missing";
    list.renew();
    only.root.querySelector("select").focus();
  }

  const opened = details(app, "ledger", async (id) => {
    let view = null;
    if (!(await app.attempt(async () => {
      view = (await app.session.get(`/api/v1/ledger?device=${encodeURIComponent(id)}`)).devices[0];
    }))) return null;
    return {
      title: h("span", {}, app.named(id)),
      content: [h("p", { class: "mono" }, bdi(id, 64)), lanesTable(view.lanes),
        h("div", { class: "row" }, h("a", { href: `#/devices/${encodeURIComponent(id)}` }, t("ui.device")), h("a", { href: `#/quarantine/device/${encodeURIComponent(id)}` }, t("page.quarantine")))],
    };
  });
  await list.reload();
  const timer = setInterval(() => document.hidden || list.reload(), AGAIN_MS);
  opened.route(parts);
  return {
    route: opened.route,
    unmount() {
      clearInterval(timer);
      opened.end();
      list.end();
    },
  };
}
