// The page of a comparison: what differs, and the durations of both reports on one picture.

import { element } from './dom.js';
import { Shares } from './spread.js';
import { clean, plural } from './text.js';
import { facts } from './facts.js';
import { foreign, panel, standing, table } from './tables.js';

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
    const panel = facts(report);
    panel.querySelector('h2').replaceChildren(number === 0 ? 'Before: ' : 'After: ', foreign(clean(files[number], 200)));
    return panel;
  });
  return [verdict, durations(reports), ...both];
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
    notes.map((note) => element('li', {}, clean(note, 400))),
  );
}

// The loads that both reports have, all runs of each together.
function durations(reports) {
  const names = reports[0].runs[0]?.loads.map((load) => load.name) ?? [];
  const shared = names.filter((name) => reports[1].runs[0]?.loads.some((load) => load.name === name));
  const content = shared.map((name) => {
    const series = reports.map((report, number) => ({
      name: number === 0 ? 'before' : 'after',
      look: number === 0 ? 'before' : 'after',
      shape: 'line',
      buckets: merged(report.runs.flatMap((run) => run.loads.filter((load) => load.name === name))),
    }));
    return new Shares({ title: clean(name, 120), series }).node;
  });
  return panel('durations', 'Answered within', element('div', { class: 'pair' }, content));
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
