// All alarms: looked for by stage, kind, device and time; each with its timeline; kept as a file.

import { bdi, h } from "../dom.js";
import { addWords, clock, t, term } from "../i18n.js";
import { alarmCard } from "../ui/alarm_timeline.js";
import { details, orOfDevice } from "../ui/detail.js";
import { choice, search, span } from "../ui/fields.js";
import { deviceLink } from "../ui/links.js";
import { listing } from "../ui/list.js";
import { csv, fileName, iso, save } from "../ui/save.js";
import { soon } from "../ui/soon.js";
import { words } from "../words/alarms.js";

addWords(words);
const SOON_MS = 500;
const PAGE = 100;
const MOST_SAVED = 20_000;
const OPEN = "stored,accepted,acknowledged";
const STAGES = ["stored", "accepted", "acknowledged", "closed"];
const KINDS = ["panic", "duress", "hold_up", "fire", "medical", "tamper", "man_down", "test", "unreadable"];

export async function mount(root, app, parts) {
  const renew = () => list.renew();
  const stage = choice(t("alarms.stage"), [["", t("alarms.all")], [OPEN, t("alarms.open")], ...STAGES.map((each) => [each, t(`stage.${each}`)])], renew);
  const kind = choice(t("alarms.kind"), [["", t("alarms.all")], ...KINDS.map((each) => [each, t(`kind.${each}`)])], renew);
  const device = search(t("ui.device_id"), renew, parts[0] === "device" ? parts[1] ?? "" : "");
  const when = span(() => app.now(), renew);
  const columns = [
    { head: t("raised"), class: "num", cell: (each) => clock(each.received, app.now()) },
    { head: t("alarms.kind"), cell: (each) => h("a", { href: `#/alarms/${encodeURIComponent(each.id)}` }, term("kind", each.kind)) },
    { head: t("alarms.where"), cell: (each) => deviceLink(app, each.device) },
    { head: t("alarms.stage"), cell: (each) => h("span", { class: `tag ${each.stage}` }, t(`stage.${each.stage}`)) },
    { head: t("alarms.by"), cell: (each) => bdi(each.stages.at(-1)?.by ?? "–", 64) },
    { head: t("alarms.since"), class: "num", cell: (each) => app.age(each.stages.at(-1)?.t) },
  ];
  const list = listing({ label: t("page.alarms"), columns, load: (before) => load(before, before === null ? Math.min(1000, Math.max(PAGE, list.rows().length)) : PAGE), empty: t("alarms.nothing"), id: "alarms" });
  const button = (ending) => h("button", { type: "button", data: { save: ending }, on: { click: () => app.attempt(() => keep(ending)) } }, t(`ui.${ending}`));
  root.replaceChildren(h("div", { class: "sheet" },
    h("header", {}, h("h1", {}, t("page.alarms")),
      h("div", { class: "filters" }, stage.root, kind.root, device.root, when.root, h("div", { class: "end" }, button("csv"), button("json")))),
    list.root));

  async function load(before, limit) {
    const [since, until] = when.ends();
    const query = new URLSearchParams({ limit: String(limit) });
    for (const [name, value] of [["stage", stage.value], ["kind", kind.value], ["device", device.value], ["from", since], ["to", until], ["before", before]]) {
      if (value !== null && value !== "") query.set(name, value);
    }
    const page = await app.session.get(`/api/v1/alarms?${query}`);
    return { rows: page.alarms, next: page.next };
  }

  /** All that was looked for, not only what is shown. */
  async function keep(ending) {
    const found = [];
    let next = null;
    do {
      const page = await load(next, 1000);
      found.push(...page.rows);
      next = page.next;
    } while (next !== null && found.length < MOST_SAVED);
    const name = fileName("alarms", app.now(), ending);
    if (ending === "json") save(name, "application/json", JSON.stringify(found, null, 1));
    else save(name, "text/csv", csv([HEADS, ...found.map(row)]));
    app.toast(t(next === null ? "ui.saved" : "ui.saved_part", found.length), "good");
  }

  const opened = details(app, "alarms", (id) => alarmCard(app, id, () => list.reload()));
  const route = orOfDevice(opened, device, () => list.renew());
  await list.reload();
  if (parts[0] !== "device") opened.route(parts);
  const reading = soon(() => list.reload(), SOON_MS);
  const off = app.alarms.onChange(reading.ask);
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

const HEADS = ["id", "device", "kind", "stage", "pressed", "received", ...STAGES.flatMap((stage) => [stage, `${stage}_by`, `${stage}_note`]), "count", "flags", "lat", "lon", "text"];

function row(alarm) {
  const steps = STAGES.flatMap((stage) => {
    const step = alarm.stages.find((each) => each.stage === stage);
    return [iso(step?.t), step?.by, step?.note];
  });
  const { pos, text } = alarm.data;
  return [alarm.id, alarm.device, alarm.kind, alarm.stage, iso(alarm.t), iso(alarm.received), ...steps, alarm.count, alarm.flags.join(" "), pos?.lat, pos?.lon, text];
}
