// Areas: who reaches what in 1, 3 and 5 minutes, cold spots, patrol grids.

import { toGcj02 } from "../gcj02.js";

const PERIOD_MS = 10_000;
const NOTHING = { type: "FeatureCollection", features: [] };
/** By minutes; by how long it has been cold. */
export const REACH = { 1: "#56b4e9", 3: "#0072b2", 5: "#5a6fb0" };
export const COLD = { green: "#009e73", blue: "#2f6fd0", red: "#d7191c", black: "#000000" };
const reachColour = ["match", ["get", "minutes"], 1, REACH[1], 3, REACH[3], REACH[5]];
const coldColour = ["match", ["get", "colour"], "green", COLD.green, "blue", COLD.blue, "red", COLD.red, COLD.black];
const kind = (name) => ["==", ["get", "kind"], name];

const LAYERS = {
  reach: [
    { id: "reach", type: "fill", source: "areas", filter: kind("reach"), paint: { "fill-color": reachColour, "fill-opacity": 0.18 } },
    { id: "reach-edge", type: "line", source: "areas", filter: kind("reach"), paint: { "line-color": reachColour, "line-width": 1.2 } },
  ],
  cold: [
    { id: "cold", type: "fill", source: "areas", filter: kind("cold"), paint: { "fill-color": coldColour, "fill-opacity": ["match", ["get", "colour"], "black", 0.5, 0.3] } },
    { id: "cold-edge", type: "line", source: "areas", filter: kind("cold"), paint: { "line-color": coldColour, "line-width": 1, "line-dasharray": [2, 2] } },
  ],
  grids: [
    { id: "grids", type: "line", source: "grids", paint: { "line-color": "#b08bd9", "line-width": 1.5, "line-dasharray": [4, 2] } },
    { id: "grid-names", type: "symbol", source: "grids", layout: { "text-field": ["get", "name"], "text-font": ["sans"], "text-size": 13 },
      paint: { "text-color": "#7d4fb5", "text-halo-color": "#ffffff", "text-halo-width": 1.2 } },
  ],
};

export class Areas {
  constructor(map, about, { onFailure = () => {} } = {}) {
    this._map = map;
    this._isShifted = about.crs === "gcj02" && Boolean(about.tiles);
    this._onFailure = onFailure;
    this._on = new Set();
    this._tag = null;
    map.addSource("areas", { type: "geojson", data: NOTHING, tolerance: 0.5 });
    map.addSource("grids", { type: "geojson", data: this._shifted(gridsOf(about.grids)) });
    for (const layers of Object.values(LAYERS)) {
      for (const layer of layers) map.addLayer({ ...layer, layout: { ...layer.layout, visibility: "none" } });
    }
    this._timer = setInterval(() => this._look(), PERIOD_MS);
  }

  remove() {
    clearInterval(this._timer);
  }

  set(name, isOn) {
    if (isOn) this._on.add(name);
    else this._on.delete(name);
    for (const { id } of LAYERS[name]) this._map.setLayoutProperty(id, "visibility", isOn ? "visible" : "none");
    this._look();
  }

  async _look() {
    if (!this._on.has("reach") && !this._on.has("cold")) return;
    try {
      const response = await fetch("/api/v1/reach");
      if (!response.ok) return this._onFailure((await response.json()).detail);
      const tag = response.headers.get("ETag");
      if (tag === this._tag) return;
      const found = await response.json();
      this._map.getSource("areas")?.setData(this._shifted(found));
      this._tag = tag;
    } catch (error) {
      this._onFailure(error.message);
    }
  }

  _shifted(found) {
    if (!this._isShifted) return found;
    const turn = (each) => (typeof each[0] === "number" ? toGcj02(each) : each.map(turn));
    const features = found.features.map((feature) => ({ ...feature, geometry: { ...feature.geometry, coordinates: turn(feature.geometry.coordinates) } }));
    return { ...found, features };
  }
}

function gridsOf(grids) {
  const features = grids.map(({ name, polygon }) => {
    const ring = polygon.map(([lat, lon]) => [lon, lat]);
    return { type: "Feature", properties: { name }, geometry: { type: "Polygon", coordinates: [[...ring, ring[0]]] } };
  });
  return { type: "FeatureCollection", features };
}
