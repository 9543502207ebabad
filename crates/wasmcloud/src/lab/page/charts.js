// The pictures of a run: its loads over time, what happened to actors and providers, and how durations are spread.

import { element } from './dom.js';
import { micros, rate } from './format.js';
import { Lanes } from './lanes.js';
import { Cursor, Plot } from './plot.js';
import { Histogram, Shares } from './spread.js';
import { clean } from './text.js';
import { note, panel } from './tables.js';

/** Callers that wake up by less are not worth a remark. Unit: microseconds. */
const LATE = 10_000;

const ENDINGS = new Set(['stopped', 'unlinked', 'host_stopped']);

/** Returns a time since the beginning of the run, which is given in microseconds. */
export function since(value) {
  if (!Number.isFinite(value)) return '–';
  if (value === 0) return '0';
  const seconds = value / 1e6;
  return seconds < 1 ? `${Number((seconds * 1000).toPrecision(3))}\u2009ms` : `${Number(seconds.toPrecision(4))}\u2009s`;
}

/** Builds the panel of a run over time. All pictures in it share a cursor and their bounds. */
export function overTime(run) {
  const cursor = new Cursor();
  const ends = run.loads.map((load) => load.began_us + load.duration_us);
  // What is replaced after the last call belongs to it; the end of the host does not.
  const events = run.events.filter(({ kind }) => !ENDINGS.has(kind));
  const last = events[events.length - 1]?.at_us ?? 0;
  const bounds = { from: 0, to: Math.max(1000, run.duration_us, last, ...ends), time: since, cursor };
  const loads = run.loads.flatMap((load) => ofLoad(load, bounds));
  const lanes = run.entities.length === 0 ? null : new Lanes({ ...bounds, entities: run.entities, events }).node;
  const about = note('Latencies are those of answered calls; a call counts in the bar of the time at which it ended.');
  return panel('time', 'Over time', loads, lanes, about);
}

function ofLoad(load, bounds) {
  const { slots } = load;
  const of = (name, look, shape, values) => ({ name, look, shape, values, from: load.began_us, width: slots.width_us });
  const rates = (counts) => counts.map((calls) => (calls / slots.width_us) * 1e6);
  const calls = new Plot({
    ...bounds,
    title: 'Calls per second',
    label: `Calls per second over time: ${load.answered} answered, ${load.failed} failed, ${load.lost} lost`,
    series: [
      of('answered', 'answered', 'bars', rates(slots.answered)),
      of('failed', 'failed', 'bars', rates(slots.failed)),
      of('lost', 'lost', 'bars', rates(slots.lost)),
    ],
    value: rate,
  });
  const latency = new Plot({
    ...bounds,
    title: 'Latency',
    label: `Latency over time: median ${micros(load.latency.p50_us)}, 99 percent below ${micros(load.latency.p99_us)}`,
    log: true,
    series: [
      of('longest', 'max', 'line', slots.max_us),
      of('p99', 'p99', 'line', slots.p99_us),
      of('p50', 'p50', 'line', slots.p50_us),
    ],
    value: micros,
  });
  const heading = element('h3', {}, clean(load.name, 120), ' ', element('span', { class: 'quiet' }, clean(`${load.target}: ${load.pace}`, 300), remarks(load).map((remark) => `; ${remark}`)));
  return [heading, calls.node, latency.node];
}

function remarks({ slots, not_begun: notBegun, latest_wake_us: latestWake }) {
  const remarks = [`a bar is ${since(slots.width_us)}`];
  if (notBegun > 0) remarks.push(`${notBegun.toLocaleString('en')} planned calls were not begun`);
  if (latestWake > LATE) remarks.push(`callers woke up as much as ${since(latestWake)} late, which is in the latencies: the machine was busy`);
  return remarks;
}

/** Builds the panel of how durations are spread. */
export function durations(run) {
  const pairs = run.loads.flatMap((load) => {
    const histogram = new Histogram({
      title: 'Calls by duration',
      series: [
        { name: 'answered', look: 'answered', shape: 'bars', buckets: load.latency.buckets },
        { name: 'failed', look: 'failed', shape: 'line', buckets: load.failure_latency.buckets },
      ],
    });
    const shares = new Shares({
      title: 'Answered within',
      series: [{ name: 'answered', look: 'answered', shape: 'line', buckets: load.latency.buckets }],
    });
    const heading = run.loads.length > 1 ? element('h3', {}, clean(load.name, 120)) : null;
    return [heading, element('div', { class: 'pair' }, histogram.node, shares.node)];
  });
  return panel('durations', 'Durations', pairs);
}
