// Small pieces that the sections of the detail are made of.

import { element } from './dom.js';
import { instant, UNKNOWN } from './format.js';
import { clean, cleanLong } from './text.js';

/** How many labels, capabilities, tags and names of values are shown. */
export const WORDS_SHOWN = 60;

/** Returns a section that says nothing, and is not shown. */
export const none = (name) => ({ name, title: '', signature: null });

/** Returns short texts beside each other, as tags. */
export function words(list) {
  return list.length === 0
    ? UNKNOWN
    : element(
        'span',
        { class: 'words' },
        list.map((text) => element('bdi', { class: 'word' }, text)),
      );
}

/** Returns titles and values as a list. */
export function facts(rows, name = '') {
  return element(
    'dl',
    { class: `facts ${name}` },
    rows.map(([title, value]) => element('div', {}, element('dt', {}, title), element('dd', {}, value))),
  );
}

/** Returns a time that the detail keeps as an age (`ago`), or as a time and an age (`since`). */
export function age(at, form = 'ago') {
  if (typeof at !== 'number') return UNKNOWN;
  return element('time', { class: 'age', 'data-at': at, 'data-form': form, datetime: instant(at), title: instant(at) });
}

/** Returns the text of a value that an event or a claim carries. */
export function valueText(value) {
  if (value === null || value === undefined) return '–';
  return cleanLong(typeof value === 'object' ? JSON.stringify(value) : String(value));
}

/** Returns a button that opens another entity. */
export function opener(key, text) {
  return element('button', { type: 'button', class: 'opener', 'data-open': key }, element('bdi', {}, clean(text)));
}
