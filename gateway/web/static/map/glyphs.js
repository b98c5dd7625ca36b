// Glyphs without a network: letters as MapLibre wants them, drawn with this machine's own fonts.
//
// MapLibre takes letters as signed distance fields in ranges of 256, as a protocol buffer. Chinese
// it draws itself (`localIdeographFontFamily`); these are all others.

const SIZE_PX = 24, BORDER_PX = 3, RADIUS_PX = 8, CUTOFF = 0.25;
const FAR = 1e20;
export const FAMILY = "'Noto Sans', 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', 'WenQuanYi Zen Hei', 'DejaVu Sans', sans-serif";

/** Squared distances to the nearest zero of one line (Felzenszwalb and Huttenlocher). */
function line(field, offset, stride, length, f, v, z) {
  v[0] = 0;
  z[0] = -FAR;
  z[1] = FAR;
  f[0] = field[offset];
  for (let q = 1, k = 0; q < length; q++) {
    f[q] = field[offset + q * stride];
    let s;
    do {
      const r = v[k];
      s = (f[q] - f[r] + q * q - r * r) / (q - r) / 2;
    } while (s <= z[k] && --k > -1);
    k++;
    v[k] = q;
    z[k] = s;
    z[k + 1] = FAR;
  }
  for (let q = 0, k = 0; q < length; q++) {
    while (z[k + 1] < q) k++;
    const r = v[k];
    field[offset + q * stride] = f[r] + (q - r) ** 2;
  }
}

function distances(field, width, height) {
  const longest = Math.max(width, height) + 1;
  const [f, z, v] = [new Float64Array(longest), new Float64Array(longest + 1), new Uint16Array(longest)];
  for (let x = 0; x < width; x++) line(field, x, width, height, f, v, z);
  for (let y = 0; y < height; y++) line(field, y * width, 1, width, f, v, z);
}

/** One letter: its field and its measures. */
function glyph(context, id) {
  const letter = String.fromCodePoint(id);
  const m = context.measureText(letter);
  const top = Math.ceil(m.actualBoundingBoxAscent);
  const left = Math.max(0, Math.ceil(-m.actualBoundingBoxLeft) * 0);
  const width = Math.max(0, Math.ceil(m.actualBoundingBoxRight));
  const height = Math.max(0, top + Math.ceil(m.actualBoundingBoxDescent));
  const advance = Math.round(m.width);
  if (!width || !height) return { id, width: 0, height: 0, left: 0, top: 0, advance, bitmap: null };
  const [w, h] = [width + 2 * BORDER_PX, height + 2 * BORDER_PX];
  context.clearRect(0, 0, w, h);
  context.fillText(letter, BORDER_PX, BORDER_PX + top);
  const { data } = context.getImageData(0, 0, w, h);
  const outer = new Float64Array(w * h), inner = new Float64Array(w * h);
  for (let i = 0; i < w * h; i++) {
    const a = data[4 * i + 3] / 255;
    outer[i] = a === 1 ? 0 : a === 0 ? FAR : Math.max(0, 0.5 - a) ** 2;
    inner[i] = a === 1 ? FAR : a === 0 ? 0 : Math.max(0, a - 0.5) ** 2;
  }
  distances(outer, w, h);
  distances(inner, w, h);
  const bitmap = new Uint8ClampedArray(w * h);
  for (let i = 0; i < w * h; i++) {
    bitmap[i] = Math.round(255 - 255 * ((Math.sqrt(outer[i]) - Math.sqrt(inner[i])) / RADIUS_PX + CUTOFF));
  }
  return { id, width, height, left, top: top - SIZE_PX, advance, bitmap };
}

/** A protocol buffer, as much of it as glyphs need. */
class Buffer {
  constructor() {
    this.bytes = [];
  }

  number(field, value, isSigned = false) {
    this._varint(field << 3);
    this._varint(isSigned ? (value << 1) ^ (value >> 31) : value);
  }

  block(field, bytes) {
    this._varint((field << 3) | 2);
    this._varint(bytes.length);
    for (const byte of bytes) this.bytes.push(byte);
  }

  _varint(value) {
    for (value >>>= 0; value > 127; value >>>= 7) this.bytes.push((value & 127) | 128);
    this.bytes.push(value);
  }
}

/** The letters from `first` on, 256 of them, as MapLibre asks for them. */
export function glyphs(stack, first) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 3 * SIZE_PX;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.font = `500 ${SIZE_PX}px ${FAMILY}`;
  context.textBaseline = "alphabetic";
  const found = new Buffer();
  found.block(1, new TextEncoder().encode(stack));
  found.block(2, new TextEncoder().encode(`${first}-${first + 255}`));
  for (let id = first; id < first + 256; id++) {
    if (id < 32 || (id >= 0xd800 && id < 0xe000)) continue;
    const each = glyph(context, id);
    const letter = new Buffer();
    letter.number(1, id);
    if (each.bitmap) letter.block(2, each.bitmap);
    letter.number(3, each.width);
    letter.number(4, each.height);
    letter.number(5, each.left, true);
    letter.number(6, each.top, true);
    letter.number(7, each.advance);
    found.block(3, letter.bytes);
  }
  const stacks = new Buffer();
  stacks.block(1, found.bytes);
  return new Uint8Array(stacks.bytes).buffer;
}

/** Let MapLibre ask here for glyphs. */
export function serveGlyphs(maplibregl) {
  maplibregl.addProtocol("glyphs", async ({ url }) => {
    const [, stack, first] = /^glyphs:\/\/([^/]*)\/(\d+)-/.exec(url);
    return { data: glyphs(decodeURIComponent(stack), Number(first)) };
  });
}
