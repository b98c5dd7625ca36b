// A time that has passed, fetched from the gateway: its steps, its facts, and what happened.

import { decode, LAST, WHOLE } from "../map/frames.js";

const STEPS = 360;
const LONGEST_STEP_S = 600;
const HEAD_BYTES = 8;
const TEXT = 1;
const MOST_BYTES = 160e6; // an hour of 10,000 units is 60 MB
const MOST_EVENTS = 5_000;
const PAGE = 1_000;
const TOLD_MS = 250; // so often, while it comes: an hour of 10,000 units is a thousand pieces
const TYPES = ["alarm.raised", "alarm.updated", "alarm.stage", "command", "duty", "unit.arrival", "unit.contradiction", "presence"];

/** It holds too much to be shown at once. */
export class TooLong extends Error {}

/** How long the steps of a time are (s). */
export const stepOf = (from, to) => Math.min(LONGEST_STEP_S, Math.max(1, Math.ceil((to - from) / 1000 / STEPS)));

export class Film {
  constructor(session, from, to) {
    this._session = session;
    this._ended = new AbortController();
    this.from = from;
    this.to = to;
    this.stepMs = stepOf(from, to) * 1000;
    this.steps = []; // [{now, frames, isWhole}], by time
    this.facts = []; // [{t, facts}], by time
    this.events = []; // [{t, type, event}], by time
    this.isCut = false; // there is more than is shown
    this.isWhole = false; // all has come
  }

  /** Fetch it. `onMore` is called as it comes. */
  async load(onMore) {
    await Promise.all([this._events(onMore), this._steps(onMore)]);
    onMore();
  }

  stop() {
    this._ended.abort();
  }

  /** The last step that has ended by then; -1: none. */
  at(t) {
    let low = 0, high = this.steps.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.steps[middle].now <= t) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Up to when it can be shown. */
  get known() {
    return this.steps.at(-1)?.now ?? this.from;
  }

  async _events(onMore) {
    let after = 0;
    while (this.events.length < MOST_EVENTS) {
      const query = `from=${this.from}&to=${this.to}&after=${after}&limit=${PAGE}&types=${TYPES.join(",")}`;
      const page = await this._session.ask("GET", `/api/v1/events?${query}`, undefined, { signal: this._ended.signal });
      if (!page.events.length) break;
      for (const event of page.events) {
        const type = event.type.replace(/^fieldgate\./, "").replace(/\.v1$/, "");
        this.events.push({ t: event.data.received, type, event });
      }
      after = page.next;
    }
    this.isCut = this.events.length >= MOST_EVENTS;
    this.events.sort((a, b) => a.t - b.t);
    onMore();
  }

  async _steps(onMore) {
    const query = `from=${this.from}&to=${this.to}&step_s=${this.stepMs / 1000}`;
    const response = await this._session.fetch(`/api/v1/playback?${query}`, { signal: this._ended.signal });
    const reader = response.body.getReader();
    const parts = new Parts((kind, content) => this._take(kind, content));
    let bytes = 0;
    let told_ms = -Infinity;
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      bytes += value.length;
      if (bytes > MOST_BYTES) {
        this.stop();
        throw new TooLong();
      }
      parts.add(value);
      if (!this.steps.length || performance.now() - told_ms < TOLD_MS) continue;
      told_ms = performance.now();
      onMore();
    }
    if (!this.isWhole) throw new Error("it broke off");
  }

  _take(kind, content) {
    if (kind === TEXT) {
      const word = JSON.parse(new TextDecoder().decode(content));
      if (word.type === "facts") this.facts.push(word);
      else if (word.type === "end") this.isWhole = true;
      return;
    }
    const frame = decode(content);
    if (!this._open) this._open = { now: frame.now, frames: [], isWhole: Boolean(frame.bits & WHOLE) };
    this._open.frames.push(frame);
    if (!(frame.bits & LAST)) return;
    this.steps.push(this._open);
    this._open = null;
  }
}

/** Bytes as they come, into parts: u32 kind, u32 length, content. */
class Parts {
  constructor(onPart) {
    this._onPart = onPart;
    this._rest = [];
    this._length = 0;
    this._wanted = HEAD_BYTES;
  }

  add(bytes) {
    this._rest.push(bytes);
    this._length += bytes.length;
    if (this._length < this._wanted) return;
    const all = this._joined();
    const head = new DataView(all.buffer, all.byteOffset, all.byteLength);
    let at = 0;
    for (;;) {
      const left = all.length - at;
      const length = left < HEAD_BYTES ? 0 : head.getUint32(at + 4, true);
      this._wanted = HEAD_BYTES + length;
      if (left < this._wanted) break;
      const from = all.byteOffset + at + HEAD_BYTES;
      this._onPart(head.getUint32(at, true), all.buffer.slice(from, from + length));
      at += this._wanted;
    }
    this._rest = [all.subarray(at)];
    this._length = all.length - at;
  }

  _joined() {
    if (this._rest.length === 1) return this._rest[0];
    const all = new Uint8Array(this._length);
    let at = 0;
    for (const piece of this._rest) {
      all.set(piece, at);
      at += piece.length;
    }
    return all;
  }
}
