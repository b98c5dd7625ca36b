// Which units are free? How many do what, and who they are, from what the map knows already.

import { bdi, h } from "../dom.js";
import { duration, t, term } from "../i18n.js";
import { DUTIES } from "../map/fleet.js";
import { ONLINE, STATE } from "../map/frames.js";

const COUNT_MS = 1000;
const MOST = 200;
/** What a unit is to the one who sends it; who is not heard of is counted as silent, whatever it does. */
const GROUPS = {
  free: ["on_duty", "vehicle_patrol", "foot_patrol", "parked", "clear"],
  en_route: ["en_route"],
  on_scene: ["on_scene"],
  away: ["break", "off", ""],
  silent: [],
};
const groupOf = (duty) => Object.keys(GROUPS).find((name) => GROUPS[name].includes(duty)) ?? "away";

/** `choose(unit)`: somebody wants to see it. Give it the map once that is there. */
export function force(choose) {
  const buttons = Object.fromEntries(Object.keys(GROUPS).map((name) => [name, h("button", { type: "button", data: { group: name }, "aria-expanded": "false", on: { click: () => open(name) } })]));
  const list = h("ul", { hidden: true });
  const root = h("section", { class: "force", "aria-label": t("force.title"), hidden: true },
    h("h2", {}, t("force.title"), " ", h("span", { class: "count num" })), h("div", { class: "groups" }, Object.values(buttons)), list);
  let map = null;
  let opened = null;
  let last = 0;
  let shown = "";

  function sort() {
    const found = Object.fromEntries(Object.keys(GROUPS).map((name) => [name, []]));
    const { fleet } = map;
    for (let row = 0; row < fleet.count; row++) {
      const fact = fleet.facts[row];
      if (!fact?.unit || fact.gone) continue;
      const duty = DUTIES[fleet.bytes[4 * row + 1]];
      const isHeard = (fleet.bytes[4 * row + 2] & STATE) === ONLINE;
      found[isHeard ? groupOf(duty) : "silent"].push(row);
    }
    return found;
  }

  function render() {
    const now = Date.now();
    if (map === null || now - last < COUNT_MS) return;
    last = now;
    const found = sort();
    const all = Object.values(found).reduce((sum, rows) => sum + rows.length, 0);
    root.hidden = all === 0;
    root.querySelector("h2 .count").textContent = String(all);
    for (const [name, button] of Object.entries(buttons)) {
      button.replaceChildren(h("b", { class: "num" }, String(found[name].length)), h("span", {}, t(`force.${name}`)));
      button.setAttribute("aria-expanded", String(name === opened));
    }
    listed(opened === null ? [] : found[opened]);
  }

  function listed(rows) {
    const { fleet } = map;
    list.hidden = opened === null;
    const units = rows.map((row) => fleet.facts[row]).sort((a, b) => (a.name || a.id).localeCompare(b.name || b.id, "zh", { numeric: true }));
    const age = (unit) => Math.round(fleet.ageS(fleet.byId.get(unit.id)));
    const signature = `${opened}|${units.map((unit) => `${unit.id} ${unit.duty}`)}`;
    if (signature === shown) return;
    shown = signature;
    const focused = document.activeElement?.dataset?.unit;
    list.replaceChildren(...units.slice(0, MOST).map((unit) => h("li", {},
      h("button", { type: "button", data: { unit: unit.id }, on: { click: () => choose(unit.id) } },
        h("span", { class: "clip" }, bdi(unit.name || unit.id, 60)),
        opened === "silent" && age(unit) < 65_000 ? h("span", { class: "num quiet" }, t("ago", duration(1000 * age(unit)))) : null,
        h("span", { class: "tag" }, unit.duty ? term("duty", unit.duty) : t("unknown"))))),
    ...(units.length > MOST ? [h("li", { class: "quiet" }, t("force.more", units.length - MOST))] : []),
    ...(units.length ? [] : [h("li", { class: "quiet" }, t("none"))]));
    if (focused) list.querySelector(`[data-unit="${CSS.escape(focused)}"]`)?.focus();
  }

  function open(name) {
    opened = opened === name ? null : name;
    last = 0;
    shown = "";
    render();
  }

  return {
    root,
    /** Open or shut the list of those that are free. */
    free: () => open("free"),
    follow(shownMap) {
      map = shownMap;
      map.on("update", render);
      render();
    },
  };
}
