// Dark or light: as the system says, unless the viewer chose. Loaded before the first paint, so that nothing flashes.

const KEY = 'wasmcloud.theme';
const ORDER = ['auto', 'light', 'dark'];
const NAMES = { auto: 'as the system', light: 'light', dark: 'dark' };

/** Returns the theme that is chosen. */
export function theme() {
  const stored = localStorage.getItem(KEY);
  return ORDER.includes(stored) ? stored : 'auto';
}

/** Chooses the next theme, and returns its name for the eye. */
export function nextTheme() {
  const next = ORDER[(ORDER.indexOf(theme()) + 1) % ORDER.length];
  localStorage.setItem(KEY, next);
  apply();
  return themeName();
}

/** Returns the name of the theme for the eye. */
export function themeName() {
  return NAMES[theme()];
}

function apply() {
  document.documentElement.dataset.theme = theme();
}

apply();
