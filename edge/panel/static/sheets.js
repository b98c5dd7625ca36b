// What is asked before something is reported: who signs on, whether to go off duty, why one refuses.

import { el, icon, setText } from "./dom.js";
import { answer } from "./orders.js";
import { say } from "./words.js";

const MAX_CHARS = 64;
const LAYOUTS = [
  { name: "123", keys: [..."123", "erase", ..."456-789_", "next", "0", "add"] },
  { name: "abc", keys: [..."abcdefghijklmnopqrstuvwxyz", "next", "erase"] },
  { name: "ABC", keys: [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ", "next", "erase"] },
];
const FIELDS = ["officers", "body_camera", "phone"];
const sheet = document.getElementById("sheet");

function open(...children) {
  sheet.replaceChildren(...children);
  sheet.hidden = false;
}

export const close = () => (sheet.hidden = true);
const key = (word, act, kind = "") =>
  el("button", { type: "button", class: kind, onclick: act }, say(word));

export function askOffDuty(_, report) {
  const go = () => (close(), report());
  open(
    el("div", { class: "ask" }, el("h2", {}, say("off_duty_ask")), el("p", {}, say("off_duty_how"))),
    el("div", { class: "choices" }, key("cancel", close), key("confirm_off_duty", go, "main")),
  );
}

const REASONS = ["reason_busy", "reason_far", "reason_car", "reason_other"];

export function askRefusal(order) {
  const refuse = (reason) => (close(), answer(order, { state: "refused", detail: say(reason) }));
  open(
    el("div", { class: "ask" }, el("h2", {}, say("refuse_ask"))),
    el("div", { class: "choices" }, ...REASONS.map((reason) => key(reason, () => refuse(reason)))),
    key("cancel", close),
  );
}

// The crew: officers' numbers, then the ids of their body camera and phone. The keyboard is the
// page's own: a kiosk has none.
export function askSignOn(state, report) {
  const typed = { officers: (state.status.duty?.crew ?? []).join(" "), body_camera: "", phone: "" };
  let field = "officers";
  let layout = 0;
  const fields = el("div", { class: "fields" });
  const keys = el("div", { class: "keys" });
  const go = key("confirm_on_duty", confirm, "main");

  function drawFields() {
    for (const shown of fields.children) {
      shown.setAttribute("aria-current", shown.dataset.field === field);
      const { field: name } = shown.dataset;
      const isEmpty = !typed[name] && name !== field;
      setText(shown.children[1], isEmpty && name !== "officers" ? say("optional") : typed[name]);
      shown.children[1].className = isEmpty ? "quiet" : "";
    }
    go.disabled = !typed.officers.trim();
  }

  function edit(text) {
    typed[field] = text.slice(0, MAX_CHARS).trimStart().replace(/ +/g, " ");
    drawFields();
  }

  function drawKeys() {
    const { name, keys: faces } = LAYOUTS[layout];
    const after = (layout + 1) % LAYOUTS.length;
    const special = {
      erase: [icon("backspace"), () => edit(typed[field].slice(0, -1))],
      add: [say("add"), () => edit(`${typed[field]} `)],
      next: [LAYOUTS[after].name, () => ((layout = after), drawKeys())],
    };
    const made = faces.map((face) => {
      const [shown, act] = special[face] ?? [face, () => edit(typed[field] + face)];
      return el("button", { type: "button", "data-face": face, onclick: act }, shown);
    });
    keys.className = `keys layout-${name}`;
    keys.replaceChildren(...made);
  }

  function confirm() {
    close();
    report(FIELDS.flatMap((name) => typed[name].split(" ").filter(Boolean)));
  }

  for (const name of FIELDS) {
    const choose = () => ((field = name), drawFields());
    fields.append(el("button", { type: "button", "data-field": name, onclick: choose }, el("small", {}, say(name)), el("span")));
  }
  open(el("div", { class: "bar" }, key("cancel", close), el("h2", {}, say("signon")), go), fields, keys);
  drawFields();
  drawKeys();
}
