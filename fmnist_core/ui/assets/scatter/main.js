// The scatter itself: one for each place on the page, kept over reruns, so that zoom, filters and movement go on.

const MOVE = 400; // Milliseconds in which points move to their new places.
const FOG = 6; // Shades by depth, in three dimensions.
const ICONS = {
  in: "M10 4v12M4 10h12",
  out: "M4 10h12",
  reset: "M4 8V4h4M16 8V4h-4M4 12v4h4M16 12v4h-4",
  lasso: "M10 4c4 0 7 2 7 4.5s-3 4.5-7 4.5-7-2-7-4.5S6 4 10 4zM6.5 12.5c-1.5 1.5-1.5 3.5 1 4",
  save: "M10 3v9M6 9l4 4 4-4M4 16h12",
  full: "M4 4l4 4M16 4l-4 4M4 16l4-4M16 16l-4-4M4 7V4h3M13 4h3v3M4 13v3h3M16 13v3h-3",
};
// Edges of a box: pairs of its corners that differ in one direction.
const EDGES = [1, 2, 4].flatMap((bit) => [0, 1, 2, 3, 4, 5, 6, 7].filter((a) => !(a & bit)).map((a) => [a, a | bit]));
const HELP = "Arrow keys go from point to point, Enter opens one, plus and minus zoom, 0 shows all, Escape clears.";

