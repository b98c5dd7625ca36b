// How soon units came: by grid and shift, each incident, and the same as a file.

import { bdi, h } from "../dom.js";
import { addWords, clock, duration, t, term } from "../i18n.js";
import { choice, span } from "../ui/fields.js";
import { number, table, tile } from "../ui/list.js";
import { histogram } from "../ui/plot.js";
import { problem } from "../ui/problem.js";
import { csv, fileName, iso, save } from "../ui/save.js";
import { words } from "../words/arrivals.js";

addWords(words);

const took = (ms) => (ms === null ? "–" : duration(ms));
const share = (part, count) => (part === null ? "–" : `${(100 * part).toFixed(1)} %${count === undefined ? "" : ` (${count})`}`);

export async function mount(root, app) {
  let report = null;
  let asked = 0;
  const when = span(() => app.now(), () => read(), { first: "day", any: false });
  const grid = choice(t("arrivals.grid"), [["*", t("ui.all")]], () => read(), "*");
  const shown = h("div", { class: "listing", id: "arrivals" });
  const keep = h("button", { type: "button", disabled: true, data: { save: "csv" }, on: { click: () => saveAs("csv") } }, t("ui.csv"));
  const keepAll = h("button", { type: "button", disabled: true, data: { save: "json" }, on: { click: () => saveAs("json") } }, t("ui.json"));
  root.replaceChildren(h("div", { class: "sheet" },
    h("header", {}, h("h1", {}, t("page.arrivals")),
      h("div", { class: "filters" }, when.root, grid.root, h("div", { class: "end" }, keep, keepAll))),
    h("p", { class: "quiet" }, t("arrivals.how")), shown));

  async function read() {
    const mine = ++asked;
    const [since, until] = when.ends();
    const query = new URLSearchParams();
    if (since !== null) query.set("from", since);
    if (until !== null) query.set("to", until);
    if (grid.value !== "*") query.set("grid", grid.value);
    shown.replaceChildren(h("p", { class: "empty", role: "status" }, t("loading")));
    try {
      const answer = await app.session.get(`/api/v1/reports/arrivals?${query}`);
      if (mine !== asked) return;
      report = answer;
      report.by_grid.sort((one, other) => one.grid.localeCompare(other.grid, "zh", { numeric: true }));
      keep.disabled = keepAll.disabled = false;
      if (grid.value === "*") offerGrids(report.by_grid);
      shown.replaceChildren(...sections());
    } catch (error) {
      if (mine !== asked) return;
      if (!("status" in error)) console.error(error);
      shown.replaceChildren(problem(error, read));
    }
  }

  const gridName = (name) => (name ? bdi(name, 60) : t("arrivals.no_grid"));

  function offerGrids(found) {
    const select = grid.root.querySelector("select");
    const options = [["*", t("ui.all")], ...found.map((each) => [each.grid, each.grid || t("arrivals.no_grid")])];
    select.replaceChildren(...options.map(([value, text]) => h("option", { value }, text)));
  }

  function sections() {
    const { total, by_grid, by_shift, incidents } = report;
    const tiles = h("dl", { class: "tiles" },
      tile(t("arrivals.incidents"), number(total.incidents)), tile(t("arrivals.arrived"), number(total.arrived)),
      tile(t("arrivals.mean"), took(total.mean_ms)), tile(t("arrivals.median"), took(total.median_ms)),
      tile(t("arrivals.in_5"), share(total.share_5_min), "", t("arrivals.of", number(total.within_5_min), number(total.arrived))), tile(t("arrivals.in_10"), share(total.share_10_min), "", t("arrivals.of", number(total.within_10_min), number(total.arrived))));
    if (!incidents.length) return [tiles, h("p", { class: "empty" }, t("arrivals.nothing"))];
    const durations = incidents.map(({ duration_ms }) => duration_ms).filter((ms) => ms !== null);
    const figures = (name, each) => [name, number(each.incidents), number(each.arrived), took(each.mean_ms), took(each.median_ms), share(each.share_5_min, each.within_5_min), share(each.share_10_min, each.within_10_min)];
    const heads = (first) => [first, "arrivals.incidents", "arrivals.arrived", "arrivals.mean", "arrivals.median", "arrivals.in_5", "arrivals.in_10"].map((key) => t(key));
    const part = (title, content) => h("section", {}, h("h2", {}, t(title)), content);
    return [
      tiles,
      part("arrivals.plot", histogram(durations, t("arrivals.plot"))),
      part("arrivals.by_grid", table(t("arrivals.by_grid"), heads("arrivals.grid"), by_grid.map((each) => figures(gridName(each.grid), each)))),
      part("arrivals.by_shift", table(t("arrivals.by_shift"), heads("arrivals.shift"), by_shift.map((each) => figures(each.shift, each)))),
      part("arrivals.all", each(incidents)),
    ];
  }

  function each(incidents) {
    const heads = ["arrivals.incident", "arrivals.dispatched", "arrivals.came", "arrivals.took", "arrivals.unit", "arrivals.evidence", "arrivals.doubts", "arrivals.grid", "arrivals.shift"].map((key) => t(key));
    return table(t("arrivals.all"), heads, incidents.map((incident) => {
      const first = incident.units.find(({ unit }) => unit === incident.arrived_unit);
      const step = first?.near ?? first?.on_scene;
      return [
        h("span", { class: "mono" }, bdi(incident.incident, 64)), clock(incident.dispatched, app.now()),
        incident.arrived ? clock(incident.arrived, app.now()) : t("arrivals.not_yet"), took(incident.duration_ms),
        incident.arrived_unit ? app.named(incident.arrived_unit, 60) : "–", step ? term("source", step.source) : "–",
        h("span", { class: "chips" }, (first ?? incident.units[0])?.doubts?.map((doubt) => h("span", { class: "tag care" }, term("doubt", doubt))) ?? ""),
        gridName(incident.grid), incident.shift,
      ];
    }));
  }

  function saveAs(ending) {
    const name = fileName("arrivals", app.now(), ending);
    if (ending === "json") return void save(name, "application/json", JSON.stringify(report, null, 1));
    const rows = report.incidents.flatMap((incident) => incident.units.map((unit) => [
      incident.incident, incident.grid, incident.shift, iso(incident.dispatched), iso(incident.arrived), incident.duration_ms, incident.arrived_unit, unit.unit,
      iso(unit.dispatched?.at), iso(unit.en_route?.at), iso(unit.near?.at), iso(unit.on_scene?.at), (unit.doubts ?? []).join(" ")]));
    const heads = ["incident", "grid", "shift", "dispatched", "arrived", "duration_ms", "arrived_unit", "unit", "unit_dispatched", "unit_en_route", "unit_near", "unit_on_scene", "doubts"];
    save(name, "text/csv", csv([heads, ...rows]));
  }

  await read();
  return () => asked++;
}
