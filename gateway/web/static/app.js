// The page as a whole: who is signed in, which page is open, language, theme, link, alarms' turn.

import { Alarms } from "./alarms.js";
import { Directory } from "./directory.js";
import { bdi, h, icon } from "./dom.js";
import { clock, duration, lang, LANGUAGES, setLang, t } from "./i18n.js";
import { Keys } from "./keys.js";
import { PAGES } from "./pages.js";
import { ApiError, Session } from "./session.js";
import { signIn } from "./sign_in.js";
import { Siren } from "./sound.js";
import { Stream } from "./stream.js";
import { turnBanner } from "./turn.js";

const THEME = "fieldgate.theme";
const HOME = "map";
const TOAST_MS = 6000;
const RENEW_MS = 30 * 60_000; // the session holds for 12 h from then; the gateway's clock is read anew

class App {
  constructor(shell) {
    this.shell = shell;
    this.session = new Session(() => this.signedOut());
    this.stream = new Stream(this.session);
    this.alarms = new Alarms(this.session, this.stream);
    this.devices = new Directory(this.session);
    this.siren = new Siren(() => this._banners());
    this.keys = new Keys();
    this.toasts = h("div", { id: "toasts", role: "status", "aria-live": "polite" });
    document.body.append(this.toasts);
    this._open = null; // the page that is open: {name, unmount, route}
    this._asked = 0;
    document.documentElement.dataset.theme = localStorage.getItem(THEME) ?? "dark";
    this.stream.on("state", () => this._linkChanged());
    this.alarms.onChange(() => this._banners());
    this.devices.onChange((id) => this._named(id));
    addEventListener("hashchange", () => this._route());
    setInterval(() => this._tick(), 1000);
    setInterval(() => this.session.role && this.session.resume().catch(() => {}), RENEW_MS);
    this._keysOfAll();
  }

  async start() {
    let isSignedIn = null;
    while (isSignedIn === null) {
      try {
        isSignedIn = await this.session.resume();
      } catch (error) {
        this.shell.replaceChildren(h("p", { class: "banner cut", role: "alert" }, `${t("no_answer")}: `, bdi(error.message)));
        await new Promise((wake) => setTimeout(wake, 2000));
      }
    }
    if (isSignedIn) this.signedIn();
    else signIn(this, "");
  }

  signedIn() {
    this.stream.start();
    this.render();
  }

  signedOut() {
    this.stream.stop();
    this.siren.set(false);
    this._close();
    signIn(this, t("sign_in_over"));
  }

  // -- for pages --------------------------------------------------------------------------------

  /** The gateway's clock (ms). */
  now() {
    return this.session.now();
  }

  can(role) {
    return this.session.can(role);
  }

  /** Open `#/NAME/part/part`. */
  go(...parts) {
    location.hash = `#/${parts.map(encodeURIComponent).join("/")}`;
  }

  /** How long ago a moment (ms, the gateway's clock) is, ticking. */
  age(since, className = "") {
    if (!since) return h("span", { class: className }, "–");
    const text = duration(this.now() - since);
    return h("time", { class: `num ${className}`, data: { since }, title: clock(since, this.now()) }, text);
  }

  /** The same, as said in a sentence: 3 s ago. */
  ago(since) {
    const [before, after] = t("ago", "\n").split("\n");
    return h("span", {}, before, this.age(since), after);
  }

  /** What a device is called: its id until its name is known. */
  named(id, longest = 80) {
    return h("span", { data: { device: id, longest } }, bdi(this.devices.name(id), longest));
  }

  /** A word in passing: `kind` good, wrong, or none. */
  toast(text, kind = "") {
    const shown = h("div", { class: `toast ${kind}` }, text);
    this.toasts.append(shown);
    while (this.toasts.children.length > 5) this.toasts.firstChild.remove();
    setTimeout(() => shown.remove(), TOAST_MS);
  }

  /** Do it, and say so if it fails. Gives whether it went well. */
  async attempt(act, wrong = "failed") {
    try {
      await act();
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.toast(h("span", {}, t(wrong, error.status === 0 ? t("no_answer") : error.message)), "wrong");
      return false;
    }
  }

