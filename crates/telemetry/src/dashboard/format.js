// Turns figures into short text with units. What is unknown is a dash, never a zero.

export const UNKNOWN = '–';

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const three = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });
const clock = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const day = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short', year: 'numeric' });

const known = (value) => typeof value === 'number' && Number.isFinite(value);

/** Returns a number: all digits below 100,000, then three with a suffix. */
export function count(value) {
  if (!known(value)) return UNKNOWN;
  if (Math.abs(value) < 100_000) return whole.format(value);
  return scaled(value, 1000, ['', 'k', 'M', 'G', 'T', 'P'], '');
}

/** Returns a rate per second, with a digit behind the point where it matters. */
export function rate(value) {
  if (!known(value)) return UNKNOWN;
  if (value > 0 && value < 0.1) return '<0.1';
  return value < 10 ? three.format(Math.round(value * 10) / 10) : scaled(value, 1000, ['', 'k', 'M', 'G', 'T'], '');
}

/** Returns bytes in binary units. */
export function bytes(value) {
  return known(value) ? scaled(value, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'], '\u2009') : UNKNOWN;
}

/** Returns a duration given in microseconds. */
export function micros(value) {
  if (!known(value)) return UNKNOWN;
  if (value < 1000) return `${three.format(value)}\u2009µs`;
  if (value < 1_000_000) return `${three.format(value / 1000)}\u2009ms`;
  return `${three.format(value / 1_000_000)}\u2009s`;
}

/** Returns a duration given in milliseconds, in its largest unit. */
export function span(value) {
  if (!known(value)) return UNKNOWN;
  const seconds = Math.max(0, Math.floor(value / 1000));
  if (seconds < 60) return `${seconds}\u2009s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}\u2009min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}\u2009h`;
  return `${whole.format(Math.floor(seconds / 86_400))}\u2009d`;
}

/** Returns how long ago something was, from one second on: the host speaks once a second, and an age that jumps between zero
 * and one tells nothing. */
export function age(value) {
  return known(value) ? span(Math.max(1000, value)) : UNKNOWN;
}

/** Returns a duration below a minute with its milliseconds, as between two events. */
export function fineSpan(value) {
  if (!known(value)) return UNKNOWN;
  if (value < 1000) return `${Math.max(0, Math.round(value))}\u2009ms`;
  return value < 60_000 ? `${three.format(value / 1000)}\u2009s` : span(value);
}

/** Returns the local time of day, after the date if it is another day than `now`. */
export function time(value, now) {
  if (!known(value)) return UNKNOWN;
  const date = new Date(value);
  if (Number.isNaN(date.getTime())) return UNKNOWN;
  const same = known(now) && new Date(now).toDateString() === date.toDateString();
  return same ? clock.format(date) : `${day.format(date)}, ${clock.format(date)}`;
}

/** Returns the time in UTC, for tooltips and for machines. */
export function instant(value) {
  const date = new Date(known(value) ? value : Number.NaN);
  return Number.isNaN(date.getTime()) ? '' : date.toISOString();
}

/** Returns a share between 0 and 1 in percent. */
export function percent(value) {
  if (!known(value)) return UNKNOWN;
  if (value > 0 && value < 0.001) return '<0.1%';
  return `${three.format(value < 0.1 ? Math.round(value * 1000) / 10 : Math.round(value * 100))}%`;
}

/** Returns the newest of the figures of a sparkline. */
export function last(values) {
  return Array.isArray(values) && values.length > 0 ? values[values.length - 1] : null;
}

function scaled(value, step, units, space) {
  let unit = 0;
  let rest = value;
  while (Math.abs(rest) >= step && unit < units.length - 1) {
    rest /= step;
    unit += 1;
  }
  return `${three.format(rest)}${space}${units[unit]}`;
}
