// What the server sends, and small helpers. The files of this folder are joined into one module (scatter_map.py): each
// sees what the others declare.

/**
 * The header of a message; see `message` in scatter_map.py.
 * @typedef {{ n: number, dimensions: 2 | 3, reach: number, height: number, palette: string[], names: string[],
 *   classes: string[], gradient: [string, string, string] | null, atlas: string, columns: number, picked: number | null,
 *   file: string, who: number, where: number }} Header
 * @typedef {Header & { points: Float32Array, numbers: Uint16Array, colours: Uint8Array, truth: Uint8Array,
 *   predicted: Uint8Array, confidence: Uint8Array, lasso: Set<number> }} Data
 */

/**
 * A length, a header in JSON, and the arrays one after the other.
 * @param {Uint8Array} bytes
 * @returns {Data}
 */
function decode(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  /** @type {Header} */
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  const { n, dimensions, reach } = header;
  let at = 4 + length;
  /**
   * @template {Uint8Array | Uint16Array | Int16Array} T
   * @param {{ new (buffer: ArrayBufferLike): T, BYTES_PER_ELEMENT: number }} Type
   * @param {number} count
   */
  const take = (Type, count) => {
    const copy = bytes.slice(at, at + count * Type.BYTES_PER_ELEMENT); // Typed arrays must be aligned; the message is not.
    at += copy.length;
    return new Type(copy.buffer);
  };
  const steps = take(Int16Array, n * dimensions);
  const points = new Float32Array(3 * n);
  for (let i = 0; i < n; i++) {
    for (let d = 0; d < dimensions; d++) points[3 * i + d] = (steps[i * dimensions + d] * reach) / 32767;
  }
  const numbers = take(Uint16Array, n);
  const [colours, truth, predicted, confidence] = [0, 1, 2, 3].map(() => take(Uint8Array, n));
  const bits = take(Uint8Array, Math.ceil(n / 8));
  const lasso = new Set();
  for (let i = 0; i < n; i++) if (bits[i >> 3] & (128 >> (i & 7))) lasso.add(i);
  return { ...header, points, numbers, colours, truth, predicted, confidence, lasso };
}

// One fixed order for n points in which no class lies on top of another, however they are sorted.
function shuffled(n) {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  let state = 12345;
  for (let i = n - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = Math.floor((state / 2 ** 32) * (i + 1));
    [order[i], order[other]] = [order[other], order[i]];
  }
  return order;
}

const eased = (t) => (t < 0.5 ? 4 * t ** 3 : 1 - (2 - 2 * t) ** 3 / 2);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const counted = (number) => number.toLocaleString("en-GB");
const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// Streamlit's media addresses start at the app's own root, which a proxy may have moved: its own script tells where.
function absolute(url) {
  /** @type {HTMLScriptElement | null} */
  const script = document.querySelector('script[src*="static/js/"]');
  const root = script ? script.src.split("static/js/")[0] : `${location.origin}/`;
  return url.startsWith("/") ? root + url.slice(1) : url;
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Partial<HTMLElementTagNameMap[Tag]>} properties
 * @param {...(Node | string)} children
 */
function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
