// The map: base map, units, boxes, areas, alarms; what is chosen on it, by mouse, touch or keys.
//
// `createMap(container, app)` gives
//   flyTo({lat, lon, zoom}), select(unit or null), on(event, listener) -> off,
//   layers() -> [{id, label, isOn}], setLayer(id, isOn), setAlarms([{id, lat, lon, kind, stage}]),
//   showReach(unit or null) -> a promise, kept once it is drawn,
//   view(id) -> what is known of a unit, state() -> what another one has to begin with to show the same, destroy().
// Events: `lost`, the browser has taken its graphics away and it shows nothing more; `select` {unit, device, ...its view}, null when nothing is; `alarm` {id}; `event` a CloudEvent; `link` {state};
// `place` {lat, lon}, where an empty place was pressed. Places are WGS-84.

import { toGcj02, toWgs84 } from "../gcj02.js";
import { addWords, lang, t } from "../i18n.js";
import { words } from "../words/chart.js";
import { Areas } from "./areas.js";
import { baseMap, repaint } from "./base.js";
import { gather } from "./clusters.js";
import { Fleet, mercatorX, mercatorY } from "./fleet.js";
import { ALARM, CAMERA, FAULT } from "./frames.js";
import { FAMILY, serveGlyphs } from "./glyphs.js";
import { Labels } from "./labels.js";
import { legend } from "./legend.js";
import { Link } from "./link.js";
import { Marks } from "./marks.js";
import { Pulses } from "./pulses.js";

addWords(words);

const NEAR_PX = 16;
const AREAS = ["reach", "cold", "grids"];
const LAYERS = { units: true, boxes: true, cameras: true, labels: true, clusters: true, reach: false, cold: false, grids: true };

let loading = null;

/** MapLibre, from the gateway. */
function mapLibre() {
  loading ??= new Promise((resolve, reject) => {
    for (const href of ["/maplibre/maplibre-gl.css", "/css/map.css"]) {
      document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href }));
    }
    const script = Object.assign(document.createElement("script"), { src: "/maplibre/maplibre-gl.js" });
    script.onload = () => {
      serveGlyphs(globalThis.maplibregl);
      resolve(globalThis.maplibregl);
    };
    script.onerror = () => reject(new Error("MapLibre is not there"));
    document.head.append(script);
  });
  return loading;
}

const isLight = () => document.documentElement.dataset.theme === "light";
const isCalm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
const nameOf = (fact) => fact.name || fact.id || "";

/** The browser has no WebGL 2, or gives none now. */
export class NoWebGL extends Error {
  name = "NoWebGL";
}

