// What was refused: the bytes as they came, and beside them what they say.

import { bdi, h } from "../dom.js";
import { addWords, clock, t, term } from "../i18n.js";
import { details, orOfDevice } from "../ui/detail.js";
import { explained } from "../ui/explained.js";
import { choice, search } from "../ui/fields.js";
import { bytesOf, hexDump } from "../ui/hex.js";
import { deviceLink } from "../ui/links.js";
import { listing, number, pairs } from "../ui/list.js";
import { problem } from "../ui/problem.js";
import { said } from "../ui/said.js";
import { save } from "../ui/save.js";
import { words } from "../words/records.js";

addWords(words);
const PAGE = 50;
const REASONS = ["malformed", "field_invalid", "topic_invalid", "media_invalid", "too_large"];

export async function mount(root, app, parts) {
  const device = search(t("ui.device_id"), () => list.renew());
  const reason = choice(t("quarantine.reason"), [["", t("ui.all")], ...REASONS.map((each) => [each, t(`reason.${each}`)])], () => list.renew());
  const columns = [
    { head: t("quarantine.last"), class: "num", cell: (each) => h("a", { href: `#/quarantine/${each.no}` }, clock(each.last_ms, app.now())) },
    { head: t("ui.device"), cell: (each) => (each.device ? deviceLink(app, each.device) : "–") },
    { head: t("quarantine.reason"), cell: (each) => h("span", { class: "tag care" }, term("reason", each.reason)) },
    { head: t("quarantine.detail"), cell: (each) => said(each.detail, 120) },
    { head: t("quarantine.topic"), cell: (each) => h("span", { class: "mono" }, bdi(each.topic, 80)) },
    { head: t("quarantine.size"), class: "num", cell: (each) => number(bytesOf(each.payload).length) },
    { head: t("quarantine.count"), class: "num", cell: (each) => number(each.count) },
  ];
  const list = listing({ label: t("page.quarantine"), columns, load, empty: t("quarantine.nothing"), id: "quarantine" });
  root.replaceChildren(h("div", { class: "sheet" },
    h("header", {}, h("h1", {}, t("page.quarantine")), h("div", { class: "filters" }, device.root, reason.root)),
    h("p", { class: "quiet" }, t("quarantine.how")), list.root));

  async function load(before) {
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (device.value) query.set("device", device.value);
    if (reason.value) query.set("reason", reason.value);
    if (before !== null) query.set("before", before);
    const page = await app.session.get(`/api/v1/quarantine?${query}`);
    return { rows: page.quarantine, next: page.next };
  }

  async function show(number_) {
    let view;
    try {
      view = await app.session.get(`/api/v1/quarantine/${encodeURIComponent(number_)}`);
    } catch (error) {
      return { title: t("page.quarantine"), content: [problem(error)] };
    }
    const { item, explanation } = view;
    const bytes = bytesOf(item.payload);
    return {
      title: `${t("page.quarantine")} · ${t("quarantine.number", item.no)}`,
      content: [
        pairs([
          [t("ui.device"), item.device ? h("span", {}, app.named(item.device), " ", h("span", { class: "id" }, bdi(item.device, 64))) : null],
          [t("quarantine.reason"), h("span", {}, h("span", { class: "tag care" }, term("reason", item.reason)), " ", said(item.detail, 500))],
          [t("quarantine.topic"), h("span", { class: "mono" }, bdi(item.topic, 300))],
          [t("quarantine.first"), clock(item.first_ms, app.now())],
          [t("quarantine.last"), clock(item.last_ms, app.now())],
          [t("quarantine.count"), number(item.count)],
        ]),
        h("div", { class: "columns" },
          h("section", {}, h("h3", {}, t("quarantine.bytes")), hexDump(bytes),
            h("p", {}, h("button", { type: "button", on: { click: () => save(`quarantine-${item.no}.bin`, "application/octet-stream", bytes) } }, t("quarantine.save")))),
          h("section", {}, h("h3", {}, t("quarantine.says")), explained(explanation))),
      ],
    };
  }

  const opened = details(app, "quarantine", show);
  const route = orOfDevice(opened, device, () => list.renew());
  if (parts[0] === "device") device.value = parts[1] ?? "";
  await list.reload();
  if (parts[0] !== "device") opened.route(parts);
  return {
    route,
    unmount() {
      opened.end();
      list.end();
    },
  };
}
