// The alarm in turn, on every page: what, where, since when, how many more, and the one key.

import { isTest } from "./alarms.js";
import { h, icon } from "./dom.js";
import { t, term } from "./i18n.js";

/** Show the alarm in turn in `root`, or nothing. */
export function turnBanner(root, app, alarm, waiting) {
  const shown = `${alarm?.id}|${waiting}|${alarm?.count}|${app.siren.isAllowed}|${app.siren.isMuted}`;
  if (root.dataset.shown === shown) return;
  root.dataset.shown = shown;
  if (alarm === null) return void root.replaceChildren();
  const accept = h("button", { type: "button", id: "accept", on: { click: () => app.accept() } }, icon("check"), ` ${t("accept")} `, h("kbd", {}, "A"));
  const isHeard = app.siren.isAllowed && !app.siren.isMuted;
  root.replaceChildren(
    h("div", { class: `banner ${isTest(alarm) ? "calm" : "alarm"}`, role: isTest(alarm) ? "status" : "alert" },
      icon("alarm"),
      h("strong", { class: "what" }, term("kind", alarm.kind)),
      h("span", { class: "where clip" }, app.named(alarm.device, 60)),
      app.age(alarm.received),
      alarm.count > 1 ? h("span", {}, t("pressed", alarm.count)) : null,
      waiting > 1 ? h("span", { class: "rest" }, t("waiting_more", waiting - 1)) : null,
      h("span", { class: "gap" }),
      isHeard || isTest(alarm) ? null : h("span", { class: "hint", id: "sound-hint", title: app.siren.isMuted ? null : t("sound_blocked_how") }, icon("mute"), " ", t(app.siren.isMuted ? "sound_off" : "sound_blocked")),
      waiting > 1 ? h("button", { type: "button", id: "pass-over", title: t("key.next"), on: { click: () => app.alarms.passOver() } }, t("pass_over"), " ", h("kbd", {}, "N")) : null,
      app.can("dispatcher") ? accept : null));
}
