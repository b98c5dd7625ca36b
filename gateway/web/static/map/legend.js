// The legend: what the marks on the map say, drawn as they are drawn there.

import { t } from "../i18n.js";
import { ALARM_COLOUR as ALARM, COLOURS, FAULT_COLOUR as FAULT } from "./marks.js";
import { COLD, REACH } from "./areas.js";

const SVG = "http://www.w3.org/2000/svg";
const GREY = COLOURS[""];

const CAR = ["path", { d: "M10 1 L14.6 6.4 A6.4 6.4 0 1 1 5.4 6.4 Z" }];
const SIGNS = {
  foot_patrol: ["path", { d: "M10 7.4 a1.4 1.4 0 1 0 .01 0 z M10 11.8 a1.4 1.4 0 1 0 .01 0 z" }],
  en_route: ["circle", { cx: 10, cy: 11, r: 2.2 }],
  on_scene: ["path", { d: "M6.6 10 h2.4 v-2.4 h2 v2.4 h2.4 v2 h-2.4 v2.4 h-2 v-2.4 h-2.4 z" }],
  parked: ["path", { d: "M7.7 8.7 h4.6 v4.6 h-4.6 z" }],
  clear: ["path", { d: "M10 7.6 a3.4 3.4 0 1 0 .01 0 z M10 9.3 a1.7 1.7 0 1 1 -.01 0 z", "fill-rule": "evenodd" }],
  break: ["path", { d: "M7 8 h1.8 v6 h-1.8 z M11.2 8 h1.8 v6 h-1.8 z" }],
  off: ["path", { d: "M6.6 10 h6.8 v2 h-6.8 z" }],
};

function sign(...shapes) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  for (const [name, attributes] of shapes) {
    const shape = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value);
    svg.append(shape);
  }
  return svg;
}

const INK = "#0b1118";
const box = (fill) => ["rect", { x: 4, y: 4, width: 12, height: 12, fill }];
const BUTTON = ["circle", { cx: 10, cy: 10, r: 2.4, fill: INK }];
const filled = ([name, attributes], fill) => [name, { ...attributes, fill }];
const hollow = ([name, attributes], stroke) => [name, { ...attributes, fill: "none", stroke, "stroke-width": 2 }];
const area = (fill) => sign(["rect", { x: 2, y: 4, width: 16, height: 12, fill, "fill-opacity": 0.5, stroke: fill }]);

const duty = (name) => [
  sign(filled(CAR, COLOURS[name]), ...(SIGNS[name] ? [filled(SIGNS[name], "#0b1118")] : [])), t(`duty.${name}`),
];

/** All that is explained, in groups: [heading, [[sign, text], …]]. */
const groups = () => [
  [t("chart.legend.duty"), Object.keys(COLOURS).filter(Boolean).map(duty)],
  [t("chart.legend.what"), [
    [sign(filled(CAR, GREY)), t("device.vehicle_terminal")],
    [sign(filled(["circle", { cx: 10, cy: 10, r: 5.6 }], GREY), ["circle", { cx: 10, cy: 10, r: 4, fill: "none", stroke: INK }]), t("device.body_camera")],
    [sign(filled(["path", { d: "M10 15 L4 5 h12 z" }], GREY)), t("device.phone")],
    [sign(hollow(CAR, GREY)), t("presence.stale")],
    [sign(hollow(CAR, GREY), ["path", { d: "M5 5 L15 17", stroke: GREY, "stroke-width": 2 }]), t("presence.offline")],
    [sign(["circle", { cx: 10, cy: 10, r: 7.5, fill: "none", stroke: ALARM, "stroke-width": 3.5 }]), t("chart.legend.alarm")],
    [sign(["circle", { cx: 10, cy: 10, r: 7, fill: "none", stroke: "#c9a800", "stroke-width": 2, "stroke-dasharray": "3 3" }]), t("chart.legend.contradicted")],
    [sign(filled(["path", { d: "M10 3 L17 16 H3 Z", stroke: INK }], FAULT), filled(["path", { d: "M9.2 8 h1.6 v5 h-1.6 z" }], INK)), t("chart.fault")],
    [sign(["path", { d: "M8 5 h4 v2 h5 v9 h-14 v-9 h5 z", fill: "#ffffff", stroke: INK }], filled(["circle", { cx: 10, cy: 11.5, r: 2.6 }], INK)), t("chart.camera")],
  ]],
  [t("device.alarm_box"), [
    [sign(box(GREY), BUTTON), t("chart.legend.well")],
    [sign(box(ALARM), BUTTON), t("chart.legend.alarm")],
    [sign(box(FAULT), filled(["path", { d: "M9 6 h2 v5 h-2 z M9 12.5 h2 v2 h-2 z" }], INK)), t("chart.fault")],
    [sign(hollow(box(GREY), GREY)), t("presence.stale")],
    [sign(hollow(box(GREY), GREY), ["path", { d: "M5 5 L15 15", stroke: GREY, "stroke-width": 2 }]), t("presence.offline")],
  ]],
  [t("chart.layer.reach"), Object.entries(REACH).map(([minutes, colour]) => [area(colour), t("chart.legend.minutes", minutes)])],
  [t("chart.layer.cold"), Object.entries(COLD).map(([name, colour]) => [area(colour), t(`chart.cold.${name}`)])],
];

/** The legend, closed until it is asked for. */
export function legend() {
  const root = document.createElement("details");
  root.className = "map-legend";
  const summary = document.createElement("summary");
  summary.textContent = t("chart.legend");
  root.append(summary);
  for (const [heading, rows] of groups()) {
    const list = document.createElement("ul");
    list.setAttribute("aria-label", heading);
    for (const [drawn, text] of rows) {
      const row = document.createElement("li");
      row.append(drawn, text);
      list.append(row);
    }
    const title = document.createElement("strong");
    title.textContent = heading;
    root.append(title, list);
  }
  return root;
}
