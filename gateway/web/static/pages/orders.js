// All commands: what was ordered of whom, by whom, and what became of each.

import { bdi, h } from "../dom.js";
import { addWords, clock, duration, lang, t, term } from "../i18n.js";
import { details, orOfDevice } from "../ui/detail.js";
import { choice, search } from "../ui/fields.js";
import { deviceLink } from "../ui/links.js";
import { listing, pairs } from "../ui/list.js";
import { problem } from "../ui/problem.js";
import { soon } from "../ui/soon.js";
import { words as field } from "../words/console.js";
import { words } from "../words/orders.js";

addWords(field);
addWords(words);
const PAGE = 50;
const SOON_MS = 500;
const OPEN = "created,sent,delivered,shown,accepted";
const STATES = ["created", "sent", "delivered", "shown", "accepted", "done", "refused", "failed", "expired", "cancelled"];
const BAD = new Set(["refused", "failed", "expired", "cancelled"]);
const ENDED = new Set([...BAD, "done"]);

const tag = ({ state, overdue }) => h("span", {},
  h("span", { class: `tag ${BAD.has(state) ? "care" : state === "done" ? "good" : ""}` }, term("state", state)),
  overdue ? [" ", h("span", { class: "tag care" }, t("state.overdue"))] : null);

export async function mount(root, app, parts) {
  const state = choice(t("orders.state"), [["", t("ui.all")], [OPEN, t("orders.open")], ...STATES.map((each) => [each, t(`state.${each}`)])], () => list.renew());
  const device = search(t("ui.device_id"), () => list.renew(), parts[0] === "device" ? parts[1] ?? "" : "");
  const columns = [
    { head: t("ui.time"), class: "num", cell: (each) => clock(each.t, app.now()) },
    { head: t("orders.act"), cell: (each) => h("a", { href: `#/orders/${encodeURIComponent(each.id)}` }, term("act", each.act)) },
    { head: t("ui.device"), cell: (each) => deviceLink(app, each.device) },
    { head: t("orders.state"), cell: tag },
    { head: t("orders.by"), cell: (each) => bdi(each.by ?? "–", 64) },
    { head: t("orders.args"), cell: (each) => bdi(each.args.text ?? each.args.address ?? "–", 120) },
  ];
  const list = listing({ label: t("page.orders"), columns, load, empty: t("orders.nothing"), id: "orders" });
  root.replaceChildren(h("div", { class: "sheet" },
    h("header", {}, h("h1", {}, t("page.orders")), h("div", { class: "filters" }, state.root, device.root)), list.root));

  async function load(before) {
    const limit = before === null ? Math.min(1000, Math.max(PAGE, list.rows().length)) : PAGE;
    const query = new URLSearchParams({ limit: String(limit) });
    for (const [name, value] of [["state", state.value], ["device", device.value], ["before", before]]) if (value !== null && value !== "") query.set(name, value);
    const page = await app.session.get(`/api/v1/commands?${query}`);
    return { rows: page.commands, next: page.next };
  }

  async function show(id) {
    const path = `/api/v1/commands/${encodeURIComponent(id)}`;
    let command;
    try {
      command = await app.session.get(path);
    } catch (error) {
      return { title: t("page.orders"), content: [problem(error)] };
    }
    const content = h("div", { class: "listing" });
    const callBack = () => app.attempt(async () => {
      command = await app.session.post(`${path}/cancel`, { by: app.session.name || undefined });
      fill();
    });
    function fill() {
      const canCallBack = app.can("dispatcher") && !ENDED.has(command.state) && command.act !== "cancel";
      content.replaceChildren(
        h("p", {}, tag(command), " ", app.named(command.device, 100)),
        h("div", { class: "columns" },
          h("section", {}, h("h3", {}, t("orders.timeline")), steps(app, command)),
          h("section", {}, h("h3", {}, t("orders.args")), about(app, command))),
        h("div", { class: "row" }, h("a", { href: `#/devices/${encodeURIComponent(command.device)}` }, t("ui.device")),
          canCallBack ? h("button", { type: "button", id: "call-back", on: { click: callBack } }, t("orders.call_back")) : null));
    }
    fill();
    const end = app.stream.on("command", async ({ data }) => {
      if (data.cmd !== id) return;
      command = await app.session.get(path).catch(() => command);
      fill();
    });
    return { title: term("act", command.act), content: [content], end };
  }

  const opened = details(app, "orders", show);
  const route = orOfDevice(opened, device, () => list.renew());
  await list.reload();
  if (parts[0] !== "device") opened.route(parts);
  const reading = soon(() => list.reload(), SOON_MS);
  const off = app.stream.on("command", reading.ask);
  return {
    route,
    unmount() {
      off();
      reading.end();
      opened.end();
      list.end();
    },
  };
}

function steps(app, { timeline }) {
  return h("ol", { class: "steps" }, timeline.map((moment, n) => h("li", {},
    h("strong", {}, moment.state === "step" ? t("state.step", (moment.step ?? 0) + 1) : term("state", moment.state)),
    h("div", { class: "when" }, clock(moment.t, app.now()), n ? ` (+${duration(moment.t - timeline[n - 1].t)})` : ""),
    [moment.by, moment.cause, moment.detail].filter(Boolean).map((text) => h("div", {}, bdi(text, 300))))));
}

function about(app, { id, args, by, exp, group, flags }) {
  const shown = (value) => bdi(value?.title?.[lang()] ?? (typeof value === "object" ? JSON.stringify(value) : value), 500);
  return pairs([
    [t("orders.id"), h("span", { class: "mono" }, bdi(id, 64))],
    [t("orders.by"), by ? bdi(by, 64) : null],
    [t("orders.expires"), clock(exp, app.now())],
    [t("orders.group"), group ? h("span", { class: "mono" }, bdi(group, 64)) : null],
    ["flags", flags.length ? bdi(flags.join(", "), 200) : null],
    ...Object.entries(args).map(([name, value]) => [h("span", { class: "mono" }, bdi(name, 40)), shown(value)]),
  ]);
}
