// Which pages are there, in the order of the bar? Each is `pages/NAME.js`, which exports
// `mount(root, app, parts)`: it gives a function that takes it down again, or
// `{unmount, route(parts)}` if it can follow `#/NAME/part/part` by itself.

/** `role`: who sees it. `code`: its key, with Shift. The word on the bar is `page.NAME` of its words.
    `more`: it stands in the menu at the bar's end. */
export const PAGES = [
  { name: "map", role: "viewer", code: "Digit1", face: "⇧1" },
  { name: "alarms", role: "viewer", code: "Digit2", face: "⇧2" },
  { name: "playback", role: "viewer", code: "Digit9", face: "⇧9" },
  { name: "devices", role: "viewer", code: "Digit3", face: "⇧3" },
  { name: "pictures", role: "viewer", code: "KeyP", face: "⇧P" },
  { name: "orders", role: "viewer", code: "KeyO", face: "⇧O", more: true },
  { name: "arrivals", role: "viewer", code: "KeyR", face: "⇧R", more: true },
  { name: "ledger", role: "viewer", code: "Digit4", face: "⇧4", more: true },
  { name: "quarantine", role: "viewer", code: "Digit5", face: "⇧5", more: true },
  { name: "feed", role: "viewer", code: "Digit6", face: "⇧6", more: true },
  { name: "health", role: "viewer", code: "Digit7", face: "⇧7", more: true },
  { name: "audit", role: "admin", code: "Digit8", face: "⇧8", more: true },
  { name: "wall", role: "viewer", code: "Digit0", face: "⇧0" },
];
