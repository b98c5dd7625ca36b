// What is wrong with the look of what the page shows now? Run in the page; gives a list of faults.
() => {
  const faults = [];
  const isSeen = (e) => e.checkVisibility({ checkVisibilityCSS: true }) && e.getClientRects().length;
  const name = (e) => `${e.tagName}.${e.className.baseVal ?? e.className}#${e.id} "${e.textContent.trim().slice(0, 40)}"`;
  const rgb = (text) => (text.match(/[\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const color = rgb(getComputedStyle(e).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
      if (color[3] !== 0) faults.push(`half transparent: ${name(e)}`);
    }
    return [255, 255, 255];
  };
  const all = [...document.body.querySelectorAll("*")].filter(isSeen);
  for (const e of all) {
    const style = getComputedStyle(e);
    const scrolls = ["auto", "scroll"].includes(style.overflowY);
    const hasText = [...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (e.scrollWidth > e.clientWidth + 1 && e.clientWidth) faults.push(`too wide: ${name(e)}`);
    if (!scrolls && e.clientHeight && e.scrollHeight > e.clientHeight + 2) faults.push(`too high: ${name(e)}`);
    if (!hasText) continue;
    const [a, b] = [light(rgb(style.color)), light(ground(e))].sort((p, q) => q - p);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) faults.push(`contrast ${contrast.toFixed(2)}: ${name(e)}`);
    if (parseFloat(style.fontSize) < 14) faults.push(`small: ${name(e)}`);
  }
  const isOnTop = (e) => {
    const { left, top, width, height } = e.getBoundingClientRect();
    const there = document.elementFromPoint(left + width / 2, top + height / 2);
    return !there || e.contains(there); // none: scrolled out of the screen
  };
  const keys = all
    .filter((e) => e.tagName === "BUTTON" && isOnTop(e))
    .map((e) => [e, e.getBoundingClientRect()]);
  for (const [e, box] of keys) {
    if (box.width < 72 || box.height < 72) faults.push(`key of ${box.width} by ${box.height}: ${name(e)}`);
    if (box.right > innerWidth + 1) faults.push(`beyond the screen: ${name(e)}`);
    for (const [other, o] of keys) {
      if (other === e || e.closest("header") || e.closest("#gone")) continue;
      const across = Math.max(o.left - box.right, box.left - o.right);
      const down = Math.max(o.top - box.bottom, box.top - o.bottom);
      if (Math.max(across, down) < 7.5 && !other.closest("header")) faults.push(`too near: ${name(e)} ${name(other)}`);
    }
  }
  return [...new Set(faults)];
}
