// How is the page built? Elements from values, and lists that keep the element under a finger.

const SVG = "http://www.w3.org/2000/svg";

// The signs become part of the page: one is there when it is needed, though the agent be gone.
export async function loadIcons() {
  const text = await (await fetch("/icons.svg")).text();
  const sheet = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  sheet.id = "icons";
  document.body.prepend(document.importNode(sheet, true));
}

// An element: el("p", {class: "x", onclick: f}, "text", child). Text is only ever text.
export function el(name, keys = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(keys)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

export function icon(name) {
  const drawn = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  drawn.setAttribute("class", "icon");
  drawn.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#${name}-sign`);
  drawn.append(use);
  return drawn;
}

export function setIcon(drawn, name) {
  const use = drawn.firstElementChild;
  const href = `#${name}-sign`;
  if (use.getAttribute("href") !== href) use.setAttribute("href", href);
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Makes the children those of the items: `make` a new one, `update` each; known by their key.
export function list(parent, items, key, make, update) {
  const before = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, place) => {
    const name = String(key(item));
    let child = before.get(name);
    if (child) before.delete(name);
    else {
      child = make(item);
      child.dataset.key = name;
    }
    update(child, item);
    if (parent.children[place] !== child) parent.insertBefore(child, parent.children[place] ?? null);
  });
  for (const child of before.values()) child.remove();
}

const two = (number) => String(number).padStart(2, "0");

export function clock(ms, withSeconds = false) {
  const time = new Date(ms);
  const said = `${two(time.getHours())}:${two(time.getMinutes())}`;
  return withSeconds ? `${said}:${two(time.getSeconds())}` : said;
}
