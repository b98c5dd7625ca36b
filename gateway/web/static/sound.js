// How an alarm sounds: two tones again and again until somebody accepts it.

const KEPT = "fieldgate.muted";
const HIGH_HZ = 988;
const LOW_HZ = 740;
const TONE_S = 0.22;
const EVERY_MS = 1400;

export class Siren {
  /** `onChange`: called when it may be heard, or may not any more. */
  constructor(onChange) {
    this._onChange = onChange;
    this._context = null;
    this._timer = null;
    this.isMuted = localStorage.getItem(KEPT) === "yes";
    const allow = () => this._allow();
    for (const event of ["pointerdown", "keydown"]) addEventListener(event, allow, { capture: true });
  }

  /** Whether the browser lets the page sound: it wants a click or a key first. */
  get isAllowed() {
    return this._context?.state === "running";
  }

  get isOn() {
    return this._timer !== null;
  }

  /** Sound, or be silent. */
  set(isOn) {
    if (isOn === this.isOn) return;
    if (isOn) {
      this._sound();
      this._timer = setInterval(() => this._sound(), EVERY_MS);
    } else {
      clearInterval(this._timer);
      this._timer = null;
    }
  }

  mute(isMuted) {
    this.isMuted = isMuted;
    localStorage.setItem(KEPT, isMuted ? "yes" : "no");
    this._onChange();
  }

  async _allow() {
    if (this.isAllowed) return;
    this._context ??= new AudioContext();
    await this._context.resume();
    this._onChange();
    if (this.isOn) this._sound();
  }

  _sound() {
    if (!this.isAllowed || this.isMuted) return;
    const start = this._context.currentTime;
    for (const [n, hz] of [HIGH_HZ, LOW_HZ, HIGH_HZ].entries()) this._tone(hz, start + n * TONE_S);
  }

  _tone(hz, at) {
    const tone = this._context.createOscillator();
    const volume = this._context.createGain();
    tone.type = "square";
    tone.frequency.value = hz;
    volume.gain.setValueAtTime(0.0001, at);
    volume.gain.exponentialRampToValueAtTime(0.18, at + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, at + TONE_S);
    tone.connect(volume).connect(this._context.destination);
    tone.start(at);
    tone.stop(at + TONE_S);
  }
}
