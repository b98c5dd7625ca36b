// One alarm: all its steps with who took them, and what the device sent.

import { bdi, h } from "../dom.js";
import { clock, duration, t, term } from "../i18n.js";
import { pairs } from "./list.js";
import { problem } from "./problem.js";

const NEXT = { stored: "accept", accepted: "acknowledge", acknowledged: "close" };
const LABELS = { accept: "accept", acknowledge: "alarms.acknowledge", close: "alarms.close" };

/** What `details` shows of an alarm. */
export async function alarmCard(app, id, changed) {
  let alarm;
  try {
    alarm = await app.session.get(`/api/v1/alarms/${encodeURIComponent(id)}`);
  } catch (error) {
    return { title: t("page.alarms"), content: [problem(error)] };
  }
  const content = h("div", { class: "listing" });
  const off = app.alarms.onChange(async () => {
    const known = app.alarms.get(id);
    if (!known || known.stages.length <= alarm.stages.length) return;
    alarm = known;
    fill();
  });

  function fill() {
    content.replaceChildren(
      h("p", {}, h("span", { class: `tag ${alarm.stage}` }, t(`stage.${alarm.stage}`)), " ", app.named(alarm.device, 100)),
      h("div", { class: "columns" },
        h("section", {}, h("h3", {}, t("alarms.timeline")), steps(app, alarm)),
        h("section", {}, h("h3", {}, t("alarms.sent")), sent(alarm))),
      h("div", { class: "row" },
        h("a", { href: `#/map/alarm/${encodeURIComponent(id)}` }, t("ui.on_map")),
        h("a", { href: `#/devices/${encodeURIComponent(alarm.device)}` }, t("ui.device")), next()));
  }

  function next() {
    const act = NEXT[alarm.stage];
    if (!act || !app.can("dispatcher")) return null;
    const button = h("button", { type: "button", class: "main", id: "advance" }, t(LABELS[act]));
    button.addEventListener("click", async () => {
      button.disabled = true;
      await app.attempt(() => (act === "accept" ? app.alarms.accept(id) : app.alarms.advance(id, act)));
      alarm = app.alarms.get(id) ?? alarm;
      fill();
      changed();
    });
    return button;
  }

  fill();
  return { title: term("kind", alarm.kind), content: [content], end: off };
}

function steps(app, alarm) {
  const pressed = alarm.t > 0 ? [{ stage: null, t: alarm.t }] : [];
  let before = null;
  return h("ol", { class: "steps" }, [...pressed, ...alarm.stages].map((step) => {
    const later = before === null ? "" : ` (+${duration(step.t - before)})`;
    before = step.t;
    return h("li", {},
      h("strong", {}, step.stage === null ? t("alarms.pressed") : t(`stage.${step.stage}`)),
      h("div", { class: "when" }, clock(step.t, app.now()), later),
      step.by ? h("div", {}, `${t("ui.by")}: `, bdi(step.by, 64)) : null,
      step.note ? h("div", {}, `${t("ui.note")}: `, bdi(step.note, 1000)) : null);
  }));
}

function sent({ id, count, flags, clock_offset_ms: offset_ms, data }) {
  return pairs([
    [t("alarms.id"), h("span", { class: "mono" }, bdi(id, 120))],
    [t("alarms.count"), String(count)],
    [t("alarms.text"), data.text ? bdi(data.text, 1000) : null],
    [t("alarms.flags"), flags.length ? bdi(flags.join(", "), 300) : null],
    ["WGS-84", Number.isFinite(data.pos?.lat) ? `${data.pos.lat.toFixed(5)}, ${data.pos.lon.toFixed(5)}` : null],
    ["Δt", offset_ms ? `${(offset_ms / 1000).toFixed(1)} s` : null],
    [t("page.pictures"), data.media?.length ? t("alarms.pictures", data.media.length) : null],
  ]);
}
