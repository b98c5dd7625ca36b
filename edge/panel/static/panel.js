// The page: what it is made of, and how its parts meet.

import { listen } from "./agent.js";
import { drawChecklist, stepsLeft } from "./checklist.js";
import { drawDuty } from "./duty.js";
import { clock, el, icon, loadIcons, setIcon, setText } from "./dom.js";
import { drawInstruction } from "./instruction.js";
import { drawLamps } from "./lamps.js";
import { drawMessages, unread } from "./messages.js";
import { drawNotices, showGone } from "./notices.js";
import { choose, instructions, isAnswered } from "./orders.js";
import { drawReports, notReceived } from "./reports.js";
import { close } from "./sheets.js";
import { drawSos } from "./sos.js";
import { chime } from "./sound.js";
import { getLanguage, say, setLanguage } from "./words.js";

const CALL_MS = 1500; // a call sounds so often
const THEMES = ["night", "dim", "day"];
const SIGNS = { night: "moon", dim: "dim", day: "sun" };
const unanswered = (state) => instructions(state).all.filter((order) => !isAnswered(order));
// Each view with its drawing, and the number on its tab.
const VIEWS = {
  instruction: { draw: drawInstruction, count: (state) => unanswered(state).length },
  checklist: { draw: drawChecklist, count: stepsLeft },
  messages: { draw: drawMessages, count: unread },
  reports: { draw: drawReports, count: notReceived },
};

const page = (id) => document.getElementById(id);
let state = null; // as the agent last said
let version = null;
let shown = "instruction";
const remember = (key, value) => localStorage.setItem(key, value);

function draw() {
  drawFrame();
  drawSos(state);
  if (!state) return;
  drawLamps(page("lamps"), state.status);
  drawDuty(page("duty"), state);
  drawNotices(page("notices"), state);
  const isCovered = ["sheet", "gone", "lost"].some((id) => !page(id).hidden);
  for (const [name, view] of Object.entries(VIEWS)) {
    view.draw(page(`view-${name}`), state, name === shown && !isCovered);
  }
}

function drawFrame() {
  const theme = document.documentElement.dataset.theme;
  setText(page("language"), say("other_language"));
  setIcon(page("theme").firstElementChild, SIGNS[theme]);
  page("theme").setAttribute("aria-label", say("theme"));
  for (const tab of page("tabs").children) {
    tab.setAttribute("aria-selected", tab.dataset.view === shown);
    setText(tab.querySelector(".word"), say(tab.dataset.view));
    const count = state ? VIEWS[tab.dataset.view].count(state) : 0;
    tab.querySelector(".badge").hidden = !count;
    setText(tab.querySelector(".badge"), String(count));
  }
  for (const view of page("views").children) view.hidden = view.id !== `view-${shown}`;
  if (!state) return;
  const crew = state.status.duty?.crew ?? [];
  setText(page("device"), state.status.device);
  setText(page("crew"), crew.length ? crew.join(" ") : say("not_signed_on"));
}

function show(name) {
  shown = name;
  draw();
}

function build() {
  page("theme").append(icon("moon"));
  for (const name of Object.keys(VIEWS)) {
    const tab = el("button", { type: "button", role: "tab", "data-view": name }, icon(name));
    tab.append(el("span", { class: "word" }), el("span", { class: "badge" }));
    tab.addEventListener("click", () => show(name));
    page("tabs").append(tab);
    page("views").append(el("div", { class: "view", id: `view-${name}` }));
  }
  page("language").addEventListener("click", () => {
    setLanguage(getLanguage() === "zh" ? "en" : "zh");
    remember("language", getLanguage());
    draw();
  });
  page("theme").addEventListener("click", () => {
    const root = document.documentElement.dataset;
    root.theme = THEMES[(THEMES.indexOf(root.theme) + 1) % THEMES.length];
    remember("theme", root.theme);
    draw();
  });
  const tick = () => setText(page("clock"), clock(Date.now()));
  setInterval(tick, 1000);
  setInterval(() => state?.status.calls.length && chime(), CALL_MS);
  tick();
}

function take(parts) {
  const next = { ...state, ...parts };
  version ??= next.page;
  // The agent has a newer page; an alarm that is being raised comes first.
  if (version !== next.page && !page("sos").dataset.state) location.reload();
  if (!state && !localStorage.getItem("language")) setLanguage(next.lang);
  const before = state ?? next;
  state = next;
  const isNew = (order) => !before.orders.some((known) => known.id === order.id);
  const come = next.orders.filter((order) => order.open && isNew(order));
  const ordered = come.findLast((order) => order.act === "instruct");
  if (ordered) {
    shown = "instruction";
    choose(null); // it is the newest that has no answer
    close();
  }
  if (come.length) chime();
  draw();
}

document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "night";
setLanguage(localStorage.getItem("language") ?? "zh");
loadIcons();
build();
draw();
addEventListener("redraw", draw);
listen({ state: take, silence: (ms) => showGone(page("gone"), ms, state !== null) });
