// The page: what it is made of, and how its parts meet.

import { listen } from "./agent.js";
import { drawDuty } from "./duty.js";
import { clock, el, icon, setIcon, setText } from "./dom.js";
import { drawNotices, showGone } from "./notices.js";
import { drawReports } from "./reports.js";
import { drawSos } from "./sos.js";
import { drawLamps } from "./lamps.js";
import { getLanguage, say, setLanguage } from "./words.js";

const THEMES = ["night", "dim", "day"];
const SIGNS = { night: "moon", dim: "dim", day: "sun" };
const VIEWS = { reports: drawReports };

const page = (id) => document.getElementById(id);
let state = null; // as the agent last said
let version = null;
let shown = "reports";
const remember = (key, value) => localStorage.setItem(key, value);

function draw() {
  drawFrame();
  drawSos(state);
  if (!state) return;
  drawLamps(page("lamps"), state.status);
  drawDuty(page("duty"), state);
  drawNotices(page("notices"), state);
  for (const [name, drawView] of Object.entries(VIEWS)) drawView(page(`view-${name}`), state);
}

function drawFrame() {
  const theme = document.documentElement.dataset.theme;
  setText(page("language"), say("other_language"));
  setIcon(page("theme").firstElementChild, SIGNS[theme]);
  page("theme").setAttribute("aria-label", say("theme"));
  for (const tab of page("tabs").children) {
    tab.setAttribute("aria-selected", tab.dataset.view === shown);
    setText(tab.querySelector(".word"), say(tab.dataset.view));
  }
  for (const view of page("views").children) view.hidden = view.id !== `view-${shown}`;
  if (!state) return;
  const crew = state.status.duty?.crew ?? [];
  setText(page("device"), state.status.device);
  setText(page("crew"), crew.length ? crew.join(" ") : say("not_signed_on"));
}

function choose(name) {
  shown = name;
  draw();
}

function build() {
  page("theme").append(icon("moon"));
  for (const name of Object.keys(VIEWS)) {
    const tab = el("button", { type: "button", role: "tab", "data-view": name }, icon(name));
    tab.append(el("span", { class: "word" }));
    tab.addEventListener("click", () => choose(name));
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
  tick();
}

function take(next) {
  if (version !== null && version !== next.page) location.reload(); // the agent has a newer page
  version = next.page;
  if (!state && !localStorage.getItem("language")) setLanguage(next.lang);
  state = next;
  draw();
}

document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "night";
setLanguage(localStorage.getItem("language") ?? "zh");
build();
draw();
addEventListener("redraw", draw);
listen({ state: take, silence: (ms) => showGone(page("gone"), ms, state !== null) });
