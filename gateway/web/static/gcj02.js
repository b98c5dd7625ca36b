// GCJ-02 in the browser: what protocols/gcj02.py does, for the map's edge. Degrees, [lon, lat].

const AXIS_M = 6378245.0;
const E2 = 0.00669342162296594323;
const ROUNDS = 4;
const [WEST, EAST, SOUTH, NORTH] = [72.004, 137.8347, 0.8293, 55.8271];
const { PI, abs, cos, sin, sqrt } = Math;

const inBox = (lon, lat, edge = 0) =>
  WEST - edge <= lon && lon <= EAST + edge && SOUTH - edge <= lat && lat <= NORTH + edge;

function shift(lon, lat) {
  const x = lon - 105, y = lat - 35;
  const ripple = 20 * sin(6 * PI * x) + 20 * sin(2 * PI * x);
  const northM = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * sqrt(abs(x)) +
    (ripple + 20 * sin(PI * y) + 40 * sin(PI * y / 3) +
      160 * sin(PI * y / 12) + 320 * sin(PI * y / 30)) * (2 / 3);
  const eastM = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * sqrt(abs(x)) +
    (ripple + 20 * sin(PI * x) + 40 * sin(PI * x / 3) +
      150 * sin(PI * x / 12) + 300 * sin(PI * x / 30)) * (2 / 3);
  const radians = lat * PI / 180;
  const bend = 1 - E2 * sin(radians) ** 2;
  return [
    eastM * 180 / (AXIS_M / sqrt(bend) * cos(radians) * PI),
    northM * 180 / (AXIS_M * (1 - E2) / (bend * sqrt(bend)) * PI),
  ];
}

/** Where a domestic map shows a WGS-84 place. */
export function toGcj02([lon, lat]) {
  if (!inBox(lon, lat)) return [lon, lat];
  const [east, north] = shift(lon, lat);
  return [lon + east, lat + north];
}

/** The WGS-84 place that a domestic map shows there. */
export function toWgs84([shownLon, shownLat]) {
  if (!inBox(shownLon, shownLat, 0.1)) return [shownLon, shownLat];
  let [lon, lat] = [shownLon, shownLat];
  for (let round = 0; round < ROUNDS; round++) {
    const [east, north] = shift(lon, lat);
    [lon, lat] = [shownLon - east, shownLat - north];
  }
  return inBox(lon, lat, 1e-9) ? [lon, lat] : [shownLon, shownLat];
}
