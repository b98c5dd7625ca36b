// The SOS key: held for a second it raises one alarm, or says loudly that it could not.

import { Refused, ask } from "./agent.js";
import { isOpen } from "./alarms.js";
import { clock, el, icon, setText } from "./dom.js";
import { onHold } from "./hold.js";
import { close } from "./sheets.js";
import { say } from "./words.js";

const TRY_FOR_MS = 60_000; // an agent that died is back within seconds
const AGAIN_MS = 1000;
const TELL_MS = 3000; // why there was no alarm

const key = document.getElementById("sos");
const [fill, , how] = key.children;
const lost = document.getElementById("lost");
let told = null; // what to say under SOS for a while: the arguments of `say`
let isBusy = false;
let alarms = [];

function drawHow() {
  const again = alarms.some(isOpen) ? "sos_again" : "sos_how";
  setText(how, say(...(told ?? [again])));
}

function tell(words, forMs) {
  told = words;
  drawHow();
  if (forMs) setTimeout(() => told === words && tell(null), forMs);
}

function progress(done) {
  key.dataset.state = "held";
  fill.style.transform = `scaleX(${done})`;
  tell(["sos_more"]);
}

function rest() {
  delete key.dataset.state;
  fill.style.transform = "scaleX(0)";
}

async function raise() {
  isBusy = true;
  key.dataset.state = "sending";
  close(); // what becomes of it is to be seen
  navigator.vibrate?.(200);
  tell(["sos_sending"]);
  const until = performance.now() + TRY_FOR_MS;
  try {
    const alarm = await persist(until);
    showLost(null);
    tell(["sos_done", clock(alarm.steps.at(-1).t, true)], TELL_MS);
  } catch (error) {
    showLost(error instanceof Refused ? say("sos_refused", error.message) : say("sos_failed"), true);
    tell(null);
  } finally {
    isBusy = false;
    rest();
  }
}

// An agent that is there adds a second asking to the same alarm: to try again raises no second one.
async function persist(until) {
  for (;;) {
    try {
      return await ask("/press", { kind: "panic", zone: "panel" });
    } catch (error) {
      if (error instanceof Refused || performance.now() > until) throw error;
    }
    showLost(say("sos_trying", Math.ceil((until - performance.now()) / 1000)));
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

function showLost(why, mayGo = false) {
  lost.hidden = why === null;
  if (why === null) return;
  const go = el("button", { type: "button", onclick: () => showLost(null) }, say("dismiss"));
  lost.replaceChildren(icon("warning"), el("strong", {}, say("sos_lost")), el("em", {}, say("sos_radio")), el("span", {}, why), ...(mayGo ? [go] : []));
}

onHold(key, {
  progress,
  fire: raise,
  cancel(why) {
    rest();
    tell([`sos_${why}`], TELL_MS);
  },
  mayBegin: () => !isBusy,
});

export function drawSos(state) {
  alarms = state?.alarms ?? alarms;
  drawHow();
}