class CityMap {
  constructor(container, maplibregl, about, { style, bounds }, { follow, again }) {
    this._follow = follow;
    this._reach = again?.reach ?? null;
    this._isShifted = about.crs === "gcj02" && Boolean(about.tiles);
    this._on = { ...LAYERS, ...again?.on };
    this._listeners = new Map();
    this._wanted = null; // the unit that is chosen, by its id
    this.fleet = new Fleet({ isShifted: this._isShifted });
    container.classList.add("map-host");
    this._root = document.createElement("div");
    this._said = Object.assign(document.createElement("div"), { className: "map-said" });
    this._said.setAttribute("aria-live", "polite");
    container.append(this._root, this._said, legend());
    const whole = bounds ? { bounds: this._box(bounds), fitBoundsOptions: { padding: 20 } } : { center: [104, 34], zoom: 4 };
    try {
      this.map = new maplibregl.Map({
        container: this._root, style, attributionControl: { compact: false }, maxZoom: 19, fadeDuration: 0,
        localIdeographFontFamily: FAMILY, keyboard: true, pitchWithRotate: false,
        canvasContextAttributes: { contextType: "webgl2" }, ...(again?.camera ?? whole),
      });
    } catch (error) {
      throw new NoWebGL(error.message);
    }
    this.map.once("webglcontextlost", () => this._tell("lost", null));
    this._isPlaced = Boolean(bounds) || Boolean(again);
    this._gl = maplibregl;
    this._about = about;
    this.marks = new Marks(this.fleet, { staleAfterS: about.stale_after_s });
    this.marks.isCameras = this._on.cameras;
    this._onTheme = () => this._paint();
    addEventListener("theme", this._onTheme);
    this.map.getCanvas().setAttribute("aria-label", t("chart.region"));
    this.ready = new Promise((resolve, reject) => {
      this.map.once("style.load", () => {
        try {
          resolve(this._loaded());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  _box([west, south, east, north]) {
    return [this._shift([west, south]), this._shift([east, north])];
  }

  _shift(place) {
    return this._isShifted ? toGcj02(place) : place;
  }

  _loaded() {
    const { map } = this;
    this._areas = new Areas(map, this._about);
    map.addLayer(this.marks);
    this._labels = new Labels(map, this.fleet, { nameOf });
    this._pulses = new Pulses(map, this._gl, {
      shift: (place) => this._shift(place), label: () => t("chart.alarm"), onPress: (id) => this._tell("alarm", { id }),
    });
    for (const name of AREAS) this._areas.set(name, this._on[name]);
    if (this._alarms) this._pulses.set(this._alarms);
    if (this._reach) this._areas.own(this._reach).catch(() => {}); // it was said where it was asked for
    this._paint();
    map.on("render", () => this._labels.draw());
    map.on("zoom", () => this._gatherIfOther());
    map.on("click", (event) => this._pressed(event));
    map.on("mousemove", (event) => this._hover(event));
    map.getCanvas().addEventListener("keydown", (event) => this._key(event));
    this._link = this._follow({
      frame: (frame) => this._frame(frame),
      facts: (facts) => this.fleet.takeFacts(facts),
      event: (event) => this._tell("event", event),
      done: () => this._changed(),
      state: (state) => this._linked(state),
    });
    return this;
  }

  // -- what comes ---------------------------------------------------------------------------------

  _frame(frame) {
    this.fleet.takeFrame(frame);
  }

  _linked(state) {
    if (state === "live") this.fleet.clear(); // all comes anew
    this._tell("link", { state });
  }

  _changed() {
    this._gather();
    if (!this._isPlaced) this._showAll();
    this._chosen();
    this._tell("update", { update: this._link?.update });
  }

  _gatherIfOther() {
    const step = Math.floor(this.map.getZoom() * 2);
    if (step !== this._step) this._gather();
  }

  _gather() {
    const { fleet } = this;
    const zoom = this.map.getZoom();
    this._step = Math.floor(zoom * 2);
    const isShown = (row) => this._on[fleet.bytes[4 * row] === 2 ? "boxes" : "units"];
    this._labels.clusters = gather(fleet, zoom, this._on.clusters, isShown);
    this.marks.changed();
    this.map.triggerRepaint();
  }

  /** Without a base map to say where the city is: where the units are. */
  _showAll() {
    const { fleet } = this;
    const box = new this._gl.LngLatBounds();
    for (let row = 0; row < fleet.count; row++) if (fleet.placed[row]) box.extend([fleet.lon[row], fleet.lat[row]]);
    if (box.isEmpty()) return;
    this._isPlaced = true;
    this.map.fitBounds(box, { padding: 60, maxZoom: 15, animate: false });
  }

  _paint() {
    this.marks.isLight = this._labels.isLight = isLight();
    repaint(this.map, isLight(), lang());
    this._areas.paint(isLight());
    this.map.triggerRepaint();
  }

  // -- what is chosen -----------------------------------------------------------------------------

  _rowAt({ x, y }, within = NEAR_PX) {
    const { lng, lat } = this.map.unproject([x, y]);
    const reach = within / (512 * 2 ** this.map.getZoom());
    return this.fleet.nearest(mercatorX(lng), mercatorY(lat), reach);
  }

  _clusterAt({ x, y }) {
    return this._labels.drawn?.find(({ at, r }) => Math.hypot(at.x - x, at.y - y) <= r);
  }

  _pressed({ point, lngLat }) {
    const cluster = this._clusterAt(point);
    if (cluster) return this.map.easeTo({ center: this.map.unproject(cluster.at), zoom: this.map.getZoom() + 2 });
    const row = this._rowAt(point);
    if (row >= 0) return this._choose(row);
    this._choose(-1);
    const [lon, lat] = this._isShifted ? toWgs84([lngLat.lng, lngLat.lat]) : [lngLat.lng, lngLat.lat];
    this._tell("place", { lat, lon });
  }

  _hover({ point }) {
    const row = this._rowAt(point);
    this.map.getCanvas().style.cursor = row >= 0 || this._clusterAt(point) ? "pointer" : "";
    if (row === this.marks.hovered) return;
    this.marks.hovered = row;
    this._chosen();
    this.map.triggerRepaint();
  }

  _choose(row, isTold = true) {
    this._wanted = row < 0 ? null : this.fleet.facts[row]?.id ?? null;
    this._chosen();
    this.map.triggerRepaint();
    if (isTold) this._tell("select", this._wanted === null ? null : this.view(this._wanted));
  }

  _chosen() {
    this.marks.selected = this._wanted === null ? -1 : this.fleet.byId.get(this._wanted) ?? -1;
    this._labels.chosen = [this.marks.selected, this.marks.hovered].filter((row, at, all) => row >= 0 && all.indexOf(row) === at);
  }

  _key({ code }) {
    if (code === "Comma" || code === "Period") return this._next(code === "Period" ? 1 : -1);
    if (code === "Enter" && this.marks.hovered >= 0) this._choose(this.marks.hovered);
    if (code === "Escape") this._choose(-1);
  }

  /** From one to the next of those that are seen: alarms first, then from the middle outwards. */
  _next(by) {
    const { fleet } = this;
    const bounds = this.map.getBounds();
    const { lng, lat } = this.map.getCenter();
    const far = (row) => Math.hypot(fleet.lon[row] - lng, fleet.lat[row] - lat) + (fleet.marks(row) & ALARM ? 0 : 1000);
    const rows = [];
    for (let row = 0; row < fleet.count; row++) {
      if (fleet.placed[row] && !fleet.isHidden(row) && bounds.contains([fleet.lon[row], fleet.lat[row]])) rows.push(row);
    }
    if (!rows.length) return void (this._said.textContent = t("chart.none"));
    rows.sort((a, b) => far(a) - far(b) || a - b);
    const at = rows.indexOf(this.marks.hovered);
    const row = rows[at < 0 ? 0 : (at + by + rows.length) % rows.length];
    this.marks.hovered = row;
    this._chosen();
    const fact = fleet.facts[row] ?? {};
    const alarms = fact.alarms ? `, ${t("chart.alarms", fact.alarms)}` : "";
    const marks = fleet.marks(row);
    const health = [marks & FAULT ? t("chart.fault") : "", marks & CAMERA ? t("chart.camera") : ""].filter(Boolean);
    this._said.textContent = [`${nameOf(fact)}, ${t(`chart.state.${fleet.state(row)}`)}${alarms}`, ...health].join(", ");
    this.map.triggerRepaint();
  }

  // -- for the console ----------------------------------------------------------------------------

  flyTo({ lat, lon, zoom = 16 }) {
    this._isPlaced = true;
    if (this._root.clientWidth !== this.map.getCanvas().clientWidth) this.map.resize(); // a card has opened just now
    const center = this._shift([lon, lat]);
    this.map[isCalm() ? "jumpTo" : "flyTo"]({ center, zoom, duration: 900 });
  }

  /** Choose a unit or a box by its id; null: none. */
  select(id) {
    this._wanted = id;
    if (this._labels) this._chosen();
    this.map.triggerRepaint();
  }

  /** What one unit reaches in 1, 3 and 5 minutes, whatever its state, all of it in sight; null: no one's. */
  async showReach(unit) {
    const places = await this._areas.own(unit);
    if (!places.length) return;
    const box = new this._gl.LngLatBounds();
    for (const place of places) box.extend(place);
    this.map.fitBounds(box, { padding: 40, maxZoom: 16, animate: !isCalm() });
  }

  /** What is known of a unit or a box, or null. */
  view(id) {
    const row = this.fleet.byId.get(id);
    if (row === undefined) return null;
    const view = this.fleet.view(row);
    const [lon, lat] = this._isShifted ? toWgs84([view.lon, view.lat]) : [view.lon, view.lat];
    const place = this.fleet.placed[row] ? { lat, lon } : { lat: null, lon: null };
    return { ...view, ...place, unit: view.unit ? view.id : null, device: view.unit ? null : view.id };
  }

  on(event, listener) {
    if (!this._listeners.has(event)) this._listeners.set(event, new Set());
    this._listeners.get(event).add(listener);
    return () => this._listeners.get(event).delete(listener);
  }

  _tell(event, value) {
    for (const listener of this._listeners.get(event) ?? []) listener(value);
  }

  layers() {
    return Object.entries(this._on).map(([id, isOn]) => ({ id, label: t(`chart.layer.${id}`), isOn }));
  }

  setLayer(id, isOn) {
    if (!(id in this._on)) return;
    this._on[id] = isOn;
    if (AREAS.includes(id)) this._areas?.set(id, isOn);
    this.marks.isCameras = this._on.cameras;
    if (this._labels) {
      this._labels.isOn = this._on.labels;
      this._gather();
    }
  }

  setAlarms(alarms) {
    this._alarms = alarms;
    this._pulses?.set(alarms);
  }

  state() {
    const { map } = this;
    return { on: { ...this._on }, camera: { center: map.getCenter(), zoom: map.getZoom(), bearing: map.getBearing() } };
  }

  destroy() {
    removeEventListener("theme", this._onTheme);
    this._link?.close();
    this._areas?.remove();
    this._pulses?.remove();
    this._labels?.remove();
    this.map.remove();
  }
}

const live = (on) => new Link("/api/v1/map/stream", on);

/** A map in an element. It is drawn, and follows the field, when it is given.
    `follow(on)`: follow something else, that gives frames and facts as a Link does.
    `again`: the state of one that was lost, and whose `reach` it showed. Fails with NoWebGL. */
export async function createMap(container, app, { follow = live, again = null } = {}) {
  const [maplibregl, about] = await Promise.all([
    mapLibre(), fetch("/api/v1/map/about").then((response) => response.json()),
  ]);
  const base = await baseMap(about, { isLight: isLight(), lang: lang() });
  return new CityMap(container, maplibregl, about, base, { follow, again }).ready;
}
