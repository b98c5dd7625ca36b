// Playback: all units, alarms and orders of a time that has passed, with a slider, at 1 to 60 times.

import { mapIn } from "../console/map_in.js";
import { bdi, h, icon } from "../dom.js";
import { addWords, clock, duration, t } from "../i18n.js";
import { eventList } from "../past/event_list.js";
import { Film, TooLong } from "../past/film.js";
import { Player, SPEEDS } from "../past/player.js";
import { trackLinks } from "../past/track_links.js";
import { words as console_words } from "../words/console.js";
import { words } from "../words/playback.js";

addWords(console_words);
addWords(words);
const HOUR_MS = 3_600_000;
const LONGEST_MS = 24 * HOUR_MS;
const MINUTE_MS = 60_000;
const CLOSE_UP = 15;

const two = (n) => String(n).padStart(2, "0");
const day = (d) => `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
const toInput = (ms) => {
  const d = new Date(ms);
  return `${day(d)}T${two(d.getHours())}:${two(d.getMinutes())}`;
};

export async function mount(root, app, parts) {
  let film = null;
  let player = null;
  let on = null; // the map, as it follows
  let map = null;
  let chosen = null; // the unit or box that is chosen
  const from = h("input", { type: "datetime-local", id: "past-from", required: true });
  const to = h("input", { type: "datetime-local", id: "past-to", required: true });
  const form = h("form", { class: "filters", id: "past-form" },
    h("label", {}, t("past.from"), from), h("label", {}, t("past.to"), to),
    h("button", { type: "submit", class: "main" }, t("past.load")),
    h("button", { type: "button", id: "past-hour", on: { click: () => lastHour() } }, t("past.last_hour")));
  const moment = h("time", { class: "num", id: "past-moment" });
  const banner = h("div", { class: "banner past", id: "past-banner", role: "note" }, icon("clock"), h("strong", {}, t("past.it_is")), moment,
    h("span", { class: "gap" }), h("a", { href: "#/map" }, t("past.to_now")));
  const list = eventList(app, (entry) => jump(entry));
  const tracks = h("div", { id: "past-tracks" });
  const canvas = h("div", { id: "map" });
  const said = h("p", { class: "quiet", id: "past-said", role: "status" });
  const play = h("button", { type: "button", class: "main", id: "past-play", on: { click: () => toggle() } });
  const slider = h("input", { type: "range", id: "past-slider", "aria-label": t("past.time"), on: { input: () => player?.seek(Number(slider.value)) } });
  const speed = h("select", { id: "past-speed", "aria-label": t("past.speed"), on: { change: () => player?.setSpeed(Number(speed.value)) } },
    SPEEDS.map((each) => h("option", { value: each }, `${each}×`)));
  const layout = h("div", { id: "past" },
    h("div", { class: "left" }, form, tracks, list.root),
    h("div", { class: "middle" }, canvas),
    h("div", { class: "controls" }, play, slider, speed, said));
  root.replaceChildren(h("div", { id: "past-page" }, banner, layout));

  const shown = mapIn(canvas, app, (ready) => {
    map = ready;
    map.on("select", ({ unit, device }) => choose(unit ?? device ?? null));
    if (chosen) choose(chosen);
    if (film) changed();
  }, {
    follow: (follower) => {
      on = follower;
      return player?.follow(on) ?? { update: 0, close: () => (on = null) };
    },
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const [since, until] = [from, to].map(({ value }) => new Date(value).getTime());
    if (!(since < until)) return void say(t("past.wrong_order"));
    if (until - since > LONGEST_MS) return void say(t("past.too_long"));
    app.go("playback", String(since), String(until), ...(chosen ? [chosen] : []));
  });

  function say(text) {
    said.textContent = text;
  }

  function lastHour() {
    const until = Math.floor(app.now() / 1000) * 1000;
    app.go("playback", String(until - HOUR_MS), String(until));
  }

  function route([since, until, unit]) {
    const times = [Number(since), Number(until)];
    if (!(times[0] > 0 && times[0] < times[1])) {
      const now = Math.floor(app.now() / MINUTE_MS) * MINUTE_MS;
      times.splice(0, 2, now - HOUR_MS, now);
    }
    [from.value, to.value] = times.map(toInput);
    if (unit) choose(unit);
    if (film?.from !== times[0] || film?.to !== times[1]) load(...times);
  }

  async function load(since, until) {
    player?.end();
    film?.stop();
    const mine = (film = new Film(app.session, since, until));
    player = new Player(film, () => mine === film && changed());
    slider.min = since;
    slider.max = until;
    slider.step = film.stepMs;
    speed.value = player.speed;
    list.show(film);
    if (on) player.follow(on);
    say(t("loading"));
    changed();
    links();
    try {
      await mine.load(() => mine === film && came());
    } catch (error) {
      if (mine !== film || error.name === "AbortError") return;
      say(error instanceof TooLong ? t("past.too_much") : t("failed", error.message));
    }
  }

  function came() {
    player.show();
    changed();
    if (film.isWhole) links(); // which devices a unit has is known now
    if (!film.isWhole) return say(t("past.coming", duration(film.known - film.from)));
    say(t(film.isCut ? "past.cut" : "past.whole", duration(film.to - film.from), film.stepMs / 1000));
  }

  function changed() {
    play.replaceChildren(icon(player.isPlaying ? "pause" : "play"), ` ${t(player.isPlaying ? "past.pause" : "past.play")}`);
    slider.value = player.t;
    speed.value = player.speed;
    const at = new Date(player.t);
    const text = `${day(at)} ${clock(player.t, player.t)}`;
    moment.textContent = text;
    slider.setAttribute("aria-valuetext", text);
    const alarms = list.at(player.t, (device) => map?.view(device));
    map?.setAlarms(alarms);
  }

  function toggle() {
    if (player.isPlaying) player.pause();
    else player.play();
  }

  function jump({ t: at, event }) {
    player.seek(at);
    const place = event.data.pos ?? map?.view(event.subject);
    if (Number.isFinite(place?.lat)) map?.flyTo({ lat: place.lat, lon: place.lon, zoom: CLOSE_UP });
  }

  function choose(id) {
    chosen = id;
    map?.select(id);
    links();
  }

  function links() {
    tracks.replaceChildren();
    if (!chosen || !film) return;
    const about = map?.view(chosen);
    const devices = about?.devices?.length ? about.devices : [chosen];
    tracks.append(h("h2", { class: "clip" }, bdi(about?.name || chosen, 60)), ...devices.map((device) => trackLinks(device, film.from, film.to)));
  }

  const key = (code, face, word, act) => app.keys.add(code, face, () => t(word), act);
  const offs = [
    key("KeyP", "P", "past.key_play", toggle),
    key("KeyB", "B", "past.key_back", () => player.seek(player.t - MINUTE_MS)),
    key("KeyF", "F", "past.key_on", () => player.seek(player.t + MINUTE_MS)),
    key("BracketLeft", "[", "past.key_slower", () => player.shift(-1)),
    key("BracketRight", "]", "past.key_faster", () => player.shift(1)),
    key("Escape", "Esc", "past.to_now", () => app.go("map")),
  ];
  route(parts);
  return {
    route,
    unmount() {
      offs.forEach((off) => off());
      player.end();
      film.stop();
      shown.destroy();
    },
  };
}
