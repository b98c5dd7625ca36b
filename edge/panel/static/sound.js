// What the crew hears: two tones for what has come. A browser that wants a touch first stays silent.

const TONES_HZ = [880, 1175];
const TONE_S = 0.18;
let context = null;

export function chime() {
  try {
    context ??= new AudioContext();
    TONES_HZ.forEach((pitch, n) => {
      const tone = context.createOscillator();
      const volume = context.createGain();
      const start = context.currentTime + n * TONE_S;
      tone.frequency.value = pitch;
      volume.gain.setValueAtTime(0.25, start);
      volume.gain.linearRampToValueAtTime(0, start + TONE_S);
      tone.connect(volume).connect(context.destination);
      tone.start(start);
      tone.stop(start + TONE_S);
    });
  } catch {
    context = null; // a device without sound
  }
}
