// One device: as registered, as it is now, what of it is missing; and revoking it.

import "./device_words.js";

import { bdi, h, icon } from "../dom.js";
import { clock, distance, duration, t, term } from "../i18n.js";
import { openDialog } from "../keys.js";
import { number, pairs, table } from "./list.js";
import { problem } from "./problem.js";
import { registerDevice } from "./register.js";

const TAGS = { online: "good", stale: "care", revoked: "closed", unregistered: "care" };

/** The one word for a device, as its filter has it. */
export function stateTag(device) {
  const state = device.registered ? (device.revoked ? "revoked" : device.state) : "unregistered";
  return h("span", { class: `tag ${TAGS[state] ?? ""}` }, t(`devices.state.${state}`));
}

/** What `details` shows of a device. `changed`: called when it was revoked or registered. */
export async function deviceCard(app, id, changed) {
  const path = `/api/v1/devices/${encodeURIComponent(id)}`;
  let device;
  try {
    device = await app.session.get(path);
  } catch (error) {
    return { title: id, content: [problem(error)] };
  }
  const ledger = h("div", {}, h("p", { class: "quiet", role: "status" }, t("loading")));
  showGaps(app, id, ledger);
  return {
    title: h("span", {}, bdi(device.name || id, 120)),
    content: [
      h("p", {}, stateTag(device), " ", h("span", { class: "mono" }, bdi(id, 64))),
      h("div", { class: "columns" },
        h("section", {}, h("h3", {}, t("devices.about")), about(app, device)),
        h("section", {}, h("h3", {}, t("devices.health")), health(app, device))),
      h("section", {}, h("h3", {}, t("devices.gaps")), ledger),
      h("div", { class: "row" },
        h("a", { href: `#/map/unit/${encodeURIComponent(id)}` }, t("ui.on_map")),
        h("a", { href: `#/alarms/device/${encodeURIComponent(id)}` }, t("devices.alarms")),
        h("a", { href: `#/orders/device/${encodeURIComponent(id)}` }, t("devices.orders")),
        act(app, device, changed)),
    ],
  };
}

function about(app, device) {
  const { presence } = device;
  return pairs([
    [t("devices.kind"), device.kind ? term("device", device.kind) : null],
    [t("devices.site"), device.site ? bdi(device.site, 200) : null],
    [t("devices.place"), device.lat === null ? null : h("span", { class: "num" }, `${device.lat.toFixed(6)}, ${device.lon.toFixed(6)}`)],
    [t("devices.registered"), device.added_ms ? clock(device.added_ms, app.now()) : null],
    [t("devices.seen"), app.age(device.last_received)],
    [t("devices.firmware"), bdi(device.status?.fw ?? presence?.fw ?? "–", 40)],
    [t("devices.boot"), presence ? String(presence.boot ?? "–") : null],
    [t("devices.clock"), device.clock_offset_ms === null ? null : t("s", (device.clock_offset_ms / 1000).toFixed(1))],
    [t("devices.caps"), presence?.caps?.length ? bdi(presence.caps.join(", "), 200) : null],
  ]);
}

function health(app, { status, position }) {
  const percent = (value) => (value === undefined || value === null ? null : `${value} %`);
  const named = (group, value) => (value === undefined || value === null ? null : bdi(term(group, value), 40));
  return pairs([
    [t("devices.battery"), percent(status?.batt)],
    [t("devices.mains"), status?.mains === undefined ? null : t(status.mains ? "ui.yes" : "ui.no")],
    [t("devices.net"), status?.net ? h("span", {}, bdi(status.net, 20), status.rssi === undefined ? "" : ` ${status.rssi} dBm`) : null],
    [t("devices.temp"), status?.temp === undefined ? null : `${status.temp} °C`],
    [t("devices.disk"), percent(status?.disk)],
    [t("devices.gnss"), named("gnss", status?.gnss)],
    [t("devices.cam"), named("cam", status?.cam)],
    [t("devices.spool"), status?.spool === undefined ? null : number(status.spool)],
    [t("devices.cfg"), status?.cfg === undefined ? null : String(status.cfg)],
    [t("devices.place"), Number.isFinite(position?.lat) ? h("span", { class: "num" }, `${position.lat.toFixed(6)}, ${position.lon.toFixed(6)}`,
      position.acc ? ` ±${distance(position.acc)}` : "", position.t ? ` · ${duration(app.now() - position.t)}` : "") : null],
  ].concat(status || position ? [] : [[t("devices.presence"), t("unknown")]]));
}

async function showGaps(app, id, root) {
  try {
    const [{ lanes }] = (await app.session.get(`/api/v1/ledger?device=${encodeURIComponent(id)}`)).devices;
    root.replaceChildren(lanes.length ? lanesTable(lanes) : h("p", { class: "quiet" }, t("devices.no_gaps")));
  } catch (error) {
    root.replaceChildren(error.status === 404 ? h("p", { class: "quiet" }, t("devices.no_gaps")) : problem(error, () => showGaps(app, id, root)));
  }
}

/** What of each boot and lane is held, and which numbers are missing. */
export function lanesTable(lanes) {
  const num = (content) => h("td", { class: "num" }, content);
  return table(t("devices.gaps"), ["devices.boot", "devices.lane", "devices.held", "devices.missing", "devices.given_up", "devices.ranges"].map((key) => t(key)),
    lanes.map((lane) => [
      num(String(lane.boot)), term("lane", lane.lane), num(number(lane.highest - lane.missing - lane.given_up)),
      num(lane.missing ? h("span", { class: "tag care" }, number(lane.missing)) : "0"), num(number(lane.given_up)),
      h("td", { class: "mono" }, lane.ranges.map(([first, last]) => (first === last ? first : `${first}–${last}`)).join(", ") || "–")]));
}

function act(app, device, changed) {
  if (!app.can("admin") || !device.registered) return null;
  if (device.revoked) {
    return h("button", { type: "button", on: { click: () => registerDevice(app, device, changed) } }, t("devices.again"));
  }
  return h("button", { type: "button", id: "revoke", on: { click: () => revoke(app, device, changed) } }, icon("close"), " ", t("devices.revoke"));
}

function revoke(app, device, changed) {
  const sure = h("button", { type: "button", class: "main", id: "revoke-sure" }, t("devices.revoke"));
  const no = h("button", { type: "button" }, t("cancel"));
  const dialog = openDialog(t("devices.revoke"), h("p", {}, sentence("devices.revoke_sure", device.id)), h("div", { class: "row" }, no, sure));
  no.addEventListener("click", () => dialog.close());
  no.focus();
  sure.addEventListener("click", async () => {
    sure.disabled = true;
    const isDone = await app.attempt(() => app.session.post(`/api/v1/devices/${encodeURIComponent(device.id)}/revoke`));
    sure.disabled = false;
    if (!isDone) return;
    dialog.close();
    app.toast(h("span", {}, sentence("devices.revoked", device.id)), "good");
    app.go("devices");
    changed();
  });
}

/** A text with a word of the field in it, which turns nothing around it. */
function sentence(key, word) {
  const [before, after] = t(key, "\u0000").split("\u0000");
  return [before, bdi(word, 64), after];
}
