// The figures of the host as a whole: a row of tiles, each with its age.

import { byId, element, setText, setAttribute } from './dom.js';
import { age, bytes, last, micros, rate, UNKNOWN } from './format.js';
import { Sparkline } from './sparkline.js';
import { plural } from './text.js';

/** The tiles. */
export class Figures {
  constructor() {
    this.root = byId('figures-list');
    this.tiles = new Map();
    for (const [name, title] of [
      ['calls', 'Calls per second'],
      ['latency', 'Latency p50 · p99'],
      ['actors', 'Actors'],
      ['providers', 'Providers'],
      ['links', 'Links'],
      ['hosts', 'Hosts'],
      ['memory', 'Memory'],
    ]) {
      this.tiles.set(name, this.tile(name, title));
    }
    this.picture = new Sparkline();
    this.tiles.get('calls').value.after(this.picture.node);
  }

  tile(name, title) {
    const value = element('span', { class: 'tile-value' });
    const note = element('span', { class: 'tile-note' });
    const old = element('span', { class: 'age' });
    this.root.append(
      element('div', { class: `tile tile-${name}` }, element('dt', {}, title, old), element('dd', {}, value, note)),
    );
    return { value, note, old };
  }

  draw(store, now) {
    const { host } = store;
    this.picture.draw(host.calls_per_second);
    const most = Math.max(0, ...(host.calls_per_second ?? []).filter(Number.isFinite));
    this.set('calls', rate(last(host.calls_per_second)), `most ${rate(most)} in 60\u2009s`);
    this.set('latency', `${micros(host.latency_us?.p50)} · ${micros(host.latency_us?.p99)}`, 'of the last minute');
    this.set('memory', bytes(host.memory_bytes), host.shards ? plural(host.shards, 'shard') : '');
    this.counted('actors', store.actors.values(), (actor) => actor.state, 'running');
    this.counted('providers', store.providers.values(), (provider) => provider.state, 'running');
    this.counted('links', store.links.values(), (link) => link.state, 'established');
    this.counted('hosts', store.hosts.values(), (other) => (other.state === 'gone' ? 'vanished' : other.state), 'up');
    for (const tile of this.tiles.values()) setText(tile.old, store.at === null ? UNKNOWN : `${age(now - store.at)} ago`);
  }

  set(name, value, note, level = null) {
    const tile = this.tiles.get(name);
    setText(tile.value, value);
    setText(tile.note, note);
    setAttribute(tile.note, 'data-level', level);
  }

  // The number of all, and of those that are not as they should be.
  counted(name, items, stateOf, good) {
    const counts = new Map();
    let total = 0;
    for (const item of items) {
      total += 1;
      const state = stateOf(item);
      if (state !== good) counts.set(state, (counts.get(state) ?? 0) + 1);
    }
    const bad = [...counts.keys()].some((state) => ['failed', 'refused', 'down', 'vanished'].includes(state));
    const notes = [...counts].sort().map(([state, count]) => `${count.toLocaleString('en')} ${state}`);
    this.set(
      name,
      total.toLocaleString('en'),
      total === 0 ? 'none' : notes.length === 0 ? `all ${good}` : notes.join(', '),
      bad ? 'error' : counts.size > 0 ? 'warning' : null,
    );
  }
}
