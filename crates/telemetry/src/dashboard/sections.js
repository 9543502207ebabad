// The sections of the detail: what each says, and when it has to be built again.

import { element, icon, setText } from './dom.js';
import { bytes, count, fineSpan, instant, last, micros, percent, rate, time, UNKNOWN } from './format.js';
import { age, facts, opener, valueText, words } from './parts.js';
import { Sparkline } from './sparkline.js';
import { linkStanding } from './standing.js';
import { repetition, story } from './story.js';
import { clean, cleanLong } from './text.js';

const CHAPTERS = 40;
const LINKS_SHOWN = 60;
const WORDS_SHOWN = 60;

/** Returns the sections of what a key stands for, in order: `{ name, title, signature, build, update }`. */
export function sections(store, key, entity, host, found, now) {
  const actor = entity !== null && 'id' in entity && !('key' in entity) ? entity : null;
  const provider = entity !== null && actor === null ? entity : null;
  return [
    now_(key, entity, host, found),
    story_(store, key, now),
    figures_(entity),
    host_(host),
    links_(store, key, entity),
    trust_(actor),
    claims_(actor),
    provider_(provider),
  ];
}

const none = (name) => ({ name, title: '', signature: null });

// The problems of an entity, in the words of the list of problems.
function now_(key, entity, host, found) {
  const own = found.filter((problem) => problem.id === key);
  const calm = entity === null && !host ? 'The host does not list it any more. What is known of it is below.' : 'Nothing is wrong with it.';
  const since = entity?.since ?? (host && !host.is_self ? host.heard_at : null);
  return {
    name: 'now', title: 'Now', signature: JSON.stringify([own.map((problem) => [problem.says, problem.reason]), entity?.state, since && !host ? since : null]),
    build: () => [
      ...own.map((problem) => element('div', { class: 'verdict', 'data-level': problem.level },
        element('p', { class: 'says' }, icon(problem.level), `It ${problem.says}`, problem.since ? [' ', age(problem.since)] : '', '.'),
        problem.reason === '' ? null : element('p', { class: 'reason' }, element('bdi', {}, problem.reason)),
        element('p', { class: 'next' }, element('b', {}, 'Next: '), problem.next))),
      own.length > 0 ? '' : element('p', { class: 'calm' }, calm),
      entity && own.length === 0 ? element('p', { class: 'quiet' }, `It is ${clean(entity.state, 20)} `, age(entity.since, 'since'), '.') : '',
    ],
  };
}

function story_(store, key, now) {
  const events = store.eventsOf(key);
  const chapters = story(events, CHAPTERS);
  return {
    name: 'story', title: 'Story', signature: `${events.length} ${events[events.length - 1]?.sequence ?? ''}`,
    build: () => (chapters.length === 0
      ? [element('p', { class: 'calm' }, 'No event about it is known.')]
      : [element('ol', { class: 'story' }, chapters.map((chapter, at) => chapterNode(chapter, chapters[at - 1], now)))]),
  };
}

function chapterNode(chapter, before, now) {
  const again = repetition(chapter);
  const until = chapter.until > chapter.at ? ` – ${time(chapter.until, now)}` : '';
  const details = Object.entries(chapter.last.detail ?? chapter.detail ?? {}).filter(([, value]) => !chapter.text?.includes(String(value)));
  return element('li', { 'data-level': chapter.level },
    element('div', { class: 'when' },
      element('time', { datetime: instant(chapter.at), title: instant(chapter.at) }, time(chapter.at, now) + until),
      before ? element('span', { class: 'quiet' }, `${fineSpan(chapter.at - before.until)} later`) : null,
      age(chapter.until)),
    element('p', { class: 'what' }, element('span', { class: 'kind' }, clean(chapter.kind, 30).replaceAll('_', ' ')), element('bdi', {}, cleanLong(chapter.text))),
    again === '' ? null : element('p', { class: 'again' }, again),
    details.length === 0 ? null : facts(details.slice(0, 12).map(([name, value]) => [clean(name, 40).replaceAll('_', ' '), valueText(value)])));
}

