// The live feed: events as they happen, on where a cut broke them off.

import { bdi, h, icon } from "../dom.js";
import { addWords, clock, t, term } from "../i18n.js";
import { Stream } from "../stream.js";
import { words } from "../words/system.js";

addWords(words);
const MOST = 500; // events kept on the page: it is open for days
const TYPES = ["alarm.raised", "alarm.stage", "alarm.updated", "duty", "presence", "media", "command", "unit.changed", "unit.contradiction", "unit.arrival", "media.custody", "position", "status"];
const OFTEN = new Set(["position", "status"]); // thousands a minute: only on demand
const KEPT = "fieldgate.feed-types";

export async function mount(root, app) {
  const chosen = new Set(JSON.parse(localStorage.getItem(KEPT) ?? "null")?.filter((type) => TYPES.includes(type)) ?? TYPES.filter((type) => !OFTEN.has(type)));
  const stream = new Stream(app.session, () => [...chosen]);
  let isPaused = false;
  let waiting = []; // the newest last
  let dropped = 0;
  let frame = null;

  const rows = h("tbody");
  const empty = h("p", { class: "empty", role: "status" }, t("feed.nothing"));
  const link = h("span", { class: "tag", role: "status" });
  const told = h("p", { class: "quiet", role: "status" });
  const pause = h("button", { type: "button", id: "pause", "aria-pressed": "false", on: { click: () => turn(!isPaused) } });
  const clear = h("button", { type: "button", on: { click: wipe } }, t("feed.clear"));
  const boxes = TYPES.map((type) => {
    const box = h("button", { type: "button", "aria-pressed": String(chosen.has(type)), data: { type }, on: { click: () => choose(type, box) } }, t(`type.${type}`));
    return box;
  });
  const scroll = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("page.feed"), hidden: true },
    h("table", { class: "cards", id: "feed" }, h("thead", {}, h("tr", {}, ["ui.time", "feed.type", "ui.device", "feed.what", "feed.number"].map((key) => h("th", { scope: "col" }, t(key))))), rows));
  root.replaceChildren(h("div", { class: "sheet" },
    h("header", {}, h("h1", {}, t("page.feed")), link, pause, clear,
      h("div", { class: "filters" }, h("div", { class: "chips", role: "group", "aria-label": t("feed.types") }, boxes))),
    h("p", { class: "quiet" }, t("feed.how")), told, scroll, empty));

  function wipe() {
    rows.replaceChildren();
    waiting = [];
    dropped = 0;
    say();
  }

  function turn(on) {
    isPaused = on;
    pause.setAttribute("aria-pressed", String(on));
    pause.textContent = t(on ? "feed.resume" : "feed.pause");
    draw();
  }

  function choose(type, box) {
    if (!chosen.has(type)) chosen.add(type);
    else if (chosen.size > 1) chosen.delete(type);
    box.setAttribute("aria-pressed", String(chosen.has(type)));
    localStorage.setItem(KEPT, JSON.stringify([...chosen]));
    stream.again();
  }

  function take(event) {
    waiting.push(event);
    if (waiting.length > MOST) {
      waiting.shift();
      dropped++;
    }
    frame ??= requestAnimationFrame(draw);
  }

  function draw() {
    frame = null;
    if (!isPaused) {
      rows.prepend(...waiting.reverse().map(row));
      waiting = [];
      while (rows.children.length > MOST) {
        rows.lastChild.remove();
        dropped++;
      }
    }
    say();
  }

  function say() {
    scroll.hidden = !rows.children.length;
    empty.hidden = !scroll.hidden;
    const texts = [];
    if (isPaused) texts.push(t("feed.held_back", waiting.length));
    if (dropped) texts.push(t("feed.dropped", MOST, dropped));
    const text = texts.join(" · ");
    if (told.textContent !== text) told.textContent = text;
    told.hidden = !text;
  }

  function row(event) {
    const type = event.type.replace(/^fieldgate\./, "").replace(/\.v1$/, "");
    const cell = (key, content, kind) => h("td", { class: kind, data: { head: t(key) } }, content);
    return h("tr", {},
      cell("ui.time", clock(event.data.received ?? Date.parse(event.time), app.now()), "num"),
      cell("feed.type", h("span", { class: `tag ${type === "alarm.raised" ? "stored" : ""}` }, term("type", type))),
      cell("ui.device", event.subject ? app.named(event.subject, 60) : "–"),
      cell("feed.what", h("details", {}, h("summary", {}, summary(type, event.data)), h("pre", { class: "hex" }, JSON.stringify(event, null, 1)))),
      cell("feed.number", event.sequence, "num"));
  }

  function linked() {
    link.className = `tag ${stream.state === "live" ? "good" : "care"}`;
    link.replaceChildren(icon(stream.state === "live" ? "link" : "unlink"), t(`link.${stream.state}`));
  }

  stream.on("event", take);
  stream.on("state", linked);
  turn(false);
  linked();
  stream.start();
  return () => {
    stream.stop();
    cancelAnimationFrame(frame);
  };
}

/** What an event says, in a line. */
function summary(type, data) {
  const parts = {
    "alarm.raised": () => [term("kind", data.kind), data.text],
    "alarm.stage": () => [term("stage", data.stage), data.by, data.note],
    "alarm.updated": () => [data.alarm],
    duty: () => [term("duty", data.act), data.ref],
    presence: () => [term("presence", data.state ?? (data.online ? "online" : "offline")), data.fw],
    command: () => [data.act, data.state, data.detail],
    position: () => [`${Number(data.lat).toFixed(5)}, ${Number(data.lon).toFixed(5)}`],
    media: () => [data.reason, data.mime],
    "unit.changed": () => [data.unit, data.state],
    "unit.contradiction": () => [data.unit, data.kind],
    "unit.arrival": () => [data.unit, data.incident],
  }[type]?.() ?? Object.entries(data).slice(0, 3).map(([name, value]) => `${name}=${typeof value === "object" ? "…" : value}`);
  const said = parts.filter((part) => part !== null && part !== undefined && part !== "");
  return said.length ? said.flatMap((part, n) => [n ? " · " : "", bdi(part, 80)]) : "–";
}
