// What happened in a film, as its time goes by: alarms, orders, duty; and which alarms were open then.

import { bdi, h, icon } from "../dom.js";
import { clock, t, term } from "../i18n.js";

const MOST = 100; // the newest are listed
const GROUPS = {
  alarm: ["alarm.raised", "alarm.updated", "alarm.stage"],
  command: ["command"],
  duty: ["duty", "unit.arrival", "unit.contradiction"],
  presence: ["presence"],
};
const SIGNS = { alarm: "alarm", command: "send", duty: "car", presence: "link" };
const groupOf = (type) => Object.keys(GROUPS).find((group) => GROUPS[group].includes(type));

/** `open(entry)`: one was chosen. */
export function eventList(app, open) {
  let film = null;
  let drawn = "";
  let acts = new Map(); // by command
  let last = 0;
  const boxes = Object.keys(GROUPS).map((group) => {
    const box = h("input", { type: "checkbox", checked: group !== "presence", data: { group }, on: { change: () => draw(last) } });
    return h("label", {}, box, t(`past.${group}`));
  });
  const rows = h("ol", { class: "past-events", id: "past-events" });
  const root = h("section", { "aria-label": t("past.events") }, h("div", { class: "past-groups" }, boxes), rows);

  function show(newest) {
    film = newest;
    drawn = "";
    acts = new Map();
    rows.replaceChildren();
  }

  function draw(now) {
    last = now;
    const wanted = new Set(boxes.map((label) => label.firstChild).filter((box) => box.checked).map((box) => box.dataset.group));
    const gone = film.events.filter((entry) => entry.t <= now && wanted.has(groupOf(entry.type)));
    const key = `${[...wanted]}|${gone.length}|${film.events.length}`;
    if (key === drawn) return;
    drawn = key;
    for (const { type, event } of film.events) if (type === "command" && event.data.act) acts.set(event.data.cmd, event.data.act);
    const newest = gone.slice(-MOST).reverse();
    if (!newest.length) return rows.replaceChildren(h("li", { class: "empty" }, t("past.nothing")));
    rows.replaceChildren(...newest.map(row));
  }

  function row(entry) {
    const group = groupOf(entry.type);
    return h("li", {}, h("button", { type: "button", class: `plain ${group}`, on: { click: () => open(entry) } },
      h("time", { class: "num" }, clock(entry.t, entry.t)), icon(SIGNS[group]),
      h("span", { class: "what" }, what(entry)), h("span", { class: "where clip" }, app.named(entry.event.subject, 40))));
  }

  function what({ type, event: { data } }) {
    switch (type) {
      case "alarm.raised": return h("strong", {}, term("kind", data.kind));
      case "alarm.stage": return [t(`stage.${data.stage}`), data.by ? [" · ", bdi(data.by, 40)] : null];
      case "alarm.updated": return t("past.updated");
      case "command": {
        const state = data.overdue ? t("state.overdue") : data.state === "step" ? t("state.step", (data.step ?? 0) + 1) : term("state", data.state);
        return [acts.has(data.cmd) ? term("act", acts.get(data.cmd)) : t("past.command"), " · ", state];
      }
      case "duty": return term("duty", data.act === "off_duty" ? "off" : data.act);
      case "unit.arrival": return t("past.arrival");
      case "unit.contradiction": return term("contradiction", data.kind);
      default: return t(data.online ? "presence.online" : "presence.offline");
    }
  }

  /** Bring the list to that time, and give the alarms that were open then, where they stood. */
  function at(now, placed) {
    draw(now);
    const opened = new Map();
    for (const { t: when, type, event } of film.events) {
      if (when > now) break;
      if (type === "alarm.raised") opened.set(event.id, { id: event.id, kind: event.data.kind, stage: "stored", place: event.data.pos ?? placed(event.subject) });
      else if (type === "alarm.stage" && opened.has(event.data.alarm)) opened.get(event.data.alarm).stage = event.data.stage;
    }
    return [...opened.values()].filter(({ stage, place }) => stage !== "closed" && Number.isFinite(place?.lat))
      .map(({ place, ...alarm }) => ({ ...alarm, lat: place.lat, lon: place.lon }));
  }

  return { root, show, at };
}
