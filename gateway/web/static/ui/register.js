// Registering a device: a form, and then, once, what the device needs to connect.

import { bdi, h, icon } from "../dom.js";
import { t } from "../i18n.js";
import { openDialog } from "../keys.js";
import { problem } from "./problem.js";

const KINDS = ["vehicle_terminal", "body_camera", "alarm_box", "phone"];

/** Open the form, filled with what is `known`; `done(id)` when it is registered and seen. */
export function registerDevice(app, known, done) {
  const input = (name, more = {}) => h("input", { name, value: known[name] ?? "", autocomplete: "off", spellcheck: "false", ...more });
  const id = input("id", { required: true, maxlength: "64", pattern: "[A-Za-z0-9][A-Za-z0-9_\\-]*", readonly: Boolean(known.id) });
  const kind = h("select", { name: "kind" }, KINDS.map((each) => h("option", { value: each }, t(`device.${each}`))));
  if (known.kind) kind.value = known.kind;
  const name = input("name", { maxlength: "200" });
  const site = input("site", { maxlength: "200" });
  const lat = input("lat", { type: "number", step: "any", min: "-90", max: "90" });
  const lon = input("lon", { type: "number", step: "any", min: "-180", max: "180" });
  const wrong = h("div", { class: "whole" });
  const submit = h("button", { type: "submit", class: "main" }, t("devices.add"));
  const label = (text, control, hint) => h("label", {}, text, control, hint ? h("span", { class: "quiet" }, hint) : null);
  const form = h("form", { class: "form", id: "register" },
    label(t("ui.device_id"), id, t("devices.id_how")), label(t("devices.kind"), kind), label(t("devices.name"), name),
    label(t("devices.site"), site), label(t("devices.lat"), lat), label(t("devices.lon"), lon),
    wrong, h("div", { class: "row whole" }, submit));
  const dialog = openDialog(t("devices.add"), form);
  id.focus();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    wrong.replaceChildren();
    const degrees = (control) => (control.value === "" ? null : Number(control.value));
    const body = { id: id.value.trim(), kind: kind.value, name: name.value.trim(), site: site.value.trim(), lat: degrees(lat), lon: degrees(lon) };
    try {
      const credentials = await app.session.post("/api/v1/devices", body);
      dialog.close();
      showOnce(credentials, () => done(body.id));
    } catch (error) {
      wrong.replaceChildren(problem(error));
      submit.disabled = false;
    }
  });
}

function showOnce({ user, password, mqtt }, done) {
  const kept = h("button", { type: "button", class: "main", id: "kept" }, t("devices.kept"));
  const dialog = openDialog(t("devices.add"),
    h("p", {}, icon("check"), " ", t("devices.ready", user)),
    h("p", { class: "wrong" }, t("devices.once")),
    h("div", { class: "form" }, secret(t("devices.user"), user), secret(t("devices.password"), password), mqtt ? secret(t("devices.broker"), mqtt) : null),
    h("div", { class: "row" }, kept));
  dialog.id = "credentials";
  dialog.querySelector("header button").remove(); // not closed by accident
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  kept.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", done);
}

function secret(label, text) {
  const shown = h("input", { readonly: true, class: "mono", value: text, on: { focus: () => shown.select() } });
  const copy = h("button", { type: "button" }, t("ui.copy"));
  copy.addEventListener("click", async () => {
    shown.select();
    // Without HTTPS a browser has no clipboard for pages; it is selected for Ctrl+C all the same.
    if (await navigator.clipboard?.writeText(text).then(() => true, () => false)) copy.replaceChildren(bdi(t("ui.copied")));
  });
  return h("label", { class: "whole" }, label, h("span", { class: "secret" }, shown, copy));
}
