// The orders for the crew: which are open, which is in hand, and how they are answered.

import { Refused, ask } from "./agent.js";
import { complain } from "./notices.js";
import { say } from "./words.js";

const ANSWERED = ["accepted", "done", "refused", "failed"];
let chosen = null; // the instruction that the crew looks at

export const isAnswered = (order) => ANSWERED.includes(order.state);

const open = (state, act) => state.orders.filter((order) => order.act === act && order.open);

// The open instructions, and which of them is on the screen: a new one comes before those in hand.
export function instructions(state) {
  const all = open(state, "instruct");
  const unanswered = all.filter((order) => !isAnswered(order)).at(-1);
  const current = all.find((order) => order.id === chosen) ?? unanswered ?? all.at(-1) ?? null;
  return { all, current };
}

export function choose(order) {
  chosen = order?.id ?? null;
}

// The instruction that a duty report is about: the one in hand, or the one on the screen.
export function inHand(state) {
  const { all, current } = instructions(state);
  if (current && current.state === "accepted") return current;
  return all.filter((order) => order.state === "accepted").at(-1) ?? current;
}

export const checklists = (state) =>
  state.orders
    .filter((order) => order.open && listOf(order))
    .reverse();

export const listOf = (order) => (order.act === "checklist" ? order.args : order.args.checklist);

export const messages = (state) => state.orders.filter((order) => order.act === "text").reverse();

const send = (order, body, path = "") => ask(`/orders/${encodeURIComponent(order.id)}${path}`, body);

// Sends an answer to an order, or a tick of it: the order then; null if it was not taken, which is told.
export async function answer(order, body, path) {
  try {
    return await send(order, body, path);
  } catch (error) {
    complain(error instanceof Refused ? ["failed", error.message] : ["not_kept", say("answer")]);
    return null;
  }
}

const told = new Set();

// The order is on the screen: whoever sent it hears so, once.
export function noteShown(order) {
  if (document.hidden || order.state !== "delivered" || told.has(order.id)) return;
  told.add(order.id);
  send(order, { state: "shown" }).catch((error) => {
    if (!(error instanceof Refused)) told.delete(order.id); // once more, when it is drawn again
  });
}