  /** Accept the alarm in turn, and show it. */
  async accept() {
    const alarm = this.alarms.turn();
    if (alarm === null || !this.can("dispatcher")) return;
    if (this._open?.name !== "wall") this.go("map", "alarm", alarm.id);
    await this.attempt(() => this.alarms.accept(alarm.id), "not_accepted");
  }

  setTheme(theme) {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem(THEME, theme);
    dispatchEvent(new CustomEvent("theme", { detail: theme }));
  }

  setLanguage(code) {
    setLang(code);
    this.render();
  }

  // -- the shell --------------------------------------------------------------------------------

  /** Everything anew: after signing in, in another language. */
  render() {
    this._close();
    document.body.classList.remove("is-wall");
    const pages = PAGES.filter(({ role }) => this.can(role));
    this._nav = h("nav", { "aria-label": t("pages") }, pages.filter(({ more }) => !more).map(pageLink), moreMenu(pages.filter(({ more }) => more)));
    this._link = h("span", { class: "link", role: "status" });
    this._clock = h("span", { class: "clock" });
    this._banner = h("div", { id: "turn" });
    this._cut = h("div", { id: "cut" });
    this._page = h("main", { id: "page", tabindex: "-1" });
    const tool = (sign, label, act, id) => h("button", { class: "plain", id, type: "button", title: label, "aria-label": label, on: { click: act } }, sign);
    const { name, role } = this.session;
    this.shell.replaceChildren(
      h("header", { id: "bar" },
        tool(icon("menu"), t("menu"), () => this._nav.classList.toggle("open"), "menu"),
        h("div", { class: "brand" }, h("img", { src: "/icon.svg", alt: "" }), h("span", {}, t("brand"))),
        this._nav, this._link, this._clock,
        h("div", { class: "tools" },
          tool(icon(this.siren.isMuted ? "mute" : "sound"), t("sound"), () => this._mute(), "mute"),
          tool(t("language"), t("language"), () => this._otherLanguage(), "language"),
          tool(icon("moon"), t("theme"), () => this._otherTheme(), "theme"),
          tool("?", t("shortcuts"), () => this.keys.show(), "help"),
          h("span", { class: "who clip quiet" }, bdi(t("signed_in", name || t("nobody"), t(`role.${role}`)), 40)),
          h("button", { type: "button", id: "sign-out", on: { click: () => this._signOut() } }, t("sign_out")))),
      this._cut, this._banner, this._page);
    this._linkChanged();
    this._banners();
    this._tick();
    this._route();
  }

