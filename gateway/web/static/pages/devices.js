// All devices: whether they are there, what runs on them, what of them is missing; who may report.

import "../ui/device_words.js";

import { bdi, h, icon } from "../dom.js";
import { t, term } from "../i18n.js";
import { deviceCard, stateTag } from "../ui/device_card.js";
import { registerDevice } from "../ui/register.js";
import { details } from "../ui/detail.js";
import { choice, search } from "../ui/fields.js";
import { listing, number } from "../ui/list.js";
import { soon } from "../ui/soon.js";

const PAGE = 50;
const SOON_MS = 2000;
const STATES = ["online", "stale", "offline", "revoked", "unregistered"];
const KINDS = ["vehicle_terminal", "body_camera", "alarm_box", "phone"];

export async function mount(root, app, parts) {
  let state = "";
  const sought = search(t("devices.find"), () => list.renew());
  const kind = choice(t("devices.kind"), [["", t("ui.all")], ...KINDS.map((each) => [each, t(`device.${each}`)])], () => list.renew());
  const chips = h("div", { class: "chips", role: "group", "aria-label": t("devices.state") });
  const columns = [
    { head: t("ui.device"), cell: (each) => h("span", { class: "block" },
      h("a", { href: `#/devices/${encodeURIComponent(each.id)}` }, bdi(each.name || each.id, 80)),
      each.name ? h("span", { class: "id block" }, bdi(each.id, 64)) : null) },
    { head: t("devices.kind"), cell: (each) => (each.kind ? term("device", each.kind) : "–") },
    { head: t("devices.state"), cell: stateTag },
    { head: t("devices.seen"), class: "num", cell: (each) => app.age(each.last_received) },
    { head: t("devices.firmware"), cell: (each) => bdi(each.status?.fw ?? each.presence?.fw ?? "–", 40) },
    { head: t("devices.missing"), class: "num", cell: (each) => (each.missing ? h("span", { class: "tag care" }, number(each.missing)) : number(each.missing)) },
    { head: t("devices.site"), cell: (each) => bdi(each.site || "–", 80) },
  ];
  const list = listing({ label: t("page.devices"), columns, load, empty: t("devices.nothing"), id: "devices" });
  const add = () => registerDevice(app, {}, (id) => {
    list.reload();
    app.go("devices", id);
  });
  root.replaceChildren(h("div", { class: "sheet" },
    h("header", {}, h("h1", {}, t("page.devices")),
      app.can("admin") ? h("button", { type: "button", class: "main", id: "add-device", on: { click: add } }, t("devices.add")) : null,
      h("div", { class: "filters" }, sought.root, kind.root, chips)),
    list.root));

  async function load(after) {
    const limit = after === null ? Math.max(PAGE, list.rows().length) : PAGE;
    const query = new URLSearchParams({ limit: String(Math.min(limit, 1000)) });
    if (sought.value) query.set("q", sought.value);
    if (kind.value) query.set("kind", kind.value);
    if (state) query.set("state", state);
    if (after !== null) query.set("after", after);
    const page = await app.session.get(`/api/v1/devices?${query}`);
    chips.replaceChildren(...["", ...STATES].map((each) => chip(each, page.counts)));
    return { rows: page.devices, next: page.next };
  }

  function chip(each, counts) {
    const count = each ? counts[each] : Object.values(counts).reduce((sum, one) => sum + one, 0);
    const choose = () => {
      state = each;
      list.renew();
    };
    return h("button", { type: "button", "aria-pressed": String(state === each), data: { state: each }, on: { click: choose } },
      each === "online" ? icon("check") : null, ` ${each ? t(`devices.state.${each}`) : t("ui.all")} `, h("b", {}, number(count)));
  }

  const opened = details(app, "devices", (id) => deviceCard(app, id, () => list.reload()));
  const reading = soon(() => list.reload(), SOON_MS);
  const off = app.stream.on("presence", reading.ask);
  await list.reload();
  opened.route(parts);
  return {
    route: opened.route,
    unmount() {
      off();
      reading.end();
      opened.end();
      list.end();
    },
  };
}
