// The list of alarms beside the map: those that wait first, each with its stage and age.

import { isTest } from "../alarms.js";
import { h, icon } from "../dom.js";
import { t, term } from "../i18n.js";

/** `choose(alarm)`: somebody wants to see it. */
export function alarmList(app, choose) {
  const root = h("section", { class: "alarm-list", "aria-label": t("desk.alarms") });
  let opened = null;
  let shown = "";

  function row(alarm, turn) {
    const isTurn = alarm.id === turn?.id;
    const classes = ["row", alarm.stage, isTurn ? "turn" : "", isTest(alarm) ? "test" : "", alarm.id === opened ? "opened" : ""].join(" ");
    return h("li", {},
      h("button", { type: "button", class: classes, data: { alarm: alarm.id }, "aria-current": alarm.id === opened ? "true" : null, on: { click: () => choose(alarm) } },
        icon("alarm"),
        h("span", { class: "kind" }, term("kind", alarm.kind), alarm.count > 1 ? h("small", {}, ` ×${alarm.count}`) : null),
        app.age(alarm.received, "age"),
        h("span", { class: "where clip" }, app.named(alarm.device, 60)),
        h("span", { class: `tag ${alarm.stage}` }, t(`stage.${alarm.stage}`))));
  }

  function group(title, alarms, turn, kind) {
    if (!alarms.length) return null;
    return [h("h2", { class: kind }, title, " ", h("span", { class: "count num" }, String(alarms.length))), h("ul", {}, alarms.slice(0, 200).map((alarm) => row(alarm, turn)))];
  }

  function render() {
    const waiting = app.alarms.waiting();
    const inHand = app.alarms.inHand();
    const turn = app.alarms.turn();
    const tests = app.alarms.tests();
    const signature = JSON.stringify([waiting, inHand, tests].map((list) => list.map(({ id, stage, count }) => [id, stage, count]))) + turn?.id + opened;
    if (signature === shown) return;
    shown = signature;
    const focused = document.activeElement?.dataset?.alarm;
    const top = root.scrollTop;
    root.replaceChildren(...[group(t("waiting"), waiting, turn, "wait"), group(t("in_hand"), inHand, turn, "hand"), group(t("desk.tests"), tests, turn, "tests")].flat(2).filter(Boolean));
    if (!root.children.length) root.replaceChildren(h("p", { class: "empty" }, icon("check"), h("br"), t("no_alarms"), h("br"), h("small", {}, t("desk.start_how"))));
    root.scrollTop = top;
    if (focused) root.querySelector(`[data-alarm="${CSS.escape(focused)}"]`)?.focus();
  }

  const off = app.alarms.onChange(render);
  render();
  return {
    root,
    open(id) {
      opened = id;
      render();
    },
    /** The alarm so many rows after the one that is open. */
    beside(step) {
      const all = [...app.alarms.waiting(), ...app.alarms.inHand(), ...app.alarms.tests()];
      const at = all.findIndex(({ id }) => id === opened);
      return all[at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + step))] ?? null;
    },
    end: off,
  };
}
