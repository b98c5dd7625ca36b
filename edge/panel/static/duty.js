// The duty keys: one touch reports; the one in force is plain to see.

import { Refused, ask } from "./agent.js";
import { clock, el, icon, setText } from "./dom.js";
import { complain } from "./notices.js";
import { answer, inHand, isAnswered } from "./orders.js";
import { askOffDuty, askSignOn } from "./sheets.js";
import { say } from "./words.js";

// By rows: the shift, the patrol, the incident.
const ACTS = [
  "on_duty", "break", "off_duty",
  "vehicle_patrol", "foot_patrol", "parked",
  "en_route", "on_scene", "clear",
];
const ABOUT_INCIDENT = ["en_route", "on_scene", "clear"];
const ASKED_FIRST = { on_duty: askSignOn, off_duty: askOffDuty };

let state = null;
const reporting = new Set();

// What the crew does about an incident names it. Who sets out has accepted; who is through is done.
async function report(act, crew = null) {
  if (reporting.has(act)) return;
  reporting.add(act);
  const order = ABOUT_INCIDENT.includes(act) ? inHand(state) : null;
  const ref = order?.args.incident;
  drawDuty(document.getElementById("duty"), state);
  try {
    if (order && act !== "clear" && !isAnswered(order)) await answer(order, { state: "accepted" });
    await ask("/duty", { act, ...(crew && { crew }), ...(ref && { ref }) });
    if (order?.state === "accepted" && act === "clear") await answer(order, { state: "done" });
  } catch (error) {
    complain(error instanceof Refused ? ["failed", error.message] : ["not_kept", say(act)]);
  } finally {
    reporting.delete(act);
    drawDuty(document.getElementById("duty"), state);
  }
}

function touch(act) {
  const { duty } = state.status;
  const ref = ABOUT_INCIDENT.includes(act) ? inHand(state)?.args.incident : undefined;
  const isSame = duty?.act === act && (ref === undefined || duty.ref === ref);
  if (act in ASKED_FIRST) ASKED_FIRST[act](state, (crew) => report(act, crew));
  else if (!isSame) report(act);
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
  const waits = state.reports.some((report) => report.id === standing?.id && report.stage !== "stored");
  for (const key of parent.children) {
    const { act } = key.dataset;
    const isNow = standing?.act === act;
    key.setAttribute("aria-pressed", isNow);
    key.setAttribute("aria-busy", reporting.has(act));
    setText(key.children[1], say(act));
    setText(key.children[2], isNow ? say(waits ? "queued" : "since", clock(standing.t)) : "");
  }
}
