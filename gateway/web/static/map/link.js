// The link to the map's stream: what comes, drawn before more is asked for, and on again after a cut.

import { decode, LAST } from "./frames.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5_000;
const SILENT_MS = 8_000; // an update comes every second, if only to say so

/** `on`: {frame, facts, event, done, state}. Frames of one update come together, then `done`. */
export class Link {
  constructor(path, on) {
    this._path = path;
    this._on = on;
    this._cursor = null;
    this._wait_ms = FIRST_WAIT_MS;
    this._ended = false;
    this.update = 0;
    this.bytes = 0;
    this._onHidden = () => document.hidden && this._drawn();
    document.addEventListener("visibilitychange", this._onHidden);
    this._open();
  }

  close() {
    this._ended = true;
    document.removeEventListener("visibilitychange", this._onHidden);
    clearTimeout(this._timer);
    this._socket.close();
  }

  _open() {
    const url = new URL(this._path, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    if (this._cursor !== null) url.searchParams.set("after", this._cursor);
    const socket = (this._socket = new WebSocket(url));
    socket.binaryType = "arraybuffer";
    this._frames = [];
    this._told = 0;
    socket.onmessage = ({ data }) => socket === this._socket && this._take(data);
    socket.onclose = () => socket === this._socket && this._cut();
    this._watch();
  }

  _watch() {
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._socket.close(), SILENT_MS);
  }

  _cut() {
    clearTimeout(this._timer);
    this._on.state("cut");
    if (this._ended) return;
    const wait_ms = this._wait_ms * (0.75 + Math.random() / 2);
    this._wait_ms = Math.min(2 * this._wait_ms, LONGEST_WAIT_MS);
    this._timer = setTimeout(() => this._open(), wait_ms);
  }

  _take(data) {
    this._watch();
    if (typeof data === "string") return this._said(JSON.parse(data));
    const frame = decode(data);
    this.bytes += data.byteLength;
    this._frames.push(frame);
    if (!(frame.bits & LAST)) return;
    for (const each of this._frames.splice(0)) this._on.frame(each);
    this.update = frame.update;
    this._on.done(frame);
    // After the next picture: a page that cannot draw in time is sent less. One that nobody sees draws none.
    if (document.hidden) this._drawn();
    else requestAnimationFrame(() => this._drawn());
  }

  _drawn() {
    if (this._socket.readyState !== WebSocket.OPEN || this._told === this.update) return;
    this._told = this.update;
    this._socket.send(`{"drawn":${this.update}}`);
  }

  _said(word) {
    if (word.type === "hello") {
      this._wait_ms = FIRST_WAIT_MS;
      if (this._cursor === null) this._cursor = word.cursor;
      this._on.state("live", word);
    } else if (word.type === "facts") {
      this._on.facts(word.facts);
    } else if (word.type === "event") {
      this._cursor = word.cursor;
      this._on.event(word.event);
    }
  }
}
