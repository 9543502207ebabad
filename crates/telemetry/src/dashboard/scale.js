// Scales: where a value stands on a picture, and the round values that are written beside it.

/** Returns round values within two bounds, about as many as asked for. */
export function ticks(from, to, about) {
  const rough = (to - from) / Math.max(1, about);
  if (!(rough > 0) || !Number.isFinite(rough)) return [from];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  const first = Math.ceil(from / step);
  const count = Math.floor(to / step) - first;
  return Array.from({ length: count + 1 }, (_, number) => (first + number) * step);
}

/** Returns the powers of ten within two bounds, both of which are above zero. */
export function decades(from, to) {
  const first = Math.ceil(Math.log10(from) - 1e-9);
  const count = Math.floor(Math.log10(to) + 1e-9) - first;
  return Array.from({ length: Math.max(0, count + 1) }, (_, number) => 10 ** (first + number));
}

/** Returns a function from values to places, and back with `of`. */
export function linear(from, to, start, end) {
  const width = to - from || 1;
  const place = (value) => start + ((value - from) / width) * (end - start);
  place.of = (at) => from + ((at - start) / (end - start || 1)) * width;
  return place;
}

/** Returns a function from values above zero to places, on which each doubling takes the same room. Others are at the start. */
export function logarithmic(from, to, start, end) {
  const least = Math.log(from);
  const width = Math.log(to) - least || 1;
  return (value) => start + ((Math.log(Math.max(value, from)) - least) / width) * (end - start);
}

/** Returns bounds of a logarithmic scale that holds all values: powers of ten, one apart at least. */
export function logBounds(values) {
  let least = Infinity;
  let most = -Infinity;
  for (const value of values) {
    if (!(value > 0) || !Number.isFinite(value)) continue;
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  if (least > most) return [1, 10];
  const from = 10 ** Math.floor(Math.log10(least) + 1e-9);
  return [from, Math.max(from * 10, 10 ** Math.ceil(Math.log10(most) - 1e-9))];
}
