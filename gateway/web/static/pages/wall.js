// The wallboard: what the whole room sees, large, and nobody clicks. It shows the alarm in turn.

import { isTest, placeOf } from "../alarms.js";
import { alarmList } from "../console/alarm_list.js";
import { gallery } from "../console/gallery.js";
import { mapIn } from "../console/map_in.js";
import { h, icon } from "../dom.js";
import { addWords, clock, t, term } from "../i18n.js";
import { soon } from "../ui/soon.js";
import { words } from "../words/console.js";

addWords(words);
const RECOUNT_MS = 2000;
const DRAW_MS = 200;
const FREE = new Set(["on_duty", "vehicle_patrol", "foot_patrol", "parked", "clear"]);
const BUSY = new Set(["en_route", "on_scene"]);
const CLOSE_UP = 15.5;

export async function mount(root, app) {
  document.body.classList.add("is-wall");
  const list = alarmList(app, () => {});
  const canvas = h("div", { id: "map" });
  const figures = h("dl", { class: "figures" });
  const now = h("div", { class: "now" });
  root.replaceChildren(h("div", { id: "wall" }, h("div", { class: "middle" }, canvas), h("div", { class: "right" }, figures, now, list.root)));
  const map = mapIn(canvas, app);
  let units = new Map(); // their states
  const known = new Set(); // devices
  const heard = new Map();
  let pictures = null;
  let shown = null;
  const recount = soon(count, RECOUNT_MS);
  const drawing = soon(figure, DRAW_MS);

  /** All units, asked for; what becomes of each is heard of then. */
  async function count() {
    const found = new Map();
    let after = null;
    heard.clear();
    try {
      do {
        const page = await app.session.get(`/api/v1/units${after === null ? "" : `?after=${encodeURIComponent(after)}`}`);
        for (const { unit, state, devices } of page.units) {
          found.set(unit, state);
          devices.forEach(({ id }) => known.add(id));
        }
        after = page.next ?? null;
      } while (after !== null);
      units = found;
      heard.forEach(take); // while that was on its way
    } catch {
      // the figures stay; the page says that it is cut off
    }
    figure();
  }

  function take({ unit, devices, state }) {
    if (devices.length) units.set(unit, state);
    else units.delete(unit);
  }

  function changed({ data }) {
    heard.set(data.unit, data);
    take(data);
    if (data.released || data.lost || data.taken) recount.ask(); // other units come or go with it
    drawing.ask();
  }

  function figure() {
    const states = [...units.values()];
    const free = states.filter((state) => FREE.has(state)).length;
    const busy = states.filter((state) => BUSY.has(state)).length;
    const rows = [["waiting", app.alarms.waiting().length, "stored"], ["in_hand", app.alarms.inHand().length, "accepted"], ["wall.free", free, "good"], ["wall.busy", busy, ""], ["wall.off", states.length - free - busy, ""]];
    figures.replaceChildren(...rows.map(([key, value, kind]) => h("div", { class: value ? kind : "" }, h("dd", { class: "num" }, String(value)), h("dt", {}, t(key)))));
  }

  function follow() {
    figure();
    const turn = app.alarms.turn();
    const alarm = (turn && !isTest(turn) ? turn : null) ?? app.alarms.inHand().find((each) => !isTest(each)) ?? null;
    map.setAlarms([...app.alarms.waiting(), ...app.alarms.inHand()].flatMap((each) => {
      const place = placeOf(each);
      return place ? [{ id: each.id, lat: place.lat, lon: place.lon, kind: each.kind, stage: each.stage }] : [];
    }));
    const key = `${alarm?.id}|${alarm?.stage}`;
    if (key === shown) return;
    const isOther = shown?.split("|")[0] !== String(alarm?.id);
    shown = key;
    if (isOther) pictures?.end();
    if (!alarm) {
      pictures = null;
      return void now.replaceChildren(h("p", { class: "empty" }, icon("check"), " ", t("wall.quiet")));
    }
    const place = placeOf(alarm);
    if (place && isOther) map.flyTo({ lat: place.lat, lon: place.lon, zoom: CLOSE_UP });
    if (isOther) pictures = gallery(app, `/api/v1/media?alarm=${encodeURIComponent(alarm.id)}&limit=12`, (_, data) => data.ref === alarm.id, (taken) => clock(taken, app.now()));
    now.replaceChildren(
      h("h2", {}, icon("alarm"), " ", term("kind", alarm.kind), " ", h("span", { class: `tag ${alarm.stage}` }, t(`stage.${alarm.stage}`))),
      h("p", {}, app.named(alarm.device, 60), " · ", app.age(alarm.received)),
      pictures.root);
  }

  const offs = [
    app.alarms.onChange(follow),
    app.stream.on("live", count),
    app.stream.on("unit.changed", changed),
    app.stream.on("presence", ({ subject }) => {
      if (known.has(subject)) return;
      known.add(subject); // one that had never been heard of
      recount.ask();
    }),
    app.keys.add("Escape", "Esc", () => t("wall.leave"), () => app.go("map")),
  ];
  follow();
  count();
  return () => {
    document.body.classList.remove("is-wall");
    recount.end();
    drawing.end();
    pictures?.end();
    list.end();
    offs.forEach((off) => off());
    map.destroy();
  };
}
