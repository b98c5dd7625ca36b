// Which key does what, and the list of them.

import { h, icon } from "./dom.js";
import { t } from "./i18n.js";

const KEPT = "fieldgate.single-keys";

export class Keys {
  constructor() {
    this._keys = [];
    this.isOn = localStorage.getItem(KEPT) !== "no";
    addEventListener("keydown", (event) => this._down(event));
  }

  /** `code`: the key by its place (`KeyA`, `Slash`), whatever the input method makes of it.
      `label`: what it does, as a text. `isFor`: whether it is for who is signed in. Gives what takes
      it back. */
  add(code, face, label, act, { shift = false, isFor = () => true } = {}) {
    const key = { code, face, label, act, shift, isFor };
    this._keys.push(key);
    return () => this._keys.splice(this._keys.indexOf(key), 1);
  }

  /** Show them all. */
  show() {
    const isOn = h("input", { type: "checkbox", id: "single-keys" });
    isOn.checked = this.isOn;
    isOn.addEventListener("change", () => {
      this.isOn = isOn.checked;
      localStorage.setItem(KEPT, this.isOn ? "yes" : "no");
    });
    const rows = this._keys.filter(({ face, isFor }) => face && isFor()).sort((a, b) => a.shift - b.shift).map(({ face, label }) => h("div", {}, h("dt", {}, h("kbd", {}, face)), h("dd", {}, label())));
    openDialog(t("shortcuts"), h("dl", { class: "keys" }, rows), h("p", {}, h("label", {}, isOn, " ", t("shortcuts_on"))));
  }

  _down(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || event.repeat) return;
    if (event.code === "Escape") {
      if (!document.querySelector("dialog[open]")) this._find(event)?.act(event);
      return;
    }
    if (!this.isOn || document.querySelector("dialog[open]")) return;
    if (event.target.matches?.("input, textarea, select, [contenteditable]")) return;
    const key = this._find(event);
    if (!key) return;
    event.preventDefault();
    key.act(event);
  }

  _find({ code, shiftKey }) {
    return this._keys.findLast((key) => key.code === code && key.isFor() && (key.shift === shiftKey || code === "Escape"));
  }
}

/** A dialog over the page; it is gone when it is closed. */
export function openDialog(title, ...content) {
  const close = h("button", { class: "plain", type: "button", "aria-label": t("close_dialog") }, icon("close"));
  const dialog = h("dialog", { "aria-label": typeof title === "string" ? title : title.textContent }, h("header", {}, h("h2", {}, title), close), content);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
