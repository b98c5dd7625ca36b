// The map in a page, which does not wait for it: alarms come first, and go without it too.

import { h } from "../dom.js";
import { t } from "../i18n.js";

/** Asks the map what it is asked once it is there. `ready(map)`: it is. `how`: see createMap. */
export function mapIn(canvas, app, ready = () => {}, how = {}) {
  const shown = import("../map/map.js")
    .then(({ createMap }) => createMap(canvas, app, how))
    .then((map) => {
      ready(map);
      return map;
    })
    .catch((error) => {
      console.warn(error);
      canvas.replaceChildren(h("p", { class: "wrong", id: "no-map" }, t("desk.no_map", error.message)));
      return null;
    });
  const ask = (act) => void shown.then((map) => map && act(map));
  return {
    flyTo: (place) => ask((map) => map.flyTo(place)),
    select: (unit) => ask((map) => map.select(unit)),
    showReach: async (unit) => (await shown)?.showReach(unit),
    setAlarms: (alarms) => ask((map) => map.setAlarms(alarms)),
    destroy: () => ask((map) => map.destroy()),
  };
}
