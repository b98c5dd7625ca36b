// One unit: its crew, what it does, how its devices are, its pictures and orders; and its buttons.

import { bdi, h, icon } from "../dom.js";
import { duration, t, term } from "../i18n.js";
import { openDialog } from "../keys.js";
import { ApiError } from "../session.js";
import { fresh, gallery } from "./gallery.js";
import { showLive } from "./live.js";
import { order, orderList } from "./orders.js";

const AGAIN_MS = 10_000;
const HOUR_MS = 3_600_000;
const SOON_MS = 300;
const MANY = 50; // messages that wait on a device: its link is poor
const SIGNS = { body_camera: "person", alarm_box: "box", vehicle_terminal: "car", phone: "person" };

/** The card of a unit, or of a device that is none (an alarm box). `found(lat, lon)`: where it is.
    `showReach(unit or null)`: have the map show what it reaches. */
export function unitCard(app, id, { close, found, showReach }) {
  const top = h("div", { class: "top" });
  const wrong = h("div", {});
  const devices = h("div", { class: "devices" });
  const taken = h("div", {});
  const rest = h("div", {});
  const root = h("article", { class: "card", "aria-label": id.slice(0, 80) }, top, wrong, devices, taken, rest);
  let parts = [];
  let members = "";
  let timer = null;
  let isOver = false;
  let wasFound = false;
  let isReachShown = false;

  async function load() {
    clearTimeout(timer);
    timer = setTimeout(load, AGAIN_MS);
    try {
      const unit = await unitOf(id);
      const about = await Promise.all(unit.devices.map((device) => deviceOf(device.id)));
      if (!isOver) show(unit, about.filter(Boolean));
    } catch (error) {
      if (isOver || !(error instanceof ApiError)) return;
      if (error.status === 404) top.replaceChildren(head(null), h("p", { class: "empty" }, t("desk.find_none", id.slice(0, 80))));
    }
  }
  function soon() {
    clearTimeout(timer);
    timer = setTimeout(load, SOON_MS);
  }

  async function unitOf(unit) {
    try {
      return await app.session.get(`/api/v1/units/${encodeURIComponent(unit)}`);
    } catch (error) {
      if (error.status !== 404) throw error;
      const device = await app.session.get(`/api/v1/devices/${encodeURIComponent(unit)}`);
      const at = Number.isFinite(device.lat) ? device : device.position;
      return { unit, state: null, officers: [], devices: [{ id: device.id, kind: device.kind, state: device.state }], contradictions: [], position: at ? { lat: at.lat, lon: at.lon } : null, isDevice: true };
    }
  }

  async function deviceOf(device) {
    const path = encodeURIComponent(device);
    const [about, ledger] = await Promise.all([
      app.session.get(`/api/v1/devices/${path}`).catch(() => null),
      app.session.get(`/api/v1/ledger?device=${path}`).catch(() => null),
    ]);
    const lanes = ledger?.devices[0]?.lanes ?? [];
    return about && { ...about, missing: ledger && lanes.reduce((sum, lane) => sum + lane.missing, 0) };
  }

  function head(unit) {
    return h("header", {},
      h("h2", { class: "clip" }, icon(unit?.isDevice ? "box" : "car"), " ", app.named(id, 64)),
      unit && !unit.isDevice ? h("span", { class: `tag ${["on_duty", "vehicle_patrol", "foot_patrol", "parked", "clear"].includes(unit.state) ? "good" : unit.state === "en_route" || unit.state === "on_scene" ? "care" : ""}` }, term("duty", unit.state)) : null,
      h("button", { class: "plain", type: "button", "aria-label": t("card.close"), title: t("card.close"), on: { click: close } }, icon("close")));
  }

  function show(unit, about) {
    const at = unit.position;
    if (at && !wasFound) found(at.lat, at.lon);
    wasFound = wasFound || Boolean(at);
    const rows = unit.isDevice ? [] : [
      ["unit.crew", unit.officers.length ? unit.officers.flatMap((name, n) => [n ? ", " : "", bdi(name, 64)]) : t("unit.no_crew")],
      unit.since ? ["duty", [term("duty", unit.state), " · ", app.age(unit.since)]] : null,
      unit.incident ? ["unit.incident", bdi(unit.incident, 80)] : null,
    ];
    rows.push(["unit.position", at ? [h("span", { class: "num" }, `${at.lat.toFixed(5)}, ${at.lon.toFixed(5)}`), at.taken ? [" · ", app.ago(at.taken)] : null] : t("unit.no_position")]);
    const isFocused = root.contains(document.activeElement) && document.activeElement.closest(".unit-acts, .unit-looks");
    if (!isFocused) top.replaceChildren(head(unit), dl(rows), acts(unit) ?? "", looks(unit));
    else top.querySelector("dl").replaceWith(dl(rows));
    wrong.replaceChildren(...unit.contradictions.map((each) => h("p", { class: "banner cut", role: "note" }, icon("alarm"), h("strong", {}, t("unit.contradictions")), term("contradiction", each.kind), app.age(each.since))));
    const focus = document.activeElement?.dataset?.focus;
    devices.replaceChildren(...about.map(device));
    if (focus) devices.querySelector(`[data-focus="${CSS.escape(focus)}"]`)?.focus();
    const now = unit.devices.map((each) => each.id).join();
    if (now !== members) follow(now, unit.devices.map((each) => each.id));
  }

  function dl(rows) {
    return h("dl", { class: "facts" }, rows.filter(Boolean).flatMap(([key, value]) => [h("dt", {}, key === "duty" ? t("unit.state") : t(key)), h("dd", { class: "wrap" }, value)]));
  }

  function acts(unit) {
    if (!app.can("dispatcher")) return null;
    return h("div", { class: "acts unit-acts" }, h("button", { type: "button", id: "message", on: { click: () => message(unit) } }, icon("send"), " ", t("unit.message")));
  }

  /** What only shows something: a viewer has it too. */
  function looks(unit) {
    const back = () => app.go("playback", app.now() - HOUR_MS, app.now(), id);
    return h("div", { class: "unit-looks" },
      unit.isDevice ? null : h("button", { type: "button", class: "plain", id: "unit-reach", "aria-pressed": String(isReachShown), on: { click: reach } }, icon("reach"), " ", t("unit.reach"), " ", h("kbd", {}, "R")),
      h("button", { type: "button", class: "plain", id: "look-back", on: { click: back } }, icon("clock"), " ", t("unit.look_back")));
  }

  /** Show what it reaches, or no longer. */
  async function reach() {
    const button = top.querySelector("#unit-reach");
    if (!button) return;
    isReachShown = !isReachShown;
    button.setAttribute("aria-pressed", String(isReachShown));
    try {
      await showReach(isReachShown ? id : null);
    } catch (error) {
      if (isOver) return;
      isReachShown = false;
      top.querySelector("#unit-reach")?.setAttribute("aria-pressed", "false");
      showReach(null);
      app.toast(t("unit.no_reach", error.message), "wrong");
    }
  }

  function device(about) {
    const status = about.status ?? {};
    const isWell = (word) => ["ok", "none", undefined].includes(word);
    const care = (isBad, text) => h("span", { class: isBad ? "care" : "" }, isBad ? [icon("alarm"), " "] : null, text);
    const low = status.batt !== undefined && status.batt !== null && status.batt < 20;
    const rows = [
      ["unit.heard", about.last_received ? app.ago(about.last_received) : "–"],
      ["unit.battery", status.batt === undefined && !status.mains ? "–" : care(low && !status.mains, [status.batt ?? null, status.batt !== undefined ? " %" : "", status.mains ? ` ${t("unit.mains")}` : ""].filter((x) => x !== null).join(""))],
      ["unit.network", [status.net ? status.net.toUpperCase() : "–", status.rssi !== undefined && status.rssi !== null ? ` ${Math.round(status.rssi)} dBm` : ""].join("")],
      ["unit.camera", status.cam ? care(!isWell(status.cam), term("cam", status.cam)) : "–"],
      ["unit.gnss", status.gnss ? care(status.gnss !== "ok", term("gnss", status.gnss)) : "–"],
      ["unit.clock", offset(about.clock_offset_ms, care)],
      ["unit.missing", about.missing === null ? "–" : about.missing ? care(true, String(about.missing)) : t("unit.zero")],
      status.spool ? ["unit.spool", care(status.spool > MANY, String(status.spool))] : null,
    ];
    const hasCamera = about.registered && !about.revoked && status.cam !== "none";
    return h("section", { class: "device" },
      h("h3", {}, icon(SIGNS[about.kind] ?? "box"), " ", term("device", about.kind), " ", h("span", { class: "clip" }, bdi(about.name || about.id, 60)),
        h("span", { class: `tag ${about.state === "online" ? "good" : about.state === "offline" ? "" : "care"}` }, term("presence", about.state))),
      dl(rows),
      app.can("dispatcher") && hasCamera ? h("div", { class: "acts" },
        h("button", { type: "button", data: { focus: `picture-${about.id}` }, on: { click: (event) => picture(event.currentTarget, about.id) } }, icon("camera"), " ", t("unit.picture")),
        h("button", { type: "button", data: { focus: `live-${about.id}` }, on: { click: () => showLive(app, about.id) } }, t("unit.live"))) : null);
  }

  function offset(ms, care) {
    if (ms === null || ms === undefined) return "–";
    const size = Math.abs(ms);
    if (size < 1000) return t("unit.within", t("s", 1));
    return care(size > 60_000, t(ms < 0 ? "unit.ahead" : "unit.behind", duration(size)));
  }

  async function picture(button, device) {
    button.disabled = true;
    taken.replaceChildren(h("p", { role: "status" }, t("unit.asking")));
    const query = new URLSearchParams({ timeout_ms: "10000", by: app.session.name });
    try {
      const path = `/api/v1/devices/${encodeURIComponent(device)}/snapshot?${query}`;
      const answer = await app.session.fetch(path, { method: "POST", headers: { Accept: "image/*" } });
      const shown = fresh(await answer.blob(), (name) => answer.headers.get(`Fieldgate-${name}`));
      if (!isOver) taken.replaceChildren(shown);
    } catch (error) {
      if (!isOver) taken.replaceChildren(h("p", { class: "wrong", role: "alert" }, t("failed", error.problem?.why ? term("why", error.problem.why) : error.message)));
    }
    button.disabled = false;
  }

  function message(unit) {
    const words = h("textarea", { id: "message-words", rows: "4", maxlength: "1000", required: true });
    const form = h("form", { class: "message" }, h("label", {}, t("unit.message_for", ""), bdi(unit.unit, 64), words), h("div", { class: "row" }, h("button", { class: "main", type: "submit" }, t("unit.send_message"))));
    const dialog = openDialog(t("unit.message"), form);
    words.focus();
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const isSent = await app.attempt(async () => {
        if (unit.isDevice) await app.session.post(`/api/v1/devices/${encodeURIComponent(unit.unit)}/commands`, { act: "text", args: { text: words.value }, by: app.session.name || undefined });
        else await order(app, unit.unit, "text", { text: words.value });
      });
      if (!isSent) return;
      dialog.close();
      app.toast(t("unit.message_sent"), "good");
    });
  }

  function follow(now, ids) {
    members = now;
    parts.forEach((part) => part.end());
    const own = new Set(ids);
    const most = ids.length === 1 ? 8 : 4;
    const galleries = ids.map((device) => gallery(app, `/api/v1/media?device=${encodeURIComponent(device)}&limit=100`, (subject) => subject === device, null, most));
    const orders = orderList(app, ids.map((device) => `/api/v1/devices/${encodeURIComponent(device)}/commands?limit=10`), (command) => own.has(command.device), { withUnit: ids.length > 1 });
    parts = [...galleries, orders];
    rest.replaceChildren(
      h("section", {}, h("h3", {}, t("unit.pictures")), galleries.map((each) => each.root)),
      h("section", {}, h("h3", {}, t("card.orders")), orders.root));
  }

  const mine = ({ subject, data }) => (data?.unit === id || members.split(",").includes(subject)) && soon();
  const offs = ["presence", "unit.changed", "unit.contradiction", "unit.arrival"].map((type) => app.stream.on(type, mine));
  offs.push(app.stream.on("live", load));
  top.replaceChildren(head(null), h("p", { class: "quiet" }, t("loading")));
  load();
  return {
    root,
    reach,
    end() {
      isOver = true;
      if (isReachShown) showReach(null);
      clearTimeout(timer);
      parts.forEach((part) => part.end());
      offs.forEach((off) => off());
    },
  };
}
