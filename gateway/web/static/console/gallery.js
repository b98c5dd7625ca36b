// Pictures in a strip: when each was taken, why, whether it is whole, and by which hash.

import { h, icon } from "../dom.js";
import { clock, duration, t, term } from "../i18n.js";
import { openDialog } from "../keys.js";

const SHOWN = new Set(["image/jpeg", "image/png", "image/webp"]);
const AGAIN_MS = 3000;
const short = (id) => id.slice(0, 8);
const takenOf = (picture) => picture.taken_corrected ?? (picture.taken > 0 ? picture.taken : null);

/** A strip of what `path` lists; it follows what comes, `isWanted(device, data)`. `about(taken)`
    says when that is. `most`: so many of the newest, and none of those that were watched live. */
export function gallery(app, path, isWanted, about, most = Infinity) {
  const strip = h("ul", { class: "strip" });
  const none = h("p", { class: "quiet" }, t("card.no_pictures"));
  const root = h("div", { class: "gallery" }, none, strip);
  let pictures = [];
  let timer = null;
  let isOver = false;

  async function load() {
    clearTimeout(timer);
    timer = null;
    try {
      const page = await app.session.get(path);
      if (isOver) return;
      const listed = most === Infinity ? page.media : page.media.filter(({ reason }) => reason !== "live").slice(0, most);
      const media = listed.sort((a, b) => (takenOf(a) ?? a.began) - (takenOf(b) ?? b.began));
      const signature = (list) => JSON.stringify(list.map((p) => [p.no, p.received_chunks, p.complete, p.deleted, p.damaged, p.found, p.thumbnail]));
      if (signature(media) !== signature(pictures) || !strip.children.length) {
        pictures = media;
        strip.replaceChildren(...pictures.map(figure));
        none.hidden = pictures.length > 0;
      }
      if (pictures.some((picture) => !picture.deleted && !(picture.complete && picture.found))) soon(); // still coming
    } catch {
      soon();
    }
  }
  function soon() {
    if (!isOver) timer ??= setTimeout(load, AGAIN_MS);
  }

  function figure(picture, n) {
    const taken = takenOf(picture);
    const when = taken === null ? t("picture.unknown_time") : about?.(taken) ?? t("ago", duration(app.now() - taken));
    const image = imageOf(picture, true);
    return h("li", {},
      h("button", { type: "button", class: `shot ${picture.reason ?? ""}`, "aria-label": `${t("picture.open")}: ${term("reason", picture.reason)}, ${when}`, on: { click: () => open(n) } },
        image ?? h("span", { class: "no-image" }, stateOf(picture))),
      h("div", { class: "about" },
        h("span", { class: "tag" }, term("reason", picture.reason)),
        h("span", { class: "num" }, when),
        h("span", { class: picture.complete ? "whole" : "coming" }, picture.complete ? icon("check") : null, stateOf(picture)),
        h("span", { class: "mono quiet", title: picture.id }, short(picture.id))));
  }

  function open(n) {
    const stage = h("div", { class: "stage" });
    const dialog = openDialog(t("card.pictures"), stage);
    dialog.classList.add("viewer");
    const show = (to) => {
      const at = (to + pictures.length) % pictures.length;
      const picture = pictures[at];
      const taken = takenOf(picture);
      stage.replaceChildren(
        imageOf(picture, false) ?? h("p", { class: "empty" }, stateOf(picture)),
        h("dl", { class: "facts" },
          h("dt", {}, t("picture.taken")), h("dd", {}, taken === null ? t("picture.unknown_time") : `${clock(taken, app.now())}${about ? ` · ${about(taken)}` : ""}`),
          h("dt", {}, t("card.device")), h("dd", {}, app.named(picture.device)),
          h("dt", {}, t("picture.what")), h("dd", {}, term("reason", picture.reason), ` · ${stateOf(picture)}`, picture.found?.w ? ` · ${t("picture.size", picture.found.w, picture.found.h)}` : ""),
          h("dt", {}, t("picture.sha")), h("dd", { class: "mono wrap" }, picture.id)),
        h("div", { class: "row" },
          h("button", { type: "button", on: { click: () => show(at - 1) } }, "← ", t("picture.older")),
          h("span", { class: "num" }, `${at + 1} / ${pictures.length}`),
          h("button", { type: "button", on: { click: () => show(at + 1) } }, t("picture.newer"), " →")));
      dialog.onkeydown = (event) => {
        if (event.key === "ArrowLeft") show(at - 1);
        if (event.key === "ArrowRight") show(at + 1);
      };
    };
    show(n);
  }

  const off = app.stream.on("media", ({ subject, data }) => isWanted(subject, data) && !(most < Infinity && data.reason === "live") && soonest());
  const again = app.stream.on("live", () => load());
  function soonest() {
    clearTimeout(timer);
    timer = setTimeout(load, 200); // of many at once one reading
  }
  load();
  return {
    root,
    reload: load,
    end() {
      isOver = true;
      clearTimeout(timer);
      off();
      again();
    },
  };
}

function imageOf(picture, isSmall) {
  if (picture.deleted || picture.damaged || !picture.complete) return null;
  const path = isSmall && picture.thumbnail ? picture.thumbnail : `/api/v1/media/${picture.id}`;
  if (path !== picture.thumbnail && !SHOWN.has(picture.found?.mime)) return null;
  return h("img", { src: path, alt: "", loading: "lazy", decoding: "async" });
}

function stateOf(picture) {
  if (picture.deleted) return t("picture.deleted");
  if (picture.damaged) return t("picture.damaged");
  if (!picture.complete) return t("picture.coming", picture.received_chunks, picture.of);
  return t("picture.complete");
}

/** One picture that was just taken: its bytes, and what is `said` of it by name (`Age-Ms`). */
export function fresh(blob, said) {
  const url = URL.createObjectURL(blob);
  const image = h("img", { src: url, alt: t("unit.picture"), on: { load: () => URL.revokeObjectURL(url) } });
  const age = said("Age-Ms");
  return h("figure", { class: "fresh" }, image,
    h("figcaption", {}, age === null ? t("picture.unknown_time") : t("unit.taken", duration(Number(age)), t("unit.ms", said("Round-Trip-Ms"))), " ",
      h("a", { class: "mono", href: `/api/v1/media/${said("Id")}`, target: "_blank", rel: "noopener" }, short(said("Id") ?? ""))));
}
