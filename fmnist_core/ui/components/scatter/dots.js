// Ten thousand round dots in a few milliseconds: set into an image by hand. Canvas paths need ten times as long where the
// browser draws without a graphics card, as on many a projector's laptop.

const PHASES = 4; // Steps within a pixel, both ways: without them slow motion trembles.

class Dots {
  constructor() {
    this.stamps = new Map();
    this.colours = new Map();
    this.probe = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  }

  // Any CSS colour as one number, as the image holds it (alpha, blue, green, red).
  packed(colour) {
    if (!this.colours.has(colour)) {
      this.probe.clearRect(0, 0, 1, 1);
      this.probe.fillStyle = colour;
      this.probe.fillRect(0, 0, 1, 1);
      this.colours.set(colour, new Uint32Array(this.probe.getImageData(0, 0, 1, 1).data.buffer)[0]);
    }
    return this.colours.get(colour);
  }

  begin(context, background) {
    const { width, height } = context.canvas;
    if (this.image?.width !== width || this.image?.height !== height) {
      this.image = context.createImageData(width, height);
      this.pixels = new Uint32Array(this.image.data.buffer);
    }
    this.pixels.fill(background);
  }

  end(context) {
    context.putImageData(this.image, 0, 0);
  }

  // How much of each pixel a disc covers (0 to 256), for each place of its centre within a pixel. In quarters of a pixel,
  // so that a zoom, which changes the radius in each frame, seldom needs a new one.
  stamp(radius) {
    const size = Math.round(radius * 4) / 4;
    if (!this.stamps.has(size)) {
      const half = Math.ceil(size + 1);
      const side = 2 * half + 1;
      const covers = Array.from({ length: PHASES * PHASES }, (_, phase) => {
        const right = ((phase % PHASES) + 0.5) / PHASES + half - 0.5;
        const down = (Math.floor(phase / PHASES) + 0.5) / PHASES + half - 0.5;
        const cover = new Uint16Array(side * side);
        for (let v = 0; v < side; v++) {
          for (let u = 0; u < side; u++) {
            const distance = Math.sqrt((u - right) ** 2 + (v - down) ** 2);
            cover[v * side + u] = 256 * clamp(size + 0.5 - distance, 0, 1);
          }
        }
        return cover;
      });
      this.stamps.set(size, { half, side, covers });
    }
    return this.stamps.get(size);
  }

  // x, y: centre in pixels of the image. opacity: 0 to 256.
  dot(x, y, { half, side, covers }, colour, opacity) {
    const { pixels } = this;
    const { width, height } = this.image;
    const [column, row] = [Math.floor(x), Math.floor(y)];
    const [left, top] = [column - half, row - half];
    if (left + side <= 0 || top + side <= 0 || left >= width || top >= height) return;
    const cover = covers[Math.floor((x - column) * PHASES) + PHASES * Math.floor((y - row) * PHASES)];
    const [first, last] = [Math.max(0, -left), Math.min(side, width - left)];
    const [upper, lower] = [Math.max(0, -top), Math.min(side, height - top)];
    const [redBlue, green] = [colour & 0xff00ff, (colour >>> 8) & 0xff];
    for (let v = upper; v < lower; v++) {
      const base = (top + v) * width + left;
      for (let u = first; u < last; u++) {
        const covered = (cover[v * side + u] * opacity) >> 8;
        if (!covered) continue;
        const under = pixels[base + u];
        const rest = 256 - covered;
        // Red and blue in one multiplication: between them lies room for the other's carry.
        const both = (Math.imul(under & 0xff00ff, rest) + Math.imul(redBlue, covered)) >>> 8;
        const middle = ((under >>> 8) & 0xff) * rest + green * covered;
        pixels[base + u] = 0xff000000 | (both & 0xff00ff) | (middle & 0xff00);
      }
    }
  }
}

// A share (0 to 1) of the second packed colour in the first.
function mixed(colour, other, share) {
  let result = 0;
  for (const shift of [0, 8, 16]) {
    const [a, b] = [(colour >>> shift) & 0xff, (other >>> shift) & 0xff];
    result |= Math.round(a + (b - a) * share) << shift;
  }
  return (result | 0xff000000) >>> 0;
}
