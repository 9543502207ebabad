// Pictures of figures over time, with axes. All pictures of a page share a cursor, which the pointer and the arrow keys move; the
// figures under it are told as text.

import { element, setText, svg } from './dom.js';
import { decades, linear, logarithmic, logBounds, ticks } from './scale.js';

export const LEFT = 64;
export const RIGHT = 12;
const TOP = 8;
const BOTTOM = 22;

/** A time that several pictures mark. */
export class Cursor {
  constructor() {
    this.at = null;
    this.followers = [];
  }

  follow(follower) {
    this.followers.push(follower);
  }

  move(at) {
    this.at = at;
    for (const follower of this.followers) follower(at);
  }
}

/** A frame with an axis of time, which is drawn anew when its width changes. `draw` gets the width of the picture. */
export class Frame {
  constructor({ title, legend, from, to, format, cursor, label }) {
    Object.assign(this, { from, to, format, cursor });
    this.picture = svg('svg', { class: 'plot-picture', role: 'img', 'aria-label': label });
    this.line = svg('line', { class: 'plot-cursor', visibility: 'hidden' });
    this.body = element(
      'div',
      { class: 'plot-body', tabindex: '0', role: 'group', 'aria-label': `${title}. Left and right arrow keys move the cursor.` },
      this.picture,
    );
    this.read = element('p', { class: 'plot-read', 'aria-live': 'polite' });
    this.node = element(
      'figure',
      { class: 'plot' },
      element('figcaption', {}, element('span', { class: 'plot-title' }, title), legend),
      this.body,
      this.read,
    );
    this.body.addEventListener('pointermove', (event) => this.point(event));
    this.body.addEventListener('pointerleave', () => cursor.move(null));
    this.body.addEventListener('keydown', (event) => this.key(event));
    cursor.follow((at) => this.mark(at));
    new ResizeObserver(() => this.resize()).observe(this.body);
  }

  resize() {
    const width = Math.round(this.body.clientWidth);
    if (width === this.width || width === 0) return;
    this.width = width;
    this.x = linear(this.from, this.to, LEFT, width - RIGHT);
    this.redraw();
  }

  redraw() {
    const height = this.draw(this.width);
    this.height = height;
    this.picture.setAttribute('viewBox', `0 0 ${this.width} ${height}`);
    this.picture.setAttribute('height', height);
    this.picture.prepend(...this.axis(height));
    this.picture.append(this.line);
    this.mark(this.cursor.at);
  }

  // The times below, and a line up from each.
  axis(height) {
    const bottom = height - BOTTOM;
    return ticks(this.from, this.to, Math.max(2, (this.width - LEFT) / 90)).flatMap((time) => {
      const x = round(this.x(time));
      return [
        svg('line', { class: 'plot-grid', x1: x, x2: x, y1: TOP, y2: bottom }),
        svg('text', { class: 'plot-tick', x, y: bottom + 15, 'text-anchor': anchor(x, this.width) }, this.format(time)),
      ];
    });
  }

  point(event) {
    const at = this.x?.of(event.clientX - this.body.getBoundingClientRect().left);
    if (at !== undefined) this.cursor.move(Math.min(this.to, Math.max(this.from, at)));
  }

  key(event) {
    const step = (this.to - this.from) / 120;
    const at = this.cursor.at ?? this.from;
    const target = { ArrowLeft: at - step, ArrowRight: at + step, Home: this.from, End: this.to, Escape: null }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    this.cursor.move(target === null ? null : Math.min(this.to, Math.max(this.from, target)));
  }

  mark(at) {
    if (this.x === undefined) return;
    this.line.setAttribute('visibility', at === null ? 'hidden' : 'visible');
    if (at === null) {
      setText(this.read, '');
      return;
    }
    const x = round(this.x(at));
    for (const [name, value] of Object.entries({ x1: x, x2: x, y1: TOP, y2: this.height - BOTTOM })) this.line.setAttribute(name, value);
    setText(this.read, `${this.format(at)}: ${this.tell(at)}`);
  }
}

/**
 * Figures over time. A series has a `name`, a `look` (the class of its colour), a `shape` (`bars` are stacked, `line`s are not),
 * and `values` for slots of a `width`, the first one beginning at `from`.
 */