class Scatter {
  constructor(root) {
    this.root = root;
    this.canvas = element("canvas", { tabIndex: 0 });
    this.canvas.setAttribute("role", "application");
    this.stage = element("div", { className: "stage" }, this.canvas);
    this.side = element("div", { className: "legend" });
    this.side.setAttribute("role", "group");
    this.side.setAttribute("aria-label", "Legend: shown classes");
    root.replaceChildren(this.stage, this.side);
    // Read back in each frame: so it stays in main memory, where dots are set.
    this.context = this.canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    this.dots = new Dots();
    this.card = new Card(this.stage);
    this.legend = new Legend(this.side, () => this.redraw());
    this.camera = new Camera();
    this.lassoing = false;
    this.lasso = new Set();
    this.current = null;
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
        tool("save", "Download picture", () => this.save()),
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

  update(data, send) {
    const before = this.data;
    Object.assign(this, { data, send, picked: data.picked, lasso: data.lasso });
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
    this.paintDots();
    this.paintMarks();
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

  style(name, otherwise) {
    return getComputedStyle(this.root).getPropertyValue(name).trim() || otherwise;
  }

  paintDots() {
    const { data, seen, dots, ratio, lasso } = this;
    const paper = dots.packed(this.style("--st-background-color", "#ffffff"));
    const faded = mixed(paper, dots.packed("#8a94a0"), 0.45);
    const deep = data.dimensions === 3;
    const shades = data.palette.map((colour) =>
      Array.from({ length: FOG }, (_, level) => mixed(dots.packed(colour), paper, deep ? (0.65 * level) / (FOG - 1) : 0)),
    );
    const size = this.radius() * ratio;
    const stamps = Array.from({ length: FOG }, (_, level) => dots.stamp(deep ? size * (1.25 - 0.09 * level) : size));
    const opacity = Math.round(256 * clamp(0.62 + 0.1 * Math.log2(this.camera.view.zoom) + 8 / Math.sqrt(data.n), 0.5, 0.92));
    dots.begin(this.context, paper);
    const paint = (i, dim) => {
      const level = deep ? clamp(Math.floor(((1.3 - seen[3 * i + 2]) / 2.6) * FOG), 0, FOG - 1) : 0;
      const colour = dim ? faded : shades[data.colours[i]][level];
      dots.dot(seen[3 * i] * ratio, seen[3 * i + 1] * ratio, stamps[level], colour, dim ? 110 : opacity);
    };
    const order = (deep ? this.byDepth() : this.order).filter((i) => this.legend.shows(data.colours[i]));
    if (lasso.size) for (const i of order) if (!lasso.has(i)) paint(i, true);
    for (const i of order) if (!lasso.size || lasso.has(i)) paint(i, false);
    dots.end(this.context);
  }

  // Farthest first: a counting sort, since this happens in each frame.
  byDepth() {
    const { seen, data } = this;
    const bucket = (i) => clamp(Math.floor((seen[3 * i + 2] + 2) * 128), 0, 511);
    const starts = new Uint32Array(513);
    for (let i = 0; i < data.n; i++) starts[bucket(i) + 1]++;
    for (let k = 0; k < 512; k++) starts[k + 1] += starts[k];
    const sorted = new Uint32Array(data.n);
    for (const i of this.order) sorted[starts[bucket(i)]++] = i;
    return sorted;
  }

  paintMarks() {
    const { context, ratio, data } = this;
    const [ink, paper] = [this.style("--st-text-color", "#1d2733"), this.style("--st-background-color", "#ffffff")];
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (data.dimensions === 3) this.box();
    if (this.picked !== null && this.picked < data.n) this.ring(this.picked, ink, paper, 6);
    if (this.current !== null) this.ring(this.current, ink, paper, 3);
    if (this.path) {
      context.beginPath();
      for (const [x, y] of this.path) context.lineTo(x, y);
      context.closePath();
      const accent = this.style("--st-primary-color", "#0b6fa4");
      Object.assign(context, { fillStyle: accent, strokeStyle: accent, lineWidth: 1.5, globalAlpha: 0.12 });
      context.fill("evenodd");
      context.globalAlpha = 1;
      context.setLineDash([5, 4]);
      context.stroke();
      context.setLineDash([]);
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
  }

  // A faint box around all points shows how they are turned.
  box() {
    const { context, points } = this;
    const sides = [0, 1, 2].map((d) => {
      const places = points.filter((_, k) => k % 3 === d);
      return [places.reduce((a, b) => Math.min(a, b), 1), places.reduce((a, b) => Math.max(a, b), -1)];
    });
    const corners = Float32Array.from({ length: 24 }, (_, k) => sides[k % 3][(Math.floor(k / 3) >> (k % 3)) & 1]);
    const seen = new Float32Array(24);
    this.camera.project(corners, 3, this.width, this.height, seen);
    Object.assign(context, { strokeStyle: this.style("--st-border-color", "#d8dee4"), lineWidth: 1 });
    context.beginPath();
    for (const [a, b] of EDGES) {
      context.moveTo(seen[3 * a], seen[3 * a + 1]);
      context.lineTo(seen[3 * b], seen[3 * b + 1]);
    }
    context.stroke();
  }

  ring(index, ink, paper, wider) {
    const { context, seen, data } = this;
    const [x, y, radius] = [seen[3 * index], seen[3 * index + 1], this.radius() + wider];
    const circle = (size, strokeStyle, lineWidth) => {
      Object.assign(context, { strokeStyle, lineWidth });
      context.beginPath();
      context.arc(x, y, size, 0, 2 * Math.PI);
      context.stroke();
    };
    context.beginPath();
    context.arc(x, y, this.radius() + 1.5, 0, 2 * Math.PI);
    context.fillStyle = data.palette[data.colours[index]];
    context.fill();
    circle(radius, paper, 5);
    circle(radius, ink, 2);
  }

  // The picture as it is seen, with its legend, as a file.
  save() {
    const { canvas, ratio } = this;
    const picture = element("canvas", { width: canvas.width + 210 * ratio, height: canvas.height });
    const context = picture.getContext("2d");
    context.fillStyle = this.style("--st-background-color", "#ffffff");
    context.fillRect(0, 0, picture.width, picture.height);
    context.drawImage(canvas, 0, 0);
    context.scale(ratio, ratio);
    context.font = `14px ${getComputedStyle(this.root).fontFamily}`;
    this.legend.paint(context, this.width + 16, 12, this.style("--st-text-color", "#1d2733"));
    picture.toBlob((blob) => {
      const link = element("a", { href: URL.createObjectURL(blob), download: `${this.data.file}.png` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    });
  }

  end() {
    this.sizes.disconnect();
    cancelAnimationFrame(this.frame);
  }
}

const scatters = new WeakMap();

// Streamlit calls this when the component is mounted, whenever its data change, and when the theme does.
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".scatter");
  if (!scatters.has(root)) scatters.set(root, new Scatter(root));
  scatters.get(root).update(decode(data), setTriggerValue);
  return () => scatters.get(root).end();
}
