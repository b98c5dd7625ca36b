// The one map: alarms on the left, the map, and on the right the card of what was chosen.

import { placeOf } from "../alarms.js";
import { alarmCard } from "../console/alarm_card.js";
import { alarmList } from "../console/alarm_list.js";
import { force } from "../console/force.js";
import { mapIn } from "../console/map_in.js";
import { unitCard } from "../console/unit_card.js";
import { h, icon } from "../dom.js";
import { addWords, t } from "../i18n.js";
import { words } from "../words/console.js";

addWords(words);
const CLOSE_UP = 16;

export async function mount(root, app, parts) {
  let card = null;
  let lastAlarm = null;
  const list = alarmList(app, (alarm) => app.go("map", "alarm", alarm.id));
  const units = force((unit) => app.go("map", "unit", unit));
  const canvas = h("div", { id: "map" });
  const side = h("aside", { class: "side", "aria-label": t("desk.card") });
  const find = h("input", { type: "search", id: "find", placeholder: t("desk.find"), "aria-label": t("desk.find"), autocomplete: "off", maxlength: "64" });
  const search = h("form", { class: "find", role: "search" }, find);
  const tabs = h("div", { class: "tabs" }, ["alarms", "map", "card"].map((view) =>
    h("button", { type: "button", data: { view }, on: { click: () => turnTo(view) } }, t(`desk.${view}`))));
  const boxes = h("div", {});
  const layers = h("details", { class: "layers", hidden: true }, h("summary", {}, t("desk.layers")), boxes);
  const layout = h("div", { id: "console", data: { view: "map" } },
    h("div", { class: "left" }, list.root, units.root), h("div", { class: "middle" }, canvas, search, layers), side, tabs);
  root.replaceChildren(layout);
  turnTo("map");

  const map = mapIn(canvas, app, (shown) => {
    units.follow(shown);
    shown.on("select", (chosen) => chosen && app.go("map", "unit", chosen.unit ?? chosen.device));
    shown.on("alarm", ({ id }) => app.go("map", "alarm", id));
    boxes.replaceChildren(...shown.layers().map(({ id, label, isOn }) => {
      const box = h("input", { type: "checkbox", checked: isOn, on: { change: () => shown.setLayer(id, box.checked) } });
      return h("label", {}, box, label);
    }));
    layers.hidden = false;
  });
  const offs = [
    app.alarms.onChange(marks),
    app.keys.add("Escape", "Esc", () => t("key.escape"), () => app.go("map")),
    app.keys.add("KeyR", "R", () => t("key.reach"), () => card?.reach?.()),
    app.keys.add("KeyU", "U", () => t("key.force"), () => units.free()),
    app.keys.add("Slash", "/", () => t("key.find"), () => find.focus()),
    app.keys.add("KeyJ", "J / K", () => t("key.older"), () => step(1)),
    ...Array.from({ length: 9 }, (_, n) => app.keys.add(`Digit${n + 1}`, n ? "" : "1 … 9", () => t("key.send"), () => card?.send?.(n), { isFor: () => app.can("dispatcher") })),
    app.keys.add("KeyK", "", () => "", () => step(-1)),
  ];
  search.addEventListener("submit", (event) => {
    event.preventDefault();
    find.blur();
    if (find.value.trim()) app.attempt(() => seek(find.value.trim()));
  });

  /** A unit's or a device's id, else the first device whose name has it. */
  async function seek(sought) {
    const isUnit = await app.session.get(`/api/v1/units/${encodeURIComponent(sought)}`).then(() => true, () => false);
    const { devices } = await app.session.get(`/api/v1/devices?${new URLSearchParams({ q: sought, limit: "50" })}`);
    const isId = isUnit || devices.some(({ id }) => id === sought);
    app.go("map", "unit", isId ? sought : (devices[0]?.id ?? sought));
  }

  function turnTo(view) {
    layout.dataset.view = view;
    for (const tab of tabs.children) tab.setAttribute("aria-pressed", String(tab.dataset.view === view));
  }

  function showReach(unit) {
    if (unit !== null) turnTo("map"); // where they have no room side by side
    return map.showReach(unit);
  }

  function step(by) {
    const alarm = list.beside(by);
    if (alarm) app.go("map", "alarm", alarm.id);
  }

  function marks() {
    const open = [...app.alarms.waiting(), ...app.alarms.inHand()];
    map.setAlarms(open.flatMap((alarm) => {
      const place = placeOf(alarm);
      return place ? [{ id: alarm.id, lat: place.lat, lon: place.lon, kind: alarm.kind, stage: alarm.stage }] : [];
    }));
    tabs.firstChild.textContent = `${t("desk.alarms")} ${open.length || ""}`;
  }

  function route([what, id]) {
    card?.end();
    card = null;
    list.open(what === "alarm" ? id : null);
    layout.classList.toggle("has-card", Boolean(id));
    if (what === "alarm" && id) {
      lastAlarm = id;
      map.select(null);
      card = alarmCard(app, id, { close: () => app.go("map"), choose: (_, { lat, lon }) => map.flyTo({ lat, lon, zoom: CLOSE_UP }) });
      side.replaceChildren(card.root);
      turnTo("card");
    } else if (what === "unit" && id) {
      map.select(id);
      const back = lastAlarm === null ? [] : [h("a", { class: "back", href: `#/map/alarm/${encodeURIComponent(lastAlarm)}` }, "← ", t("desk.back"))];
      card = unitCard(app, id, { close: () => app.go("map"), found: (lat, lon) => map.flyTo({ lat, lon }), showReach });
      side.replaceChildren(...back, card.root);
      turnTo("card");
    } else {
      lastAlarm = null;
      map.select(null);
      side.replaceChildren(h("div", { class: "empty" }, icon("alarm"), h("p", {}, t("desk.start")), h("p", {}, t("desk.start_how"))));
      turnTo("map");
    }
    side.scrollTop = 0;
  }

  marks();
  route(parts);
  return {
    route,
    unmount() {
      card?.end();
      list.end();
      offs.forEach((off) => off());
      map.destroy();
    },
  };
}
