// What happens in the field, as it happens: events that go on where a cut broke them off.

const TYPES = [
  "alarm.raised", "alarm.updated", "alarm.stage", "presence", "media", "command",
  "unit.changed", "unit.contradiction", "unit.arrival",
];
const SILENT_MS = 25_000; // the gateway says something every 15 s
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
    addEventListener("offline", () => this._reading?.abort(), { signal });
    this._run(this._ended.signal);
  }

  stop() {
    this._ended?.abort();
    this._reading?.abort();
    this._wake();
  }

  /** Try now, and do not wait. */
  retry() {
    this._wake();
  }

  /** Other types are asked for: listen anew, from where it was. */
  again() {
    this._reading?.abort();
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

  async _read(ended, onOpen) {
    const reading = (this._reading = new AbortController());
    if (this.state === "cut" && Date.now() - this.since > FORGET_MS) this._cursor = null;
    const after = this._cursor === null ? "" : `&after=${this._cursor}`;
    let watchdog = setTimeout(() => reading.abort(), SILENT_MS);
    try {
      const response = await this._session.fetch(`/api/v1/events/stream?types=${this._types().join(",")}${after}`, {
        signal: reading.signal,
        headers: { Accept: "text/event-stream" },
      });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done || ended.aborted) return;
        if (this.state !== "live") {
          onOpen();
          this._become("live");
          this._tell("live");
        }
        clearTimeout(watchdog);
        watchdog = setTimeout(() => reading.abort(), SILENT_MS);
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) this._event(block);
      }
    } finally {
      clearTimeout(watchdog);
      reading.abort();
    }
  }

  _event(block) {
    const fields = {};
    for (const line of block.split("\n")) {
      const at = line.indexOf(": ");
      if (at > 0) fields[line.slice(0, at)] = line.slice(at + 2);
    }
    if (fields.data === undefined) return;
    this._cursor = fields.id ?? this._cursor;
    const event = JSON.parse(fields.data);
    this._tell("event", event);
    this._tell(event.type.replace(/^fieldgate\./, "").replace(/\.v1$/, ""), event);
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
