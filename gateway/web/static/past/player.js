// A film is played: the clock of the past runs, and the map is given each step as if it were new.

export const SPEEDS = [1, 2, 5, 10, 20, 60];

export class Player {
  /** `onChange`: the time, the speed, or whether it runs has changed. */
  constructor(film, onChange) {
    this._film = film;
    this._onChange = onChange;
    this._on = null; // the map: {frame, facts, done, state}
    this._shown = -1; // the step that is on the map
    this._told = 0; // so many facts are on the map
    this._ticked = null;
    this.t = film.from;
    this.speed = 10;
    this.isPlaying = false;
    this._tick = (now) => this._run(now);
  }

  /** What the map follows in place of the gateway's stream. */
  follow(on) {
    this._on = on;
    this._shown = -1;
    this._told = 0;
    this.show();
    return { update: 0, close: () => (this._on = null) };
  }

  play() {
    if (this.isPlaying) return;
    if (this.t >= this._film.to) this.t = this._film.from;
    this.isPlaying = true;
    this._ticked = null;
    requestAnimationFrame(this._tick);
    this._onChange();
  }

  pause() {
    this.isPlaying = false;
    this._onChange();
  }

  setSpeed(speed) {
    this.speed = speed;
    this._onChange();
  }

  /** One speed up or down. */
  shift(by) {
    const at = SPEEDS.indexOf(this.speed) + by;
    if (at in SPEEDS) this.setSpeed(SPEEDS[at]);
  }

  seek(t) {
    this.t = Math.min(this._film.to, Math.max(this._film.from, t));
    this.show();
    this._onChange();
  }

  end() {
    this.isPlaying = false;
    this._on = null;
  }

  _run(now) {
    if (!this.isPlaying) return;
    const past = this._ticked === null ? 0 : Math.min(now - this._ticked, 1000); // a hidden page stands still
    this._ticked = now;
    // It waits where more is on its way.
    const until = this._film.isWhole ? this._film.to : Math.max(this.t, this._film.known);
    this.t = Math.min(this.t + past * this.speed, until);
    if (this._film.isWhole && this.t >= this._film.to) this.isPlaying = false;
    this.show();
    this._onChange();
    if (this.isPlaying) requestAnimationFrame(this._tick);
  }

  /** Bring the map to where the time is. The first step stands from the beginning on. */
  show() {
    const { steps, facts } = this._film;
    if (!this._on || !steps.length) return;
    const wanted = Math.max(0, this._film.at(this.t));
    if (wanted === this._shown) return;
    const isBack = wanted < this._shown || this._shown < 0;
    if (isBack) {
      this._on.state("live"); // all comes anew
      this._told = 0;
    }
    let first = isBack ? 0 : this._shown + 1;
    for (let at = wanted; at >= first; at--) {
      if (steps[at].isWhole) {
        first = at; // nothing before it counts
        break;
      }
    }
    for (; this._told < facts.length && facts[this._told].t <= steps[wanted].now; this._told++) this._on.facts(facts[this._told].facts);
    for (let at = first; at <= wanted; at++) for (const frame of steps[at].frames) this._on.frame(frame);
    this._shown = wanted;
    this._on.done(steps[wanted].frames.at(-1));
  }
}
