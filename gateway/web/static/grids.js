// In which patrol grid does a place lie?

let asked = null;

/** The grid's name, or null. The grids are asked for once. */
export async function gridAt(session, { lat, lon }) {
  asked ??= session.get("/api/v1/map/about").catch(() => {
    asked = null;
    return { grids: [] };
  });
  const { grids } = await asked;
  return grids.find(({ polygon }) => isInside(polygon, lat, lon))?.name ?? null;
}

/** Whether it lies in a polygon of [lat, lon]: a line from it to the east crosses the edge an odd number of times. */
function isInside(polygon, lat, lon) {
  let isIn = false;
  for (let n = 0, before = polygon.length - 1; n < polygon.length; before = n++) {
    const [y, x] = polygon[n], [y0, x0] = polygon[before];
    if (y > lat !== y0 > lat && lon < x + ((x0 - x) * (lat - y)) / (y0 - y)) isIn = !isIn;
  }
  return isIn;
}
