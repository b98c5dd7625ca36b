// The base map: the gateway's own layers or the operator's tiles, as a MapLibre style, dark or light.

const DARK = {
  ground: "#0e1620", water: "#12314a", green: "#12261f", building: "#18242f", edge: "#223140",
  road: "#33475a", major: "#4a6179", casing: "#0a1119", rail: "#3c4753", path: "#3d5266", text: "#b9c7d4", halo: "#0e1620",
};
const LIGHT = {
  ground: "#f3f1ec", water: "#b9d7ea", green: "#d5e6cd", building: "#e3ddd3", edge: "#cfc7ba",
  road: "#ffffff", major: "#ffe2a6", casing: "#c9c2b5", rail: "#a9a9a9", path: "#b39b7d", text: "#3b4650", halo: "#ffffff",
};
const WIDE = ["motorway", "trunk", "primary", "secondary"];
const NARROW = ["rail", "path"]; // no car goes there
const FONT = ["sans"];

const isIn = (key, values) => ["in", ["get", key], ["literal", values]];
const byZoom = (...stops) => ["interpolate", ["exponential", 1.5], ["zoom"], ...stops];
const named = (lang) => ["coalesce", ["get", lang], ["get", "name"]];

/** Each layer: of which source, and how it looks in these colours. */
const layersOf = (c, lang) => [
  { id: "water", type: "fill", source: "water", filter: ["==", ["geometry-type"], "Polygon"], paint: { "fill-color": c.water } },
  { id: "waterways", type: "line", source: "water", filter: ["==", ["geometry-type"], "LineString"],
    paint: { "line-color": c.water, "line-width": byZoom(11, 1, 16, 6) } },
  { id: "green", type: "fill", source: "green", paint: { "fill-color": c.green } },
  { id: "buildings", type: "fill", source: "buildings", minzoom: 14, paint: { "fill-color": c.building, "fill-outline-color": c.edge } },
  { id: "paths", type: "line", source: "roads", minzoom: 13.5, filter: ["==", ["get", "class"], "path"],
    paint: { "line-color": c.path, "line-width": byZoom(14, 0.6, 18, 2.5), "line-dasharray": [3, 1.5] } },
  { id: "casings", type: "line", source: "roads", minzoom: 13, filter: ["!", isIn("class", NARROW)],
    layout: { "line-cap": "round", "line-join": "round" },
    paint: { "line-color": c.casing, "line-width": byZoom(13, ["case", isIn("class", WIDE), 4, 2], 18, ["case", isIn("class", WIDE), 24, 14]) } },
  { id: "rails", type: "line", source: "roads", filter: ["==", ["get", "class"], "rail"], paint: { "line-color": c.rail, "line-width": 1, "line-dasharray": [3, 3] } },
  { id: "roads", type: "line", source: "roads", filter: ["all", ["!", isIn("class", NARROW)], ["!", isIn("class", WIDE)]],
    layout: { "line-cap": "round", "line-join": "round" },
    paint: { "line-color": c.road, "line-width": byZoom(11, 0.4, 14, 1.4, 18, 12) } },
  { id: "major", type: "line", source: "roads", filter: isIn("class", WIDE),
    layout: { "line-cap": "round", "line-join": "round" },
    paint: { "line-color": c.major, "line-width": byZoom(10, 1, 14, 3, 18, 21) } },
  { id: "road-names", type: "symbol", source: "roads", minzoom: 13.5, filter: ["has", "name"],
    layout: { "symbol-placement": "line", "text-field": named(lang), "text-font": FONT, "text-size": 11.5, "text-padding": 12, "symbol-spacing": 380 },
    paint: { "text-color": c.text, "text-halo-color": c.halo, "text-halo-width": 1.4 } },
  { id: "suburbs", type: "symbol", source: "places", minzoom: 10, filter: ["all", ["has", "name"], ["==", ["get", "kind"], "suburb"]],
    layout: { "text-field": named(lang), "text-font": FONT, "text-size": 14, "text-padding": 8 },
    paint: { "text-color": c.text, "text-halo-color": c.halo, "text-halo-width": 1.4 } },
  { id: "place-names", type: "symbol", source: "places", minzoom: 13.5, filter: ["all", ["has", "name"], ["!=", ["get", "kind"], "suburb"]],
    layout: { "text-field": named(lang), "text-font": FONT, "text-size": 11, "text-padding": 8 },
    paint: { "text-color": c.text, "text-halo-color": c.halo, "text-halo-width": 1.4 } },
];

const colours = (isLight) => (isLight ? LIGHT : DARK);
const plain = (text) => String(text).replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

async function manifestOf() {
  const response = await fetch("/api/v1/map/map.json");
  return response.ok ? response.json() : null; // none was built yet: units stand on plain ground
}

/** The style, and where it is worth looking at: {style, bounds}. */
export async function baseMap(about, { isLight, lang }) {
  const c = colours(isLight);
  const style = {
    version: 8, glyphs: "glyphs://{fontstack}/{range}", sources: {},
    layers: [{ id: "ground", type: "background", paint: { "background-color": c.ground } }],
  };
  const manifest = await manifestOf();
  if (about.tiles) {
    const tiles = [new URL(about.tiles, location.href).href.replaceAll("%7B", "{").replaceAll("%7D", "}")];
    style.sources.tiles = { type: "raster", tiles, tileSize: 256, attribution: plain(about.attribution) };
    style.layers.push({ id: "tiles", type: "raster", source: "tiles" });
    return { style, bounds: manifest?.bounds };
  }
  const there = Object.fromEntries((manifest?.layers ?? []).map((each) => [each.name ?? each, each]));
  for (const name of Object.keys(there)) {
    style.sources[name] = { type: "geojson", data: `/api/v1/map/${name}.geojson`, attribution: plain(manifest.attribution ?? "") };
  }
  style.layers.push(...layersOf(c, lang).filter(({ source }) => source in there));
  return { style, bounds: manifest?.bounds };
}

/** Other colours, and nothing else: what is drawn stays. */
export function repaint(map, isLight, lang) {
  const c = colours(isLight);
  map.setPaintProperty("ground", "background-color", c.ground);
  for (const { id, paint } of layersOf(c, lang)) {
    if (!map.getLayer(id)) continue;
    for (const [name, value] of Object.entries(paint)) map.setPaintProperty(id, name, value);
  }
}
