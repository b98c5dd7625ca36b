// Which alarms are open, which waits for an answer, and whose turn is it?

const STAGES = ["stored", "accepted", "acknowledged", "closed"];
const MOST_CLOSED = 500;

const rank = (alarm) => STAGES.indexOf(alarm.stage);
/** A box's self-test: it is listed apart, and has its turn when no alarm waits, without a sound. */
export const isTest = (alarm) => alarm.kind === "test";

/** The place of an alarm, `{lat, lon}`, or null. */
export function placeOf(alarm) {
  const place = alarm.data?.pos;
  return Number.isFinite(place?.lat) && Number.isFinite(place?.lon) ? place : null;
}

/** All alarms that are not closed. Stages only go forward, whichever word of them comes first. */
export class Alarms {
  constructor(session, stream) {
    this._session = session;
    this._all = new Map();
    this._accepting = new Set();
    this._skipped = new Set();
    this._listeners = new Set();
    this._turn = null;
    this._asking = null;
    stream.on("live", () => this.refresh());
    stream.on("alarm.raised", (event) => this._raised(event));
    stream.on("alarm.stage", ({ data }) => this._staged(data));
    stream.on("alarm.updated", ({ data }) => this._ask(data.alarm));
  }

  onChange(listener) {
    this._listeners.add(listener);
    return () => this._listeners.delete(listener);
  }

  get(id) {
    return this._all.get(id);
  }

  /** Those that nobody has accepted, newest first. */
  waiting() {
    return this._sorted((alarm) => alarm.stage === "stored" && !isTest(alarm) && !this._accepting.has(alarm.id));
  }

  /** Self-tests that nobody has accepted, newest first. */
  tests() {
    return this._sorted((alarm) => alarm.stage === "stored" && isTest(alarm) && !this._accepting.has(alarm.id));
  }

  /** Those that somebody has accepted and that are not closed, newest first. */
  inHand() {
    return this._sorted((alarm) => rank(alarm) === 1 || rank(alarm) === 2 || this._accepting.has(alarm.id));
  }

  /** The one whose turn it is. It stays until it is accepted or passed over: what comes meanwhile
      never takes its place. Then it is the turn of the one that has waited longest. */
  turn() {
    const alarms = this.waiting();
    const waiting = alarms.length ? alarms : this.tests();
    const isThere = this._turn !== null && waiting.some(({ id }) => id === this._turn);
    if (isThere) return this._all.get(this._turn);
    const rest = waiting.filter(({ id }) => !this._skipped.has(id));
    if (!rest.length) this._skipped.clear();
    const pool = rest.length ? rest : waiting;
    const next = pool.at(-1) ?? null;
    this._turn = next?.id ?? null;
    return next;
  }

  /** Let another one have its turn first. */
  passOver() {
    if (this._turn === null) return;
    this._skipped.add(this._turn);
    this._turn = null;
    this._changed();
  }

  /** It is this one's turn. */
  prefer(id) {
    this._turn = id;
    this._changed();
  }

  /** Accept it; the next has its turn at once. It waits again if the gateway does not answer. */
  async accept(id) {
    if (this._accepting.has(id)) return;
    this._accepting.add(id);
    this._changed();
    try {
      this._merge(await this._answer(id, "accept"));
    } finally {
      this._accepting.delete(id);
      this._changed();
    }
  }

  /** Acknowledge or close it. */
  async advance(id, act, note) {
    this._merge(await this._answer(id, act, note));
    this._changed();
  }

  /** What is open now, asked of the gateway. */
  async refresh() {
    let path = "/api/v1/alarms?stage=stored,accepted,acknowledged&limit=1000";
    const open = new Set();
    const known = [...this._all.values()].filter((alarm) => rank(alarm) < 3).map(({ id }) => id);
    let before = null;
    do {
      const page = await this._session.get(before === null ? path : `${path}&before=${before}`);
      for (const alarm of page.alarms) {
        open.add(alarm.id);
        this._merge(alarm);
      }
      before = page.next;
    } while (before !== null);
    for (const id of known) if (!open.has(id)) this._ask(id); // closed while we were away
    this._changed();
  }

  _answer(id, act, note) {
    const body = { by: this._session.name || undefined, note: note || undefined };
    return this._session.post(`/api/v1/alarms/${encodeURIComponent(id)}/${act}`, body);
  }

  async _ask(id) {
    this._asking ??= new Set();
    if (this._asking.has(id)) return;
    this._asking.add(id);
    try {
      this._merge(await this._session.get(`/api/v1/alarms/${encodeURIComponent(id)}`));
      this._changed();
    } catch {
      // the stream says when we are on again, and all is asked for then
    } finally {
      this._asking.delete(id);
    }
  }

  _raised({ id, subject, data }) {
    this._merge({
      id, device: subject, kind: data.kind, t: data.t, received: data.received, count: data.count ?? 1,
      flags: data.flags ?? [], clock_offset_ms: data.clock_offset_ms, data,
      stage: "stored", stages: [{ stage: "stored", t: data.received }],
    });
    this._changed();
  }

  _staged({ alarm: id, ...step }) {
    const alarm = this._all.get(id);
    if (!alarm) return void this._ask(id);
    if (STAGES.indexOf(step.stage) <= rank(alarm)) return;
    this._merge({ ...alarm, stage: step.stage, stages: [...alarm.stages, step] });
    this._changed();
  }

  _merge(alarm) {
    const known = this._all.get(alarm.id);
    if (known && rank(known) > rank(alarm)) return;
    this._all.set(alarm.id, alarm);
    const closed = [...this._all.values()].filter((each) => rank(each) === 3);
    for (const each of closed.slice(0, Math.max(0, closed.length - MOST_CLOSED))) this._all.delete(each.id);
  }

  _sorted(isWanted) {
    const found = [...this._all.values()].filter(isWanted);
    return found.sort((a, b) => b.received - a.received || (a.id < b.id ? 1 : -1));
  }

  _changed() {
    for (const listener of this._listeners) listener();
  }
}
