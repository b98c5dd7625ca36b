// What must a finger do before an SOS goes out? One finger, on the key, still there after a second.

export const HOLD_MS = 1000;
const ROLLS_PX = 16; // a gloved finger rolls so far over the edge
const STALL_MS = 200; // after a pause of the page a release may for so long be in its queue

// Calls progress(0…1) while it is held, then fire() once; or cancel(why): short, slid, many.
export function onHold(key, { progress, fire, cancel, mayBegin }) {
  const down = new Set(); // every finger on the screen
  let held = null;

  function begin(event) {
    if (event.isPrimary) down.clear(); // the first finger: no other is down, whatever was missed
    down.add(event.pointerId);
    if (held) return end("many");
    if (!key.contains(event.target)) return;
    if (down.size > 1) return cancel("many");
    if (event.button !== 0 || !mayBegin()) return;
    held = { id: event.pointerId, since: performance.now(), box: key.getBoundingClientRect() };
    held.seen = held.sure = held.since;
    progress(0);
    requestAnimationFrame(step);
  }

  function step() {
    if (!held) return;
    const now = performance.now();
    if (now - held.seen > STALL_MS) held.sure = now + STALL_MS;
    held.seen = now;
    if (now - held.since >= HOLD_MS && now >= held.sure) {
      held = null; // the next one needs a new touch
      progress(1);
      fire();
    } else {
      progress(Math.min(1, (now - held.since) / HOLD_MS));
      requestAnimationFrame(step);
    }
  }

  function move(event) {
    if (!held || event.pointerId !== held.id) return;
    const { left, right, top, bottom } = held.box;
    const { clientX: x, clientY: y } = event;
    const isOn = x > left - ROLLS_PX && x < right + ROLLS_PX && y > top - ROLLS_PX && y < bottom + ROLLS_PX;
    if (!isOn) end("slid");
  }

  function lift(event) {
    down.delete(event.pointerId);
    if (held && event.pointerId === held.id) end(event.type === "pointerup" ? "short" : "slid");
  }

  function end(why) {
    if (!held) return;
    held = null;
    cancel(why);
  }

  addEventListener("pointerdown", begin, true);
  addEventListener("pointermove", move, true);
  addEventListener("pointerup", lift, true);
  addEventListener("pointercancel", lift, true);
  addEventListener("blur", () => (down.clear(), end("slid")));
  document.addEventListener("visibilitychange", () => end("slid"));
  // No menu, scroll or zoom comes of a long touch; the page may scroll by itself meanwhile.
  key.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
  key.addEventListener("contextmenu", (event) => event.preventDefault());
}
