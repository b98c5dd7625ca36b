// The fleet: all that stands on the map, in typed arrays by row, and the facts of each.

import { toGcj02 } from "../gcj02.js";
import { NOWHERE, STATE, WHOLE, accuracyM, headingDeg, speedMps } from "./frames.js";

export const FLOATS = 6; // of a row: x and y, high and low part; heading; when it was taken
export const BYTES = 4; // shape, colour, marks, whether it is hidden

/** Web Mercator, 0 to 1. */
export const mercatorX = (lon) => lon / 360 + 0.5;
export const mercatorY = (lat) => 0.5 - Math.log(Math.tan(Math.PI / 4 + (lat * Math.PI) / 360)) / (2 * Math.PI);

const SHAPES = { vehicle_terminal: 0, body_camera: 1, alarm_box: 2, phone: 3 };
const OTHER_SHAPE = 4;
export const DUTIES = ["", "on_duty", "vehicle_patrol", "foot_patrol", "parked", "en_route", "on_scene", "clear", "break", "off"];

export class Fleet {
  constructor({ isShifted = false } = {}) {
    this._isShifted = isShifted;
    this.count = 0;
    this.facts = [];
    this.byId = new Map();
    this.now = 0; // the gateway's clock at the newest frame (ms)
    this.start = 0; // what `taken` counts from (ms): seconds fit a float
    this._room(1024);
  }

  _room(size) {
    const grown = (Kind, old, width = 1) => {
      const fresh = new Kind(size * width);
      if (old) fresh.set(old);
      return fresh;
    };
    this.x = grown(Float64Array, this.x); // mercator
    this.y = grown(Float64Array, this.y);
    this.placed = grown(Uint8Array, this.placed);
    this.speed = grown(Uint8Array, this.speed);
    this.heading = grown(Uint8Array, this.heading);
    this.accuracy = grown(Uint8Array, this.accuracy);
    this.lat = grown(Float64Array, this.lat); // as it is shown
    this.lon = grown(Float64Array, this.lon);
    this.floats = grown(Float32Array, this.floats, FLOATS);
    this.bytes = grown(Uint8Array, this.bytes, BYTES);
  }

  _reach(index) {
    if (index < this.count) return;
    let size = this.placed.length;
    while (size <= index) size *= 2;
    if (size > this.placed.length) this._room(size);
    this.count = index + 1;
  }

  /** Rows that have moved. */
  takeFrame(frame) {
    if (!this.start) this.start = frame.now;
    this.now = frame.now;
    const { count, first, lat, lon, index, age, speed, heading, accuracy, marks } = frame;
    if (frame.bits & WHOLE && first === 0) this.placed.fill(0);
    if (count) this._reach(first + index[count - 1]); // they grow
    const { floats, bytes } = this;
    const now_s = (frame.now - this.start) / 1000;
    for (let at = 0; at < count; at++) {
      const row = first + index[at];
      bytes[row * BYTES + 2] = marks[at];
      if (lat[at] === NOWHERE) continue;
      let lonDeg = lon[at] / 1e7, latDeg = lat[at] / 1e7;
      if (this._isShifted) [lonDeg, latDeg] = toGcj02([lonDeg, latDeg]);
      const x = mercatorX(lonDeg), y = mercatorY(latDeg);
      this.lat[row] = latDeg;
      this.lon[row] = lonDeg;
      this.x[row] = x;
      this.y[row] = y;
      this.placed[row] = 1;
      this.speed[row] = speed[at];
      this.heading[row] = heading[at];
      this.accuracy[row] = accuracy[at];
      const f = row * FLOATS;
      floats[f] = x;
      floats[f + 1] = y;
      floats[f + 2] = x - floats[f];
      floats[f + 3] = y - floats[f + 1];
      floats[f + 4] = heading[at] === 255 ? -1 : (heading[at] * 1.5 * Math.PI) / 180;
      floats[f + 5] = now_s - age[at];
    }
  }

  /** Facts that are new or have changed. */
  takeFacts(facts) {
    for (const fact of facts) {
      this._reach(fact.i);
      const before = this.facts[fact.i];
      if (before && before.id !== fact.id) this.byId.delete(before.id);
      this.facts[fact.i] = fact;
      this.byId.set(fact.id, fact.i);
      const b = fact.i * BYTES;
      this.bytes[b] = SHAPES[fact.kind] ?? OTHER_SHAPE;
      this.bytes[b + 1] = Math.max(0, DUTIES.indexOf(fact.duty ?? ""));
      if (fact.gone) this.placed[fact.i] = 0;
    }
  }

  /** Another gateway's rows have other numbers: start over. */
  clear() {
    this.placed.fill(0);
    this.facts = [];
    this.byId.clear();
    this.count = 0;
  }

  state(row) {
    return this.bytes[row * BYTES + 2] & STATE;
  }

  marks(row) {
    return this.bytes[row * BYTES + 2];
  }

  isHidden(row) {
    return this.bytes[row * BYTES + 3] !== 0;
  }

  /** How old the position is (s), at the newest frame. */
  ageS(row) {
    return (this.now - this.start) / 1000 - this.floats[row * FLOATS + 5];
  }

  /** What is known of a row, for who shows it. */
  view(row) {
    return {
      ...this.facts[row],
      row,
      state: this.state(row),
      marks: this.marks(row),
      lat: this.lat[row],
      lon: this.lon[row],
      age_s: this.ageS(row),
      speed_mps: speedMps(this.speed[row]),
      heading_deg: headingDeg(this.heading[row]),
      accuracy_m: accuracyM(this.accuracy[row]),
    };
  }

  /** The row that stands nearest to a place on the map, within so far (mercator); -1: none. */
  nearest(x, y, within, isShown = () => true) {
    let best = -1, least = within * within;
    for (let row = 0; row < this.count; row++) {
      const dx = this.x[row] - x, dy = this.y[row] - y;
      const far = dx * dx + dy * dy;
      if (far < least && this.placed[row] && !this.isHidden(row) && isShown(row)) {
        best = row;
        least = far;
      }
    }
    return best;
  }
}
