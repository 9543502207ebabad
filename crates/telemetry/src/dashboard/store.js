// What the page knows of the host: the snapshot, changed by what the stream tells, and what it has seen vanish.

import { heardTime } from './clock.js';
import { label, searchable } from './text.js';
import { Trends } from './trends.js';

// The events that are kept. The host sends its last 500; a page that stays open for days keeps more of them, but not all.
const EVENTS_LIMIT = 2_000;
// The hosts that are remembered after they vanished from the list.
const GONE_LIMIT = 50;
// The fields that a search looks at.
const SEARCHED = [
  'name',
  'alias',
  'id',
  'key',
  'entity',
  'issuer',
  'image_ref',
  'contract_id',
  'vendor',
  'kind',
  'text',
  'host',
  'capabilities',
  'tags',
];
const COLLECTIONS = { hosts: 'id', actors: 'id', providers: 'key', links: 'key' };

/** The state that all panels draw. `revisions` counts the changes of each collection, so that a panel can skip what it knows. */
export class Store {
  constructor() {
    this.at = null;
    this.host = null;
    this.hosts = new Map();
    this.actors = new Map();
    this.providers = new Map();
    this.links = new Map();
    this.events = [];
    this.missed = 0;
    this.latestEvents = { revision: -1, events: new Map() };
    this.trends = new Trends();
    this.revisions = { host: 0, hosts: 0, actors: 0, providers: 0, links: 0, events: 0 };
  }

  /** Takes a message of the stream. Returns whether it was one. */
  take(kind, value) {
    if (value === null || typeof value !== 'object') return false;
    if (kind === 'snapshot') this.takeSnapshot(value);
    else if (kind === 'delta') this.takeDelta(value);
    else if (kind === 'event') this.takeEvents([value]);
    else return false;
    return true;
  }

  takeSnapshot(snapshot) {
    this.takeTime(snapshot.at);
    // After a restart of the host, its events are counted from the beginning.
    if (this.host?.started_at !== snapshot.host?.started_at) {
      this.events = [];
      this.missed = 0;
    }
    this.takeHost(snapshot.host);
    const before = this.hosts;
    for (const [name, key] of Object.entries(COLLECTIONS)) {
      this[name] = new Map();
      this.takeItems(name, key, snapshot[name]);
    }
    this.countRefused();
    this.trends.reset();
    this.trends.take(this.at, this.actors, this.providers);
    this.takeLatest(Array.isArray(snapshot.events) ? snapshot.events : []);
    this.keepGone(before);
  }

  takeDelta(delta) {
    this.takeTime(delta.at);
    if (delta.host) this.takeHost(delta.host);
    for (const [name, key] of Object.entries(COLLECTIONS)) {
      this.takeItems(name, key, delta[name]);
      this.removeItems(name, delta.removed?.[name]);
    }
    this.takeMeasured(delta);
    this.countRefused();
    this.trends.take(this.at, this.actors, this.providers);
  }

  takeTime(at) {
    if (typeof at === 'number') this.at = at;
    heardTime(at);
  }

  takeHost(host) {
    if (!host) return;
    this.host = host;
    this.revisions.host += 1;
  }

  // What a delta leaves out was measured too, and is as it was.
  takeMeasured(delta) {
    if (typeof delta.measured_at !== 'number') return;
    for (const [name, key] of [
      ['actors', 'id'],
      ['providers', 'key'],
    ]) {
      const listed = new Map((delta[name] ?? []).map((item) => [item?.[key], item]));
      for (const [id, item] of this[name]) {
        const told = listed.get(id) ?? {};
        if (!('measured_at' in told)) item.measured_at = delta.measured_at;
        if (!('rate' in told) && item.rate?.some((calls) => calls > 0)) item.rate = [...item.rate.slice(1), 0];
      }
    }
  }

  // An item may hold only the fields that have changed.
  takeItems(name, key, items) {
    if (!Array.isArray(items)) return;
    for (const item of items) {
      if (item === null || typeof item !== 'object' || typeof item[key] !== 'string') continue;
      this[name].set(item[key], merged(item, this[name].get(item[key])));
    }
    this.revisions[name] += 1;
  }

  removeItems(name, keys) {
    if (!Array.isArray(keys) || keys.length === 0) return;
    for (const key of keys) {
      const item = this[name].get(key);
      this[name].delete(key);
      if (name === 'hosts' && item) this.markGone(item);
    }
    this.revisions[name] += 1;
  }

