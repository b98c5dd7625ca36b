// Clusters: where too many stand close together, how many they are, and how many alarms are inside.

import { ALARM, WAITING } from "./frames.js";
import { BYTES } from "./fleet.js";

export const NO_CLUSTERS_ZOOM = 13.5;
const CELL_PX = 72;
const LEAST = 5; // fewer are drawn one by one

/** Hide who is in a cluster, and give the clusters: {x, y, count, alarms, waiting}. */
export function gather(fleet, zoom, isOn, isShown) {
  const { count, placed, bytes, x, y, facts } = fleet;
  const clusters = [];
  const cells = new Map();
  const isGathered = isOn && zoom < NO_CLUSTERS_ZOOM;
  const across = (2 ** Math.floor(zoom) * 512) / CELL_PX;
  for (let row = 0; row < count; row++) {
    bytes[row * BYTES + 3] = placed[row] && isShown(row) ? 0 : 1;
    if (!isGathered || bytes[row * BYTES + 3]) continue;
    const cell = Math.floor(x[row] * across) * 0x1000000 + Math.floor(y[row] * across);
    const inside = cells.get(cell);
    if (inside) inside.push(row);
    else cells.set(cell, [row]);
  }
  for (const inside of cells.values()) {
    if (inside.length < LEAST) continue;
    const found = { x: 0, y: 0, count: inside.length, alarms: 0, waiting: 0 };
    for (const row of inside) {
      found.x += x[row] / inside.length;
      found.y += y[row] / inside.length;
      const marks = bytes[row * BYTES + 2];
      if (marks & ALARM) found.alarms += facts[row]?.alarms ?? 1;
      if (marks & WAITING) found.waiting += facts[row]?.waiting ?? 1;
      bytes[row * BYTES + 3] = 1;
    }
    clusters.push(found);
  }
  return clusters;
}