  async _route() {
    if (this.session.role === null) return;
    const [name = HOME, ...parts] = location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decodeURIComponent);
    const page = PAGES.find((each) => each.name === name);
    if (!page) return void this.go(HOME);
    this._nav.classList.remove("open");
    for (const link of this._nav.querySelectorAll("a")) {
      if (link.dataset.page === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    for (const menu of this._nav.querySelectorAll("details")) {
      menu.open = false;
      menu.classList.toggle("current", menu.querySelector("[aria-current]") !== null);
    }
    if (this._open?.name === name && this._open.route) return void this._open.route(parts);
    this._close();
    if (!this.can(page.role)) return void this._page.replaceChildren(notFor(this.session.role, page));
    const asked = ++this._asked;
    try {
      const { mount } = await import(`./pages/${name}.js`);
      if (asked !== this._asked) return;
      const mounted = await mount(this._page, this, parts);
      const opened = typeof mounted === "function" ? { unmount: mounted } : mounted ?? {};
      if (asked !== this._asked) return void opened.unmount?.();
      this._open = { name, ...opened };
    } catch (error) {
      console.error(error);
      this._page.replaceChildren(h("p", { class: "wrong" }, t("failed", error.message)));
    }
    this._banners();
  }

  _close() {
    this._asked++;
    this._open?.unmount?.();
    this._open = null;
    this._page?.replaceChildren();
  }

  _banners() {
    if (this.session.role === null || !this._banner) return;
    const waiting = this.alarms.waiting();
    const turn = this.alarms.turn();
    this.siren.set(waiting.length > 0);
    document.title = waiting.length ? `(${waiting.length}) ${t("waiting")} – ${t("brand")}` : t("brand");
    turnBanner(this._banner, this, turn, waiting.length || this.alarms.tests().length);
    const mute = this.shell.querySelector("#mute");
    mute?.replaceChildren(icon(this.siren.isMuted ? "mute" : "sound"));
    mute?.setAttribute("aria-pressed", String(this.siren.isMuted));
  }

  _named(id) {
    for (const each of document.querySelectorAll(`[data-device="${CSS.escape(id)}"]`)) {
      each.replaceChildren(bdi(this.devices.name(id), Number(each.dataset.longest)));
    }
  }

  _linkChanged() {
    if (!this._link) return;
    const { state, since } = this.stream;
    this._link.dataset.state = state;
    this._link.replaceChildren(icon(state === "cut" ? "unlink" : "link"), h("span", {}, t(`link.${state}`)));
    if (state === "cut" && !this._wasCut) {
      this._wasCut = since;
      const gone = h("time", { class: "num", data: { local: since } }, duration(0));
      this._cut.replaceChildren(h("div", { class: "banner cut", role: "alert" }, icon("unlink"), h("strong", {}, t("cut")), gone,
        h("span", {}, t("cut_how")), h("button", { type: "button", on: { click: () => this.stream.retry() } }, t("retry"))));
    } else if (state === "live" && this._wasCut) {
      const back = h("div", { class: "banner good", role: "status" }, icon("check"), t("back", duration(Date.now() - this._wasCut)));
      this._wasCut = null;
      this._cut.replaceChildren(back);
      setTimeout(() => back.remove(), TOAST_MS);
    }
  }

  _tick() {
    const now = this.now();
    for (const each of document.querySelectorAll("[data-since]")) each.textContent = duration(now - Number(each.dataset.since));
    for (const each of document.querySelectorAll("[data-local]")) each.textContent = duration(Date.now() - Number(each.dataset.local));
    if (this._clock) this._clock.textContent = clock(now, now);
  }

  _keysOfAll() {
    const add = (code, face, label, act, { shift, role = "viewer" } = {}) => this.keys.add(code, face, label, act, { shift, isFor: () => this.can(role) });
    for (const { name, code, face, role } of PAGES) add(code, face, () => t("key.page", t(`page.${name}`)), () => this.go(name), { shift: true, role });
    add("KeyA", "A", () => t("key.accept"), () => this.accept(), { role: "dispatcher" });
    add("KeyN", "N", () => t("key.next"), () => this.alarms.passOver());
    add("KeyM", "M", () => t("key.mute"), () => this._mute());
    add("KeyD", "D", () => t("key.theme"), () => this._otherTheme());
    add("KeyL", "L", () => t("key.language"), () => this._otherLanguage());
    add("Slash", "?", () => t("key.shortcuts"), () => this.keys.show(), { shift: true });
  }

  _mute() {
    this.siren.mute(!this.siren.isMuted);
    this._banners();
  }

  _otherTheme() {
    this.setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  }

  _otherLanguage() {
    const codes = Object.keys(LANGUAGES);
    this.setLanguage(codes[(codes.indexOf(lang()) + 1) % codes.length]);
  }

  async _signOut() {
    if (!(await this.attempt(() => this.session.signOut()))) return;
    this.stream.stop();
    this.siren.set(false);
    location.hash = "";
    location.reload(); // nothing of what was seen stays
  }
}

/** What stands in place of a page that a role may not see. */
function notFor(role, { name, role: needed }) {
  return h("div", { class: "sheet", id: "not-for-role" }, h("h1", {}, t(`page.${name}`)),
    h("p", { class: "wrong", role: "alert" }, t("not_for_role", t(`page.${name}`), t(`role.${needed}`), t(`role.${role}`))),
    h("p", {}, h("a", { href: `#/${HOME}` }, t(`page.${HOME}`))));
}

const pageLink = ({ name }) => h("a", { href: `#/${name}`, data: { page: name } }, t(`page.${name}`));

/** The pages that are opened now and then; a click elsewhere or Escape shuts it. */
function moreMenu(pages) {
  if (!pages.length) return null;
  const menu = h("details", { class: "more" }, h("summary", {}, t("more")), h("div", {}, pages.map(pageLink)));
  menu.addEventListener("focusout", ({ relatedTarget }) => !menu.contains(relatedTarget) && menu.matches(":not(:hover)") && (menu.open = false));
  menu.addEventListener("keydown", ({ code }) => code === "Escape" && (menu.open = false));
  return menu;
}

new App(document.querySelector("#shell")).start();
