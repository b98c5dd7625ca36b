// All pictures: when each was taken and came, who asked for it, whether it is whole, who holds it.

import { bdi, h, icon } from "../dom.js";
import { addWords, clock, duration, t, term } from "../i18n.js";
import { details, orOfDevice } from "../ui/detail.js";
import { choice, search, span } from "../ui/fields.js";
import { number, pairs } from "../ui/list.js";
import { problem } from "../ui/problem.js";
import { soon } from "../ui/soon.js";
import { words as field } from "../words/console.js";
import { words } from "../words/orders.js";

addWords(field);
addWords(words);
const PAGE = 40;
const NEW_MS = 60_000; // a picture that is no older will have its thumbnail soon
const SOON_MS = 1000;
const REASONS = ["command", "alarm", "pre_alarm", "live", "periodic"];
const SHOWN = new Set(["image/jpeg", "image/png", "image/webp"]);

const takenOf = (sending) => sending.taken_corrected ?? (sending.taken > 0 ? sending.taken : null);

export async function mount(root, app, parts) {
  let next = null;
  let asked = 0;
  const renew = () => read(null);
  const again = soon(() => shown.children.length <= PAGE && read(null, true), SOON_MS);
  const device = search(t("ui.device_id"), renew, parts[0] === "device" ? parts[1] ?? "" : "");
  const reason = choice(t("pictures.reason"), [["", t("ui.all")], ...REASONS.map((each) => [each, t(`reason.${each}`)])], renew);
  const when = span(() => app.now(), renew);
  const shown = h("ul", { class: "pictures", id: "pictures" });
  const state = h("div", {});
  const more = h("button", { type: "button", class: "more", hidden: true, on: { click: () => read(next) } }, t("more"));
  root.replaceChildren(h("div", { class: "sheet" },
    h("header", {}, h("h1", {}, t("page.pictures")), h("div", { class: "filters" }, reason.root, device.root, when.root)),
    h("div", { class: "listing" }, shown, state, more)));

  async function read(before, isQuiet = false) {
    const mine = ++asked;
    const [since, until] = when.ends();
    const query = new URLSearchParams({ limit: String(PAGE) });
    for (const [name, value] of [["device", device.value], ["reason", reason.value], ["from", since], ["to", until], ["before", before]]) {
      if (value !== null && value !== "") query.set(name, value);
    }
    if (before === null && !isQuiet) state.replaceChildren(h("p", { class: "empty", role: "status" }, t("loading")));
    try {
      const page = await app.session.get(`/api/v1/media?${query}`);
      if (mine !== asked) return;
      if (before === null) shown.replaceChildren();
      shown.append(...page.media.map(figure));
      next = page.next;
      more.hidden = next === null;
      if (page.media.some(isNew)) again.ask();
      state.replaceChildren(...(shown.children.length ? [] : [h("p", { class: "empty", role: "status" }, t("pictures.nothing"))]));
    } catch (error) {
      if (mine !== asked) return;
      if (!("status" in error)) console.error(error);
      state.replaceChildren(problem(error, () => read(before)));
    }
  }

  const isNew = ({ complete, thumbnail, deleted, reason, received }) =>
    complete && !thumbnail && !deleted && reason !== "live" && app.now() - received < NEW_MS;

  function figure(picture) {
    const taken = takenOf(picture);
    const image = picture.thumbnail ? h("img", { src: picture.thumbnail, alt: "", loading: "lazy" }) : h("span", { class: "quiet" }, icon("camera"), " ", t("pictures.no_image"));
    return h("li", {}, h("a", { href: `#/pictures/${encodeURIComponent(picture.id)}` },
      h("span", { class: "shot" }, image),
      h("span", { class: "block" }, app.named(picture.device, 40)),
      h("span", { class: "block quiet num" }, taken === null ? t("unknown") : clock(taken, app.now())),
      h("span", { class: "chips" }, h("span", { class: "tag" }, term("reason", picture.reason)), fate(picture),
        picture.held ? h("span", { class: "tag good" }, t("pictures.held")) : null)));
  }

  const opened = details(app, "pictures", (id) => pictureCard(app, id, renew));
  const route = orOfDevice(opened, device, renew);
  await read(null);
  if (parts[0] !== "device") opened.route(parts);
  return {
    route,
    unmount() {
      asked++;
      again.end();
      opened.end();
    },
  };
}

