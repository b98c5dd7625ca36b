// Orders: sending them, and what becomes of each, step by step, as it happens.

import { bdi, h } from "../dom.js";
import { clock, t, term } from "../i18n.js";
import { newId } from "../session.js";

const ENDED = new Set(["done", "refused", "failed", "expired", "cancelled"]);
const BAD = new Set(["refused", "failed", "expired", "cancelled"]);

/** Order something of a unit: all its devices get it. The same `key` again is the same order. */
export function order(app, unit, act, args) {
  return app.session.post("/api/v1/commands", { to: { unit }, act, args, by: app.session.name || undefined }, { key: newId() });
}

/** The args of an `instruct` that sends somebody to an alarm. */
export function toAlarm(app, alarm, place, kind, text) {
  const device = app.devices.get(alarm.device);
  return {
    incident: alarm.id.slice(0, 64),
    kind,
    address: [device?.site, device?.name || alarm.device].filter(Boolean).join(" ").slice(0, 1000),
    ...(place ? { lat: place.lat, lon: place.lon } : {}),
    text: text.slice(0, 1000),
  };
}

/** A list that follows orders: those that `paths` give, and all that come and are wanted. */
export function orderList(app, paths, isWanted, { withUnit = true } = {}) {
  const known = new Map();
  const list = h("ol", { class: "orders" });
  const none = h("p", { class: "quiet" }, t("card.no_orders"));
  const root = h("div", {}, none, list);
  const listeners = new Set();
  let isOver = false;

  function take(commands) {
    for (const command of commands.filter(isWanted)) {
      const before = known.get(command.id);
      if (!before || before.timeline.length <= command.timeline.length) known.set(command.id, command);
    }
    if (isOver) return;
    none.hidden = known.size > 0;
    list.replaceChildren(...[...known.values()].sort((a, b) => b.t - a.t).slice(0, 30).map(item));
    for (const listener of listeners) listener();
  }

  function item(command) {
    const canCallBack = app.can("dispatcher") && !ENDED.has(command.state) && command.act !== "cancel";
    const callBack = h("button", { type: "button", on: { click: () => app.attempt(async () => take([await app.session.post(`/api/v1/commands/${encodeURIComponent(command.id)}/cancel`, { by: app.session.name || undefined })])) } }, t("card.call_back"));
    const words = command.act === "text" ? command.args.text : command.args.text || "";
    return h("li", {},
      h("div", { class: "head" },
        h("strong", {}, term("act", command.act)),
        withUnit ? app.named(command.device, 40) : null,
        h("span", { class: `tag ${BAD.has(command.state) ? "care" : command.state === "done" ? "good" : ""}` }, term("state", command.state)),
        command.overdue ? h("span", { class: "tag care" }, t("state.overdue")) : null,
        canCallBack ? callBack : null),
      words ? h("p", { class: "wrap" }, bdi(words)) : null,
      h("ol", { class: "timeline" }, command.timeline.map((moment) => h("li", {},
        h("span", { class: "num quiet" }, clock(moment.t, app.now())), " ",
        moment.state === "step" ? t("state.step", (moment.step ?? 0) + 1) : term("state", moment.state),
        moment.by ? [" · ", bdi(moment.by, 40)] : null,
        moment.detail ? [" · ", bdi(moment.detail, 120)] : null))));
  }

  async function load() {
    for (const path of paths) {
      try {
        take((await app.session.get(path)).commands);
      } catch {
        // asked again when the stream is on again
      }
    }
  }

  const offs = [
    app.stream.on("live", load),
    app.stream.on("command", async ({ data }) => {
      try {
        const command = await app.session.get(`/api/v1/commands/${encodeURIComponent(data.cmd)}`);
        if (isWanted(command)) take([command]);
      } catch {
        // a reply to what nobody has sent
      }
    }),
  ];
  load();
  return {
    root,
    take,
    /** The commands that are known, newest first. */
    all: () => [...known.values()],
    onChange: (listener) => listeners.add(listener),
    end() {
      isOver = true;
      offs.forEach((off) => off());
    },
  };
}