export class Plot extends Frame {
  constructor({ title, series, from, to, time, value, log = false, height = 170, cursor, label }) {
    super({ title, legend: legend(series), from, to, format: time, cursor, label });
    Object.assign(this, { series, value, log, wanted: height });
  }

  draw() {
    const bottom = this.wanted - BOTTOM;
    const y = this.scale(bottom);
    const levels = this.log ? decades(y.from, y.to) : ticks(0, y.to, 4);
    const lines = levels.flatMap((level) => {
      const place = round(y(level));
      return [
        svg('line', { class: 'plot-level', x1: LEFT, x2: this.width - RIGHT, y1: place, y2: place }),
        svg('text', { class: 'plot-tick', x: LEFT - 8, y: place + 4, 'text-anchor': 'end' }, this.value(level)),
      ];
    });
    this.picture.replaceChildren(...lines, ...this.bars(y), ...this.lines(y));
    return this.wanted;
  }

  scale(bottom) {
    if (this.log) {
      const [from, to] = logBounds(this.series.flatMap((one) => one.values));
      return Object.assign(logarithmic(from, to, bottom, TOP), { from, to });
    }
    const sums = [];
    for (const one of this.series.filter(({ shape }) => shape === 'bars'))
      one.values.forEach((value, slot) => (sums[slot] = (sums[slot] ?? 0) + value));
    const most = Math.max(...sums, ...this.series.filter(({ shape }) => shape !== 'bars').flatMap(({ values }) => values), 0) || 1;
    return Object.assign(linear(0, most * 1.05, bottom, TOP), { from: 0, to: most * 1.05 });
  }

  bars(y) {
    const below = [];
    return this.series
      .filter(({ shape }) => shape === 'bars')
      .map((one) => {
        let path = '';
        one.values.forEach((value, slot) => {
          const base = below[slot] ?? 0;
          below[slot] = base + value;
          if (!(value > 0)) return;
          const left = round(this.x(one.from + slot * one.width));
          const right = round(this.x(Math.min(this.to, one.from + (slot + 1) * one.width)));
          // What is there is seen, however little it is.
          const top = round(Math.min(y(base + value), y(base) - 1.5));
          path += `M${left} ${round(y(base))}V${top}H${Math.max(right, left + 1)}V${round(y(base))}Z`;
        });
        return svg('path', { class: `plot-bars look-${one.look}`, d: path });
      });
  }

  // A slot without a value interrupts the line. A value between two such slots is a dot.
  lines(y) {
    return this.series
      .filter(({ shape }) => shape === 'line')
      .map((one) => {
        let path = '';
        let before = false;
        one.values.forEach((value, slot) => {
          const is = Number.isFinite(value) && value !== null;
          if (is) {
            const place = `${round(this.x(Math.min(this.to, one.from + (slot + 0.5) * one.width)))} ${round(y(value))}`;
            path += before ? `L${place}` : `M${place}h0.01`;
          }
          before = is;
        });
        return svg('path', { class: `plot-line look-${one.look}`, d: path });
      });
  }

  tell(at) {
    const figures = this.series.map((one) => {
      const value = one.values[Math.floor((at - one.from) / one.width)];
      return `${one.name} ${this.value(value ?? null)}`;
    });
    return figures.join(', ');
  }
}

/** Returns the names of series with their colours. */
export function legend(series) {
  return element(
    'span',
    { class: 'plot-legend' },
    series.map(({ name, look, shape }) =>
      element('span', { class: 'plot-key' }, svg('svg', { class: 'plot-swatch', viewBox: '0 0 18 10', 'aria-hidden': 'true' }, swatch(shape, look)), name),
    ),
  );
}

function swatch(shape, look) {
  return shape === 'line'
    ? svg('path', { class: `plot-line look-${look}`, d: 'M0 5H18' })
    : svg('path', { class: `plot-bars look-${look}`, d: 'M2 0H16V10H2Z' });
}

function anchor(x, width) {
  return x > width - 40 ? 'end' : 'middle';
}

/** Returns a place with a tenth of a pixel. */
export function round(value) {
  return Math.round(value * 10) / 10;
}
