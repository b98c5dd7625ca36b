// The live feed: the newest events and those that follow, on where a cut broke them off.

import { bdi, h, icon } from "../dom.js";
import { addWords, clock, distance, t, term } from "../i18n.js";
import { Stream } from "../stream.js";
import { choice } from "../ui/fields.js";
import { deviceLink, linkTo } from "../ui/links.js";
import { csv, fileName, iso, save } from "../ui/save.js";
import { words as field } from "../words/console.js";
import { words } from "../words/system.js";

addWords(field);
addWords(words);
const MOST = 500; // events kept on the page: it is open for days
const TYPES = ["alarm.raised", "alarm.stage", "alarm.updated", "duty", "presence", "media", "command", "unit.changed", "unit.contradiction", "unit.arrival", "media.custody", "position", "status"];
const OFTEN = new Set(["position", "status"]); // thousands a minute: only on demand
const KEPT = "fieldgate.feed-types";
const NUM = new Set(["ui.time", "feed.number"]);
const BEFORE = [0, 50, 200, MOST]; // how far to look back

export async function mount(root, app) {
  const chosen = new Set(JSON.parse(localStorage.getItem(KEPT) ?? "null")?.filter((type) => TYPES.includes(type)) ?? TYPES.filter((type) => !OFTEN.has(type)));
  let stream = null;
  let asked = 0;
  let isPaused = false;
  let waiting = []; // the newest last
  let shown = []; // the newest first, as the rows
  let dropped = 0;
  let frame = null;

  const rows = h("tbody");
  const empty = h("p", { class: "empty", role: "status" }, t("feed.nothing"));
  const link = h("span", { class: "tag", role: "status" });
  const told = h("p", { class: "quiet", role: "status" });
  const pause = h("button", { type: "button", id: "pause", "aria-pressed": "false", on: { click: () => turn(!isPaused) } });
  const clear = h("button", { type: "button", on: { click: wipe } }, t("feed.clear"));
  const before = choice(t("feed.before"), BEFORE.map((count) => [String(count), count ? t("feed.newest", count) : t("feed.from_now")]), () => begin(), "50");
  const boxes = TYPES.map((type) => {
    const box = h("button", { type: "button", "aria-pressed": String(chosen.has(type)), data: { type }, on: { click: () => choose(type, box) } }, t(`type.${type}`));
    return box;
  });
  const scroll = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("page.feed"), hidden: true },
    h("table", { class: "cards", id: "feed" }, h("thead", {}, h("tr", {}, ["ui.time", "feed.type", "ui.device", "feed.what", "feed.number"].map((key) => h("th", { scope: "col", class: NUM.has(key) ? "num" : null }, t(key))))), rows));
  root.replaceChildren(h("div", { class: "sheet" },
    h("header", {}, h("h1", {}, t("page.feed")), link, pause, clear, h("button", { type: "button", data: { save: "csv" }, on: { click: keep } }, t("ui.csv")),
      h("div", { class: "filters" }, before.root, h("div", { class: "chips", role: "group", "aria-label": t("feed.types") }, boxes))),
    h("p", { class: "quiet" }, t("feed.how")), told, scroll, empty));

  function wipe() {
    rows.replaceChildren();
    waiting = [];
    shown = [];
    dropped = 0;
    say();
  }

  /** What is shown, as a file. */
  function keep() {
    const lines = shown.map(({ sequence, type, subject, id, data }) => [sequence, iso(data.received), type, subject, subject && app.devices.name(subject), id, data]);
    save(fileName("events", app.now(), "csv"), "text/csv", csv([["cursor", "received", "type", "device", "name", "id", "data"], ...lines]));
    app.toast(t("ui.saved", lines.length), "good");
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
    begin();
  }

  /** The newest of the types that are chosen, and on from there. */
  async function begin() {
    const mine = ++asked;
    stream?.stop();
    stream = new Stream(app.session, () => [...chosen]);
    const listening = stream;
    listening.on("event", take);
    listening.on("state", linked);
    linked();
    wipe();
    if (Number(before.value)) {
      await app.attempt(async () => {
        const page = await app.session.get(`/api/v1/events?last=${before.value}&types=${[...chosen].join(",")}`);
        if (mine !== asked) return;
        listening.from(page.next);
        page.events.forEach(take);
      });
    }
    if (mine === asked) listening.start();
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
      waiting.reverse();
      rows.prepend(...waiting.map(row));
      shown = [...waiting, ...shown].slice(0, MOST);
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
    const all = h("pre", { class: "hex" });
    const what = h("details", { on: { toggle: () => (all.textContent ||= JSON.stringify(event, null, 1)) } }, h("summary", {}, summary(type, event.data)), all);
    return h("tr", {},
      cell("ui.time", clock(event.data.received ?? Date.parse(event.time), app.now()), "num"),
      cell("feed.type", tagged(type, event)),
      cell("ui.device", event.subject ? deviceLink(app, event.subject, 60) : "–"),
      cell("feed.what", what),
      cell("feed.number", event.sequence, "num"));
  }

  function linked() {
    link.className = `tag ${stream.state === "live" ? "good" : "care"}`;
    link.replaceChildren(icon(stream.state === "live" ? "link" : "unlink"), t(`link.${stream.state}`));
  }

  turn(false);
  begin();
  return () => {
    asked++;
    stream.stop();
    cancelAnimationFrame(frame);
  };
}

/** An event's type, leading to what it is of. */
function tagged(type, { id, data }) {
  const tag = h("span", { class: `tag ${type === "alarm.raised" ? "stored" : ""}` }, term("type", type));
  const alarm = type === "alarm.raised" ? id : type.startsWith("alarm.") ? data.alarm : null;
  if (alarm) return linkTo("alarms", alarm, tag);
  if (type === "command" && data.cmd) return linkTo("orders", data.cmd, tag);
  if (type === "media" && data.complete) return linkTo("pictures", data.id, tag);
  return tag;
}

/** What an event says, in a line. */
function summary(type, data) {
  const parts = {
    "alarm.raised": () => [term("kind", data.kind), data.text],
    "alarm.stage": () => [term("stage", data.stage), data.by, data.note],
    "alarm.updated": () => [data.alarm],
    duty: () => [term("duty", data.act), data.ref],
    presence: () => [term("presence", data.state ?? (data.online ? "online" : "offline")), data.fw],
    command: () => [data.act && term("act", data.act), data.overdue ? t("state.overdue") : data.state === "step" ? t("state.step", (data.step ?? 0) + 1) : term("state", data.state), data.by, data.detail],
    position: () => [`${Number(data.lat).toFixed(5)}, ${Number(data.lon).toFixed(5)}`],
    status: () => [typeof data.batt === "number" && `${data.batt} %`, data.net, data.fw],
    media: () => [term("reason", data.reason), data.mime],
    "media.custody": () => [t(`custody.${data.act}`), data.by, data.note],
    "unit.changed": () => [data.unit, data.state && term("duty", data.state), data.incident],
    "unit.contradiction": () => [data.unit, term("contradiction", data.kind), t(`contradiction.${data.word}`)],
    "unit.arrival": () => [data.unit, data.incident, Number.isFinite(data.distance_m) && distance(data.distance_m)],
  }[type]?.() ?? Object.entries(data).slice(0, 3).map(([name, value]) => `${name}=${typeof value === "object" ? "…" : value}`);
  const said = parts.filter((part) => part !== null && part !== undefined && part !== "" && part !== false);
  return said.length ? said.flatMap((part, n) => [n ? " · " : "", bdi(part, 80)]) : "–";
}
