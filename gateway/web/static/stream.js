// What happens in the field, as it happens: events that go on where a cut broke them off.

const TYPES = [
  "alarm.raised", "alarm.updated", "alarm.stage", "presence", "media", "command",
  "unit.changed", "unit.contradiction", "unit.arrival",
];
const SILENT_MS = 12_000; // the gateway says something every 5 s
const ASK_MS = 5_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5_000;
const FORGET_MS = 30 * 60_000; // away for longer: what is now is asked for, not all that was

/** A stream of events. `state`: connecting, live, or cut `since` (ms, this machine's clock). */
export class Stream {
  /** `types`: gives which events to listen for; those that the shell needs if not given. */
  constructor(session, types = () => TYPES) {
    this._session = session;
    this._types = types;
    this._listeners = new Map();
    this._cursor = null;
    this._ended = null;
    this.state = "connecting";
    this.since = Date.now();
    this._wake = () => {};
    this._drop = () => {};
  }

  /** Begin behind this event, and not from now on. */
  from(cursor) {
    this._cursor = cursor;
  }

  /** Listen to a type of event (`alarm.raised`), or to `state`, to every `event`, or to `live`: on again,
      and what is known may be old. Gives what ends it. */
  on(type, listener) {
    if (!this._listeners.has(type)) this._listeners.set(type, new Set());
    this._listeners.get(type).add(listener);
    return () => this._listeners.get(type).delete(listener);
  }

  start() {
    if (this._ended && !this._ended.signal.aborted) return;
    this._ended = new AbortController();
    const { signal } = this._ended;
    addEventListener("online", () => this._wake(), { signal });
    addEventListener("offline", () => this._drop(), { signal });
    this._run(this._ended.signal);
  }

  stop() {
    this._ended?.abort();
    this._drop();
    this._wake();
  }

  /** Try now, and do not wait. */
  retry() {
    this._wake();
  }

  /** Other types are asked for: listen anew, from where it was. */
  again() {
    this._drop();
    setTimeout(() => this._wake());
  }

  async _run(ended) {
    let wait_ms = FIRST_WAIT_MS;
    while (!ended.aborted) {
      try {
        await this._read(ended, () => (wait_ms = FIRST_WAIT_MS));
      } catch (error) {
        if (error.status === 401) return;
      }
      if (ended.aborted) return;
      this._become("cut");
      await new Promise((wake) => {
        this._wake = wake;
        setTimeout(wake, wait_ms * (0.75 + Math.random() / 2));
      });
      wait_ms = Math.min(2 * wait_ms, LONGEST_WAIT_MS);
    }
  }

  /** Over a WebSocket: of other streams a browser opens six to an address, over all its tabs. */
  async _read(ended, onOpen) {
    if (this.state === "cut" && Date.now() - this.since > FORGET_MS) this._cursor = null;
    const url = new URL(`/api/v1/events/socket?types=${this._types().join(",")}`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    if (this._cursor !== null) url.searchParams.set("after", this._cursor);
    const socket = new WebSocket(url);
    let isOn = false;
    let watchdog = null;
    await new Promise((over) => {
      this._drop = () => {
        socket.onmessage = socket.onclose = null; // a dead network keeps it closing for long
        socket.close();
        over();
      };
      const watch = () => {
        clearTimeout(watchdog);
        watchdog = setTimeout(this._drop, SILENT_MS);
      };
      socket.onclose = over;
      socket.onmessage = ({ data }) => {
        watch();
        const word = JSON.parse(data);
        if (word.type === "hello") {
          isOn = true;
          this._cursor ??= word.cursor;
          onOpen();
          this._become("live");
          this._tell("live");
        } else if (word.type === "event") {
          this._cursor = word.cursor;
          this._tell("event", word.event);
          this._tell(word.event.type.replace(/^fieldgate\./, "").replace(/\.v1$/, ""), word.event);
        }
      };
      watch();
    });
    clearTimeout(watchdog);
    // A WebSocket does not say why it was refused.
    if (!isOn && !ended.aborted) await this._session.ask("GET", "/api/v1/session", undefined, { signal: AbortSignal.timeout(ASK_MS) });
  }

  _become(state) {
    if (this.state === state) return;
    this.state = state;
    this.since = Date.now();
    this._tell("state");
  }

  _tell(type, event) {
    for (const listener of this._listeners.get(type) ?? []) {
      try {
        listener(event);
      } catch (error) {
        console.error(error); // one listener's fault is not the others'
      }
    }
  }
}
