// The map itself, in place of MapLibre: what the console asks of it.
//
// `createMap(container, app)` gives
//   flyTo({lat, lon, zoom}), select(unit or null), on(event, listener) -> off,
//   layers() -> [{id, label, isOn}], setLayer(id, isOn), setAlarms([{id, lat, lon, kind, stage}]), destroy().
// Events: `select` {unit}, `alarm` {id}.

import { h } from "../dom.js";

export function createMap(container) {
  const shown = h("output", { class: "quiet", id: "map-stand-in" });
  container.append(shown);
  return {
    flyTo({ lat, lon }) {
      shown.textContent = `${lat.toFixed(5)}, ${lon.toFixed(5)}`;
    },
    select() {},
    on: () => () => {},
    layers: () => [],
    setLayer() {},
    setAlarms() {},
    destroy() {
      container.replaceChildren();
    },
  };
}
