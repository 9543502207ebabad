// Dark or light: as the system says, unless the viewer chose. Loaded before the first paint, so that nothing flashes.

const KEY = 'wasmcloud.theme';
const ORDER = ['auto', 'light', 'dark'];
const NAMES = { auto: 'as the system', light: 'light', dark: 'dark' };

/** Returns the theme that is chosen. */
export function theme() {
  const stored = kept();
  return ORDER.includes(stored) ? stored : 'auto';
}

/** Chooses the next theme, and returns its name for the eye. */
export function nextTheme() {
  const next = ORDER[(ORDER.indexOf(theme()) + 1) % ORDER.length];
  keep(next);
  apply();
  return themeName();
}

/** Returns the name of the theme for the eye. */
export function themeName() {
  return NAMES[theme()];
}

// A browser that keeps nothing, as it may for files, forgets the choice with the page.
let chosen = null;

function kept() {
  try {
    return localStorage.getItem(KEY) ?? chosen;
  } catch {
    return chosen;
  }
}

function keep(name) {
  chosen = name;
  try {
    localStorage.setItem(KEY, name);
  } catch {
    // It is kept above.
  }
}

function apply() {
  document.documentElement.dataset.theme = theme();
}

apply();
