// The sections of the detail about who something is: claims and trust of an actor, a provider, a host.

import { element, icon } from './dom.js';
import { count, micros, UNKNOWN } from './format.js';
import { age, facts, none, words, WORDS_SHOWN } from './parts.js';
import { clean, cleanLong } from './text.js';

/** Returns the section of a host. */
export function hostSection(host) {
  if (!host) return none('host');
  const labels = Object.entries(host.labels ?? {})
    .slice(0, WORDS_SHOWN)
    .map(([name, value]) => `${clean(name)}=${clean(value)}`);
  const rows = [
    ['Key', element('code', {}, clean(host.id, 80))],
    ['Heard', age(host.heard_at, 'since')],
    ['Version', clean(host.version, 40) || UNKNOWN],
    ['Round trip', micros(host.round_trip_us)],
    ['Actors', count(host.actors)],
    ['Providers', count(host.providers)],
    ['Kind', host.era ? 'a host of 2021' : 'a host of this release line'],
    ['Labels', words(labels)],
  ];
  return {
    name: 'host',
    title: 'Host',
    signature: JSON.stringify([
      host.id,
      host.state,
      host.version,
      host.actors,
      host.providers,
      labels,
      Math.floor((host.round_trip_us ?? 0) / 100),
    ]),
    build: () => [facts(rows)],
    update(content) {
      content.querySelector('[data-at]').dataset.at = host.heard_at;
    },
  };
}

/** Returns the section of whether an actor is trusted. */
export function trustSection(actor) {
  if (actor === null) return none('trust');
  const trusted = actor.trust?.trusted !== false;
  const expires = typeof actor.expires_at === 'number';
  return {
    name: 'trust',
    title: 'Trust',
    signature: JSON.stringify([actor.trust, actor.expires_at]),
    build: () => [
      element(
        'p',
        {},
        element(
          'span',
          { class: 'standing', 'data-level': trusted ? 'ok' : 'error' },
          icon(trusted ? 'ok' : 'error'),
          trusted ? 'trusted' : 'not trusted',
        ),
        trusted ? ': this host accepts it.' : ': this host does not accept it.',
      ),
      actor.trust?.reason ? element('p', { class: 'reason' }, element('bdi', {}, cleanLong(actor.trust.reason))) : '',
      expires
        ? element('p', { class: 'quiet' }, 'Its token expires: ', age(actor.expires_at), '.')
        : element('p', { class: 'quiet' }, 'Its token does not expire.'),
    ],
  };
}

/** Returns the section of what is signed about an actor. */
export function claimsSection(actor) {
  if (actor === null) return none('claims');
  const lists = [
    (actor.capabilities ?? []).slice(0, WORDS_SHOWN).map((text) => clean(text)),
    (actor.tags ?? []).slice(0, WORDS_SHOWN).map((text) => clean(text)),
  ];
  const rows = [
    ['Name', element('bdi', {}, cleanLong(actor.name) || UNKNOWN)],
    ['Key', element('code', {}, clean(actor.id, 80))],
    ['Issuer', element('code', {}, clean(actor.issuer, 80))],
    ['Capabilities', words(lists[0])],
    ['Alias', clean(actor.alias) || UNKNOWN],
    ['Version', `${clean(actor.version, 40) || UNKNOWN} (revision ${count(actor.revision)})`],
    ['Image', cleanLong(actor.image_ref) || UNKNOWN],
    ['Tags', words(lists[1])],
  ];
  return {
    name: 'claims',
    title: 'Claims',
    signature: JSON.stringify([
      actor.id,
      actor.name,
      actor.alias,
      actor.version,
      actor.revision,
      actor.issuer,
      actor.image_ref,
      lists,
    ]),
    build: () => [facts(rows)],
  };
}

/** Returns the section of what is known of a provider. */
export function providerSection(provider) {
  if (provider === null) return none('provider');
  const rows = [
    ['Name', element('bdi', {}, cleanLong(provider.name) || UNKNOWN)],
    ['Key', element('code', {}, clean(provider.id, 80))],
    ['Link name', clean(provider.link_name)],
    ['Contract', clean(provider.contract_id)],
    ['Vendor', clean(provider.vendor) || UNKNOWN],
    ['Runs', provider.isolation === 'process' ? 'in a process of its own' : 'in the process of the host'],
    ['Image', cleanLong(provider.image_ref) || UNKNOWN],
  ];
  return {
    name: 'provider',
    title: 'Provider',
    signature: JSON.stringify([provider.key, provider.name, provider.vendor, provider.image_ref]),
    build: () => [facts(rows)],
  };
}
