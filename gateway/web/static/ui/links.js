// Where a thing of the field is shown in full.

import { h } from "../dom.js";

/** A device's name, leading to its page. */
export const deviceLink = (app, id, longest) => h("a", { href: `#/devices/${encodeURIComponent(id)}` }, app.named(id, longest));

/** Any text, leading to `#/PAGE/ID`. */
export const linkTo = (page, id, text) => h("a", { href: `#/${page}/${encodeURIComponent(id)}` }, text);