  // Actors know how many of their links are refused, which their own state does not tell.
  countRefused() {
    const counts = new Map();
    for (const link of this.links.values())
      if (link.state === 'refused') counts.set(link.actor, (counts.get(link.actor) ?? 0) + 1);
    for (const [id, actor] of this.actors) actor.refused = counts.get(id) ?? 0;
  }

  // A host that vanishes while it is watched stays in the list, unless it has said that it leaves.
  markGone(host) {
    if (this.hasLeft(host)) return;
    this.hosts.set(host.id, { ...host, state: 'gone' });
    const gone = [...this.hosts.values()].filter((other) => other.state === 'gone');
    for (const oldest of gone.slice(0, -GONE_LIMIT)) this.hosts.delete(oldest.id);
  }

  keepGone(before) {
    const missing = [...before.values()].filter((host) => !this.hosts.has(host.id) && !host.is_self);
    for (const host of missing.slice(-GONE_LIMIT)) this.markGone(host);
  }

  // The word of a host that left while this page heard nothing is among the events.
  hasLeft(host) {
    const left = this.latest('peer_left', host.id);
    return host.state === 'left' || (left !== null && left.sequence > (this.latest('peer_up', host.id)?.sequence ?? -1));
  }

  // The latest events of a snapshot follow those that were seen before the connection was lost.
  takeLatest(events) {
    const seen = this.events[this.events.length - 1]?.sequence ?? -1;
    this.takeEvents(events.filter((event) => event?.sequence > seen));
  }

  takeEvents(events) {
    for (const event of events) {
      if (event === null || typeof event !== 'object') continue;
      this.noteGap(event);
      this.events.push(preparedEvent(event));
    }
    if (this.events.length > EVENTS_LIMIT) this.events.splice(0, this.events.length - EVENTS_LIMIT);
    this.revisions.events += 1;
  }

  noteGap(event) {
    const before = this.events[this.events.length - 1];
    if (before && event.sequence > before.sequence + 1) this.missed += event.sequence - before.sequence - 1;
  }

  /** Returns the actor or provider with a key. */
  entity(key) {
    return this.actors.get(key) ?? this.providers.get(key) ?? null;
  }

  /** Returns the name of what a key stands for. */
  nameOf(key, fallback = null) {
    const entity = this.entity(key);
    return entity ? entity.label : label(fallback, key);
  }

  /** Returns the provider that a link leads to, or `null` while it does not run here. */
  providerOf(link) {
    return this.providers.get(`${link.provider}/${link.link_name}`) ?? null;
  }

  /** Returns the latest event of a kind about an entity, or `null`. */
  latest(kind, key) {
    const latest = this.latestEvents;
    if (latest.revision !== this.revisions.events) {
      latest.revision = this.revisions.events;
      latest.events = new Map(this.events.map((event) => [`${event.kind} ${event.entity}`, event]));
    }
    return latest.events.get(`${kind} ${key}`) ?? null;
  }

  /** Returns the events about an entity, oldest first. A provider's may name it with or without its link. */
  eventsOf(key) {
    const id = key.split('/')[0];
    const names = new Set(this.providers.has(key) ? [key, id] : [key]);
    return this.events.filter((event) => names.has(event.entity));
  }
}

/** Returns what a search looks at: made when it is first asked for, since most items are never searched. */
export function wordsOf(item) {
  item.words ??= searchable(...SEARCHED.map((field) => item[field] ?? []));
  return item.words;
}

// What rows show is made once for each name. A rate that is a number is the newest of a row of them.
function merged(item, before) {
  const rate = typeof item.rate === 'number' ? [...(before?.rate ?? Array(60).fill(0)).slice(1), item.rate] : item.rate;
  const whole = before ? Object.assign(before, item) : item;
  if (rate !== undefined) whole.rate = rate;
  if ('name' in item || !('label' in whole)) setLabel(whole);
  // Each item names its key, which does not change.
  const changes = (field) => field !== 'id' && field !== 'key' && field in item;
  if (whole.words !== undefined && SEARCHED.some(changes)) whole.words = undefined;
  return whole;
}

function setLabel(item) {
  if (item.labelled === item.name && 'label' in item) return;
  item.labelled = item.name;
  item.label = label(item.name, item.key ?? item.id);
}

function preparedEvent(event) {
  event.label = event.entity === null || event.entity === undefined ? '' : label(event.name, event.entity);
  return event;
}
