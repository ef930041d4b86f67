// Mouse, touch and keys on the canvas, told to the scatter as pan, zoom, turn, point at, open and lasso.

const SLOP = 4; // Pixels a press may move and still be a click.
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @typedef {[number, number]} Place In CSS pixels of the canvas. */

class Gestures {
  /** @type {Map<number, Place>} */
  fingers = new Map();
  moved = false;
  pinched = false;
  /** @type {Place[] | null} */
  path = null;
  /** @type {Place} */
  start = [0, 0];

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Scatter} scatter
   */
  constructor(canvas, scatter) {
    this.canvas = canvas;
    this.scatter = scatter;
    const listen = (name, act, options) => canvas.addEventListener(name, act.bind(this), options);
    listen("pointerdown", this.down);
    listen("pointermove", this.move);
    listen("pointerup", this.up);
    listen("pointercancel", this.cancel);
    listen("pointerleave", () => this.fingers.size || scatter.pointAt(null));
    listen("wheel", this.wheel, { passive: false });
    listen("keydown", this.key);
    listen("blur", () => scatter.pointAt(null));
    listen("contextmenu", (event) => event.preventDefault());
    // Two fingers are the map's. One scrolls the page (touch-action in scatter.css), as beside the map.
    for (const name of ["touchstart", "touchmove"]) listen(name, this.touch, { passive: false });
  }

  /**
   * @param {MouseEvent} event
   * @returns {Place}
   */
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  /** @param {TouchEvent} event */
  touch(event) {
    if (event.touches.length > 1 && event.cancelable) event.preventDefault();
  }

  // Whether a pointer is a single finger, which moves the page and not the map.
  /** @param {PointerEvent} event */
  scrolls(event) {
    const single = event.pointerType === "touch" && this.fingers.size === 1;
    return single && !this.scatter.lassoing && !document.fullscreenElement;
  }

  /** @param {PointerEvent} event */
  down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    const place = this.place(event);
    this.fingers.set(event.pointerId, place);
    this.pinched = this.fingers.size > 1;
    this.moved = this.pinched;
    this.start = place;
    const lasso = !this.pinched && event.button === 0 && (event.shiftKey || this.scatter.lassoing);
    this.path = lasso ? [place] : null;
  }

  /** @param {PointerEvent} event */
  move(event) {
    const place = this.place(event);
    const before = this.fingers.get(event.pointerId);
    if (!before) return this.scatter.pointAt(this.scatter.nearest(...place));
    if (!this.moved && Math.hypot(place[0] - this.start[0], place[1] - this.start[1]) < SLOP) return;
    this.moved = true;
    this.scatter.pointAt(null);
    if (this.scrolls(event)) return;
    if (this.fingers.size > 1) this.pinch(event.pointerId, place);
    else if (this.path) this.scatter.trace(this.path, place);
    else this.scatter.drag(place[0] - before[0], place[1] - before[1], event.buttons === 2 || event.ctrlKey);
    this.fingers.set(event.pointerId, place);
  }

  /**
   * @param {number} id
   * @param {Place} place
   */
  pinch(id, place) {
    const [other] = [...this.fingers].filter(([finger]) => finger !== id).map(([, at]) => at);
    const before = this.fingers.get(id);
    const apart = (at) => Math.max(20, Math.hypot(at[0] - other[0], at[1] - other[1]));
    this.scatter.drag((place[0] - before[0]) / 2, (place[1] - before[1]) / 2); // Turns a map of three dimensions.
    this.scatter.zoom(apart(place) / apart(before), [(place[0] + other[0]) / 2, (place[1] + other[1]) / 2]);
  }

  /** @param {PointerEvent} event */
  up(event) {
    this.fingers.delete(event.pointerId);
    if (this.fingers.size) return;
    const { path, moved } = this;
    this.path = null;
    if (path && moved) this.scatter.enclose(path);
    else if (!moved && event.button === 0) this.scatter.open(this.scatter.nearest(...this.place(event)));
  }

  /** @param {PointerEvent} event */
  cancel(event) {
    this.fingers.delete(event.pointerId);
    this.path = this.scatter.path = null;
    this.scatter.redraw();
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    const lines = event.deltaMode ? 16 : 1;
    const factor = Math.exp(-clamp(event.deltaY * lines, -240, 240) * (event.ctrlKey ? 0.01 : 0.002));
    // At the far end a wheel scrolls the page, as everywhere else.
    if (factor < 1 && this.scatter.far) return;
    event.preventDefault();
    this.scatter.zoom(factor, this.place(event));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.metaKey || event.ctrlKey || event.altKey) return;
    const arrow = ARROWS[event.key];
    const { scatter } = this;
    const does = {
      Enter: () => scatter.open(scatter.current),
      Escape: () => scatter.clear(),
      "+": () => scatter.zoom(1.5),
      "=": () => scatter.zoom(1.5),
      "-": () => scatter.zoom(1 / 1.5),
      0: () => scatter.reset(),
    }[event.key];
    if (arrow && event.shiftKey) scatter.drag(-60 * arrow[0], -60 * arrow[1]);
    else if (arrow) scatter.step(...arrow);
    else if (does) does();
    else return;
    event.preventDefault();
    event.stopPropagation(); // Streamlit has shortcuts of its own.
  }
}

// Whether a place lies inside a closed path, by the even-odd rule.
function inside(x, y, path) {
  let within = false;
  for (let k = 0, last = path.length - 1; k < path.length; last = k++) {
    const [[ax, ay], [bx, by]] = [path[k], path[last]];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) within = !within;
  }
  return within;
}
