// Frames: what gateway/frames.py writes, read. A frame's columns are views of its bytes.

const VERSION = 1;
const HEADER_BYTES = 24;
const ROW_BYTES = 16;

export const LAST = 1, WHOLE = 2;
export const NOWHERE = -(2 ** 31);
export const ONLINE = 0, STALE = 1, OFFLINE = 2, STATE = 3;
export const ALARM = 4, WAITING = 8, CONTRADICTED = 16, FIXED = 32, CAMERA = 64, FAULT = 128;

/** One frame of an ArrayBuffer, or an Error. */
export function decode(buffer) {
  const head = new DataView(buffer);
  if (buffer.byteLength < HEADER_BYTES || head.getUint8(0) !== VERSION) throw new Error("not a frame that this page knows");
  const count = head.getUint32(4, true);
  if (buffer.byteLength !== HEADER_BYTES + count * ROW_BYTES) throw new Error("a frame of another length");
  let at = HEADER_BYTES;
  const column = (Kind) => {
    const view = new Kind(buffer, at, count);
    at += view.byteLength;
    return view;
  };
  return {
    bits: head.getUint8(1),
    count,
    now: head.getFloat64(8, true),
    first: head.getUint32(16, true),
    update: head.getUint32(20, true),
    lat: column(Int32Array), // 1e-7 degrees
    lon: column(Int32Array),
    index: column(Uint16Array), // and `first`
    age: column(Uint16Array), // s
    speed: column(Uint8Array),
    heading: column(Uint8Array),
    accuracy: column(Uint8Array),
    marks: column(Uint8Array),
  };
}

/** m/s; null: not known. */
export const speedMps = (code) => (code === 255 ? null : code / 2);

/** Degrees clockwise from north; null: not known. */
export const headingDeg = (code) => (code === 255 ? null : code * 1.5);

/** Metres, 1 sigma; null: not known. */
export const accuracyM = (code) => (code === 255 ? null : code <= 200 ? code : 200 + 50 * (code - 200));
