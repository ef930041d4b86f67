// What is on the canvas: dots, the marked ones, the lasso's line; and the same as a file. `scatter` is read, not changed.

const FOG = 6; // Shades by depth, in three dimensions.
// Edges of a box: pairs of its corners that differ in one direction.
const EDGES = [1, 2, 4].flatMap((bit) => [0, 1, 2, 3, 4, 5, 6, 7].filter((a) => !(a & bit)).map((a) => [a, a | bit]));
const THEME = {
  paper: ["--st-background-color", "#ffffff"],
  ink: ["--st-text-color", "#1d2733"],
  rim: ["--st-border-color", "#d8dee4"],
  accent: ["--st-primary-color", "#0a6799"],
};

class Painter {
  paper = "";
  ink = "";
  rim = "";
  accent = "";

  /** @param {Scatter} scatter */
  constructor(scatter) {
    this.scatter = scatter;
    // Drawn from main memory in each frame: so it stays there.
    this.context = scatter.canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    this.dots = new Dots();
  }

  paint() {
    const style = getComputedStyle(this.scatter.root);
    for (const [name, [variable, otherwise]] of Object.entries(THEME)) {
      this[name] = style.getPropertyValue(variable).trim() || otherwise;
    }
    this.cloud();
    const { context, scatter } = this;
    context.setTransform(scatter.ratio, 0, 0, scatter.ratio, 0, 0);
    if (scatter.data.dimensions === 3) this.box();
    if (scatter.picked !== null) this.ring(scatter.picked, 6);
    if (scatter.current !== null) this.ring(scatter.current, 3);
    if (scatter.path) this.line(scatter.path);
    context.setTransform(1, 0, 0, 1, 0, 0);
  }

  cloud() {
    const { dots, context } = this;
    const { data, seen, ratio, lasso, legend, camera } = this.scatter;
    const deep = data.dimensions === 3;
    const paper = dots.packed(this.paper);
    const faded = mixed(paper, dots.packed("#8a94a0"), 0.45);
    const shades = data.palette.map((colour) =>
      Array.from({ length: FOG }, (_, level) =>
        mixed(dots.packed(colour), paper, deep ? (0.5 * level) / (FOG - 1) : 0),
      ),
    );
    const size = this.scatter.radius() * ratio;
    const stamps = Array.from({ length: FOG }, (_, level) => dots.stamp(deep ? size * (1.25 - 0.09 * level) : size));
    const opacity = Math.round(
      256 * clamp(0.62 + 0.1 * Math.log2(camera.view.zoom) + 8 / Math.sqrt(data.n), 0.5, 0.92),
    );
    const dot = (i, dim) => {
      const level = deep ? clamp(Math.floor(((1.3 - seen[3 * i + 2]) / 2.6) * FOG), 0, FOG - 1) : 0;
      const colour = dim ? faded : shades[data.colours[i]][level];
      dots.dot(seen[3 * i] * ratio, seen[3 * i + 1] * ratio, stamps[level], colour, dim ? 110 : opacity);
    };
    const order = (deep ? this.byDepth() : this.scatter.order).filter((i) => legend.shows(data.colours[i]));
    dots.begin(context, paper);
    if (lasso.size) for (const i of order) if (!lasso.has(i)) dot(i, true);
    for (const i of order) if (!lasso.size || lasso.has(i)) dot(i, false);
    dots.end(context);
  }

  // Farthest first: a counting sort, since this happens in each frame.
  byDepth() {
    const { seen, data, order } = this.scatter;
    const bucket = (i) => clamp(Math.floor((seen[3 * i + 2] + 2) * 128), 0, 511);
    const starts = new Uint32Array(513);
    for (let i = 0; i < data.n; i++) starts[bucket(i) + 1]++;
    for (let k = 0; k < 512; k++) starts[k + 1] += starts[k];
    const sorted = new Uint32Array(data.n);
    for (const i of order) sorted[starts[bucket(i)]++] = i;
    return sorted;
  }

  // A faint box around all points shows how they are turned.
  box() {
    const { context } = this;
    const { camera, points, width, height } = this.scatter;
    const [low, high] = [
      [0, 0, 0],
      [0, 0, 0],
    ];
    for (let k = 0; k < points.length; k++) {
      low[k % 3] = Math.min(low[k % 3], points[k]);
      high[k % 3] = Math.max(high[k % 3], points[k]);
    }
    const corners = Float32Array.from({ length: 24 }, (_, k) => ((k / 3) & (1 << (k % 3)) ? high : low)[k % 3]);
    const seen = new Float32Array(24);
    camera.project(corners, 3, width, height, seen);
    Object.assign(context, { strokeStyle: this.rim, lineWidth: 1 });
    context.beginPath();
    for (const [a, b] of EDGES) {
      context.moveTo(seen[3 * a], seen[3 * a + 1]);
      context.lineTo(seen[3 * b], seen[3 * b + 1]);
    }
    context.stroke();
  }

  ring(index, wider) {
    const { context } = this;
    const { seen, data } = this.scatter;
    const radius = this.scatter.radius();
    const circle = (size) => {
      context.beginPath();
      context.arc(seen[3 * index], seen[3 * index + 1], size, 0, 2 * Math.PI);
    };
    circle(radius + 1.5);
    context.fillStyle = data.palette[data.colours[index]];
    context.fill();
    for (const [strokeStyle, lineWidth] of [
      [this.paper, 5],
      [this.ink, 2],
    ]) {
      Object.assign(context, { strokeStyle, lineWidth });
      circle(radius + wider);
      context.stroke();
    }
  }

  line(path) {
    const { context, accent } = this;
    context.beginPath();
    for (const [x, y] of path) context.lineTo(x, y);
    context.closePath();
    Object.assign(context, { fillStyle: accent, strokeStyle: accent, lineWidth: 1.5, globalAlpha: 0.12 });
    context.fill("evenodd");
    context.globalAlpha = 1;
    context.setLineDash([5, 4]);
    context.stroke();
    context.setLineDash([]);
  }

  // The picture as it is seen, with its legend, as a file.
  save() {
    const { canvas, ratio, root, legend, width, data } = this.scatter;
    const picture = element("canvas", { width: canvas.width + 210 * ratio, height: canvas.height });
    const context = picture.getContext("2d");
    context.fillStyle = this.paper;
    context.fillRect(0, 0, picture.width, picture.height);
    context.drawImage(canvas, 0, 0);
    context.scale(ratio, ratio);
    context.font = `14px ${getComputedStyle(root).fontFamily}`;
    legend.paint(context, width + 16, 12, this.ink);
    picture.toBlob((blob) => {
      const link = element("a", { href: URL.createObjectURL(blob), download: `${data.file}.png` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    });
  }
}
