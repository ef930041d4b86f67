// From points (-1 to 1 across the map) to pixels: pan and zoom, and in three dimensions rotation and a light perspective.

/** @typedef {{ zoom: number, x: number, y: number, yaw: number, pitch: number }} View */

/** @type {View} */
const HOME = { zoom: 1, x: 0, y: 0, yaw: -0.6, pitch: 0.35 };
const NEAREST = 60;
const FARTHEST = 0.5;
const EYE = 7; // Distance of the eye from the centre, in half widths of the map.

class Camera {
  /** @type {{ from: View, to: View, start: number, milliseconds: number } | null} */
  tween = null;

  /** @param {View} view */
  constructor(view = HOME) {
    this.view = { ...view };
  }

  /**
   * Where every point is seen, in CSS pixels, into `seen`: x, y and depth (towards the eye) of each.
   * @param {Float32Array} points
   * @param {2 | 3} dimensions
   * @param {number} width
   * @param {number} height
   * @param {Float32Array} seen
   */
  project(points, dimensions, width, height, seen) {
    const { zoom, x, y, yaw, pitch } = this.view;
    const deep = dimensions === 3;
    const scale = zoom * Math.min(width, height) * (deep ? 0.36 : 0.47);
    const [across, down] = [width / 2 + x, height / 2 + y];
    const [cosYaw, sinYaw, cosPitch, sinPitch] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
    for (let i = 0; i < points.length; i += 3) {
      if (!deep) {
        seen[i] = across + points[i] * scale;
        seen[i + 1] = down - points[i + 1] * scale;
        continue;
      }
      const turned = points[i] * cosYaw + points[i + 2] * sinYaw;
      const away = points[i + 2] * cosYaw - points[i] * sinYaw;
      const depth = away * cosPitch + points[i + 1] * sinPitch;
      const near = EYE / (EYE - clamp(depth, -EYE, EYE / 2));
      seen[i] = across + turned * scale * near;
      seen[i + 1] = down - (points[i + 1] * cosPitch - away * sinPitch) * scale * near;
      seen[i + 2] = depth;
    }
  }

  // What is under the place (CSS pixels from the centre) stays there.
  zoomed(factor, x = 0, y = 0) {
    const from = this.tween ? this.tween.to : this.view;
    const zoom = clamp(from.zoom * factor, FARTHEST, NEAREST);
    const by = zoom / from.zoom;
    return { ...from, zoom, x: x - (x - from.x) * by, y: y - (y - from.y) * by };
  }

  moved(x, y) {
    const from = this.tween ? this.tween.to : this.view;
    return { ...from, x: from.x + x, y: from.y + y };
  }

  turned(x, y) {
    const from = this.tween ? this.tween.to : this.view;
    return { ...from, yaw: from.yaw + x / 160, pitch: clamp(from.pitch + y / 160, -1.5, 1.5) };
  }

  set(view) {
    this.tween = null;
    this.view = view;
  }

  glide(view, milliseconds = 220) {
    if (calm()) this.set(view);
    else this.tween = { from: { ...this.view }, to: view, start: performance.now(), milliseconds };
  }

  // Go on with a glide; whether it goes on after this frame.
  step(now) {
    if (!this.tween) return false;
    const { from, to, start, milliseconds } = this.tween;
    const t = clamp((now - start) / milliseconds, 0, 1);
    const share = eased(t);
    // The zoom moves by equal factors, so that the place under the pointer stays where it is.
    this.view = { ...from };
    for (const name in from) this.view[name] += (to[name] - from[name]) * share;
    const [low, high] = [Math.log(from.zoom), Math.log(to.zoom)];
    this.view.zoom = Math.exp(low + (high - low) * share);
    const grown = Math.abs(to.zoom - from.zoom) > 1e-6 ? (this.view.zoom - from.zoom) / (to.zoom - from.zoom) : share;
    for (const name of ["x", "y"]) this.view[name] = from[name] + (to[name] - from[name]) * grown;
    if (t === 1) this.set(to);
    return t < 1;
  }
}