// The figures change every second: their texts change in place.
function figures_(entity) {
  if (entity === null) return none('figures');
  const rows = [
    ['Calls per second', rate(last(entity.rate))], ['Half take at most', micros(entity.p50_us)], ['99 of 100 take at most', micros(entity.p99_us)],
    ['Calls', count(entity.calls)], ['Errors', `${count(entity.errors)} (${percent(entity.calls > 0 ? entity.errors / entity.calls : 0)})`],
    ['Restarts', count(entity.restarts)],
  ];
  if ('instances' in entity) {
    rows.push(['Crashes', count(entity.crashes)], ['Instances', `${count(entity.instances_running)} of ${count(entity.instances)} run`],
      ['Memory', bytes(entity.memory_bytes)], ['Waiting in the mailbox', count(entity.mailbox)], ['In flight', count(entity.in_flight)]);
  }
  return {
    name: 'figures', title: 'Figures', signature: `${rows.length} ${entity.id} ${entity.health}`,
    build() {
      const picture = new Sparkline();
      const node = element('div', { class: 'big-spark' }, picture.node, element('p', { class: 'quiet' }, 'Calls per second, the last minute'));
      node.picture = picture;
      return [node, facts(rows, 'figure'), element('p', { class: 'quiet' }, 'Measured ', age(entity.measured_at ?? 0), '. Health: ', element('b', {}, clean(entity.health ?? 'unknown', 20)), entity.health_at ? [', checked ', age(entity.health_at)] : '', '.')];
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

function host_(host) {
  if (!host) return none('host');
  const labels = Object.entries(host.labels ?? {}).slice(0, WORDS_SHOWN).map(([name, value]) => `${clean(name)}=${clean(value)}`);
  const rows = [
    ['Key', element('code', {}, clean(host.id, 80))], ['Heard', age(host.state === 'gone' ? host.gone_at : host.heard_at, 'since')], ['Version', clean(host.version, 40) || UNKNOWN],
    ['Round trip', micros(host.round_trip_us)], ['Actors', count(host.actors)], ['Providers', count(host.providers)],
    ['Kind', host.era ? 'a host of 2021' : 'a host of this release line'], ['Labels', words(labels)],
  ];
  return {
    name: 'host', title: 'Host', signature: JSON.stringify([host.id, host.state, host.version, host.actors, host.providers, labels, Math.floor((host.round_trip_us ?? 0) / 100)]),
    build: () => [facts(rows)],
    update(content) { content.querySelector('[data-at]').dataset.at = host.state === 'gone' ? host.gone_at : host.heard_at; },
  };
}

function links_(store, key, entity) {
  if (entity === null) return none('links');
  const own = [...store.links.values()].filter((link) => link.actor === key || `${link.provider}/${link.link_name}` === key);
  const order = { refused: 0, pending: 1, established: 2 };
  own.sort((a, b) => order[a.state] - order[b.state]);
  return {
    name: 'links', title: `Links`, signature: JSON.stringify(own.map((link) => [link.key, link.state, link.reason])),
    build: () => [
      own.length === 0 ? element('p', { class: 'calm' }, 'It has no links.') : element('ul', { class: 'links' }, own.slice(0, LINKS_SHOWN).map((link) => linkNode(store, link, key))),
      own.length > LINKS_SHOWN ? element('p', { class: 'quiet' }, `${count(own.length - LINKS_SHOWN)} more are not shown.`) : '',
    ],
  };
}

function linkNode(store, link, key) {
  const standing = linkStanding(link);
  const other = link.actor === key ? `${link.provider}/${link.link_name}` : link.actor;
  const values = Array.isArray(link.values) ? link.values.slice(0, WORDS_SHOWN).map((value) => clean(value, 60)) : [];
  return element('li', { 'data-level': standing.level },
    element('p', {}, element('span', { class: 'standing', 'data-level': standing.level }, icon(standing.icon), standing.word), ' ', opener(other, store.nameOf(other)), ' ',
      element('span', { class: 'quiet' }, `${clean(link.contract_id, 60)} · ${clean(link.link_name, 40)} · `, age(link.since))),
    link.reason ? element('p', { class: 'reason' }, element('bdi', {}, cleanLong(link.reason))) : null,
    values.length > 0 ? element('p', { class: 'quiet' }, `Values set (names only): ${values.join(', ')}`) : null);
}

function trust_(actor) {
  if (actor === null) return none('trust');
  const trusted = actor.trust?.trusted !== false;
  const expires = typeof actor.expires_at === 'number';
  return {
    name: 'trust', title: 'Trust', signature: JSON.stringify([actor.trust, actor.expires_at]),
    build: () => [
      element('p', {}, element('span', { class: 'standing', 'data-level': trusted ? 'ok' : 'error' }, icon(trusted ? 'ok' : 'error'), trusted ? 'trusted' : 'not trusted'), trusted ? ' by the policy of this host.' : '.'),
      actor.trust?.reason ? element('p', { class: 'reason' }, element('bdi', {}, cleanLong(actor.trust.reason))) : '',
      expires ? element('p', { class: 'quiet' }, 'Its token expires: ', age(actor.expires_at), '.') : element('p', { class: 'quiet' }, 'Its token does not expire.'),
    ],
  };
}

function claims_(actor) {
  if (actor === null) return none('claims');
  const lists = [(actor.capabilities ?? []).slice(0, WORDS_SHOWN).map((text) => clean(text)), (actor.tags ?? []).slice(0, WORDS_SHOWN).map((text) => clean(text))];
  const rows = [
    ['Name', element('bdi', {}, cleanLong(actor.name) || UNKNOWN)], ['Key', element('code', {}, clean(actor.id, 80))], ['Issuer', element('code', {}, clean(actor.issuer, 80))],
    ['Capabilities', words(lists[0])], ['Alias', clean(actor.alias) || UNKNOWN], ['Version', `${clean(actor.version, 40) || UNKNOWN} (revision ${count(actor.revision)})`],
    ['Image', cleanLong(actor.image_ref) || UNKNOWN], ['Tags', words(lists[1])],
  ];
  return { name: 'claims', title: 'Claims', signature: JSON.stringify([actor.id, actor.name, actor.alias, actor.version, actor.revision, actor.issuer, actor.image_ref, lists]), build: () => [facts(rows)] };
}

function provider_(provider) {
  if (provider === null) return none('provider');
  const rows = [
    ['Name', element('bdi', {}, cleanLong(provider.name) || UNKNOWN)], ['Key', element('code', {}, clean(provider.id, 80))], ['Link name', clean(provider.link_name)], ['Contract', clean(provider.contract_id)],
    ['Vendor', clean(provider.vendor) || UNKNOWN], ['Runs', provider.isolation === 'process' ? 'in a process of its own' : 'in the process of the host'], ['Image', cleanLong(provider.image_ref) || UNKNOWN],
  ];
  return { name: 'provider', title: 'Provider', signature: JSON.stringify([provider.key, provider.name, provider.vendor, provider.image_ref]), build: () => [facts(rows)] };
}
