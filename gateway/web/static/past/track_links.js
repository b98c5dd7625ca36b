// One device's track of a time, to be kept as a file for other tools.

import { bdi, h } from "../dom.js";
import { t } from "../i18n.js";

const FORMATS = ["gpx", "kml", "geojson", "csv"];

/** Links to its track, every fix as it was stored. */
export function trackLinks(device, from, to) {
  const path = `/api/v1/devices/${encodeURIComponent(device)}/track?from=${from}&to=${to}`;
  const name = `${device}-${new Date(from).toISOString().slice(0, 16).replace(/[-:]/g, "")}`;
  return h("p", { class: "track-links" }, h("span", { class: "quiet clip" }, t("past.track"), " ", bdi(device, 40)),
    FORMATS.map((format) => h("a", { href: `${path}&format=${format}`, download: `${name}.${format}` }, format.toUpperCase())));
}