/** What is wrong with a picture, if anything is. */
function fate({ deleted, damaged, complete, received_chunks: came, of }) {
  if (deleted) return h("span", { class: "tag closed" }, t("pictures.deleted", "", "").split(/[:：]/)[0]);
  if (damaged) return h("span", { class: "tag wrong" }, t("pictures.damaged"));
  return complete ? null : h("span", { class: "tag care" }, t("pictures.part", came, of));
}

async function pictureCard(app, id, changed) {
  const path = `/api/v1/media/${encodeURIComponent(id)}`;
  let about;
  try {
    about = await app.session.get(`${path}/about`);
  } catch (error) {
    return { title: t("page.pictures"), content: [problem(error)] };
  }
  const content = h("div", { class: "listing" });

  async function hold(isHeld, note) {
    const body = { by: app.session.name || "web", ...(note ? { note } : {}) };
    await app.attempt(async () => {
      if (isHeld) await app.session.put(`${path}/hold`, body);
      else await app.session.del(`${path}/hold`, body);
      about = await app.session.get(`${path}/about`);
      fill();
      changed();
    });
  }

  function holds() {
    const list = about.holds.map((each) => h("li", {}, t("pictures.held"), ": ", bdi(each.by, 64), each.note ? [" · ", bdi(each.note, 300)] : "", ` · ${clock(each.t ?? each.since ?? each.at, app.now())}`));
    if (!app.can("admin") || about.deleted) return h("ul", {}, list);
    const note = h("input", { maxlength: "1000", autocomplete: "off" });
    const isHeld = about.holds.some(({ scope }) => scope === "media");
    const act = h("button", { type: "button", id: "hold", on: { click: () => hold(!isHeld, note.value.trim()) } }, t(isHeld ? "pictures.release" : "pictures.hold"));
    return h("div", {}, h("ul", {}, list), h("div", { class: "filters" }, h("label", {}, t("pictures.hold_why"), note), act));
  }

  function fill() {
    const { found, complete, deleted, size } = about;
    const canShow = complete && !deleted && found && SHOWN.has(found.mime);
    content.replaceChildren(...[
      canShow ? h("a", { href: path, target: "_blank", rel: "noopener", class: "whole-picture" }, h("img", { src: path, alt: t("pictures.title", id.slice(0, 8)) })) : null,
      pairs([
        [t("pictures.sha"), h("span", { class: "mono" }, bdi(about.sha256, 64))],
        [t("pictures.complete"), deleted ? t("pictures.deleted", deleted.by, deleted.why) : about.damaged ? t("pictures.damaged") : complete ? t("pictures.whole") : bdi(about.state)],
        [t("pictures.size"), `${number(size)} B`],
        [t("pictures.kind"), found ? bdi(`${found.mime} ${found.w ?? "?"}×${found.h ?? "?"}`, 80) : null],
      ].filter(Boolean)),
      ...about.sendings.map((sending) => h("section", {}, h("h3", {}, t("pictures.sendings"), " ", app.named(sending.device, 60)), times(app, sending))),
      holds(),
    ].filter(Boolean));
  }

  fill();
  return { title: t("pictures.title", id.slice(0, 12)), content: [content] };
}

function times(app, sending) {
  const taken = takenOf(sending);
  const at = (ms) => (ms ? clock(ms, app.now()) : null);
  return pairs([
    [t("pictures.reason"), term("reason", sending.reason)],
    [t("pictures.asked"), sending.asked ? h("span", {}, bdi(sending.asked.by ?? t("nobody"), 64), ` · ${clock(sending.asked.t, app.now())}`) : t("pictures.nobody")],
    [t("pictures.taken"), taken ? at(taken) : t("unknown")],
    [t("pictures.sent"), at(sending.sent)],
    [t("pictures.received"), at(sending.received) ?? t("pictures.part", sending.received_chunks, sending.of)],
    [t("pictures.age"), sending.age_received_ms === null ? null : duration(sending.age_received_ms)],
  ]);
}
