// A list that comes in pages: a table, cards on a phone; while it loads, when it is empty, when it fails.

import "./words.js";

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { problem } from "./problem.js";

/** `columns`: [{head, cell(row) -> node or text, class}]. `load(cursor)` -> {rows, next}, with
    cursor null at first. `empty`: what to say when there is none. */
export function listing({ label, columns, load, empty, id }) {
  const body = h("tbody");
  const state = h("div", { class: "state" });
  const more = h("button", { type: "button", class: "more", hidden: true, on: { click: () => read(next) } }, t("more"));
  const scroll = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    h("table", { class: "cards", id }, h("thead", {}, h("tr", {}, columns.map(({ head, class: kind }) => h("th", { scope: "col", class: kind }, head)))), body));
  const root = h("div", { class: "listing" }, scroll, state, more);
  let next = null;
  let asked = 0;
  let rows = [];

  function row(each) {
    return h("tr", {}, columns.map(({ head, cell, class: kind }) => h("td", { class: kind, data: { head } }, cell(each))));
  }

  async function read(cursor) {
    const mine = ++asked;
    more.disabled = true;
    if (!rows.length) {
      scroll.hidden = true;
      state.replaceChildren(h("p", { class: "empty", role: "status" }, t("loading")));
    }
    let page;
    try {
      page = await load(cursor);
    } catch (error) {
      if (mine !== asked) return;
      if (!("status" in error)) console.error(error);
      more.disabled = false;
      state.replaceChildren(problem(error, () => read(cursor)));
      return;
    }
    if (mine !== asked) return;
    rows = cursor === null ? page.rows : [...rows, ...page.rows];
    if (cursor === null) body.replaceChildren(...page.rows.map(row));
    else body.append(...page.rows.map(row));
    next = page.next;
    more.disabled = false;
    more.hidden = next === null || next === undefined;
    scroll.hidden = rows.length === 0;
    state.replaceChildren(...(rows.length ? [] : [h("p", { class: "empty", role: "status" }, more.hidden ? empty : t("ui.none_here"))]));
  }

  return {
    root,
    /** All rows that are shown. */
    rows: () => rows,
    /** From the beginning; what is shown stays until the answer is there. */
    reload: () => read(null),
    /** The same for another question: what is shown goes. */
    renew() {
      rows = [];
      body.replaceChildren();
      return read(null);
    },
    end: () => asked++,
  };
}

/** A small table of what is at hand. */
export function table(label, heads, rows) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    h("table", {}, h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
      h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell) => (cell instanceof Element && cell.tagName === "TD" ? cell : h("td", {}, cell))))))));
}

/** Pairs of a word and what it says; those without a value are left out. */
export function pairs(facts) {
  return h("dl", { class: "pairs" }, facts.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

/** A large figure with its name. `kind`: good, care, wrong or none. */
export function tile(label, value, kind = "", hint = null) {
  return h("div", { class: `tile ${kind}` }, h("dt", {}, label), h("dd", { class: "num" }, value), hint ? h("dd", { class: "hint" }, hint) : null);
}

export const number = (value) => (value === null || value === undefined ? "–" : value.toLocaleString("en-US").replaceAll(",", "\u202f"));
