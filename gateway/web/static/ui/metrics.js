// Prometheus' text, as far as a page needs it: figures by name and labels.

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

export function metrics(text) {
  const found = new Map();
  for (const line of text.split("\n")) {
    const match = LINE.exec(line);
    if (!match) continue;
    const labels = Object.fromEntries([...(match[2] ?? "").matchAll(LABEL)].map(([, name, value]) => [name, value]));
    if (!found.has(match[1])) found.set(match[1], []);
    found.get(match[1]).push({ labels, value: Number(match[3]) });
  }
  const all = (name) => found.get(`fieldgate_${name}`) ?? [];
  const isLike = (labels, wanted) => Object.entries(wanted).every(([name, value]) => labels[name] === value);
  const some = (name, wanted) => all(name).filter(({ labels }) => isLike(labels, wanted));
  return {
    all,
    /** The sum of all with these labels; null if there is none. */
    sum(name, wanted = {}) {
      const values = some(name, wanted);
      return values.length ? values.reduce((total, { value }) => total + value, 0) : null;
    },
    /** What a histogram's observations were on average (ms); null if there were none. */
    mean_ms(name, wanted = {}) {
      const count = this.sum(`${name}_count`, wanted);
      return count ? (1000 * this.sum(`${name}_sum`, wanted)) / count : null;
    },
  };
}
