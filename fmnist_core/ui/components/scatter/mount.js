// The way into the component, the only thing that the joined module exports.

/** @type {WeakMap<HTMLElement, Scatter>} */
const scatters = new WeakMap();

// Streamlit calls this when the component is mounted, whenever its data change, and when the theme does.
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".scatter");
  if (!scatters.has(root)) scatters.set(root, new Scatter(root));
  scatters.get(root).update(decode(data), setTriggerValue);
  return () => scatters.get(root).end();
}
