// The card beside a point: its image, what it is, what the network says; and the same in words for who cannot see it.

const TILE = 28;

class Card {
  url = "";
  failed = false;
  columns = 1;
  index = 0;
  words = "";
  /** @type {HTMLImageElement | null} */
  atlas = null;
  /** @type {HTMLImageElement | null} */
  loading = null;

  constructor(stage) {
    this.picture = element("canvas", { width: TILE, height: TILE });
    this.text = element("div", { className: "told" });
    this.root = element("div", { className: "card", hidden: true }, this.picture, this.text);
    this.root.setAttribute("aria-hidden", "true");
    this.live = element("div", { className: "live" });
    this.live.setAttribute("aria-live", "polite");
    stage.append(this.root, this.live);
  }

  // The images, loaded once for each address; again when it failed.
  load(url, columns) {
    this.columns = columns;
    if (!url || (url === this.url && !this.failed)) return;
    this.url = url;
    this.failed = false;
    this.atlas = null;
    const image = new Image();
    image.onload = () => {
      if (image !== this.loading) return;
      this.atlas = image;
      if (!this.root.hidden) this.draw();
    };
    image.onerror = () => {
      if (image === this.loading) this.failed = true;
    };
    this.loading = image;
    image.src = absolute(url);
  }

  /**
   * @param {Data} data
   * @param {number} index
   * @param {number} x
   * @param {number} y
   * @param {number} width
   * @param {number} height
   */
  show(data, index, x, y, width, height) {
    const [truth, guess] = [data.classes[data.truth[index]], data.classes[data.predicted[index]]];
    const right = data.truth[index] === data.predicted[index];
    const sure = `${Math.round((data.confidence[index] / 255) * 100)} %`;
    const number = counted(data.numbers[index]);
    this.text.replaceChildren(
      element("strong", {}, truth),
      element("div", { className: right ? "right" : "wrong" }, `${right ? "✓ predicted" : "✗ predicted"} ${guess}`),
      element("div", {}, `confidence ${sure}`),
      element("div", { className: "number" }, `image ${number}`),
    );
    this.words = `Image ${number}. True class ${truth}. Predicted ${guess}, ${right ? "right" : "wrong"}, confidence ${sure}.`;
    this.index = index;
    this.draw();
    this.root.hidden = false;
    const { offsetWidth, offsetHeight } = this.root;
    const left = x + 18 + offsetWidth > width ? x - 18 - offsetWidth : x + 18;
    this.root.style.left = `${clamp(left, 4, Math.max(4, width - offsetWidth - 4))}px`;
    this.root.style.top = `${clamp(y - offsetHeight / 2, 4, Math.max(4, height - offsetHeight - 4))}px`;
  }

  draw() {
    const { index } = this;
    this.picture.hidden = !this.atlas;
    if (!this.atlas) return;
    const [column, row] = [index % this.columns, Math.floor(index / this.columns)];
    this.picture.getContext("2d").drawImage(this.atlas, column * TILE, row * TILE, TILE, TILE, 0, 0, TILE, TILE);
  }

  tell(words = this.words) {
    this.live.textContent = words;
  }

  hide() {
    this.root.hidden = true;
  }
}
