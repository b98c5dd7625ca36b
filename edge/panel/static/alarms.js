// How far has an alarm got? The ladder from this disk to the person who answers.

import { clock, el, icon, setText } from "./dom.js";
import { say } from "./words.js";

export const LADDER = ["spooled", "sent", "stored", "accepted", "acknowledged"];

export const isOpen = (alarm) => alarm.stage !== "closed";

export const alarmCard = {
  make() {
    const steps = LADDER.map((stage) => el("li", {}, icon(stage), el("span")));
    return el("div", { class: "alarm" }, el("p", {}, el("strong"), el("span")), el("ol", { class: "ladder" }, ...steps));
  },

  update(card, alarm) {
    const [title, steps] = card.children;
    const reached = LADDER.indexOf(alarm.stage);
    const by = alarm.steps.findLast((step) => step.by)?.by;
    const count = alarm.count > 1 ? say("sos_count", alarm.count) : "";
    setText(title.children[0], `${say(alarm.kind)} ${clock(alarm.steps[0].t, true)}`);
    setText(title.children[1], [count, by].filter(Boolean).join(" · "));
    [...steps.children].forEach((step, place) => {
      step.className = place > reached ? "" : place === reached ? "reached latest" : "reached";
      setText(step.children[1], say(LADDER[place]));
    });
  },
};
