// The first thing that an operator sees: whether something is wrong, and what.

import { byId, element, icon, setAttribute, setText } from './dom.js';
import { instant, span } from './format.js';
import { plural, short } from './text.js';

const SHOWN = 30;
const ALIKE = 3;
const GROUPS = { failed: 'have failed', distrusted: 'are not trusted', expired: 'have expired tokens', refused: 'links are refused', errors: 'answer with errors', unhealthy: 'are unhealthy', restarting: 'are being restarted', instances: 'run too few instances', expiring: 'have tokens that expire soon', pending: 'links wait for their provider', host: 'hosts are missing' };

/** The list of problems. `onOpen(key, byKey)` is called when one was chosen. */
export class Verdict {
  constructor({ onOpen }) {
    this.onOpen = onOpen;
    this.list = byId('problems-list');
    this.signature = null;
    this.all = new Set();
  }

  draw(store, found, now) {
    this.sentence(store, found);
    const rows = folded(found, this.all);
    const signature = JSON.stringify(rows.map((row) => [row.key, row.says, row.reason, row.more]));
    if (signature !== this.signature) {
      this.signature = signature;
      const focused = document.activeElement?.dataset?.problem;
      this.list.replaceChildren(...rows.map((row) => (row.more ? this.moreNode(row) : this.node(row))));
      if (focused) this.list.querySelector(`[data-problem="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    }
    for (const node of this.list.querySelectorAll('[data-at]')) setText(node, span(now - Number(node.dataset.at)));
  }

  sentence(store, found) {
    const errors = found.filter((problem) => problem.level === 'error').length;
    const level = errors > 0 ? 'error' : found.length > 0 ? 'warning' : 'ok';
    setAttribute(byId('problems'), 'data-level', level);
    const parts = [errors > 0 ? `${plural(errors, 'failure')}` : '', found.length > errors ? plural(found.length - errors, 'warning') : ''].filter((part) => part !== '');
    const running = [...store.actors.values()].filter((actor) => actor.state === 'running').length;
    const runs = `${running.toLocaleString('en')} of ${plural(store.actors.size, 'actor')} run`;
    setText(byId('problems-title'), parts.length === 0 ? 'Everything runs' : parts.join(', '));
    setText(byId('problems-runs'), `${runs}, with ${plural(store.providers.size, 'provider')} on this host.`);
  }

  node(problem) {
    const button = element('button', { type: 'button', class: 'problem', 'data-level': problem.level, 'data-problem': problem.key },
      icon(problem.level),
      element('span', { class: 'problem-text' },
        element('span', { class: 'problem-says' }, element('bdi', { class: 'problem-subject' }, problem.subject), ' ', element('span', { class: 'key' }, short(problem.id)), ` ${problem.says}. `),
        problem.reason === '' ? null : element('bdi', { class: 'problem-reason' }, problem.reason),
        element('span', { class: 'problem-next' }, element('b', {}, 'Next: '), problem.next)),
      typeof problem.since === 'number' ? element('time', { class: 'age', 'data-at': problem.since, datetime: instant(problem.since), title: instant(problem.since) }) : element('span', { class: 'age' }, 'now'));
    button.addEventListener('click', (event) => this.onOpen(problem.id, event.detail === 0));
    return element('li', {}, button);
  }

  moreNode({ group, more }) {
    const button = element('button', { type: 'button', class: 'problem-more' }, `${more.toLocaleString('en')} more ${GROUPS[group] ?? 'like this'}: show`);
    button.addEventListener('click', () => { this.all.add(group); this.signature = null; this.again?.(); });
    return element('li', {}, button);
  }
}

// Many problems of one kind are shown as the first few of them and a count, so that one cause does not hide another.
function folded(found, unfolded) {
  const counts = new Map();
  const rows = [];
  for (const problem of found) {
    const count = (counts.get(problem.group) ?? 0) + 1;
    counts.set(problem.group, count);
    if (count <= (unfolded.has(problem.group) ? SHOWN * 10 : ALIKE) && rows.length < SHOWN * 10) rows.push(problem);
  }
  for (const [group, count] of counts) {
    const shown = rows.filter((row) => row.group === group).length;
    const at = rows.findLastIndex((row) => row.group === group);
    if (count > shown && at !== -1) rows.splice(at + 1, 0, { key: `more ${group}`, group, more: count - shown });
  }
  return rows;
}
