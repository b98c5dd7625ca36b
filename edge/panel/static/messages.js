// Words for the crew, the newest first: each is answered with one touch.

import { clock, el, icon, list, setText } from "./dom.js";
import { answer, messages, noteShown } from "./orders.js";
import { say } from "./words.js";

function make() {
  const key = el("button", { type: "button" });
  const item = el("li", {}, el("div", {}, el("time"), el("p")), key);
  key.addEventListener("click", () => answer(item.order, { state: "done" }));
  return item;
}

function update(item, order) {
  item.order = order;
  item.classList.toggle("unread", order.open);
  setText(item.querySelector("time"), order.open ? `${say("unread")} ${clock(order.came)}` : clock(order.came));
  setText(item.querySelector("p"), order.args.text);
  item.lastElementChild.hidden = !order.open;
  setText(item.lastElementChild, say("dismiss"));
}

export function drawMessages(parent, state, isSeen) {
  const all = messages(state);
  if (!all.length) {
    parent.replaceChildren(el("div", { class: "empty" }, icon("messages"), el("strong", {}, say("no_messages"))));
    return;
  }
  if (!parent.querySelector(".letters")) parent.replaceChildren(el("ul", { class: "letters" }));
  list(parent.firstElementChild, all, (order) => order.id, make, update);
  if (isSeen) all.forEach(noteShown);
}

export const unread = (state) => messages(state).filter((order) => order.open).length;
