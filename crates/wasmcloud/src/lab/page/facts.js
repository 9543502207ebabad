// How an experiment was done: what is needed to repeat it.

import { element } from './dom.js';
import { bytes, instant } from './format.js';
import { clean } from './text.js';
import { foreign, panel } from './tables.js';

/** Builds the panel of facts. */
export function facts(report, id = 'facts') {
  const { machine } = report;
  const rows = [
    ['Begun', instant(report.began_at)],
    ['Release', clean(report.version)],
    ['Seed', String(report.seed)],
    ['Runs', String(report.runs.length)],
    ['Plan', file(report.plan)],
    ['Manifest', file(report.manifest)],
    ['Processor', foreign(clean(`${machine.processors ?? '?'} × ${machine.processor ?? 'unknown'}`, 200))],
    ['Memory', bytes(machine.memory_bytes)],
    ['System', foreign(clean([machine.os, machine.arch, machine.kernel].filter(Boolean).join(' '), 200))],
    ['Load before', machine.load_before === null ? '–' : `${machine.load_before} processes wanted to run`],
    ['Build', machine.optimized ? 'optimised' : 'not optimised: the figures say nothing about other builds'],
  ];
  const list = element(
    'dl',
    { class: 'facts' },
    rows.map(([title, value]) => element('div', {}, element('dt', {}, title), element('dd', {}, value))),
  );
  const text = report.plan.text;
  const plan = text === null || text === undefined ? null : element('details', {}, element('summary', {}, 'The plan'), element('pre', { tabindex: '0' }, lines(text)));
  return panel(id, 'How it was done', list, plan);
}

function file({ file: name, digest }) {
  return element('span', {}, foreign(clean(name, 200)), ' ', element('code', { class: 'quiet' }, clean(digest, 120)));
}

// A plan is shown line by line, so that what cannot be seen in it is told.
function lines(text) {
  return text
    .split('\n')
    .map((line) => clean(line.replaceAll('\t', '  '), 2000))
    .join('\n');
}
