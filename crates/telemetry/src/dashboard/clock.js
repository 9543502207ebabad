// The host's clock, as far as this page knows it. Ages are differences of the host's times, so that a viewer whose own clock
// is wrong sees right ages.

let heard = null;

/** Remembers the host's time as of now. */
export function heardTime(at) {
  if (typeof at === 'number' && Number.isFinite(at)) heard = { at, when: performance.now() };
}

/** Returns the host's time now, in milliseconds since 1970. */
export function hostTime() {
  return heard === null ? Date.now() : heard.at + (performance.now() - heard.when);
}
