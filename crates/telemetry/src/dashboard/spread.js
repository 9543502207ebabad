// How durations are spread: a histogram, and the share of calls that took no longer than a time. Buckets are `[from, to, count]`
// in microseconds; they are the narrower the shorter the durations are, so both pictures have logarithmic scales.

import { element, svg } from './dom.js';
import { micros } from './format.js';
import { legend, LEFT, RIGHT, round } from './plot.js';
import { decades, linear, logarithmic, logBounds, ticks } from './scale.js';
import { plural } from './text.js';

const TOP = 10;
const BOTTOM = 24;
const HEIGHT = 210;
const BINS = 72;
/** The shares that the curve tells, in the steps of their nines. */
const SHARES = [0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999];

/** A picture that is drawn anew when its width changes. */
class Picture {
  constructor(title, series, label) {
    this.series = series.filter(({ buckets }) => buckets.length > 0);
    this.picture = svg('svg', { class: 'plot-picture', role: 'img', 'aria-label': label, height: HEIGHT });
    this.body = element('div', { class: 'plot-body' }, this.picture);
    this.node = element(
      'figure',
      { class: 'plot' },
      element('figcaption', {}, element('span', { class: 'plot-title' }, title), legend(this.series)),
      this.body,
    );
    new ResizeObserver(() => this.resize()).observe(this.body);
  }

  resize() {
    const width = Math.round(this.body.clientWidth);
    if (width === this.width || width === 0) return;
    this.width = width;
    this.picture.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    this.picture.replaceChildren(...(this.series.length === 0 ? [this.nothing()] : this.draw(HEIGHT - BOTTOM)));
  }

  nothing() {
    return svg('text', { class: 'plot-tick', x: LEFT, y: HEIGHT / 2 }, 'There are no such calls.');
  }

  bounds() {
    return logBounds(this.series.flatMap(({ buckets }) => [buckets[0][0] || buckets[0][1], buckets[buckets.length - 1][1]]));
  }
}

/** A histogram. Series with the shape `bars` are filled, others are outlines. */
export class Histogram extends Picture {
  constructor({ title, series }) {
    super(title, series, `${title}: ${series.map(spoken).join('; ')}`);
  }

  draw(bottom) {
    const [from, to] = this.bounds();
    const x = logarithmic(from, to, LEFT, this.width - RIGHT);
    const edges = Array.from({ length: BINS + 1 }, (_, number) => from * (to / from) ** (number / BINS));
    const counted = this.series.map((one) => binned(one.buckets, edges));
    const most = Math.max(1, ...counted.flat());
    const y = linear(0, most * 1.05, bottom, TOP);
    const axes = [
      ...ticks(0, most * 1.05, 4)
        .filter(Number.isInteger)
        .flatMap((count) => level(this.width, y(count), count.toLocaleString('en'))),
      ...decades(from, to).flatMap((time) => column(x(time), bottom, micros(time), this.width)),
    ];
    return [...axes, ...this.series.map((one, number) => bars(one, counted[number], edges, x, y))];
  }
}

/** The duration that each share of the calls did not exceed. */
export class Shares extends Picture {
  constructor({ title, series }) {
    super(title, series, `${title}: ${series.map(spoken).join('; ')}`);
  }

  draw(bottom) {
    const [from, to] = this.bounds();
    const last = Math.max(...this.series.map(({ buckets }) => nines(1 - 1 / (total(buckets) + 1))), 1);
    const x = linear(0, last, LEFT, this.width - RIGHT);
    const y = logarithmic(from, to, bottom, TOP);
    const axes = [
      ...decades(from, to).flatMap((time) => level(this.width, y(time), micros(time))),
      ...SHARES.filter((share) => nines(share) <= last).flatMap((share) => column(x(nines(share)), bottom, `${round(share * 1e5) / 1e3}%`, this.width)),
    ];
    const lines = this.series.map((one) => {
      const points = curve(one.buckets).map(([share, time]) => `${round(x(Math.min(last, nines(share))))} ${round(y(time))}`);
      return svg('path', { class: `plot-line look-${one.look}`, d: `M${points.join('L')}` });
    });
    return [...axes, ...lines];
  }
}

// Shares near 1 are told apart: 0.9 is at 1, 0.99 at 2.
const nines = (share) => -Math.log10(1 - Math.min(share, 1 - 1e-9));
const total = (buckets) => buckets.reduce((sum, [, , count]) => sum + count, 0);

function curve(buckets) {
  const all = total(buckets);
  let passed = 0;
  return buckets.flatMap(([from, to, count]) => {
    const begin = passed / all;
    passed += count;
    const time = Math.max((from + to) / 2, 0.001);
    // The last bucket ends where half a call would be left.
    return [
      [begin, time],
      [Math.min(passed / all, 1 - 0.5 / all), time],
    ];
  });
}

// A bucket that lies in several bins is shared among them.
function binned(buckets, edges) {
  const bins = Array(edges.length - 1).fill(0);
  const place = (time) => (Math.log(time / edges[0]) / Math.log(edges[edges.length - 1] / edges[0])) * bins.length;
  for (const [from, to, count] of buckets) {
    const begin = Math.max(0, place(Math.max(from, edges[0])));
    const end = Math.max(begin + 1e-9, Math.min(bins.length, place(Math.max(to, edges[0]))));
    for (let bin = Math.min(bins.length - 1, Math.floor(begin)); bin < Math.min(bins.length, Math.ceil(end)); bin += 1)
      bins[bin] += (count * (Math.min(end, bin + 1) - Math.max(begin, bin))) / (end - begin);
  }
  return bins;
}

function bars({ look, shape }, counts, edges, x, y) {
  const path = counts.map((count, bin) => {
    if (!(count > 0)) return '';
    const top = Math.min(y(count), y(0) - 1.5);
    return `M${round(x(edges[bin]))} ${round(y(0))}V${round(top)}H${round(x(edges[bin + 1]) - 0.5)}V${round(y(0))}Z`;
  });
  return svg('path', { class: `${shape === 'line' ? 'plot-outline' : 'plot-bars'} look-${look}`, d: path.join('') });
}

function level(width, y, words) {
  return [
    svg('line', { class: 'plot-level', x1: LEFT, x2: width - RIGHT, y1: round(y), y2: round(y) }),
    svg('text', { class: 'plot-tick', x: LEFT - 8, y: round(y) + 4, 'text-anchor': 'end' }, words),
  ];
}

function column(x, bottom, words, width) {
  return [
    svg('line', { class: 'plot-grid', x1: round(x), x2: round(x), y1: TOP, y2: bottom }),
    svg('text', { class: 'plot-tick', x: round(x), y: bottom + 16, 'text-anchor': x > width - 40 ? 'end' : 'middle' }, words),
  ];
}

function spoken({ name, buckets }) {
  if (buckets.length === 0) return `${name}: no calls`;
  return `${name}: ${plural(total(buckets), 'call')} from ${micros(buckets[0][0])} to ${micros(buckets[buckets.length - 1][1])}`;
}
