// The map in a page, which does not wait for it: alarms come first, and go without it too.

import { h } from "../dom.js";
import { t } from "../i18n.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;

/** Keeps what the map is asked until it is there, and asks it again of the one that comes in its place: a browser
    takes the graphics away when it needs them. `ready(map)`: there is one. `how`: see createMap. */
export function mapIn(canvas, app, ready = () => {}, how = {}) {
  const wanted = { unit: null, alarms: [], place: null, reach: null };
  let map = null;
  let isOver = false;
  let timer = null;
  let wait_ms = FIRST_WAIT_MS;
  let shown = make();

  async function make(again = null) {
    try {
      const { createMap } = await import("../map/map.js");
      const made = await createMap(canvas, app, { ...how, again: again && { ...again, reach: wanted.reach } });
      if (isOver) return void made.destroy();
      canvas.querySelector("#map-lost")?.remove();
      map = made;
      map.on("lost", lose);
      map.select(wanted.unit);
      map.setAlarms(wanted.alarms);
      if (wanted.place) map.flyTo(wanted.place);
      wanted.place = null;
      ready(map);
    } catch (error) {
      console.warn(error);
      if (isOver) return;
      if (again) return void later(again);
      const text = error.name === "NoWebGL" ? t("desk.no_webgl") : t("desk.no_map", error.message);
      canvas.replaceChildren(h("p", { class: "wrong", id: "no-map" }, text));
    }
  }

  /** Its graphics are gone: say so, and make another one that shows the same. */
  function lose() {
    const again = map.state();
    map.destroy();
    map = null;
    later(again);
  }

  function later(again) {
    canvas.replaceChildren(h("p", { class: "banner cut", id: "map-lost", role: "status" }, t("desk.lost_map")));
    timer = setTimeout(() => (shown = make(again)), wait_ms);
    wait_ms = Math.min(2 * wait_ms, LONGEST_WAIT_MS);
  }

  return {
    flyTo(place) {
      if (map) map.flyTo(place);
      else wanted.place = place;
    },
    select(unit) {
      wanted.unit = unit;
      map?.select(unit);
    },
    setAlarms(alarms) {
      wanted.alarms = alarms;
      map?.setAlarms(alarms);
    },
    async showReach(unit) {
      wanted.reach = unit;
      await shown;
      return map?.showReach(unit);
    },
    destroy() {
      isOver = true;
      clearTimeout(timer);
      map?.destroy();
    },
  };
}
