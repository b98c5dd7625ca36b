// One thing in full, over the list that it was chosen from; closing it goes back to the list.

import { openDialog } from "../keys.js";

/** Follows `#/PAGE/ID`: `show(id)` gives {title, content}, or a promise of it, or null. */
export function details(app, page, show) {
  let open = null;
  let asked = 0;

  async function route(parts) {
    const mine = ++asked;
    const [id] = parts;
    shut();
    if (id === undefined) return;
    const shown = await show(id, parts.slice(1));
    if (mine !== asked || !shown) return;
    const dialog = openDialog(shown.title, ...shown.content);
    dialog.classList.add("detail");
    open = { dialog, end: shown.end };
    dialog.addEventListener("close", () => {
      if (open?.dialog !== dialog) return;
      shown.end?.();
      open = null;
      app.go(page);
    });
  }

  function shut() {
    const was = open;
    open = null;
    was?.end?.();
    was?.dialog.close();
  }

  return {
    route,
    end() {
      asked++;
      shut();
    },
  };
}

/** The route of a page that also answers to `#/PAGE/device/ID`: its list of that device alone. */
export function orOfDevice(opened, device, renew) {
  return (parts) => {
    if (parts[0] !== "device") return void opened.route(parts);
    device.value = parts[1] ?? "";
    opened.route([]);
    renew();
  };
}
