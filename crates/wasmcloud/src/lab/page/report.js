// The report of an experiment: what was expected and came of it first, then figures, pictures, failures and events.

import { byId, element, setText } from './dom.js';
import { count, instant, micros, percent, rate } from './format.js';
import { clean, plural } from './text.js';
import { nextTheme, themeName } from './theme.js';
import { durations, overTime, since } from './charts.js';
import { comparison } from './comparison.js';
import { facts } from './facts.js';
import { foreign, note, panel, standing, table } from './tables.js';

/** The events that are listed before all are asked for. */
const FEW_EVENTS = 25;

const data = JSON.parse(byId('data').textContent);

function start() {
  setText(byId('theme-name'), themeName());
  byId('theme').addEventListener('click', () => setText(byId('theme-name'), nextTheme()));
  const isComparison = Array.isArray(data.reports);
  const report = isComparison ? data.reports[1] : data;
  setText(byId('name'), clean(report.name, 200));
  setText(byId('subtitle'), `${instant(report.began_at).slice(0, 16).replace('T', ' ')} UTC · seed ${report.seed} · release ${clean(report.version)}`);
  document.title = `${isComparison ? 'Comparison' : 'Lab'}: ${clean(report.name, 80)}`;
  byId('main').replaceChildren(...(isComparison ? comparison(data) : ofReport(report)));
  document.documentElement.dataset.drawn = 'true';
}

function ofReport(report) {
  const chosen = element('div', { class: 'chosen' });
  const show = (number) => chosen.replaceChildren(...ofRun(report.runs[number]));
  if (report.runs.length > 0) show(0);
  return [verdict(report), report.runs.length > 1 ? runs(report, show) : null, chosen, facts(report)].filter(Boolean);
}

function verdict(report) {
  const { expectations } = report;
  const unmet = expectations.filter((one) => !one.met);
  const words = inWords(report, unmet.length);
  const columns = [
    { title: 'Expected', cell: (one) => one.expected },
    { title: 'Of', cell: (one) => foreign(one.scope === null ? 'all' : clean(one.scope, 120)) },
    { title: report.runs.length > 1 ? 'Found in each run' : 'Found', cell: (one) => one.found.join(', ') },
    { title: '', cell: (one) => (one.met ? standing('ok', 'met') : standing('error', 'not met')) },
  ];
  const sorted = [...unmet, ...expectations.filter((one) => one.met)];
  const list = expectations.length === 0 ? null : table('Expectations', columns, sorted, (one) => (one.met ? null : 'error'));
  const build = report.machine.optimized ? null : note('The program was built without optimisations: its figures say nothing about other builds.');
  const failure = report.failure === null ? null : note(clean(report.failure, 1000));
  const built = panel('verdict', words, failure, list, build);
  built.querySelector('h2').tabIndex = -1;
  built.dataset.level = unmet.length > 0 || report.failure !== null ? 'error' : report.interrupted || expectations.length === 0 ? 'warning' : 'ok';
  return built;
}

function inWords({ expectations, failure, interrupted }, unmet) {
  if (failure !== null) return 'The experiment was not finished';
  if (interrupted) return 'The experiment was interrupted';
  if (expectations.length === 0) return 'The plan expects nothing';
  const all = plural(expectations.length, 'expectation');
  if (unmet > 0) return `${unmet} of ${all} ${unmet === 1 ? 'is' : 'are'} not met`;
  return expectations.length === 1 ? 'The expectation is met' : `All ${all} are met`;
}

