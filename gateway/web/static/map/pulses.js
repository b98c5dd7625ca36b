// Pulses: where alarms are. They beat by style sheet alone, so that the map need not be drawn for it.

const MOST = 60; // beyond that an alarm has the ring of its mark

export class Pulses {
  constructor(map, maplibregl, { shift, label, onPress }) {
    this._map = map;
    this._gl = maplibregl;
    this._shift = shift;
    this._label = label;
    this._onPress = onPress;
    this._shown = new Map();
  }

  /** Show these alarms {id, lat, lon, kind, stage}, and no others. */
  set(alarms) {
    const placed = alarms.filter(({ lat, lon }) => Number.isFinite(lat) && Number.isFinite(lon)).slice(0, MOST);
    const wanted = new Map(placed.map((alarm) => [alarm.id, alarm]));
    for (const [id, { marker }] of this._shown) {
      if (wanted.has(id)) continue;
      marker.remove();
      this._shown.delete(id);
    }
    for (const alarm of wanted.values()) this._put(alarm);
  }

  remove() {
    this.set([]);
  }

  _put(alarm) {
    let shown = this._shown.get(alarm.id);
    if (!shown) {
      const element = document.createElement("button");
      element.type = "button";
      const beat = document.createElement("span");
      element.append(beat);
      element.addEventListener("click", (event) => {
        event.stopPropagation();
        this._onPress(alarm.id);
      });
      const marker = new this._gl.Marker({ element, anchor: "center" });
      shown = { element, marker, isAdded: false };
      this._shown.set(alarm.id, shown);
    }
    const { element, marker } = shown;
    const isWaiting = !["accepted", "acknowledged", "closed"].includes(alarm.stage);
    element.classList.add("map-pulse");
    element.classList.toggle("waiting", isWaiting);
    element.setAttribute("aria-label", this._label(alarm));
    marker.setLngLat(this._shift([alarm.lon, alarm.lat]));
    if (!shown.isAdded) marker.addTo(this._map);
    shown.isAdded = true;
  }
}
