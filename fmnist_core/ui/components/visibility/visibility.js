// Tells whether the tab is in the background, when that changes. Shows nothing.

/**
 * @param {{setStateValue: (name: string, value: unknown) => void}} component
 * @returns {() => void} Ends it.
 */
export default function mount({ setStateValue }) {
  const tell = () => setStateValue("hidden", document.hidden);
  document.addEventListener("visibilitychange", tell);
  if (document.hidden) tell();
  return () => document.removeEventListener("visibilitychange", tell);
}
