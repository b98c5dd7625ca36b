// What has the crew reported, and how far has each of it got?

import { clock, el, icon, list, setIcon, setText } from "./dom.js";
import { say } from "./words.js";

function empty() {
  return el("div", { class: "empty" }, icon("reports"), el("strong", {}, say("no_reports")));
}

export function drawReports(parent, { alarms }) {
  if (!alarms.length) {
    parent.replaceChildren(empty());
    return;
  }
  if (!parent.querySelector(".rows")) parent.replaceChildren(el("ul", { class: "rows" }));
  const make = () =>
    el("li", {}, icon("warning"), el("div", {}, el("strong"), el("span", { class: "time" })), el("div", { class: "stage" }, icon("sent"), el("span")));
  list(parent.firstElementChild, [...alarms].reverse(), (alarm) => alarm.id, make, (row, alarm) => {
    setText(row.children[1].children[0], say(alarm.kind));
    setText(row.children[1].children[1], clock(alarm.steps[0].t, true));
    setIcon(row.children[2].children[0], alarm.stage);
    setText(row.children[2].children[1], say(alarm.stage));
  });
}
