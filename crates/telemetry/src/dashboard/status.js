// The head of the page: which host this is, how it stands in its lattice, and whether the figures are live.

import { byId, element, icon, setAttribute, setText } from './dom.js';
import { age, span, time } from './format.js';
import { clean, short } from './text.js';

const PHASES = {
  connecting: 'Connecting',
  live: 'Live',
  stale: 'Stale',
  waiting: 'No connection',
  denied: 'Token needed',
  paused: 'Paused',
};
const LATTICE = {
  joined: ['ok', 'in lattice'],
  joining: ['change', 'joins lattice'],
  alone: ['warning', 'alone, not in lattice'],
  lost: ['error', 'lost lattice'],
};

/** The head. `onRetry()` is called when the viewer does not want to wait for the next attempt. */
export class Status {
  constructor({ onRetry }) {
    this.pills = '';
    byId('stale-retry').addEventListener('click', onRetry);
  }

  /** Shows how the connection is. `since` is the host's time of the last message. */
  connection(state, store, now) {
    const root = document.documentElement;
    const fresh = state.phase === 'live';
    root.dataset.stream = fresh || store.at === null ? 'live' : 'stale';
    setText(byId('stream-word'), PHASES[state.phase]);
    setAttribute(byId('stream'), 'data-phase', state.phase);
    setText(byId('stream-age'), store.at === null ? '' : `${age(now - store.at)} ago`);
    const banner = byId('stale');
    banner.hidden =
      fresh || state.phase === 'paused' || state.phase === 'denied' || (state.phase === 'connecting' && store.at === null);
    // Said once, and not each second.
    setText(byId('stale-said'), banner.hidden ? '' : `Figures are not live: ${state.reason ?? 'connecting again'}.`);
    if (banner.hidden) return;
    const old = store.at === null ? 'No figures yet' : `Figures are ${span(now - store.at)} old, since ${time(store.at, now)}`;
    const retry =
      state.phase === 'waiting'
        ? `Next attempt in ${Math.max(0, Math.ceil((state.retryAt - performance.now()) / 1000))}\u2009s.`
        : '';
    setText(byId('stale-text'), `${old}: ${state.reason ?? 'connecting again'}. ${retry}`);
    byId('stale-retry').hidden = state.phase !== 'waiting';
  }

  /** Shows the host. */
  host(store, now, problems) {
    const { host } = store;
    setText(byId('host-key'), short(host.id));
    setAttribute(byId('host-key'), 'title', clean(host.id, 80));
    setText(byId('host-facts'), `${clean(host.version, 20)} · up ${span(now - host.started_at)}`);
    const pills = [];
    if (host.lattice) {
      const [level, word] = LATTICE[host.lattice.state] ?? ['change', clean(host.lattice.state, 20)];
      pills.push([level, `${word} ${clean(host.lattice.namespace, 30)}`]);
    }
    if (host.cordoned) pills.push(['change', 'cordoned']);
    if (host.draining) pills.push(['change', 'draining']);
    this.showPills(pills);
    this.tab(host, problems);
  }

  showPills(pills) {
    const signature = JSON.stringify(pills);
    if (signature === this.pills) return;
    this.pills = signature;
    byId('host-pills').replaceChildren(
      ...pills.map(([level, text]) => element('li', { class: 'pill', 'data-level': level }, icon(level), text)),
    );
  }

  // The title of the tab says that something fails, for those who look at another one.
  tab(host, problems) {
    const errors = problems.filter((problem) => problem.level === 'error').length;
    const title = `${errors > 0 ? `(${errors}) ` : ''}${short(host.id)} · wasmcloud`;
    if (document.title !== title) document.title = title;
  }
}
