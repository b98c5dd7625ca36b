// One alarm: how far it has got, what is known, its pictures, who is near, and who was sent.

import { placeOf } from "../alarms.js";
import { bdi, h, icon } from "../dom.js";
import { gridAt } from "../grids.js";
import { clock, distance, duration, t, term } from "../i18n.js";
import { openDialog } from "../keys.js";
import { gallery } from "./gallery.js";
import { order, orderList, toAlarm } from "./orders.js";

const ASKED = 30;
const OFFERED = 6; // besides those that are sent
const OLD_MS = 10_000;
const AGAIN_MS = 15_000;
const SETTLE_MS = 800;
const STAGES = ["stored", "accepted", "acknowledged", "closed"];
const SEND_AS = ["alarm", "robbery", "fire", "medical", "knife", "brawl", "theft", "traffic_accident", "missing_child", "chemical_spill", "drunk_driving"];
/** The kind of incident that a kind of alarm most often is. */
const USUALLY = { hold_up: "robbery", fire: "fire", medical: "medical", man_down: "medical" };

/** The card; `places(units)` hears which units are offered. */
export function alarmCard(app, id, { close, choose }) {
  const root = h("article", { class: "card", "aria-label": t("alarm") });
  const top = h("div", { class: "top" });
  const facts = h("dl", { class: "facts" });
  const near = h("ol", { class: "near" });
  const kind = h("select", { id: "send-as" }, SEND_AS.map((each) => h("option", { value: each }, t(`incident.${each}`))));
  const words = h("input", { id: "send-words", maxlength: "1000" });
  let alarm = app.alarms.get(id) ?? null;
  let place = null;
  let grid = null;
  let units = [];
  const fresh = new Map(); // a number of the list, and when it got another unit
  let timer = null;
  let isOver = false;
  let shown = "";
  if (alarm) kind.value = USUALLY[alarm.kind] ?? "alarm";

  const pictures = gallery(app, `/api/v1/media?alarm=${encodeURIComponent(id)}&limit=50`, (_, data) => data.ref === id, (taken) => {
    if (!alarm || alarm.t <= 0) return clock(taken, app.now());
    const apart = taken - (alarm.t + (alarm.clock_offset_ms ?? 0));
    return t(apart < 0 ? "picture.before" : "picture.after", seconds(Math.abs(apart)));
  });
  const orders = orderList(app, ["/api/v1/commands?limit=200"], (command) => command.args?.incident === id.slice(0, 64));
  orders.onChange(() => offer());

  root.append(top, facts,
    h("section", {}, h("h3", {}, t("card.pictures")), pictures.root),
    h("section", { class: "nearest" }, h("h3", {}, t("card.nearest")),
      app.can("dispatcher") ? h("div", { class: "send-form" }, h("label", {}, t("card.as"), kind), h("label", {}, t("card.words"), words)) : null,
      near),
    h("section", {}, h("h3", {}, t("card.orders")), orders.root));

  async function begin() {
    if (!alarm) {
      try {
        alarm = await app.session.get(`/api/v1/alarms/${encodeURIComponent(id)}`);
        kind.value = USUALLY[alarm.kind] ?? "alarm";
      } catch {
        if (!isOver) root.replaceChildren(h("p", { class: "empty" }, t("card.gone", id.slice(0, 80))));
        return;
      }
    }
    show();
    nearest();
  }

  function show() {
    if (isOver || !alarm) return;
    place = placeOf(alarm) ?? registered();
    const signature = `${alarm.stages.length}|${alarm.count}|${alarm.flags}|${place?.lat}|${grid}|${app.devices.name(alarm.device)}`;
    if (signature === shown) return;
    const isNew = shown === "";
    shown = signature;
    const stages = new Map(alarm.stages.map((step) => [step.stage, step]));
    top.replaceChildren(
      h("header", {},
        h("h2", {}, icon("alarm"), " ", term("kind", alarm.kind), alarm.count > 1 ? h("small", {}, ` · ${t("pressed", alarm.count)}`) : null),
        app.age(alarm.received, "age"),
        h("button", { class: "plain", type: "button", "aria-label": t("card.close"), title: t("card.close"), on: { click: close } }, icon("close"))),
      h("p", { class: "name wrap" }, app.named(alarm.device)),
      h("ol", { class: "ladder" }, STAGES.map((stage) => {
        const step = stages.get(stage);
        return h("li", { class: step ? "reached" : "" }, h("b", {}, t(`stage.${stage}`)), h("span", { class: "num" }, step ? clock(step.t, app.now()) : "–"), h("span", { class: "clip" }, step?.by ? bdi(step.by, 40) : ""));
      })),
      acts());
    const flags = alarm.flags.filter((flag) => t(`flag.${flag}`) !== `flag.${flag}`);
    facts.replaceChildren(...[
      ["raised", clock(alarm.received, app.now())],
      ["card.device", h("span", { class: "mono wrap" }, bdi(alarm.device, 64))],
      ["card.place", place ? [grid ? [bdi(grid, 60), " · "] : null, h("span", { class: "num" }, `${place.lat.toFixed(5)}, ${place.lon.toFixed(5)}`)] : t("card.no_place")],
      alarm.data.zone ? ["card.zone", bdi(alarm.data.zone)] : null,
      alarm.data.text ? ["card.text", bdi(alarm.data.text, 1000)] : null,
      flags.length ? ["card.notes", flags.map((flag) => t(`flag.${flag}`)).join(" · ")] : null,
    ].filter(Boolean).flatMap(([key, value]) => [h("dt", {}, t(key)), h("dd", { class: "wrap" }, value)]));
    if (isNew && place) choose(alarm, place);
    if (place && grid === null) {
      grid = "";
      gridAt(app.session, place).then((name) => {
        grid = name ?? "";
        show();
      });
    }
  }

  function registered() {
    const device = app.devices.get(alarm.device);
    const fix = device?.position;
    if (Number.isFinite(device?.lat)) return { lat: device.lat, lon: device.lon };
    return Number.isFinite(fix?.lat) ? { lat: fix.lat, lon: fix.lon } : null;
  }

  function acts() {
    if (!app.can("dispatcher")) return null;
    const button = (label, act, isMain, key) => h("button", { type: "button", class: isMain ? "main" : "", on: { click: act } }, label, key ? [" ", h("kbd", {}, key)] : null);
    const advance = (act, note) => app.attempt(() => app.alarms.advance(id, act, note));
    return h("div", { class: "acts" },
      alarm.stage === "stored" ? button(t("accept_this"), () => app.attempt(() => app.alarms.accept(id), "not_accepted"), true, app.alarms.turn()?.id === id ? "A" : null) : null,
      alarm.stage === "accepted" ? button(t("card.acknowledge"), () => advance("acknowledge"), true) : null,
      alarm.stage !== "closed" && alarm.stage !== "stored" ? button(t("card.close_alarm"), () => ask(advance), false) : null);
  }

  function ask(advance) {
    const note = h("input", { maxlength: "1000", id: "close-note" });
    const sure = h("button", { class: "main", type: "button" }, t("card.close_alarm"));
    const dialog = openDialog(t("card.close_alarm"), h("p", {}, t("card.close_sure")), h("p", {}, h("label", { class: "filters" }, t("card.note"), note)),
      h("div", { class: "row" }, h("button", { type: "button", on: { click: () => dialog.close() } }, t("cancel")), sure));
    sure.addEventListener("click", () => {
      dialog.close();
      advance("close", note.value.trim());
    });
  }

  async function nearest() {
    clearTimeout(timer);
    if (isOver) return;
    if (place) {
      try {
        take((await app.session.get(`/api/v1/nearest?lat=${place.lat}&lon=${place.lon}&limit=${ASKED}`)).units);
        offer();
      } catch {
        // the list stays; asked again below
      }
    }
    if (!isOver) timer = setTimeout(nearest, AGAIN_MS);
  }

  /** Those that are free come first, each by its time; the caller is not sent to itself. A unit keeps
      its number while it is listed: a key must not mean another one all at once. */
  function take(found) {
    const others = found.filter(({ unit }) => unit !== alarm.device);
    const isSent = new Set(others.filter(({ unit }) => sentTo(unit)).map(({ unit }) => unit));
    const ranked = others.filter(({ unit }) => !isSent.has(unit)).sort((a, b) => b.available - a.available).slice(0, OFFERED);
    const rest = new Map([...ranked, ...others.filter(({ unit }) => isSent.has(unit))].map((unit) => [unit.unit, unit]));
    const kept = units.map((unit) => rest.get(unit.unit) ?? null);
    for (const unit of kept) if (unit) rest.delete(unit.unit);
    const come = [...rest.values()];
    const isFirst = units.length === 0;
    units = [...kept.map((unit, n) => unit ?? (come.length ? settle(come.shift(), n) : null)), ...come].filter(Boolean);
    if (isFirst) fresh.clear();
  }

  function settle(unit, n) {
    fresh.set(n, Date.now());
    return unit;
  }

  /** The order that it has for this alarm, or nothing. */
  function sentTo(unit) {
    return orders.all().find((command) => command.act === "instruct" && (command.target?.unit ?? command.device) === unit && !["refused", "failed", "expired", "cancelled"].includes(command.state));
  }

  function offer() {
    if (isOver || !place) return;
    const focused = document.activeElement?.dataset?.send;
    near.replaceChildren(...(units.length ? units.map((unit, n) => {
      const sent = sentTo(unit.unit);
      const about = [distance(unit.straight_m), unit.on_foot ? t("card.on_foot") : "", unit.age_ms > OLD_MS ? t("card.seen", duration(unit.age_ms)) : ""];
      return h("li", { class: sent ? "sent" : unit.available ? "free" : "" },
        h("a", { href: `#/map/unit/${encodeURIComponent(unit.unit)}`, class: "clip" }, app.named(unit.unit, 40)),
        h("span", { class: "num time" }, unit.seconds === null ? t("card.no_way") : duration(1000 * unit.seconds)),
        h("span", { class: "more" }, h("span", { class: `tag ${unit.available ? "good" : ""}` }, term("duty", unit.state)),
          sent ? h("b", { class: "order" }, t("card.order_is", term("state", sent.state))) : null, h("span", { class: "quiet num" }, about.filter(Boolean).join(" · "))),
        app.can("dispatcher") ? h("button", { type: "button", class: "act", data: { send: unit.unit }, disabled: Boolean(sent), on: { click: () => send(n) } }, sent ? [icon("check"), " ", t("card.sent_already")] : [t("card.send"), n < 9 ? [" ", h("kbd", {}, String(n + 1))] : null]) : null);
    }) : [h("li", { class: "quiet" }, t("card.no_units"))]));
    if (focused) near.querySelector(`[data-send="${CSS.escape(focused)}"]`)?.focus();
  }

  /** Send the nth unit of the list to this alarm. */
  async function send(n) {
    const unit = units[n];
    if (Date.now() - (fresh.get(n) ?? 0) < SETTLE_MS) return; // another unit had this number just now
    if (!unit || !alarm || !app.can("dispatcher") || sentTo(unit.unit)) return;
    await app.attempt(async () => {
      const { commands } = await order(app, unit.unit, "instruct", toAlarm(app, alarm, place, kind.value, words.value.trim()));
      orders.take(commands);
      app.toast(t("card.sent", app.devices.name(unit.unit).slice(0, 40)), "good");
    });
  }

  const offs = [
    app.alarms.onChange(() => {
      alarm = app.alarms.get(id) ?? alarm;
      show();
    }),
    app.devices.onChange((device) => {
      if (device !== alarm?.device) return;
      const had = place;
      show();
      if (!had && place) nearest();
    }),
    app.stream.on("unit.changed", () => {
      clearTimeout(timer);
      timer = setTimeout(nearest, 500);
    }),
  ];
  begin();
  return {
    root,
    send,
    end() {
      isOver = true;
      clearTimeout(timer);
      pictures.end();
      orders.end();
      offs.forEach((off) => off());
    },
  };
}

/** 3.0 s below a minute, as other durations above. */
function seconds(ms) {
  return ms < 60_000 ? t("s", (ms / 1000).toFixed(1)) : duration(ms);
}
