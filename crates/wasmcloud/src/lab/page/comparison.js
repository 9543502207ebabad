// The page of a comparison: what differs, and the durations of both reports on one picture.

import { element } from './dom.js';
import { micros, rate } from './format.js';
import { Cursor, Plot } from './plot.js';
import { Shares } from './spread.js';
import { clean, plural } from './text.js';
import { since } from './charts.js';
import { facts } from './facts.js';
import { foreign, note, panel, standing, table } from './tables.js';

const VERDICTS = {
  better: ['ok', 'better'],
  worse: ['error', 'worse'],
  same: [null, 'no clear difference'],
  differs: ['warning', 'differs'],
  unknown: [null, 'too little to judge'],
};

/** Builds the panels of a comparison. */
export function comparison({ files, notes, rows, reports }) {
  const worse = rows.filter((row) => row.verdict === 'worse').length;
  const better = rows.filter((row) => row.verdict === 'better').length;
  const words =
    worse > 0 ? `${plural(worse, 'figure')} ${worse === 1 ? 'is' : 'are'} worse` : better > 0 ? `${plural(better, 'figure')} ${better === 1 ? 'is' : 'are'} better, none is worse` : 'No clear difference';
  const verdict = panel('verdict', words, figures(rows), remarks(notes));
  verdict.dataset.level = worse > 0 ? 'error' : 'ok';
  const both = reports.map((report, number) => {
    const panel = facts(report, number === 0 ? 'before' : 'after');
    panel.querySelector('h2').replaceChildren(number === 0 ? 'Before: ' : 'After: ', foreign(clean(files[number], 200)));
    return panel;
  });
  return [verdict, pictures(reports), ...both];
}

function figures(rows) {
  const ratio = (value) => (typeof value === 'number' ? value.toFixed(3) : '–');
  const columns = [
    { title: 'Figure', cell: (row) => row.measure },
    { title: 'Load', cell: (row) => foreign(row.load === '' ? 'all' : clean(row.load, 120)) },
    { title: 'Before', kind: 'number', cell: (row) => row.before || '–' },
    { title: 'After', kind: 'number', cell: (row) => row.after || '–' },
    { title: 'Ratio', kind: 'number', cell: (row) => ratio(row.ratio?.ratio) },
    { title: '99 % interval', kind: 'number', cell: (row) => (row.ratio ? `${ratio(row.ratio.low)} to ${ratio(row.ratio.high)}` : '–') },
    { title: 'Verdict', cell: (row) => said(row.verdict) },
  ];
  const order = (row) => ['worse', 'better', 'differs', 'same', 'unknown'].indexOf(row.verdict);
  const sorted = [...rows].sort((one, other) => order(one) - order(other));
  return table('Figures before and after', columns, sorted, (row) => (row.verdict === 'worse' ? 'error' : null));
}

function said(verdict) {
  const [level, words] = VERDICTS[verdict] ?? [null, '–'];
  return level === null ? element('span', { class: 'dim' }, words) : standing(level, words);
}

function remarks(notes) {
  return element(
    'ul',
    { class: 'panel-note' },
    notes.map((remark) => element('li', {}, clean(remark, 400))),
  );
}

const NAMES = ['before', 'after'];

// The loads that both reports have: durations of all runs of each together, and the first run of each over time.
function pictures(reports) {
  const names = reports[0].runs[0]?.loads.map((load) => load.name) ?? [];
  const shared = names.filter((name) => reports[1].runs[0]?.loads.some((load) => load.name === name));
  if (shared.length === 0) return panel('pictures', 'Before and after', note('The reports have no load of the same name.'));
  return panel(
    'pictures',
    'Before and after',
    shared.map((name) => [element('h3', {}, clean(name, 120)), durations(reports, name), ...overTime(reports, name)]),
  );
}

function durations(reports, name) {
  const series = reports.map((report, number) => ({
    name: NAMES[number],
    look: NAMES[number],
    shape: 'line',
    buckets: merged(report.runs.flatMap((run) => run.loads.filter((load) => load.name === name))),
  }));
  return new Shares({ title: 'Answered within', series }).node;
}

function overTime(reports, name) {
  const cursor = new Cursor();
  const loads = reports.map((report) => report.runs[0].loads.find((load) => load.name === name));
  const bounds = { from: 0, to: Math.max(1000, ...loads.map((load) => load.duration_us)), time: since, cursor };
  const of = (values) =>
    loads.map((load, number) => ({ name: NAMES[number], look: NAMES[number], shape: 'line', from: 0, width: load.slots.width_us, values: values(load.slots) }));
  const answers = of(({ answered, width_us: width }) => answered.map((calls) => (calls / width) * 1e6));
  const medians = of(({ p50_us: p50 }) => p50);
  return [
    new Plot({ ...bounds, title: 'Answers per second in the first run', label: 'Answers per second before and after, over time', series: answers, value: rate }).node,
    new Plot({ ...bounds, title: 'Median latency in the first run', label: 'Median latency before and after, over time', series: medians, log: true, value: micros }).node,
  ];
}

function merged(loads) {
  const counts = new Map();
  for (const [from, to, count] of loads.flatMap((load) => load.latency.buckets)) {
    const bucket = counts.get(from) ?? [from, to, 0];
    bucket[2] += count;
    counts.set(from, bucket);
  }
  return [...counts.values()].sort((one, other) => one[0] - other[0]);
}