// A table with a row for each run, and a choice of the one that is shown below.
function runs(report, show) {
  const rows = report.runs.map((run, number) => ({ number, ...sums(run) }));
  const columns = [
    { title: 'Run', cell: (row) => String(row.number + 1) },
    { title: 'Seed', kind: 'number', cell: (row) => String(row.seed) },
    { title: 'Calls', kind: 'number', cell: (row) => count(row.calls) },
    { title: 'Answered', kind: 'number', cell: (row) => count(row.answered) },
    { title: 'Failed', kind: 'number', cell: (row) => count(row.failed) },
    { title: 'Lost', kind: 'number', cell: (row) => count(row.lost) },
    { title: 'Answers per second', kind: 'number', cell: (row) => rate(row.throughput) },
    { title: 'Worst p99', kind: 'number', cell: (row) => micros(row.p99) },
    { title: 'Crashes', kind: 'number', cell: (row) => count(row.crashes) },
  ];
  const select = element(
    'select',
    { 'aria-label': 'Run that is shown below' },
    rows.map(({ number }) => element('option', { value: number }, `run ${number + 1}`)),
  );
  select.addEventListener('change', () => show(Number(select.value)));
  const built = panel('runs', plural(rows.length, 'run'), table('Runs', columns, rows));
  built.querySelector('.panel-head').append(element('div', { class: 'tools' }, 'shown below:', select));
  return built;
}

function sums(run) {
  const sum = (of) => run.loads.reduce((total, load) => total + of(load), 0);
  const events = (of) => run.entities.reduce((total, entity) => total + of(entity.counts), 0);
  // A load whose calls were not answered is no better than the others: its durations are unknown.
  const called = run.loads.filter((load) => load.calls > 0);
  const worst = (of) => (called.length === 0 || called.some((load) => of(load) === null) ? null : Math.max(...called.map(of)));
  const answered = sum((load) => load.answered);
  return {
    seed: run.seed,
    calls: sum((load) => load.calls),
    answered,
    failed: sum((load) => load.failed),
    lost: sum((load) => load.lost),
    throughput: run.duration_us > 0 ? (answered / run.duration_us) * 1e6 : 0,
    p50: worst((load) => load.latency.p50_us),
    p99: worst((load) => load.latency.p99_us),
    injected: events((counts) => counts.injected),
    crashes: events((counts) => counts.crashes),
    restarts: events((counts) => counts.restarts),
    givenUp: events((counts) => counts.given_up),
  };
}

function ofRun(run) {
  return [tiles(run), overTime(run), durations(run), outcomes(run), entities(run), events(run)].filter(Boolean);
}

function tiles(run) {
  const all = sums(run);
  const share = (part) => (all.calls === 0 ? '' : percent(part / all.calls));
  const tile = (name, title, value, about, level = null) =>
    element('div', { class: `tile tile-${name}` }, element('dt', {}, title), element('dd', {}, element('span', { class: 'tile-value', 'data-level': level }, value), element('span', { class: 'tile-note' }, about)));
  return element(
    'dl',
    { class: 'tiles', 'aria-label': 'Figures of the run' },
    tile('calls', 'Calls', count(all.calls), `in ${since(run.duration_us)}`),
    tile('answered', 'Answered', count(all.answered), share(all.answered)),
    tile('failed', 'Failed', count(all.failed), all.failed === 0 ? 'none' : `${share(all.failed)}, callers were told`, all.failed > 0 ? 'warning' : null),
    tile('lost', 'Lost', count(all.lost), all.lost === 0 ? 'every call ended' : 'no answer, or a wrong one', all.lost > 0 ? 'error' : null),
    tile('rate', 'Answers per second', rate(all.throughput), 'over the whole run'),
    tile('latency', 'Latency p50 · p99', `${micros(all.p50)} · ${micros(all.p99)}`, run.loads.length > 1 ? 'the worst of all loads' : ''),
    tile('crashes', 'Crashes · restarts', `${count(all.crashes)} · ${count(all.restarts)}`, `${plural(all.injected, 'fault')} injected`),
    tile('given', 'Given up', count(all.givenUp), all.givenUp === 0 ? 'none' : 'by the supervisor', all.givenUp > 0 ? 'error' : null),
  );
}

