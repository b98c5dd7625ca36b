// How elements are made: text is always text, never markup, whoever wrote it.

/** An element. `props`: class, data, on (by event), and any attribute; children: nodes or texts. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") element.className = value;
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "on") for (const [event, listen] of Object.entries(value)) element.addEventListener(event, listen);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const LONGEST = 200;

/** A text from the field: its direction marks turn nothing around it; a very long one is cut. */
export function bdi(text, longest = LONGEST) {
  const whole = String(text ?? "");
  const cut = [...whole.slice(0, 2 * longest)].slice(0, longest).join("");
  const props = cut.length < whole.length ? { title: whole.slice(0, 2000) } : {};
  return h("bdi", props, cut.length < whole.length ? `${cut}…` : whole);
}

const PATHS = {
  alarm: "M12 3l10 18H2z M12 10v5 M12 18v.2",
  link: "M4 10a12 12 0 0116 0 M7.500 13.500a7 7 0 019 0 M12 18v.2",
  unlink: "M4 10a12 12 0 0116 0 M12 18v.2 M3 3l18 18",
  moon: "M20 14a8 8 0 01-10-10 8 8 0 1010 10z",
  sun: "M12 8a4 4 0 100 8 4 4 0 000-8z M12 2v2 M12 20v2 M2 12h2 M20 12h2 M5 5l1.500 1.500 M17.500 17.500L19 19 M19 5l-1.500 1.500 M6.500 17.500L5 19",
  menu: "M3 6h18 M3 12h18 M3 18h18",
  close: "M5 5l14 14 M19 5L5 19",
  sound: "M4 9v6h4l5 4V5L8 9z M16 9a4 4 0 010 6 M18.500 6.500a8 8 0 010 11",
  mute: "M4 9v6h4l5 4V5L8 9z M16 9l5 6 M21 9l-5 6",
  camera: "M3 7h4l2-2h6l2 2h4v12H3z M12 9.500a3.500 3.500 0 100 7 3.500 3.500 0 000-7z",
  car: "M4.5 16H2v-4h3l2.500-5h8l3.500 5h3v4h-2.500 M9.500 16h5 M5 12h14 M7 14.200a1.800 1.800 0 100 3.600 1.800 1.800 0 000-3.600z M17 14.200a1.800 1.800 0 100 3.600 1.800 1.800 0 000-3.600z",
  person: "M12 4a4 4 0 100 8 4 4 0 000-8z M4 21a8 8 0 0116 0",
  box: "M5 4h14v16H5z M12 9a3 3 0 100 6 3 3 0 000-6z",
  send: "M3 11l18-8-8 18-2-8z",
  clock: "M12 3a9 9 0 100 18 9 9 0 000-18z M12 7v5l3 3",
  play: "M7 4l12 8-12 8z",
  pause: "M8 4v16 M16 4v16",
  check: "M4 12l6 6L20 6",
  reach: "M12 11v2 M12 8a4 4 0 100 8 4 4 0 000-8z M12 3a9 9 0 100 18 9 9 0 000-18z",
  wall: "M2 4h20v13H2z M8 21h8",
};

/** A sign beside a word: readers pass it over. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name] ?? PATHS.box);
  svg.append(path);
  return svg;
}
