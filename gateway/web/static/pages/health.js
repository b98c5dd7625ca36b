// Is the gateway ready for the next alarm, what is wrong, and the figures that matter.

import { bdi, h, icon } from "../dom.js";
import { addWords, clock, duration, t, term } from "../i18n.js";
import { number, table, tile } from "../ui/list.js";
import { metrics } from "../ui/metrics.js";
import { problem } from "../ui/problem.js";
import { said } from "../ui/said.js";
import { words } from "../words/system.js";

addWords(words);
const AGAIN_MS = 3000;

const bytes = (value) => (value === null ? "–" : value >= 1e9 ? `${(value / 1e9).toFixed(1)} GB` : `${(value / 1e6).toFixed(0)} MB`);
const ms = (value) => (value === null ? "–" : value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`);
const seconds = (value) => (value === null ? "–" : `${Math.max(0, value).toFixed(1)} s`);

export async function mount(root, app) {
  const hero = h("section", { class: "hero", id: "readiness", "aria-live": "polite" }, t("loading"));
  const figures = h("div", { class: "listing" });
  root.replaceChildren(h("div", { class: "sheet" },
    h("header", {}, h("h1", {}, t("page.health")), h("a", { href: "/metrics", target: "_blank", rel: "noopener" }, t("health.version"))), hero, figures));
  let isOver = false;
  let timer = null;

  async function look() {
    clearTimeout(timer);
    try {
      const [condition, text] = await Promise.all([readiness(app), app.session.fetch("/metrics").then((answer) => answer.text())]);
      if (isOver) return;
      say(hero, condition, app);
      figures.replaceChildren(...sections(metrics(text), condition));
    } catch (error) {
      if (isOver) return;
      if (!("status" in error)) console.error(error);
      hero.className = "hero wrong";
      hero.replaceChildren(icon("unlink"), h("p", { class: "huge" }, t("no_answer")));
      figures.replaceChildren(problem(error, look));
    }
    timer = setTimeout(look, AGAIN_MS);
  }

  await look();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

/** What /readyz says, whether it is well or not. */
async function readiness(app) {
  try {
    return { wrong: [], ...(await app.session.get("/readyz")) };
  } catch (error) {
    if (error.status === 503 && error.problem?.wrong) return { ready: false, warnings: [], ...error.problem };
    throw error;
  }
}

function say(hero, { ready, wrong, warnings }, app) {
  const kind = !ready ? "wrong" : warnings.length ? "care" : "good";
  const list = (title, texts) => (texts.length ? [h("h2", {}, title), h("ul", {}, texts.map((text) => h("li", {}, said(text, 400))))] : []);
  hero.className = `hero ${kind}`;
  hero.replaceChildren(icon(ready ? "check" : "alarm"), h("div", {},
    h("p", { class: "huge" }, t(ready ? "health.ready" : "health.not_ready")),
    h("p", {}, ready && !warnings.length ? `${t("health.well")} · ` : "", t("health.as_of", clock(app.now(), app.now()))),
    list(t("health.wrong"), wrong), list(t("health.warnings"), warnings)));
}

function sections(of, condition) {
  const doubt = (value, kind = "care") => (value ? kind : "");
  const group = (title, ...tiles) => h("section", {}, h("h2", {}, title), h("dl", { class: "tiles" }, tiles));
  const lane = (name) => {
    const isOn = of.sum("broker_connected", { lane: name }) === 1;
    return tile(t(`health.${name}`), t(isOn ? "health.connected" : "health.cut"), isOn ? "good" : "wrong", t("health.reconnects", number(of.sum("broker_reconnects", { lane: name }))));
  };
  const isReserved = of.sum("disk_reserve") === 1;
  return [
    group(t("health.alarms"),
      tile(t("health.open"), number(of.sum("alarms_open"))),
      tile(t("health.fed"), ms(of.mean_ms("alarm_fed_seconds"))),
      tile(t("health.commit"), ms(of.mean_ms("commit_seconds", { lane: "priority" }) ?? of.mean_ms("commit_seconds"))),
      tile(t("health.commit_age"), seconds(of.sum("commit_age_seconds")), doubt(of.sum("commit_age_seconds") > 3, "wrong")),
      tile(t("health.oldest"), seconds(of.sum("priority_oldest_seconds")), doubt(of.sum("priority_oldest_seconds") > 5, "wrong")),
      tile(t("health.errors"), number(of.sum("errors_total")), doubt(of.sum("errors_total")))),
    group(t("health.devices"),
      ...["online", "stale", "offline"].map((state) => tile(term("presence", state), number(of.sum("devices", { state })))),
      tile(t("health.missing"), number(of.sum("ledger_messages", { state: "missing" })), doubt(of.sum("ledger_messages", { state: "missing" }))),
      tile(t("health.given_up"), number(of.sum("ledger_messages", { state: "given_up" })), doubt(of.sum("ledger_messages", { state: "given_up" }))),
      tile(t("health.refused"), number(of.sum("messages_refused_total") ?? 0), doubt(of.sum("messages_refused_total"))),
      tile(t("health.shed"), number(of.sum("telemetry_shed_total") ?? 0), doubt(of.sum("telemetry_shed_total")))),
    group(t("health.brokers"), lane("priority"), lane("telemetry"),
      tile(t("health.lag_loop"), ms(of.mean_ms("event_loop_lag_seconds"))),
      tile(t("health.waiting"), number(of.sum("commands_waiting"))),
      tile(t("health.viewers"), number(of.sum("live_viewers")))),
    group(t("health.disk"),
      tile(t("health.free"), bytes(of.sum("disk_free_bytes")), condition.disk === "ok" ? "good" : "wrong"),
      tile(t("health.reserve"), t(isReserved ? "health.reserved" : "health.released"), isReserved ? "good" : "wrong"),
      tile(t("health.pictures"), number(of.sum("pictures_kept", { what: "pictures" })), "", bytes(of.sum("pictures_kept", { what: "bytes" }))),
      tile(t("health.damage"), number(of.sum("journal_damaged")), doubt(of.sum("journal_damaged"), "wrong")),
      tile(t("health.files"), `${number(of.sum("open_files"))} / ${number(of.sum("open_files_limit"))}`)),
    h("section", {}, h("h2", {}, t("health.feeds")), feeds(of)),
  ];
}

function feeds(of) {
  const names = of.all("feed_lag").map(({ labels }) => labels.feed);
  if (!names.length) return h("p", { class: "quiet" }, t("health.no_feeds"));
  return table(t("health.feeds"), ["health.feed", "health.lag", "health.behind", "health.failures"].map((key) => t(key)), names.map((feed) => [
    bdi(feed, 80), number(of.sum("feed_lag", { feed })), duration(1000 * of.sum("feed_lag_seconds", { feed })), number(of.sum("feed_failures", { feed }))]));
}
