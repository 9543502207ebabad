// The sections of the detail: what each says, and when it has to be built again.

import { claimsSection, hostSection, providerSection, trustSection } from './claims.js';
import { element, icon, setText } from './dom.js';
import { bytes, count, fineSpan, instant, last, micros, percent, rate, time } from './format.js';
import { age, facts, none, opener, valueText, WORDS_SHOWN } from './parts.js';
import { Sparkline } from './sparkline.js';
import { linkStanding } from './standing.js';
import { repetition, story } from './story.js';
import { clean, cleanLong } from './text.js';

const CHAPTERS = 40;
const LINKS_SHOWN = 60;

/** Returns the sections of what a key stands for, in order: `{ name, title, signature, build, update }`. */
export function sections(store, key, entity, host, found, now) {
  const actor = entity !== null && 'id' in entity && !('key' in entity) ? entity : null;
  const provider = entity !== null && actor === null ? entity : null;
  return [
    nowSection(key, entity, host, found),
    storySection(store, key, now),
    figuresSection(entity),
    hostSection(host),
    linksSection(store, key, entity),
    trustSection(actor),
    claimsSection(actor),
    providerSection(provider),
  ];
}

// The problems of an entity, in the words of the list of problems.
function nowSection(key, entity, host, found) {
  const own = found.filter((problem) => problem.id === key);
  const calm =
    entity === null && !host ? 'The host does not list it any more. What is known of it is below.' : 'Nothing is wrong with it.';
  const since = entity?.since ?? (host && !host.is_self ? host.heard_at : null);
  return {
    name: 'now',
    title: 'Now',
    signature: JSON.stringify([
      own.map((problem) => [problem.says, problem.reason]),
      entity?.state,
      since && !host ? since : null,
    ]),
    build: () => [
      ...own.map((problem) =>
        element(
          'div',
          { class: 'verdict', 'data-level': problem.level },
          element(
            'p',
            { class: 'says' },
            icon(problem.level),
            `It ${problem.says}`,
            problem.since ? [' ', age(problem.since)] : '',
            '.',
          ),
          problem.reason === '' ? null : element('p', { class: 'reason' }, element('bdi', {}, problem.reason)),
          element('p', { class: 'next' }, element('b', {}, 'Next: '), problem.next),
        ),
      ),
      own.length > 0 ? '' : element('p', { class: 'calm' }, calm),
      entity && own.length === 0
        ? element('p', { class: 'quiet' }, `It is ${clean(entity.state, 20)} `, age(entity.since, 'since'), '.')
        : '',
    ],
  };
}

function storySection(store, key, now) {
  const events = store.eventsOf(key);
  const chapters = story(events, CHAPTERS);
  return {
    name: 'story',
    title: 'Story',
    signature: `${events.length} ${events[events.length - 1]?.sequence ?? ''}`,
    build: () =>
      chapters.length === 0
        ? [element('p', { class: 'calm' }, 'No event about it is known.')]
        : [
            element(
              'ol',
              { class: 'story' },
              chapters.map((chapter, at) => chapterNode(chapter, chapters[at - 1], now)),
            ),
          ],
  };
}

function chapterNode(chapter, before, now) {
  const again = repetition(chapter);
  const until = chapter.until > chapter.at ? ` – ${time(chapter.until, now)}` : '';
  const details = Object.entries(chapter.last.detail ?? chapter.detail ?? {}).filter(
    ([, value]) => !chapter.text?.includes(String(value)),
  );
  return element(
    'li',
    { 'data-level': chapter.level },
    element(
      'div',
      { class: 'when' },
      element('time', { datetime: instant(chapter.at), title: instant(chapter.at) }, time(chapter.at, now) + until),
      before ? element('span', { class: 'quiet' }, `${fineSpan(chapter.at - before.until)} later`) : null,
      age(chapter.until),
    ),
    element(
      'p',
      { class: 'what' },
      element('span', { class: 'kind' }, clean(chapter.kind, 30).replaceAll('_', ' ')),
      element('bdi', {}, cleanLong(chapter.text)),
    ),
    again === '' ? null : element('p', { class: 'again' }, again),
    details.length === 0
      ? null
      : facts(details.slice(0, 12).map(([name, value]) => [clean(name, 40).replaceAll('_', ' '), valueText(value)])),
  );
}

