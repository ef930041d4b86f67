// The legend: which classes are shown, how many points each has; or a bar for a continuous colouring.

class Legend {
  /** @type {string[]} */
  names = [];
  /** @type {string[]} */
  palette = [];
  /** @type {[string, string, string] | null} */
  gradient = null;
  counts = new Uint32Array(0);
  /** @type {ReturnType<Legend["row"]>[]} */
  rows = [];
  all = element("button", { type: "button", className: "all", textContent: "Show all" });
  /** @type {Map<string, Set<number>>} A filter for each set of names, kept while another colouring is shown. */
  hiddenBy = new Map();
  shape = "";

  /**
   * @param {HTMLElement} root
   * @param {() => void} changed
   */
  constructor(root, changed) {
    this.root = root;
    this.changed = changed;
    this.all.onclick = () => this.filter(() => false);
  }

  get hidden() {
    const key = this.names.join("\n");
    if (!this.hiddenBy.has(key)) this.hiddenBy.set(key, new Set());
    return this.hiddenBy.get(key);
  }

  // Whether points of this entry are shown.
  shows(entry) {
    return this.gradient || !this.hidden.has(entry);
  }

  /** @param {Data} data */
  update({ names, palette, colours, gradient }) {
    this.names = names;
    this.palette = palette;
    this.gradient = gradient;
    const counts = new Uint32Array(palette.length);
    for (const colour of colours) counts[colour]++;
    const shape = JSON.stringify([names, palette, gradient]);
    if (shape !== this.shape) this.build();
    this.shape = shape;
    if (gradient) return;
    this.counts = counts;
    this.rows.forEach(({ count }, entry) => {
      count.textContent = counted(counts[entry]);
    });
    this.show();
  }

  build() {
    this.root.replaceChildren();
    if (this.gradient) {
      const [title, low, high] = this.gradient;
      const bar = element("div", { className: "bar" });
      bar.style.background = `linear-gradient(to right, ${this.palette.join(", ")})`;
      const ends = element("div", { className: "ends" }, element("span", {}, low), element("span", {}, high));
      this.root.append(element("div", { className: "gradient" }, element("div", {}, title), bar, ends));
      return;
    }
    this.rows = this.names.map((name, entry) => this.row(name, entry));
    this.root.append(...this.rows.map(({ line }) => line), this.all);
  }

  row(name, entry) {
    const mark = element("i");
    mark.style.background = this.palette[entry];
    const count = element("b");
    const toggle = element("button", { type: "button", className: "entry", title: `Show or hide ${name}` });
    toggle.append(mark, element("span", {}, name), count);
    const only = element("button", { type: "button", className: "only", textContent: "only" });
    only.setAttribute("aria-label", `Only ${name}`);
    const isolate = () => this.filter((other) => other !== entry);
    toggle.onclick = () => this.filter((other) => (other === entry) !== this.hidden.has(other));
    toggle.ondblclick = isolate;
    only.onclick = isolate;
    return { line: element("div", { className: "line" }, toggle, only), toggle, count };
  }

  filter(hides) {
    const now = this.names.map((_, entry) => hides(entry));
    this.hidden.clear();
    now.forEach((hidden, entry) => {
      if (hidden) this.hidden.add(entry);
    });
    this.show();
    this.changed();
  }

  show() {
    this.rows.forEach(({ toggle }, entry) => {
      toggle.setAttribute("aria-pressed", String(!this.hidden.has(entry)));
    });
    this.all.hidden = !this.hidden.size;
  }

  // The same on a picture to take away, from its left upper corner on.
  paint(context, left, top, ink) {
    context.textBaseline = "middle";
    context.fillStyle = ink;
    if (this.gradient) {
      const [title, low, high] = this.gradient;
      const fill = context.createLinearGradient(left, 0, left + 150, 0);
      this.palette.forEach((colour, k) => {
        fill.addColorStop(k / Math.max(1, this.palette.length - 1), colour);
      });
      context.fillText(title, left, top + 8);
      context.fillText(low, left, top + 52);
      context.textAlign = "right";
      context.fillText(high, left + 150, top + 52);
      context.fillStyle = fill;
      context.fillRect(left, top + 24, 150, 14);
      return;
    }
    const shown = this.names.map((_, entry) => entry).filter((entry) => this.shows(entry));
    shown.forEach((entry, place) => {
      const y = top + 8 + 24 * place;
      context.fillStyle = this.palette[entry];
      context.fillRect(left, y - 6, 12, 12);
      context.fillStyle = ink;
      context.textAlign = "left";
      context.fillText(this.names[entry], left + 20, y);
      context.textAlign = "right";
      context.fillText(counted(this.counts[entry]), left + 170, y);
    });
  }
}
