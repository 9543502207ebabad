// The columns of the tables of actors, providers and hosts.

import { element, setAttribute, setText } from './dom.js';
import { age as ago, bytes, count, instant, last, micros, percent, rate, span, time, UNKNOWN } from './format.js';
import { Sparkline } from './sparkline.js';
import { standingCell, textCell } from './table.js';
import { RANK, actorStanding, hostStanding, providerStanding } from './standing.js';
import { clean, short } from './text.js';

// Figures that are older than this while the stream lives are marked.
const OLD_MS = 10_000;
const P50 = 'Half of the calls of the last minute took at most this long';
const P99 = '99 of 100 calls of the last minute took at most this long';

const number = (name, title, explains, value, format = count) => ({
  name,
  title,
  explains,
  sorts: (item) => value(item) ?? -1,
  descending: true,
  make: () => textCell((item) => format(value(item))),
});

/** Returns the columns of actors. */
export function actorColumns() {
  return [
    stateColumn(actorStanding),
    nameColumn(
      (actor) => actor.id,
      (actor) => (actor.alias === actor.name ? '' : clean(actor.alias, 40)),
    ),
    rateColumn(),
    number('p50', 'p50', P50, (actor) => actor.p50_us, micros),
    number('p99', 'p99', P99, (actor) => actor.p99_us, micros),
    errorColumn(),
    number('restarts', 'Restarts', 'Restarts since the start', (actor) => actor.restarts),
    {
      name: 'instances',
      title: 'Inst.',
      explains: 'Instances that run, of those there should be',
      sorts: (actor) => actor.instances,
      descending: true,
      make: () =>
        textCell((actor) =>
          actor.instances_running === actor.instances
            ? count(actor.instances)
            : `${count(actor.instances_running)}/${count(actor.instances)}`,
        ),
    },
    number('memory', 'Memory', 'Memory of all instances', (actor) => actor.memory_bytes, bytes),
    number('waiting', 'Waiting', 'Messages in the mailbox', (actor) => actor.mailbox),
    ageColumn(),
  ];
}

/** Returns the columns of providers. */
export function providerColumns() {
  return [
    stateColumn(providerStanding),
    nameColumn(
      (provider) => provider.key,
      (provider) => (provider.link_name === 'default' ? '' : clean(provider.link_name, 40)),
    ),
    {
      name: 'contract',
      title: 'Contract',
      sorts: (provider) => clean(provider.contract_id, 60),
      make: () =>
        textCell(
          (provider) => clean(provider.contract_id, 60),
          (provider) => clean(provider.contract_id, 200),
        ),
    },
    rateColumn(),
    number('p50', 'p50', P50, (provider) => provider.p50_us, micros),
    number('p99', 'p99', P99, (provider) => provider.p99_us, micros),
    errorColumn(),
    number('restarts', 'Restarts', 'Restarts since the start', (provider) => provider.restarts),
    ageColumn(),
  ];
}

/** Returns the columns of hosts. Each of their rows says how long ago the host was heard. */
export function hostColumns() {
  return [
    { name: 'state', title: 'State', make: () => standingCell(hostStanding) },
    { name: 'name', title: 'Host', make: hostCell },
    { name: 'actors', title: 'Actors', make: () => textCell((host) => count(host.actors)) },
    { name: 'providers', title: 'Providers', make: () => textCell((host) => count(host.providers)) },
    {
      name: 'trip',
      title: 'Round trip',
      explains: 'To this host and back',
      make: () => textCell((host) => (host.is_self ? UNKNOWN : micros(host.round_trip_us))),
    },
    { name: 'version', title: 'Version', make: () => textCell((host) => clean(host.version, 20)) },
    {
      name: 'uptime',
      title: 'Up for',
      make: () => textCell((host) => (typeof host.uptime_s === 'number' ? span(host.uptime_s * 1000) : UNKNOWN)),
    },
    { name: 'heard', title: 'Heard', make: heardCell },
  ];
}

function stateColumn(standingOf) {
  return {
    name: 'state',
    title: 'State',
    sorts: (item, now) => RANK[standingOf(item, now).level],
    make: () => standingCell(standingOf),
  };
}

// The name is what its signer chose; the key beside it cannot be forged.
function nameColumn(keyOf, extraOf) {
  return {
    name: 'name',
    title: 'Name',
    sorts: (item) => item.label.toLowerCase(),
    make() {
      const name = element('bdi', { class: 'name' });
      const extra = element('bdi', { class: 'extra' });
      const key = element('span', { class: 'key' });
      return {
        node: element('span', { class: 'named' }, name, extra, key),
        update(item) {
          setText(name, item.label);
          setAttribute(name, 'title', item.label);
          setText(extra, extraOf(item));
          setText(key, short(keyOf(item)));
        },
      };
    },
  };
}

function rateColumn() {
  return {
    name: 'rate',
    title: 'Calls/s',
    explains: 'Calls in the last second; the picture shows the last minute',
    sorts: (item) => last(item.rate) ?? -1,
    descending: true,
    make() {
      const picture = new Sparkline();
      const value = element('span', { class: 'text' });
      return {
        node: element('span', { class: 'rated' }, picture.node, value),
        update(item) {
          picture.draw(item.rate);
          setText(value, rate(last(item.rate)));
        },
      };
    },
  };
}

function errorColumn() {
  return {
    name: 'errors',
    title: 'Errors',
    explains: 'Calls that ended with an error since the start, and their share',
    sorts: (item) => item.errors ?? -1,
    descending: true,
    make() {
      const cell = textCell(
        (item) => count(item.errors),
        (item) => (item.calls > 0 ? `${percent(item.errors / item.calls)} of ${count(item.calls)} calls since the start` : null),
      );
      const { update } = cell;
      cell.update = (item, now) => {
        update(item, now);
        cell.node.classList.toggle('some', item.errors > 0);
      };
      return cell;
    },
  };
}

function ageColumn() {
  return {
    name: 'age',
    title: 'Age',
    explains: 'How long ago the figures of this row were measured',
    sorts: (item) => item.measured_at ?? 0,
    make: () => agedCell((item) => item.measured_at),
  };
}

function agedCell(atOf) {
  const node = element('span', { class: 'text age' });
  return {
    node,
    update(item, now) {
      const at = atOf(item);
      const age = typeof at === 'number' ? now - at : null;
      setText(node, ago(age));
      node.classList.toggle('old', age !== null && age > OLD_MS);
      setAttribute(node, 'title', instant(at) || null);
    },
  };
}

function hostCell() {
  const key = element('span', { class: 'key' });
  const note = element('span', { class: 'extra' });
  return {
    node: element('span', { class: 'named' }, key, note),
    update(host) {
      setText(key, short(host.id));
      setAttribute(key, 'title', clean(host.id, 60));
      const notes = [host.is_self ? 'this host' : '', host.era ? 'of 2021' : '', host.cordoned ? 'cordoned' : ''];
      setText(note, notes.filter((text) => text !== '').join(', '));
    },
  };
}

function heardCell() {
  const node = element('span', { class: 'text age' });
  return {
    node,
    update(host, now) {
      const at = host.heard_at;
      const lost = host.state === 'down' || host.state === 'gone';
      const heard = typeof at === 'number' ? `${ago(now - at)} ago` : UNKNOWN;
      setText(node, lost ? `${heard}, since ${time(at, now)}` : heard);
      setAttribute(node, 'title', instant(at) || null);
    },
  };
}
