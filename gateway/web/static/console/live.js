// Live pictures of a device, each with its age; and word when none come.

import { bdi, h } from "../dom.js";
import { duration, t, term } from "../i18n.js";
import { openDialog } from "../keys.js";

const WATCH_S = 120;
const FPS = 5;

/** Show a device's live pictures in a dialog; watching ends when it is closed. */
export function showLive(app, device) {
  const image = h("img", { alt: t("live.title", device) });
  const word = h("p", { class: "num", role: "status" }, t("live.starting"));
  const again = h("button", { type: "button", hidden: true }, t("live.again"));
  const dialog = openDialog(t("unit.live"), h("p", {}, app.named(device)), h("div", { class: "stage" }, image), word, h("div", { class: "row" }, again));
  dialog.classList.add("viewer");
  let socket = null;
  let url = null;

  function watch() {
    again.hidden = true;
    word.textContent = t("live.starting");
    const query = new URLSearchParams({ fps: FPS, seconds: WATCH_S, by: app.session.name });
    socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/v1/devices/${encodeURIComponent(device)}/live?${query}`);
    socket.binaryType = "blob";
    let about = null;
    let end = null;
    let hasOpened = false;
    socket.onmessage = ({ data }) => {
      hasOpened = true;
      if (typeof data !== "string") return show(data, about);
      const told = JSON.parse(data);
      if (told.end) end = told;
      else if (told.silent_ms !== undefined) word.replaceChildren(t("live.silent", duration(told.silent_ms)), " · ", term("presence", told.device));
      else about = told;
    };
    socket.onclose = () => {
      again.hidden = false;
      word.replaceChildren(end ? t("live.end", term("why", end.end)) : t(hasOpened ? "no_answer" : "live.failed"), ...(end?.detail ? [" · ", bdi(end.detail)] : []));
    };
  }

  function show(blob, about) {
    if (url) URL.revokeObjectURL(url);
    url = URL.createObjectURL(blob);
    image.src = url;
    word.textContent = about ? t("live.now", about.age_ms === null ? t("unknown") : t("s", (about.age_ms / 1000).toFixed(1)), about.fps?.toFixed(1) ?? "–") : "";
  }

  again.addEventListener("click", watch);
  dialog.addEventListener("close", () => {
    if (socket) socket.onclose = null;
    socket?.close();
    if (url) URL.revokeObjectURL(url);
  });
  watch();
}
