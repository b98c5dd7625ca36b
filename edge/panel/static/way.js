// Which way is it to a place, and how far? On a sphere: some metres in a town make no difference.

const EARTH_M = 6_371_000;
const MOVES_MPS = 1.5; // slower than this a heading says nothing
const OLD_MS = 30_000;
const radians = (degrees) => (degrees * Math.PI) / 180;

// From the own position to a place: metres, bearing and turn in degrees; turn is relative to the
// heading, or to north where `isNorth`. Null where either is not known.
export function wayTo(position, place, now) {
  if (!position || !position.fix || place.lat === undefined || place.lon === undefined) return null;
  const [south, north] = [radians(position.lat), radians(place.lat)];
  const across = radians(place.lon - position.lon);
  const half = Math.sin((north - south) / 2) ** 2 + Math.cos(south) * Math.cos(north) * Math.sin(across / 2) ** 2;
  const y = Math.sin(across) * Math.cos(north);
  const x = Math.cos(south) * Math.sin(north) - Math.sin(south) * Math.cos(north) * Math.cos(across);
  const bearing = (Math.atan2(y, x) * 180) / Math.PI;
  const isNorth = position.hdg === undefined || !(position.spd >= MOVES_MPS);
  return {
    distance: 2 * EARTH_M * Math.asin(Math.sqrt(half)),
    bearing: (bearing + 360) % 360,
    turn: (bearing - (isNorth ? 0 : position.hdg) + 720) % 360,
    isNorth,
    age: position.t && now - position.t > OLD_MS ? now - position.t : 0,
  };
}

export const compassPoint = (bearing) => Math.round(bearing / 45) % 8;

export function distanceText(metres, units) {
  if (metres < 1000) return `${Math.max(10, Math.round(metres / 10) * 10)} ${units.m}`;
  return `${(metres / 1000).toFixed(metres < 10_000 ? 1 : 0)} ${units.km}`;
}
