// Fields to look for something with: a text, a choice, a time from and to.

import "./words.js";

import { h } from "../dom.js";
import { t } from "../i18n.js";

const TYPING_MS = 300;

/** A labelled field. */
export function field(label, control) {
  return h("label", {}, label, control);
}

/** A text to look for: `onChange` hears of it when the typing pauses. */
export function search(label, onChange, value = "") {
  let timer = null;
  const input = h("input", { type: "search", maxlength: "64", autocomplete: "off", spellcheck: "false", value });
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(onChange, TYPING_MS);
  });
  input.addEventListener("change", () => {
    clearTimeout(timer);
    onChange();
  });
  return { root: field(label, input), get value() { return input.value.trim(); }, set value(text) { input.value = text; } };
}

/** One of some: [[value, text]]. */
export function choice(label, options, onChange, value = "") {
  const select = h("select", { on: { change: onChange } }, options.map(([each, text]) => h("option", { value: each }, text)));
  select.value = value;
  return { root: field(label, select), get value() { return select.value; }, set value(chosen) { select.value = chosen; } };
}

const HOUR_MS = 3600_000;
const SPANS = [["hour", HOUR_MS], ["today", 0], ["day", 24 * HOUR_MS], ["week", 7 * 24 * HOUR_MS], ["month", 30 * 24 * HOUR_MS]];

/** A time from and to (ms; null: without end), by this machine's clock and time zone. `any`: it
    may be left out. */
export function span(now, onChange, { first = "any", any = true } = {}) {
  const from = h("input", { type: "datetime-local", step: "1", on: { change: onChange } });
  const to = h("input", { type: "datetime-local", step: "1", on: { change: onChange } });
  const own = h("span", { class: "own", hidden: true }, field(t("ui.from"), from), field(t("ui.to"), to));
  const names = [...(any ? ["any"] : []), ...SPANS.map(([name]) => name), "own"];
  const kind = choice(t("ui.when"), names.map((name) => [name, t(`ui.${name}`)]), () => {
    if (kind.value === "own" && own.hidden) {
      const [since, until] = around(kept);
      from.value = local(since ?? now() - 24 * HOUR_MS);
      to.value = local(until ?? now());
    }
    kept = kind.value;
    own.hidden = kept !== "own";
    onChange();
  }, first);
  let kept = first;

  function around(name) {
    if (name === "any") return [null, null];
    if (name === "own") return [moment(from.value), moment(to.value)];
    if (name === "today") return [new Date(now()).setHours(0, 0, 0, 0), null];
    return [now() - SPANS.find(([each]) => each === name)[1], null];
  }

  return { root: h("span", { class: "span" }, kind.root, own), ends: () => around(kind.value) };
}

const moment = (text) => (text ? new Date(text).getTime() : null);

function local(ms) {
  const when = new Date(ms);
  return new Date(ms - when.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
