// Bars in minutes, drawn small, with the limits that people are judged by.

import { t } from "../i18n.js";

const SVG = "http://www.w3.org/2000/svg";
const W = 640;
const H = 180;
const FLOOR = 150;
const LAST = 15; // minutes; the last bar holds the rest

function draw(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}

/** How many took how many minutes. */
export function histogram(durations_ms, title) {
  const counts = new Array(LAST + 1).fill(0);
  for (const ms of durations_ms) counts[Math.min(LAST, Math.floor(ms / 60_000))]++;
  const most = Math.max(1, ...counts);
  const step = W / (LAST + 1);
  const said = counts.map((count, minute) => (count ? t("arrivals.plot_said", minute === LAST ? t("arrivals.more_than", LAST) : `${minute}–${minute + 1}`, count) : "")).filter(Boolean).join("; ");
  const svg = draw("svg", { viewBox: `-8 0 ${W + 16} ${H}`, class: "plot", role: "img", "aria-label": `${title}: ${said}` });
  counts.forEach((count, minute) => {
    const height = (count / most) * (FLOOR - 24);
    const kind = minute < 5 ? "in-5" : minute < 10 ? "in-10" : "late";
    svg.append(draw("rect", { x: minute * step + 3, y: FLOOR - height, width: step - 6, height, class: kind, rx: 2 }));
    if (count) svg.append(draw("text", { x: (minute + 0.5) * step, y: FLOOR - height - 5, class: "count" }, String(count)));
    svg.append(draw("text", { x: minute * step, y: FLOOR + 16, class: "tick" }, String(minute)));
  });
  for (const limit of [5, 10]) svg.append(draw("line", { x1: limit * step, x2: limit * step, y1: 4, y2: FLOOR, class: "limit" }));
  svg.append(draw("line", { x1: 0, x2: W, y1: FLOOR, y2: FLOOR, class: "floor" }));
  return svg;
}
