// Tables, and the small parts of them.

import { element, icon } from './dom.js';

/**
 * Builds a table. A column has a `title`, a `cell` (which returns text or an element for a row) and a `kind`: `number` or `text`.
 * `level` returns whether a row tells of something wrong.
 */
export function table(name, columns, rows, level = () => null) {
  const head = element(
    'tr',
    {},
    columns.map(({ title, kind }) => element('th', { scope: 'col', class: kind }, title)),
  );
  const body = rows.map((row) =>
    element(
      'tr',
      { 'data-level': level(row) },
      columns.map(({ cell, kind }) => element('td', { class: kind }, cell(row))),
    ),
  );
  const whole = element('table', { class: 'list', 'aria-label': name }, element('thead', {}, head), element('tbody', {}, body));
  return element('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': name }, whole);
}

/** Builds a word with a sign of its level. */
export function standing(level, words) {
  return element('span', { class: 'standing', 'data-level': level }, icon(level), words);
}

/** Builds a panel with a title. */
export function panel(id, title, ...content) {
  const heading = element('h2', { id: `${id}-title` }, title);
  return element('section', { id, class: 'panel', 'aria-labelledby': `${id}-title` }, element('div', { class: 'panel-head' }, heading), content.flat(2));
}

/** Builds a note below the content of a panel. */
export function note(text) {
  return element('p', { class: 'panel-note' }, text);
}

/** Builds a text that others have chosen: its direction affects nothing around it. */
export function foreign(text) {
  return element('bdi', {}, text);
}
