// The instruction in hand: what has happened, where, which way, who called; accept or refuse.

import { clock, el, icon, setText } from "./dom.js";
import { answer, choose, instructions, isAnswered, listOf, noteShown } from "./orders.js";
import { askRefusal } from "./sheets.js";
import { compassPoint, distanceText, wayTo } from "./way.js";
import { pick, say } from "./words.js";

const FRESH_MS = 800; // a touch that was meant for what stood here before answers nothing
let drawn = null; // the order on the screen
let since = 0;

export const title = (order) => {
  const list = listOf(order);
  return list ? pick(list.title) : say(order.args.kind); // a kind without words is shown as it is
};

function build(parent) {
  const way = el("div", { class: "way" }, icon("pointer"), el("div", {}, el("strong"), el("span"), el("span")));
  const caller = el("div", { class: "caller" }, icon("phone"), el("div", {}, el("strong"), el("span"), el("span")));
  const head = el("div", { class: "head" }, el("h2"), el("span", { class: "tag" }), el("button", { type: "button", class: "more", onclick: next }));
  const about = el("div", { class: "about" }, head, el("p", { class: "address" }), el("div", { class: "pair" }, way, caller), el("p", { class: "text" }));
  const refuse = el("button", { type: "button", class: "refuse", onclick: () => askRefusal(drawn) });
  const accept = el("button", { type: "button", class: "main accept", onclick: () => answer(drawn, { state: "accepted" }) });
  parent.replaceChildren(el("div", { class: "instruction" }, about, el("div", { class: "answers" }, refuse, accept)));
}

let others = [];

function next() {
  choose(others[(others.findIndex((order) => order.id === drawn.id) + 1) % others.length]);
  dispatchEvent(new Event("redraw"));
}

export function drawInstruction(parent, state, isSeen) {
  const { all, current } = instructions(state);
  if (!current) {
    drawn = null;
    const about = [el("strong", {}, say("no_instruction")), el("span", {}, say("no_instruction_how"))];
    parent.replaceChildren(el("div", { class: "empty" }, icon("instruction"), ...about));
    return;
  }
  if (!parent.querySelector(".instruction")) build(parent);
  if (drawn?.id !== current.id) {
    since = performance.now();
    setTimeout(() => dispatchEvent(new Event("redraw")), FRESH_MS);
    parent.querySelector(".about").scrollTop = 0;
  }
  [drawn, others] = [current, all];
  if (isSeen) noteShown(current);
  draw((name) => parent.querySelector(name), current, state.status.pos);
}

function draw(find, order, position) {
  const { args } = order;
  const accepted = order.history.find((moment) => moment.state === "accepted");
  setText(find("h2"), title(order));
  setText(find(".tag"), accepted ? say("accepted_at", clock(accepted.t)) : say("to_answer", clock(order.came)));
  find(".tag").classList.toggle("care", !accepted);
  find(".more").hidden = others.length < 2;
  setText(find(".more"), say("one_of", others.indexOf(order) + 1, others.length));
  setText(find(".address"), args.address || say("no_address"));
  setText(find(".text"), args.text ?? "");
  drawWay(find, args, position);
  setLines(find(".caller div"), args.caller ?? say("no_caller"), say("caller"), args.incident);
  find(".answers").hidden = isAnswered(order);
  const isFresh = performance.now() - since < FRESH_MS;
  for (const name of [".refuse", ".accept"]) find(name).disabled = isFresh;
  setText(find(".refuse"), say("refuse"));
  setText(find(".accept"), say("accept"));
}

function drawWay(find, place, position) {
  const hasPlace = place.lat !== undefined && place.lon !== undefined;
  const way = hasPlace ? wayTo(position, place, Date.now()) : null;
  const coordinates = hasPlace ? `${place.lat.toFixed(5)}, ${place.lon.toFixed(5)}` : "";
  const arrow = find(".way .icon");
  find(".way").hidden = !hasPlace;
  arrow.toggleAttribute("hidden", !way);
  if (!way) return setLines(find(".way div"), say("no_way"), "", coordinates);
  const how = way.age ? say("old_fix", Math.round(way.age / 1000)) : say(way.isNorth ? "north_up" : "head_up");
  arrow.style.transform = `rotate(${Math.round(way.turn)}deg)`;
  arrow.dataset.turn = Math.round(way.turn);
  const far = distanceText(way.distance, { m: say("m"), km: say("km") });
  setLines(find(".way div"), `${far} · ${say(`point_${compassPoint(way.bearing)}`)}`, how, coordinates);
}

const setLines = (parent, ...lines) => lines.forEach((line, n) => setText(parent.children[n], line));
