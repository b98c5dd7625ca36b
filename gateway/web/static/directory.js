// What is a device called, and where does it stand? Asked for once, when somebody wants to know.

const MOST = 20_000;
const AGAIN_MS = 60_000;

export class Directory {
  constructor(session) {
    this._session = session;
    this._known = new Map();
    this._listeners = new Set();
  }

  onChange(listener) {
    this._listeners.add(listener);
    return () => this._listeners.delete(listener);
  }

  /** What is known of the device now, or null; listeners hear when more is. */
  get(id) {
    const known = this._known.get(id);
    if (known === undefined || (known.failed && Date.now() - known.failed > AGAIN_MS)) this._ask(id);
    return known?.device ?? null;
  }

  /** Its name, or its id where it has none. */
  name(id) {
    return this.get(id)?.name || id;
  }

  async _ask(id) {
    if (this._known.size >= MOST) this._known.delete(this._known.keys().next().value);
    this._known.set(id, {});
    try {
      const device = await this._session.get(`/api/v1/devices/${encodeURIComponent(id)}`);
      this._known.set(id, { device });
      for (const listener of this._listeners) listener(id);
    } catch {
      this._known.set(id, { failed: Date.now() });
    }
  }
}
