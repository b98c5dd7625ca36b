// The steps of handling the incident: one touch ticks one off, without network too.

import { clock, el, icon, list, setText } from "./dom.js";
import { title } from "./instruction.js";
import { answer, checklists, listOf } from "./orders.js";
import { pick, say } from "./words.js";

const ticking = new Set(); // what was touched and is not yet in the state

const ticksOf = (order) => new Map(order.ticks.map(({ step, t }) => [step, t]));

async function tick(order, step) {
  const name = `${order.id} ${step}`;
  if (ticking.has(name)) return;
  ticking.add(name);
  const after = await answer(order, { step }, "/step");
  if (!after) return ticking.delete(name);
  const isLast = after.ticks.length >= listOf(order).steps.length;
  if (order.act === "checklist" && isLast) answer(order, { state: "done" });
}

function make() {
  return el("section", {}, el("h2", {}, el("span"), el("span", { class: "done" })), el("ol", { class: "steps" }));
}

function update(section, order) {
  const ticks = ticksOf(order);
  const { steps } = listOf(order);
  setText(section.querySelector("h2 span"), title(order));
  setText(section.querySelector(".done"), say("steps_done", ticks.size, steps.length));
  const items = steps.map((words, step) => ({ step, words }));
  const makeStep = ({ step }) =>
    el("li", {}, el("button", { type: "button", class: "step", onclick: () => touched(section, step) }, el("span", { class: "box" }, icon("stored")), el("span", { class: "words" }), el("time")));
  section.order = order;
  list(section.lastElementChild, items, ({ step }) => step, makeStep, (row, { step, words }) => {
    const key = row.firstElementChild;
    const isTicked = ticks.has(step);
    key.setAttribute("aria-pressed", isTicked);
    setText(key.children[1], pick(words));
    setText(key.children[2], isTicked ? clock(ticks.get(step)) : "");
    if (isTicked) ticking.delete(`${order.id} ${step}`);
  });
}

function touched(section, step) {
  if (!ticksOf(section.order).has(step)) tick(section.order, step);
}

export function drawChecklist(parent, state) {
  const all = checklists(state);
  if (!all.length) {
    parent.replaceChildren(el("div", { class: "empty" }, icon("checklist"), el("strong", {}, say("no_checklist"))));
    return;
  }
  if (parent.querySelector(".empty")) parent.replaceChildren();
  list(parent, all, (order) => order.id, make, update);
}

// The steps that are still to do.
export const stepsLeft = (state) =>
  checklists(state).reduce((sum, order) => sum + listOf(order).steps.length - order.ticks.length, 0);
