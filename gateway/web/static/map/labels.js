// Labels and clusters: on a canvas over the map, with the fonts of this machine, drawn with it.

import { ALARM } from "./frames.js";
import { FAMILY } from "./glyphs.js";

const LABELS_ZOOM = 14;
const MOST = 250;
const LINE_PX = 15;
const LONGEST = 24;
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Text of the field, for a canvas: no marks that turn what follows, and not too long. */
export function tame(text) {
  const letters = [...String(text).replace(CONTROLS, "")];
  return letters.length > LONGEST ? `${letters.slice(0, LONGEST - 1).join("")}…` : letters.join("");
}

export class Labels {
  constructor(map, fleet, { nameOf }) {
    this._map = map;
    this._fleet = fleet;
    this._nameOf = nameOf;
    this._canvas = document.createElement("canvas");
    this._canvas.className = "map-labels";
    this._canvas.setAttribute("aria-hidden", "true");
    map.getCanvasContainer().append(this._canvas);
    this._context = this._canvas.getContext("2d");
    this.clusters = [];
    this.isOn = true;
    this.isLight = false;
    this.chosen = [-1, -1];
  }

  remove() {
    this._canvas.remove();
  }

  /** Draw them where the map stands now. */
  draw() {
    const { _map: map, _canvas: canvas, _context: c } = this;
    const { clientWidth: width, clientHeight: height } = map.getCanvas();
    const ratio = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, width, height);
    c.textBaseline = "middle";
    this._taken = new Set();
    this._view = { width, height };
    this._clusters();
    this._accuracy();
    this._names();
  }

  _project(lon, lat) {
    return this._map.project([lon, lat]);
  }

  _isIn({ x, y }, edge = 40) {
    return x > -edge && y > -edge && x < this._view.width + edge && y < this._view.height + edge;
  }

  _clusters() {
    const c = this._context;
    c.textAlign = "center";
    this.drawn = [];
    for (const cluster of this.clusters) {
      const at = this._project((cluster.x - 0.5) * 360, (Math.atan(Math.exp((0.5 - cluster.y) * 2 * Math.PI)) * 360) / Math.PI - 90);
      if (!this._isIn(at)) continue;
      const r = 13 + 3 * Math.log10(cluster.count) ** 1.6;
      this.drawn.push({ ...cluster, at, r });
      disc(c, at.x, at.y, r, this.isLight ? "#ffffff" : "#1e2a38", cluster.alarms ? "#d7191c" : "#6b9ecb", cluster.waiting ? 4 : 2);
      c.font = `600 12px ${FAMILY}`;
      c.fillStyle = this.isLight ? "#10202f" : "#eef3f8";
      c.fillText(short(cluster.count), at.x, at.y + 0.5);
      if (!cluster.alarms) continue;
      const [x, y] = [at.x + r * 0.75, at.y - r * 0.75];
      disc(c, x, y, 9, "#b82a04", "#ffffff", 1.5);
      c.fillStyle = "#ffffff";
      c.font = `700 11px ${FAMILY}`;
      c.fillText(`!${cluster.alarms}`, x, y + 0.5);
    }
  }

  /** How exact the chosen one's position is. */
  _accuracy() {
    const { _fleet: fleet, _context: c } = this;
    for (const row of this.chosen) {
      if (row < 0 || !fleet.placed[row]) continue;
      const { lat, lon, accuracy_m } = fleet.view(row);
      if (!accuracy_m) continue;
      const at = this._project(lon, lat);
      const metre = (2 ** this._map.getZoom() * 512) / (40_075_016.7 * Math.cos((lat * Math.PI) / 180));
      if (accuracy_m * metre < 8) continue;
      c.beginPath();
      c.arc(at.x, at.y, accuracy_m * metre, 0, 2 * Math.PI);
      c.fillStyle = "rgba(86, 180, 233, 0.15)";
      c.strokeStyle = "rgba(86, 180, 233, 0.8)";
      c.lineWidth = 1;
      c.fill();
      c.stroke();
    }
  }

  _names() {
    const { _fleet: fleet, _map: map, chosen } = this;
    const isNear = this.isOn && map.getZoom() >= LABELS_ZOOM;
    this._context.textAlign = "left";
    this._context.font = `500 12px ${FAMILY}`;
    this._left = MOST;
    for (const row of chosen) this._name(row, true);
    if (!isNear) return;
    const bounds = map.getBounds();
    const [west, east, south, north] = [bounds.getWest(), bounds.getEast(), bounds.getSouth(), bounds.getNorth()];
    for (const isAlarm of [true, false]) {
      for (let row = 0; row < fleet.count && this._left > 0; row++) {
        const isHere = fleet.lon[row] > west && fleet.lon[row] < east && fleet.lat[row] > south && fleet.lat[row] < north;
        if (isHere && Boolean(fleet.marks(row) & ALARM) === isAlarm && !chosen.includes(row)) this._name(row);
      }
    }
  }

  _name(row, isSure = false) {
    const { _fleet: fleet, _context: c } = this;
    if (row < 0 || !fleet.placed[row] || (fleet.isHidden(row) && !isSure)) return;
    const at = this._project(fleet.lon[row], fleet.lat[row]);
    if (!this._isIn(at)) return;
    const text = tame(this._nameOf(fleet.facts[row] ?? {}));
    const width = 7 * text.length + 10; // near enough to keep them apart
    const cells = [];
    for (const y of [at.y - LINE_PX / 2, at.y + LINE_PX / 2]) {
      for (let x = Math.floor(at.x / 24); x <= (at.x + width) / 24; x++) cells.push(`${x},${Math.floor(y / LINE_PX)}`);
    }
    if (!isSure && cells.some((cell) => this._taken.has(cell))) return;
    for (const cell of cells) this._taken.add(cell);
    this._left--;
    c.lineJoin = "round";
    c.lineWidth = 3;
    c.strokeStyle = this.isLight ? "rgba(255,255,255,0.9)" : "rgba(10,16,24,0.9)";
    c.fillStyle = this.isLight ? "#10202f" : "#eef3f8";
    c.strokeText(text, at.x + 15, at.y);
    c.fillText(text, at.x + 15, at.y);
  }
}

function disc(c, x, y, r, fill, stroke, width) {
  c.beginPath();
  c.arc(x, y, r, 0, 2 * Math.PI);
  c.fillStyle = fill;
  c.strokeStyle = stroke;
  c.lineWidth = width;
  c.fill();
  c.stroke();
}

const short = (count) => (count < 1000 ? String(count) : `${(count / 1000).toFixed(count < 10_000 ? 1 : 0)}k`);
