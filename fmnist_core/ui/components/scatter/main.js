// The scatter itself: one for each place on the page, kept over reruns, so that zoom, filters and movement go on.

const MOVE = 400; // Milliseconds in which points move to their new places.
const ICONS = {
  in: "M10 4v12M4 10h12",
  out: "M4 10h12",
  reset: "M4 8V4h4M16 8V4h-4M4 12v4h4M16 12v4h-4",
  lasso: "M10 4c4 0 7 2 7 4.5s-3 4.5-7 4.5-7-2-7-4.5S6 4 10 4zM6.5 12.5c-1.5 1.5-1.5 3.5 1 4",
  save: "M10 3v9M6 9l4 4 4-4M4 16h12",
  full: "M4 4l4 4M16 4l-4 4M4 16l4-4M16 16l-4-4M4 7V4h3M13 4h3v3M4 13v3h3M16 13v3h-3",
};
const HELP = "Arrow keys go from point to point, Enter opens one, plus and minus zoom, 0 shows all, Escape clears.";

class Scatter {
  /** @type {Data | undefined} */
  data;
  /** @type {(name: string, value: unknown) => void} */
  send = () => {};
  /** @type {Float32Array} */
  points = new Float32Array(0);
  seen = new Float32Array(0);
  order = new Uint32Array(0);
  width = 0;
  height = 0;
  ratio = 1;
  lassoing = false;
  /** @type {Set<number>} */
  lasso = new Set();
  /** @type {number | null} */
  current = null;
  /** @type {number | null} */
  picked = null;
  /** @type {number | null} */
  keyed = null;
  /** @type {number | null} */
  frame = null;
  /** @type {Place[] | null} */
  path = null;
  /** @type {{ from: Float32Array, start: number } | null} */
  motion = null;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.canvas = element("canvas", { tabIndex: 0 });
    this.canvas.setAttribute("role", "application");
    this.stage = element("div", { className: "stage" }, this.canvas);
    this.side = element("div", { className: "legend" });
    this.side.setAttribute("role", "group");
    this.side.setAttribute("aria-label", "Legend: shown classes");
    root.replaceChildren(this.stage, this.side);
    this.painter = new Painter(this);
    this.card = new Card(this.stage);
    this.legend = new Legend(this.side, () => this.redraw());
    this.camera = new Camera();
    this.tools();
    new Gestures(this.canvas, this);
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(this.stage);
  }

  tools() {
    const tool = (icon, label, act) => {
      const made = element("button", { type: "button", title: label, onclick: act });
      made.setAttribute("aria-label", label);
      made.innerHTML = `<svg viewBox="0 0 20 20" aria-hidden="true"><path d="${ICONS[icon]}"/></svg>`;
      return made;
    };
    this.lassoTool = tool("lasso", "Lasso: draw around points (or hold Shift)", () => this.setLassoing(!this.lassoing));
    this.setLassoing(false);
    const full = () => (document.fullscreenElement ? document.exitFullscreen() : this.root.requestFullscreen());
    this.stage.append(
      element(
        "div",
        { className: "tools" },
        tool("in", "Zoom in", () => this.zoom(1.5)),
        tool("out", "Zoom out", () => this.zoom(1 / 1.5)),
        tool("reset", "Reset view", () => this.reset()),
        this.lassoTool,
        tool("save", "Download picture", () => this.painter.save()),
        ...(document.fullscreenEnabled ? [tool("full", "Full screen", full)] : []),
      ),
    );
    this.chosen = element("button", { type: "button", className: "chosen", hidden: true, onclick: () => this.clear() });
    this.stage.append(this.chosen);
  }

  setLassoing(on) {
    this.lassoing = on;
    this.lassoTool.setAttribute("aria-pressed", String(on));
    this.canvas.classList.toggle("lassoing", on);
  }

  // --- What the server says ----------------------------------------------------------------------------------------

  /**
   * @param {Data} data
   * @param {(name: string, value: unknown) => void} send
   */
  update(data, send) {
    const before = this.data;
    this.data = data;
    this.send = send;
    this.picked = data.picked;
    this.lasso = data.lasso;
    if (!before || before.n !== data.n) {
      this.order = shuffled(data.n);
      this.seen = new Float32Array(3 * data.n);
      this.current = null;
    }
    if (!before || before.dimensions !== data.dimensions) this.camera.set({ ...HOME });
    this.go(before, data);
    this.stage.style.setProperty("--tall", `${data.height}px`);
    const asks = `Map of ${counted(data.n)} images. ${HELP}`;
    if (this.canvas.ariaLabel !== asks) this.canvas.ariaLabel = asks;
    this.card.load(data.atlas, data.columns);
    this.card.hide();
    this.legend.update(data);
    this.mark();
    this.resize();
  }

  // The same points move to their new places; others are simply there.
  /**
   * @param {Data | undefined} before
   * @param {Data} data
   */
  go(before, data) {
    const same = before && before.who === data.who && before.n === data.n;
    if (same && before.where === data.where) return;
    if (same && !calm()) this.motion = { from: this.points.slice(), start: performance.now() };
    else [this.motion, this.points] = [null, data.points];
  }

  mark() {
    this.chosen.hidden = !this.lasso.size;
    this.chosen.textContent = `${counted(this.lasso.size)} ${this.lasso.size === 1 ? "image" : "images"} selected ✕`;
    this.chosen.setAttribute("aria-label", `${this.lasso.size} images selected: clear the selection`);
  }

  // --- What the reader does ------------------------------------------------------------------------------------------

  get far() {
    return this.camera.view.zoom <= FARTHEST * 1.001;
  }

  /**
   * @param {number} factor
   * @param {Place} [place]
   */
  zoom(factor, place) {
    const [x, y] = place ? [place[0] - this.width / 2, place[1] - this.height / 2] : [0, 0];
    const view = this.camera.zoomed(factor, x, y);
    if (place) this.camera.set(view);
    else this.camera.glide(view);
    this.pointAt(null);
    this.redraw();
  }

  drag(x, y, pans = false) {
    this.camera.set(pans || this.data.dimensions === 2 ? this.camera.moved(x, y) : this.camera.turned(x, y));
    this.redraw();
  }

  reset() {
    this.pointAt(null);
    this.camera.glide({ ...HOME }, 350);
    this.redraw();
  }

  // The nearest shown point within reach of a pointer, or null.
  nearest(x, y, reach = 9 + this.radius()) {
    let [found, least] = [null, reach * reach];
    const { seen, data } = this;
    for (let i = 0; i < data.n; i++) {
      const distance = (seen[3 * i] - x) ** 2 + (seen[3 * i + 1] - y) ** 2;
      if (distance < least && this.legend.shows(data.colours[i])) [found, least] = [i, distance];
    }
    return found;
  }

  // Show the card of a point; null hides it.
  pointAt(index) {
    if (index === this.current && !this.card.root.hidden) return;
    this.current = index;
    this.canvas.classList.toggle("pointing", index !== null);
    if (index === null) this.card.hide();
    else this.card.show(this.data, index, this.seen[3 * index], this.seen[3 * index + 1], this.width, this.height);
    this.redraw();
  }

  // To the next point in a direction: near, and not far off the line.
  step(right, down) {
    const { seen, data } = this;
    const from = this.current ?? this.keyed ?? this.nearest(this.width / 2, this.height / 2, Infinity);
    if (from === null) return;
    let [found, least] = [this.current === null ? from : null, Infinity];
    const [x, y] = [seen[3 * from], seen[3 * from + 1]];
    for (let i = 0; i < data.n && this.current !== null; i++) {
      const along = (seen[3 * i] - x) * right + (seen[3 * i + 1] - y) * down;
      const aside = Math.abs((seen[3 * i] - x) * down) + Math.abs((seen[3 * i + 1] - y) * right);
      const cost = along + 2.5 * aside;
      if (along > 0.5 && cost < least && this.legend.shows(data.colours[i])) [found, least] = [i, cost];
    }
    if (found === null) return this.card.tell("No further point in this direction.");
    this.bring(found);
    this.keyed = found;
    this.pointAt(found);
    this.card.tell();
  }

  // Move the view, if a point lies outside.
  bring(index) {
    const [x, y] = [this.seen[3 * index], this.seen[3 * index + 1]];
    const [right, down] = [clamp(x, 30, this.width - 30) - x, clamp(y, 30, this.height - 30) - y];
    if (!right && !down) return;
    this.camera.set(this.camera.moved(right, down));
    this.look();
  }

  open(index) {
    if (index === null) return;
    this.picked = index;
    this.redraw();
    this.send("picked", index);
  }

  /**
   * @param {Place[]} path
   * @param {Place} place
   */
  trace(path, place) {
    path.push(place);
    this.path = path;
    this.redraw();
  }

  enclose(path) {
    this.path = null;
    const { seen, data } = this;
    const found = [];
    for (let i = 0; i < data.n; i++) {
      if (this.legend.shows(data.colours[i]) && inside(seen[3 * i], seen[3 * i + 1], path)) found.push(i);
    }
    this.choose(found);
  }

  choose(indices) {
    this.lasso = new Set(indices);
    this.mark();
    this.card.tell(`${counted(indices.length)} images selected.`);
    this.redraw();
    this.send("lasso", indices);
  }

  clear() {
    this.setLassoing(false);
    this.pointAt(null);
    this.canvas.focus();
    if (this.lasso.size) this.choose([]);
  }

  // --- Drawing ---------------------------------------------------------------------------------------------------------

  resize() {
    if (!this.data) return;
    this.ratio = Math.min(devicePixelRatio || 1, 2);
    [this.width, this.height] = [this.stage.clientWidth, this.stage.clientHeight];
    this.canvas.width = Math.max(1, Math.round(this.width * this.ratio));
    this.canvas.height = Math.max(1, Math.round(this.height * this.ratio));
    this.draw(); // At once: a canvas that was sized is black until it is drawn.
  }

  redraw() {
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = null;
    if (!this.data || !this.width) return;
    const now = performance.now();
    const moving = this.advance(now);
    const gliding = this.camera.step(now);
    this.look();
    this.painter.paint();
    if (moving || gliding) this.redraw();
  }

  // Points on their way; whether they still are.
  advance(now) {
    if (!this.motion) return false;
    const { from, start } = this.motion;
    const t = clamp((now - start) / MOVE, 0, 1);
    const share = eased(t);
    const to = this.data.points;
    if (t < 1) this.points = from.map((place, k) => place + (to[k] - place) * share);
    else [this.motion, this.points] = [null, to];
    return t < 1;
  }

  look() {
    this.camera.project(this.points, this.data.dimensions, this.width, this.height, this.seen);
  }

  // Smaller where there are many; they grow more slowly than the map.
  radius() {
    return clamp((1.4 + 70 / Math.sqrt(this.data.n)) * this.camera.view.zoom ** 0.35, 1.3, 9);
  }

  end() {
    this.sizes.disconnect();
    cancelAnimationFrame(this.frame);
  }
}
