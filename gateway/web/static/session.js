// Who is signed in, and asking the gateway: every answer, or the problem that it tells.

const RANK = { viewer: 0, dispatcher: 1, admin: 2 };

/** What the gateway says is wrong. `status` 0: it cannot be reached. */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `HTTP ${status}`);
    this.status = status;
    this.problem = problem;
  }
}

/** A name for a request that may be sent twice and must act once. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12)); // randomUUID needs HTTPS
  return `web-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

export class Session {
  /** `onEnd`: called when the gateway no longer knows who asks. */
  constructor(onEnd) {
    this._onEnd = onEnd;
    this._ahead_ms = 0;
    this.name = "";
    this.role = null;
  }

  /** Whether that role's acts may be done. */
  can(role) {
    return this.role !== null && RANK[this.role] >= RANK[role];
  }

  /** The gateway's clock now (ms). */
  now() {
    return Date.now() + this._ahead_ms;
  }

  /** Who is signed in, asked of the gateway; false if nobody is. */
  async resume() {
    try {
      this._take(await this.get("/api/v1/session"));
      return true;
    } catch (error) {
      if (error.status === 401) return false;
      throw error;
    }
  }

  async signIn(token) {
    this._take(await this.post("/api/v1/session", { token }));
  }

  async signOut() {
    await this.del("/api/v1/session");
    this.role = null;
  }

  /** The JSON of an answer; or ApiError. */
  get(path) {
    return this.ask("GET", path);
  }
  post(path, body = {}, options = {}) {
    return this.ask("POST", path, body, options);
  }
  put(path, body = {}) {
    return this.ask("PUT", path, body);
  }
  del(path, body) {
    return this.ask("DELETE", path, body);
  }

  async ask(method, path, body, { key, signal, headers = {} } = {}) {
    const response = await this.fetch(path, {
      method,
      signal,
      headers: {
        Accept: "application/json",
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...(key ? { "Idempotency-Key": key } : {}),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    return response.json();
  }

  /** An answer that is well; or ApiError. */
  async fetch(path, options = {}) {
    const headers = { "X-Fieldgate": "1", ...options.headers };
    let response;
    try {
      response = await fetch(path, { credentials: "same-origin", ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError(0, { detail: String(error.message) });
    }
    if (response.ok) return response;
    const problem = await response.json().catch(() => ({ title: response.statusText }));
    if (response.status === 401 && this.role !== null) {
      this.role = null;
      this._onEnd();
    }
    throw new ApiError(response.status, problem);
  }

  _take({ name, role, now }) {
    this.name = name;
    this.role = role;
    this._ahead_ms = now - Date.now();
  }
}
