// What has the crew reported, and how far has each of it got?

import { clock, el, icon, list, setIcon, setText } from "./dom.js";
import { say } from "./words.js";

const RECEIVED = ["stored", "accepted", "acknowledged", "closed"];

const make = () =>
  el("li", {}, icon("warning"), el("div", {}, el("strong"), el("span", { class: "time" })), el("div", { class: "stage" }, icon("sent"), el("span")));

function update(row, report) {
  const { stage } = report;
  setIcon(row.children[0], report.act ?? "warning");
  setText(row.children[1].children[0], say(report.act ?? report.kind));
  const about = [clock(report.steps[0].t, true), report.ref].filter(Boolean).join(" · ");
  setText(row.children[1].children[1], about);
  setIcon(row.children[2].children[0], stage);
  setText(row.children[2].children[1], say(stage));
  row.classList.toggle("waits", !RECEIVED.includes(stage));
}

export function drawReports(parent, { alarms, reports }) {
  const all = [...alarms, ...reports].sort((a, b) => b.steps[0].t - a.steps[0].t);
  if (!all.length) {
    parent.replaceChildren(el("div", { class: "empty" }, icon("reports"), el("strong", {}, say("no_reports"))));
    return;
  }
  if (!parent.querySelector(".rows")) parent.replaceChildren(el("ul", { class: "rows" }));
  list(parent.firstElementChild, all, (report) => report.id, make, update);
}

export const notReceived = ({ alarms, reports }) =>
  [...alarms, ...reports].filter((report) => !RECEIVED.includes(report.stage)).length;
