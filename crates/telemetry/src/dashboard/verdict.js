// The first thing that an operator sees: whether something is wrong, and what.

import { byId, element, icon, setAttribute, setText } from './dom.js';
import { age, instant } from './format.js';
import { plural, short } from './text.js';

// From this number on, problems that say the same are one row, which can be unfolded.
const ALIKE = 3;
const NAMED = 4;
const UNFOLDED_LIMIT = 200;

/** The list of problems. `onOpen(key, byKey)` is called when one was chosen, `onChange()` when the list has to be drawn again. */
export class Verdict {
  constructor({ onOpen, onChange }) {
    Object.assign(this, { onOpen, onChange });
    this.list = byId('problems-list');
    this.signature = null;
    this.unfolded = new Set();
  }

  draw(store, found, now) {
    this.sentence(store, found);
    const rows = folded(found, this.unfolded);
    const signature = JSON.stringify(rows.map((row) => [row.key, row.says, row.reason, row.members?.length, row.open]));
    if (signature !== this.signature) {
      this.signature = signature;
      const focused = document.activeElement?.dataset?.problem;
      this.list.replaceChildren(...rows.map((row) => element('li', { class: row.inside ? 'inside' : null }, this.node(row))));
      if (focused) this.list.querySelector(`[data-problem="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    }
    for (const node of this.list.querySelectorAll('[data-at]')) setText(node, age(now - Number(node.dataset.at)));
  }

  sentence(store, found) {
    const errors = found.filter((problem) => problem.level === 'error').length;
    setAttribute(byId('problems'), 'data-level', errors > 0 ? 'error' : found.length > 0 ? 'warning' : 'ok');
    const parts = [
      errors > 0 ? plural(errors, 'failure') : '',
      found.length > errors ? plural(found.length - errors, 'warning') : '',
    ].filter((part) => part !== '');
    const running = [...store.actors.values()].filter((actor) => actor.state === 'running').length;
    setText(byId('problems-title'), parts.length === 0 ? 'Nothing is wrong' : parts.join(', '));
    setText(
      byId('problems-runs'),
      `${running.toLocaleString('en')} of ${plural(store.actors.size, 'actor')} run, with ${plural(store.providers.size, 'provider')}, on this host.`,
    );
  }

  node(row) {
    const { members } = row;
    const button = element(
      'button',
      {
        type: 'button',
        class: 'problem',
        'data-level': row.level,
        'data-problem': row.key,
        'aria-expanded': members ? String(row.open) : null,
      },
      icon(row.level),
      element(
        'span',
        { class: 'problem-text' },
        element(
          'span',
          { class: 'problem-says' },
          members ? this.subjects(row) : subject(row),
          ` ${members ? row.many : row.says}. `,
        ),
        row.reason === '' ? null : element('bdi', { class: 'problem-reason' }, row.reason),
        row.inside ? null : element('span', { class: 'problem-next' }, element('b', {}, 'Next: '), row.next),
      ),
      typeof row.since === 'number'
        ? element('time', { class: 'age', 'data-at': row.since, datetime: instant(row.since), title: instant(row.since) })
        : null,
    );
    button.addEventListener('click', (event) => (members ? this.fold(row) : this.onOpen(row.id, event.detail === 0)));
    return button;
  }

  subjects({ members, noun }) {
    const names = members
      .slice(0, NAMED)
      .map((member) => element('bdi', {}, member.noun === 'host' ? short(member.id) : member.subject))
      .flatMap((name) => [', ', name])
      .slice(1);
    const rest = members.length > NAMED ? ` and ${(members.length - NAMED).toLocaleString('en')} more` : '';
    return element(
      'span',
      {},
      element('span', { class: 'problem-subject' }, plural(members.length, noun)),
      element('span', { class: 'quiet' }, ' (', names, rest, ')'),
    );
  }

  fold(row) {
    if (!this.unfolded.delete(row.key)) this.unfolded.add(row.key);
    this.onChange();
  }
}

function subject(row) {
  return element(
    'span',
    {},
    element('bdi', { class: 'problem-subject' }, row.subject),
    ' ',
    element('span', { class: 'key' }, short(row.id)),
  );
}

// Problems that say the same are one row, so that one cause does not hide another.
function folded(found, unfolded) {
  const alike = new Map();
  for (const problem of found) {
    const key = `alike ${problem.group} ${problem.many ?? problem.key} ${problem.group === 'host' ? '' : problem.reason}`;
    if (!alike.has(key)) alike.set(key, []);
    alike.get(key).push(problem);
  }
  return [...alike].flatMap(([key, members]) => {
    if (members.length < ALIKE) return members;
    const open = unfolded.has(key);
    const row = { ...members[0], key, members, open, reason: members[0].group === 'host' ? '' : members[0].reason };
    return [row, ...(open ? members.slice(0, UNFOLDED_LIMIT).map((member) => ({ ...member, inside: true })) : [])];
  });
}
