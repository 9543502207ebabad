// What happened to actors and providers over time: a lane for each, with its states and a mark for each event. A lane with more
// events than fit tells how many there were instead.

import { element, svg } from './dom.js';
import { Frame, LEFT, round } from './plot.js';
import { clean, plural } from './text.js';

const LANE = 66;
const BOTTOM = 22;
// The room that an event needs to be told from the next one. Unit: pixels.
const ROOM = 9;

// The shapes of events, around the origin. Above the bar is what was done to it, on it what came of that, below it the reaction.
const MARKS = {
  injected: { words: 'fault injected', shape: 'M-5 -5H5L0 4Z', place: -15 },
  limit_breached: { words: 'limit breached', shape: 'M0 -5L5 0L0 5L-5 0Z', place: -15 },
  crashed: { words: 'crashed', shape: 'M-4.5 -4.5L4.5 4.5M4.5 -4.5L-4.5 4.5', place: 0 },
  interrupted: { words: 'interrupted', shape: 'M-2.5 -5V5M2.5 -5V5', place: 0 },
  restarted: { words: 'restarted', shape: 'M3.6 -2.2A4.3 4.3 0 1 0 4.3 0.8M5.2 -5.4V-1H0.8', place: 15 },
  failed: { words: 'given up', shape: 'M-5 -5H5V5H-5Z', place: 15 },
  link_refused: { words: 'link refused', shape: 'M-4 0A4 4 0 1 0 4 0A4 4 0 1 0 -4 0', place: 15 },
};

// The events that are marked among numbers too.
const RARE = new Set(['limit_breached', 'failed', 'link_refused']);

/** The lanes of entities. Events name an entity by its number. */
export class Lanes extends Frame {
  constructor({ entities, events, from, to, time, cursor }) {
    super({
      title: 'Actors and providers',
      legend: legend(events),
      from,
      to,
      format: time,
      cursor,
      label: entities.map(spoken).join('. '),
    });
    this.entities = entities;
    this.events = entities.map((_, number) => events.filter((event) => event.entity === number));
  }

  draw() {
    const lanes = this.entities.map((entity, number) => this.lane(entity, number));
    this.picture.replaceChildren(...lanes);
    return this.entities.length * LANE + BOTTOM + 8;
  }

  lane(entity, number) {
    const middle = 8 + number * LANE + LANE / 2 + 7;
    const events = this.events[number];
    const name = svg('text', { class: 'lane-name', x: LEFT, y: middle - 24 }, clean(entity.name, 60));
    const dense = counted(entity) > this.width / ROOM;
    const content = dense
      ? [...this.density(entity, middle), ...this.marks(events.filter(({ kind }) => RARE.has(kind)), middle)]
      : [...bars(this, entity, events, middle), ...this.marks(events, middle)];
    return svg('g', { class: 'lane' }, name, content);
  }

  marks(events, middle) {
    return events
      .filter(({ kind }) => kind in MARKS)
      .map((event) => {
        const { shape, place } = MARKS[event.kind];
        const at = `translate(${round(this.x(event.at_us))} ${middle + place})`;
        const title = svg('title', {}, `${this.format(event.at_us)} ${MARKS[event.kind].words}: ${clean(event.text, 300)}`);
        return svg('g', { class: `lane-mark mark-${event.kind}`, transform: at }, title, svg('path', { class: 'lane-halo', d: shape }), svg('path', { d: shape }));
      });
  }

  // Three rows of bars: faults, crashes and restarts in each slot of time.
  density(entity, middle) {
    const { activity } = entity;
    const rows = [
      ['injected', activity.injected],
      ['crashed', activity.crashed],
      ['restarted', activity.restarted],
    ];
    const most = Math.max(1, ...rows.flatMap(([, values]) => values));
    return rows.map(([kind, values], row) => {
      const bottom = middle - 7 + row * 13;
      let path = '';
      values.forEach((value, slot) => {
        if (value === 0) return;
        const left = round(this.x(Math.min(this.to, slot * activity.width_us)));
        const right = round(this.x(Math.min(this.to, (slot + 1) * activity.width_us)));
        path += `M${left} ${bottom}V${round(bottom - 2 - (value / most) * 9)}H${Math.max(right, left + 1)}V${bottom}Z`;
      });
      return svg('g', {}, svg('text', { class: 'plot-tick', x: LEFT - 6, y: bottom, 'text-anchor': 'end' }, kind), svg('path', { class: `lane-density mark-${kind}`, d: path }));
    });
  }

  // The last event of each entity up to a time.
  tell(at) {
    const told = this.entities.map((entity, number) => {
      const before = this.events[number].filter((event) => event.at_us <= at);
      const last = before[before.length - 1];
      return `${clean(entity.name, 30)}: ${last ? `${last.kind.replaceAll('_', ' ')}, ${plural(before.length, 'event')} so far` : 'no event so far'}`;
    });
    return told.join('; ');
  }
}

function counted({ counts }) {
  return counts.injected + counts.crashes + counts.interruptions + counts.restarts;
}

// The states: running, an instance being replaced, and given up.
function bars(frame, entity, events, middle) {
  const drawn = [];
  let open = 0;
  let state = 'running';
  let since = frame.from;
  const until = (at, next) => {
    if (next === state) return;
    drawn.push(bar(frame, state, since, at, middle));
    state = next;
    since = at;
  };
  for (const { kind, at_us: at } of events) {
    if (kind === 'crashed' || kind === 'interrupted') open += 1;
    else if (kind === 'restarted') open = Math.max(0, open - 1);
    else if (kind === 'stopped') until(at, 'stopped');
    else if (kind === 'failed') until(at, 'failed');
    if (state !== 'failed' && state !== 'stopped') until(at, open > 0 ? 'down' : 'running');
  }
  drawn.push(bar(frame, state, since, frame.to, middle));
  return drawn;
}

function bar(frame, state, from, to, middle) {
  const left = round(frame.x(Math.min(frame.to, from)));
  const right = round(frame.x(Math.min(frame.to, Math.max(from, to))));
  return svg('rect', { class: `lane-bar bar-${state}`, x: left, y: middle - 4, width: Math.max(state === 'running' ? 0 : 1, right - left), height: 8 });
}

function spoken({ name, counts, state }) {
  return `${clean(name, 60)}: ${counts.crashes === 1 ? '1 crash' : `${counts.crashes} crashes`}, ${plural(counts.restarts, 'restart')}, ${state} at the end`;
}

// The marks that occur.
function legend(events) {
  const kinds = new Set(events.map((event) => event.kind));
  const shown = Object.entries(MARKS).filter(([kind]) => kinds.has(kind));
  return element(
    'span',
    { class: 'plot-legend' },
    shown.map(([kind, { words, shape }]) =>
      element(
        'span',
        { class: 'plot-key' },
        svg('svg', { class: 'plot-swatch', viewBox: '-9 -7 18 14', 'aria-hidden': 'true' }, svg('g', { class: `lane-mark mark-${kind}` }, svg('path', { d: shape }))),
        words,
      ),
    ),
  );
}
