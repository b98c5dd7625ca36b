// Which pages are there, in the order of the bar? Each is `pages/NAME.js`, which exports
// `mount(root, app, parts)`: it gives a function that takes it down again, or
// `{unmount, route(parts)}` if it can follow `#/NAME/part/part` by itself.

/** `role`: who sees it. `code`: its key, with Shift. The word on the bar is `page.NAME` of its words. */
export const PAGES = [
  { name: "map", role: "viewer", code: "Digit1", face: "⇧1" },
  { name: "alarms", role: "viewer", code: "Digit2", face: "⇧2" },
  { name: "playback", role: "viewer", code: "Digit9", face: "⇧9" },
  { name: "wall", role: "viewer", code: "Digit0", face: "⇧0" },
];