// The figures change every second: their texts change in place.
function figuresSection(entity) {
  if (entity === null) return none('figures');
  const rows = figureRows(entity);
  return {
    name: 'figures',
    title: 'Figures',
    signature: `${rows.length} ${entity.id} ${entity.health}`,
    build() {
      const picture = new Sparkline();
      const caption = element('p', { class: 'quiet' }, 'Calls per second, the last minute');
      const node = element('div', { class: 'big-spark' }, picture.node, caption);
      node.picture = picture;
      const health = element('b', {}, clean(entity.health ?? 'unknown', 20));
      const checked = entity.health_at ? [', checked ', age(entity.health_at)] : '';
      const measured = element(
        'p',
        { class: 'quiet' },
        'Measured ',
        age(entity.measured_at ?? 0),
        '. Health: ',
        health,
        checked,
        '.',
      );
      return [node, facts(rows, 'figure'), measured];
    },
    update(content) {
      content.firstChild.picture.draw(entity.rate);
      content.querySelectorAll('dd').forEach((node, at) => setText(node, rows[at][1]));
      const [measured, checked] = content.querySelectorAll('[data-at]');
      measured.dataset.at = entity.measured_at ?? 0;
      if (checked) checked.dataset.at = entity.health_at;
    },
  };
}

function figureRows(entity) {
  const share = percent(entity.calls > 0 ? entity.errors / entity.calls : 0);
  const rows = [
    ['Calls, last second', rate(last(entity.rate))],
    ['p50, last minute', micros(entity.p50_us)],
    ['p99, last minute', micros(entity.p99_us)],
    ['Calls since start', count(entity.calls)],
    ['Errors since start', `${count(entity.errors)} (${share})`],
    ['Restarts since start', count(entity.restarts)],
  ];
  if (!('instances' in entity)) return rows;
  return [
    ...rows,
    ['Crashes since start', count(entity.crashes)],
    ['Instances', `${count(entity.instances_running)} of ${count(entity.instances)} run`],
    ['Memory', bytes(entity.memory_bytes)],
    ['Waiting in the mailbox', count(entity.mailbox)],
    ['In flight', count(entity.in_flight)],
  ];
}

function linksSection(store, key, entity) {
  if (entity === null) return none('links');
  const own = [...store.links.values()].filter((link) => link.actor === key || `${link.provider}/${link.link_name}` === key);
  const order = { refused: 0, pending: 1, established: 2 };
  own.sort((a, b) => order[a.state] - order[b.state]);
  return {
    name: 'links',
    title: `Links`,
    signature: JSON.stringify(own.map((link) => [link.key, link.state, link.reason])),
    build: () => [
      own.length === 0
        ? element('p', { class: 'calm' }, 'It has no links.')
        : element(
            'ul',
            { class: 'links' },
            own.slice(0, LINKS_SHOWN).map((link) => linkNode(store, link, key)),
          ),
      own.length > LINKS_SHOWN ? element('p', { class: 'quiet' }, `${count(own.length - LINKS_SHOWN)} more are not shown.`) : '',
    ],
  };
}

function linkNode(store, link, key) {
  const standing = linkStanding(link);
  const other = link.actor === key ? `${link.provider}/${link.link_name}` : link.actor;
  const values = Array.isArray(link.values) ? link.values.slice(0, WORDS_SHOWN).map((value) => clean(value, 60)) : [];
  return element(
    'li',
    { 'data-level': standing.level },
    element(
      'p',
      {},
      element('span', { class: 'standing', 'data-level': standing.level }, icon(standing.icon), standing.word),
      ' ',
      opener(other, store.nameOf(other)),
      ' ',
      element('span', { class: 'quiet' }, `${clean(link.contract_id, 60)} · ${clean(link.link_name, 40)} · `, age(link.since)),
    ),
    link.reason ? element('p', { class: 'reason' }, element('bdi', {}, cleanLong(link.reason))) : null,
    values.length > 0 ? element('p', { class: 'quiet' }, `Values set (names only): ${values.join(', ')}`) : null,
  );
}
