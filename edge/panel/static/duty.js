// The duty keys: one touch reports; the one in force is plain to see.

import { Refused, ask } from "./agent.js";
import { clock, el, icon, setText } from "./dom.js";
import { complain } from "./notices.js";
import { askOffDuty, askSignOn } from "./sheets.js";
import { say } from "./words.js";

// By rows: the shift, the patrol, the incident.
const ACTS = [
  "on_duty", "break", "off_duty",
  "vehicle_patrol", "foot_patrol", "parked",
  "en_route", "on_scene", "clear",
];
const ASKED_FIRST = { on_duty: askSignOn, off_duty: askOffDuty };

let state = null;
const reporting = new Set();

async function report(act, crew = null) {
  if (reporting.has(act)) return;
  reporting.add(act);
  drawDuty(document.getElementById("duty"), state);
  try {
    await ask("/duty", crew ? { act, crew } : { act });
  } catch (error) {
    complain(error instanceof Refused ? ["failed", error.message] : ["not_kept", say(act)]);
  } finally {
    reporting.delete(act);
    drawDuty(document.getElementById("duty"), state);
  }
}

function touch(act) {
  if (act in ASKED_FIRST) ASKED_FIRST[act](state, (crew) => report(act, crew));
  else if (state.status.duty?.act !== act) report(act);
}

export function drawDuty(parent, next) {
  state = next;
  if (!parent.children.length) {
    for (const act of ACTS) {
      const key = el("button", { type: "button", "data-act": act }, icon(act), el("span"), el("span", { class: "now" }));
      key.addEventListener("click", () => touch(act));
      parent.append(key);
    }
  }
  const standing = state.status.duty;
  for (const key of parent.children) {
    const { act } = key.dataset;
    const isNow = standing?.act === act;
    key.setAttribute("aria-pressed", isNow);
    key.setAttribute("aria-busy", reporting.has(act));
    setText(key.children[1], say(act));
    setText(key.children[2], isNow ? say("since", clock(standing.t)) : "");
  }
}
