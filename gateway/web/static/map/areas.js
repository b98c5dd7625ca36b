// Areas: who reaches what in 1, 3 and 5 minutes, all together or one unit alone; cold spots, patrol grids.

import { toGcj02 } from "../gcj02.js";
import { t } from "../i18n.js";

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
    { id: "cold-edge", type: "line", source: "areas", filter: kind("cold"), paint: { "line-color": coldColour, "line-width": ["match", ["get", "colour"], "green", 1, "blue", 1.5, "red", 2.5, 4], "line-dasharray": [2, 2] } },
    { id: "cold-age", type: "symbol", source: "areas", filter: kind("cold"), layout: { "text-font": ["sans"], "text-size": 12 },
      paint: { "text-color": "#10202f", "text-halo-color": "#ffffff", "text-halo-width": 2 } },
  ],
  grids: [
    { id: "grids", type: "line", source: "grids", paint: { "line-color": "#b08bd9", "line-width": 1.5, "line-dasharray": [4, 2] } },
    { id: "grid-names", type: "symbol", source: "grids", layout: { "text-field": ["get", "name"], "text-font": ["sans"], "text-size": 13 },
      paint: { "text-halo-width": 1.4 } },
  ],
  own: [
    { id: "own", type: "fill", source: "own", paint: { "fill-color": reachColour, "fill-opacity": 0.2 } },
    { id: "own-ground", type: "line", source: "own", paint: { "line-color": "#ffffff", "line-width": 4.5, "line-opacity": 0.8 } },
    { id: "own-edge", type: "line", source: "own", paint: { "line-color": reachColour, "line-width": 2.5 } },
    { id: "own-minutes", type: "symbol", source: "own", layout: { "symbol-placement": "line", "symbol-spacing": 300, "text-font": ["sans"], "text-size": 12 },
      paint: { "text-color": "#10202f", "text-halo-color": "#ffffff", "text-halo-width": 2 } },
  ],
};

export class Areas {
  constructor(map, about, { onFailure = () => {} } = {}) {
    this._map = map;
    this._isShifted = about.crs === "gcj02" && Boolean(about.tiles);
    this._onFailure = onFailure;
    this._on = new Set();
    this._tag = null;
    this._unit = null; // whose own reach is shown
    map.addSource("own", { type: "geojson", data: NOTHING, tolerance: 0.5 });
    map.addSource("areas", { type: "geojson", data: NOTHING, tolerance: 0.5 });
    map.addSource("grids", { type: "geojson", data: this._shifted(gridsOf(about.grids)) });
    for (const layers of Object.values(LAYERS)) {
      for (const layer of layers) map.addLayer({ ...layer, layout: { ...layer.layout, visibility: "none" } });
    }
    const minutes = [1, 3, 5].flatMap((each) => [each, t("chart.legend.minutes", each)]);
    map.setLayoutProperty("own-minutes", "text-field", ["match", ["get", "minutes"], ...minutes, ""]);
    const ages = Object.keys(COLD).flatMap((each) => [each, t(`chart.cold.${each}.short`)]);
    map.setLayoutProperty("cold-age", "text-field", ["match", ["get", "colour"], ...ages, ""]);
    this._timer = setInterval(() => this._again(), PERIOD_MS);
  }

  remove() {
    clearInterval(this._timer);
  }

  paint(isLight) {
    this._map.setPaintProperty("grid-names", "text-color", isLight ? "#6a3fa0" : "#d9c6f5");
    this._map.setPaintProperty("grid-names", "text-halo-color", isLight ? "#ffffff" : "#0e1620");
  }

  set(name, isOn) {
    if (isOn) this._on.add(name);
    else this._on.delete(name);
    this._show(name, isOn);
    this._look();
  }

  _show(name, isOn) {
    for (const { id } of LAYERS[name]) this._map.setLayoutProperty(id, "visibility", isOn ? "visible" : "none");
  }

  /** What this one unit reaches; null: no one's. Gives its places, [lon, lat] as shown, once it is drawn; fails
      where nothing is known. */
  async own(unit) {
    if (unit !== this._unit) this._map.getSource("own").setData(NOTHING);
    this._unit = unit;
    this._show("own", unit !== null);
    if (unit === null) return [];
    const response = await fetch(`/api/v1/reach?unit=${encodeURIComponent(unit)}`);
    const found = await response.json();
    if (unit !== this._unit) return []; // another was asked for meanwhile
    if (!response.ok) throw new Error(found.detail);
    const shown = this._shifted(found);
    this._map.getSource("own")?.setData(shown);
    return shown.features.flatMap(({ geometry }) => places(geometry.coordinates));
  }

  _again() {
    this._look();
    if (this._unit !== null) this.own(this._unit).catch(({ message }) => this._onFailure(message));
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

/** All places of a geometry, however deep they lie. */
const places = (each) => (typeof each[0] === "number" ? [each] : each.flatMap(places));

function gridsOf(grids) {
  const features = grids.map(({ name, polygon }) => {
    const ring = polygon.map(([lat, lon]) => [lon, lat]);
    return { type: "Feature", properties: { name }, geometry: { type: "Polygon", coordinates: [[...ring, ring[0]]] } };
  });
  return { type: "FeatureCollection", features };
}
