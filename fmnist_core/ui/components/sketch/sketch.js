// A square of 28 x 28 grey values to draw on, light on black: a soft brush, an eraser, undo and clear.

const SIDE = 28;
const BRUSHES = { Fine: 0.6, Medium: 1.2, Broad: 2.4 }; // Radius in pixels of the 28.
const REMEMBERED = 60; // Strokes that can be undone.
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @typedef {[number, number]} Place In pixels of the 28. */

class Sketch {
  /** @type {Uint8ClampedArray} */
  values = new Uint8ClampedArray(SIDE * SIDE);
  /** @type {Uint8ClampedArray[]} */
  past = [];
  /** @type {Place} */
  cursor = [14, 14];
  /** @type {Place | null} */
  from = null;
  /** @type {(name: string, value: unknown) => void} */
  send = () => {};
  /** @type {number | undefined} */
  version;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.brush = "Medium";
    this.erasing = false;
    this.canvas = element("canvas", { width: SIDE, height: SIDE, tabIndex: 0 });
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-label", "Drawing, 28 by 28 pixels. Arrow keys move, space draws.");
    this.context = this.canvas.getContext("2d");
    this.spot = element("div", { className: "spot", hidden: true });
    root.replaceChildren(element("div", { className: "board" }, this.canvas, this.spot), this.tools());
    this.listen();
    this.show();
  }

  tools() {
    const made = (label, act) => element("button", { type: "button", textContent: label, onclick: act });
    this.brushes = Object.keys(BRUSHES).map((name) => made(name, () => this.take(name, false)));
    this.eraser = made("Eraser", () => this.take(this.brush, !this.erasing));
    this.undoing = made("Undo", () => this.undo());
    this.clearing = made("Clear", () => this.clear());
    const group = element("div", { className: "tools" }, ...this.brushes, this.eraser, this.undoing, this.clearing);
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "Brush, eraser, undo and clear");
    return group;
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      this.remember();
      this.from = this.place(event);
      this.stroke(this.from, this.from);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.from) return;
      for (const one of event.getCoalescedEvents?.() ?? [event]) {
        const to = this.place(one);
        this.stroke(this.from, to);
        this.from = to;
      }
    });
    const end = () => {
      if (this.from) this.tell();
      this.from = null;
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("keydown", (event) => this.press(event));
    canvas.addEventListener("blur", () => (this.spot.hidden = true));
  }

  /**
   * Arrow keys move a spot over the board, space draws there.
   * @param {KeyboardEvent} event
   */
  press(event) {
    const move = MOVES[event.key];
    if (!move && event.key !== " ") return;
    event.preventDefault();
    const [column, row] = this.cursor;
    const within = (at) => Math.min(SIDE - 1, Math.max(0, at));
    if (move) this.cursor = [within(column + move[0]), within(row + move[1])];
    else {
      /** @type {Place} */
      const middle = [column + 0.5, row + 0.5];
      this.remember();
      this.stroke(middle, middle);
      this.tell();
    }
    const [left, top] = this.cursor.map((at) => `${(100 * at) / SIDE}%`);
    Object.assign(this.spot.style, { left, top });
    this.spot.hidden = false;
  }

  /**
   * Where a pointer is.
   * @param {PointerEvent} event
   * @returns {Place}
   */
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
  }

  /**
   * Every pixel gets the light of a round brush with soft edge that went from one place to another.
   * @param {Place} from
   * @param {Place} to
   */
  stroke([ax, ay], [bx, by]) {
    const radius = BRUSHES[this.brush];
    const [dx, dy] = [bx - ax, by - ay];
    const length = dx * dx + dy * dy;
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++) {
        const [px, py] = [x + 0.5 - ax, y + 0.5 - ay];
        const along = length ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
        const away = Math.hypot(px - along * dx, py - along * dy);
        const light = 255 * Math.min(1, Math.max(0, radius + 0.5 - away));
        const at = y * SIDE + x;
        this.values[at] = this.erasing ? Math.min(this.values[at], 255 - light) : Math.max(this.values[at], light);
      }
    }
    this.show();
  }

  take(brush, erasing) {
    Object.assign(this, { brush, erasing });
    this.show();
  }

  remember() {
    this.past = [...this.past.slice(1 - REMEMBERED), this.values.slice()];
  }

  undo() {
    this.values = this.past.pop() ?? this.values;
    this.show();
    this.tell();
  }

  clear() {
    this.remember();
    this.values = new Uint8ClampedArray(SIDE * SIDE);
    this.show();
    this.tell();
  }

  show() {
    const pixels = this.context.createImageData(SIDE, SIDE);
    this.values.forEach((value, at) => {
      pixels.data.set([value, value, value, 255], 4 * at);
    });
    this.context.putImageData(pixels, 0, 0);
    for (const button of this.brushes) pressed(button, button.textContent === this.brush && !this.erasing);
    pressed(this.eraser, this.erasing);
    this.undoing.disabled = !this.past.length;
    this.clearing.disabled = !this.values.some(Boolean);
  }

  tell() {
    this.send("drawing", btoa(String.fromCharCode(...this.values)));
  }

  // What the server says: a drawing to begin with, taken once for each version of it.
  update({ start, version }, send) {
    this.send = send;
    if (version === this.version) return;
    const first = this.version === undefined;
    this.version = version;
    if (!start) return;
    if (!first) this.remember();
    this.values = Uint8ClampedArray.from(atob(start), (letter) => letter.charCodeAt(0));
    this.show();
    if (!first) this.tell();
  }
}

function pressed(button, on) {
  button.setAttribute("aria-pressed", String(on));
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** @type {WeakMap<HTMLElement, Sketch>} */
const sketches = new WeakMap();

// Streamlit calls this when the component is mounted, whenever its data change, and when the theme does.
export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".sketch");
  if (!sketches.has(root)) sketches.set(root, new Sketch(root));
  sketches.get(root).update(data, setStateValue);
}
