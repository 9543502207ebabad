// Small pictures of figures over time. They carry no axis: the newest value stands beside them as text.

import { setAttribute, svg } from './dom.js';

const WIDTH = 118;
const HEIGHT = 24;

/** A sparkline: an area and a line that end at the newest value. */
export class Sparkline {
  constructor() {
    this.area = svg('path', { class: 'spark-area' });
    this.line = svg('path', { class: 'spark-line', 'vector-effect': 'non-scaling-stroke' });
    this.node = svg(
      'svg',
      { class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
      this.area,
      this.line,
    );
    this.drawn = null;
  }

  /** Draws values, oldest first. Values that were drawn already cost nothing. */
  draw(values) {
    if (values === this.drawn) return;
    this.drawn = values;
    const points = path(values);
    setAttribute(this.line, 'd', points === '' ? null : points);
    setAttribute(this.area, 'd', points === '' ? null : `${points}V${HEIGHT}H0Z`);
  }
}

// A point for each value, scaled to the largest one. A row of zeros is a line at the bottom.
function path(values) {
  if (!Array.isArray(values) || values.length < 2) return '';
  const figures = values.map((value) => (Number.isFinite(value) && value > 0 ? value : 0));
  const most = Math.max(...figures);
  const step = WIDTH / (figures.length - 1);
  const height = (value) => (most === 0 ? HEIGHT - 1 : HEIGHT - 1 - (value / most) * (HEIGHT - 3));
  return figures.map((value, at) => `${at === 0 ? 'M' : 'L'}${round(at * step)} ${round(height(value))}`).join('');
}

function round(value) {
  return Math.round(value * 10) / 10;
}