function outcomes(run) {
  const rows = run.loads.flatMap((load) => load.outcomes.map((outcome) => ({ ...outcome, load })));
  if (rows.length === 0) return panel('outcomes', 'Calls that were not answered', note('All calls were answered.'));
  const columns = [
    { title: 'Outcome', cell: (row) => (row.is_loss ? standing('error', clean(row.kind)) : standing('warning', clean(row.kind))) },
    { title: 'Load', cell: (row) => foreign(clean(row.load.name, 120)) },
    { title: 'Calls', kind: 'number', cell: (row) => count(row.count) },
    { title: 'Share', kind: 'number', cell: (row) => percent(row.count / row.load.calls) },
    { title: 'First at', kind: 'number', cell: (row) => since(row.first_us) },
    { title: 'What the first one said', kind: 'text', cell: (row) => foreign(clean(row.example, 400)) },
  ];
  const sorted = rows.sort((one, other) => Number(other.is_loss) - Number(one.is_loss) || other.count - one.count);
  return panel('outcomes', 'Calls that were not answered', table('Calls that were not answered', columns, sorted, (row) => (row.is_loss ? 'error' : null)));
}

function entities(run) {
  if (run.entities.length === 0) return null;
  const counted = (of) => (row) => count(of(row.counts));
  const columns = [
    { title: 'Name', cell: (row) => foreign(clean(row.name, 120)) },
    { title: 'Kind', cell: (row) => (row.is_provider ? 'provider' : 'actor') },
    { title: 'State at the end', kind: 'text', cell: (row) => [row.state === 'running' ? standing('ok', row.state) : standing('error', clean(row.state)), row.reason ? foreign(` ${clean(row.reason, 300)}`) : null].filter(Boolean) },
    { title: 'Instances', kind: 'number', cell: (row) => count(row.instances) },
    { title: 'Faults', kind: 'number', cell: counted((counts) => counts.injected) },
    { title: 'Crashes', kind: 'number', cell: counted((counts) => counts.crashes) },
    { title: 'Interruptions', kind: 'number', cell: counted((counts) => counts.interruptions) },
    { title: 'Restarts', kind: 'number', cell: counted((counts) => counts.restarts) },
    { title: 'Key', cell: (row) => element('code', { class: 'quiet' }, clean(row.key, 120)) },
  ];
  return panel('entities', 'Actors and providers', table('Actors and providers', columns, run.entities, (row) => (row.state === 'running' ? null : 'error')));
}

function events(run) {
  const columns = [
    { title: 'At', kind: 'number', cell: (row) => since(row.at_us) },
    { title: 'Of', cell: (row) => foreign(row.entity === null ? 'the host' : clean(run.entities[row.entity]?.name, 120)) },
    { title: 'Event', cell: (row) => clean(row.kind).replaceAll('_', ' ') },
    { title: 'What happened', kind: 'text', cell: (row) => foreign(clean(row.text, 400)) },
  ];
  const level = (row) => ({ crashed: 'error', failed: 'error', link_refused: 'error', interrupted: 'warning', limit_breached: 'warning' })[row.kind] ?? null;
  const kinds = [...new Set(run.events.map((event) => event.kind))].sort();
  const select = element('select', { 'aria-label': 'Kind of event' }, element('option', { value: '' }, 'all kinds'), kinds.map((kind) => element('option', { value: kind }, clean(kind).replaceAll('_', ' '))));
  const more = element('button', { type: 'button' });
  const list = element('div', {});
  let all = false;
  const draw = () => {
    const rows = run.events.filter((event) => select.value === '' || event.kind === select.value);
    const shown = all ? rows : rows.slice(0, FEW_EVENTS);
    list.replaceChildren(shown.length === 0 ? note('There are no events.') : table('Events', columns, shown, level));
    more.hidden = shown.length === rows.length;
    setText(more, `Show all ${count(rows.length)}`);
  };
  select.addEventListener('change', draw);
  more.addEventListener('click', () => {
    all = true;
    draw();
  });
  draw();
  const built = panel('events', 'Events', list, remark(run));
  built.querySelector('.panel-head').append(element('div', { class: 'tools' }, select, more));
  return built;
}

function remark(run) {
  const remarks = [];
  if (run.events_left_out > 0) remarks.push(`${count(run.events_left_out)} later events are counted above and not listed.`);
  if (run.events_missed > 0) remarks.push(`${count(run.events_missed)} events were missed: counts of events are too small by them.`);
  return remarks.length === 0 ? null : note(remarks.join(' '));
}

start();
