// The one map.

import { h } from "../dom.js";
import { createMap } from "../map/map.js";

export async function mount(root, app, parts) {
  const canvas = h("div", { id: "map" });
  root.replaceChildren(canvas);
  const map = await createMap(canvas, app);
  return { unmount: () => map.destroy(), route: () => {} };
}
