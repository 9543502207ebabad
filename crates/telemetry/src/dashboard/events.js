// The live events, newest first, with filters. While the list is scrolled or paused it stands still, and says what has come.

import { byId, element, setAttribute, setText } from './dom.js';
import { instant, time } from './format.js';
import { Table, standingCell, textCell } from './table.js';
import { wordsOf } from './store.js';
import { clean, cleanLong, plural } from './text.js';

const LEVELS = { error: 'error', warning: 'warning', info: 'info' };

/** The panel of events. `onOpen(key, byKey)` is called for an event about an actor, a provider or a host. */
export class Events {
  constructor(store, { onOpen }) {
    this.store = store;
    this.search = byId('events-search');
    this.kind = byId('events-kind');
    this.levels = [...document.querySelectorAll('[data-severity]')];
    this.pauseButton = byId('events-pause');
    this.paused = false;
    this.about = null;
    this.held = null;
    this.kinds = new Set();
    this.drawn = '';
    this.table = new Table(byId('events-table'), {
      label: 'Events, newest first',
      columns: columns(),
      keyOf: (event) => String(event.sequence),
      levelOf: (event) => levelOf(event),
      onOpen: (event, byKey) => {
        if (event.entity) onOpen(event.entity, byKey);
        else if (event.host) onOpen(event.host, byKey);
      },
      empty: 'No event is known yet.',
    });
    this.listen();
  }

  listen() {
    const again = () => {
      this.held = null;
      this.drawn = '';
      this.draw(this.now);
    };
    for (const button of this.levels) {
      button.addEventListener('click', () => {
        button.setAttribute('aria-pressed', String(button.getAttribute('aria-pressed') !== 'true'));
        again();
      });
    }
    this.search.addEventListener('input', again);
    this.kind.addEventListener('change', again);
    this.pauseButton.addEventListener('click', () => this.pause(!this.paused));
    byId('events-new').addEventListener('click', () => {
      this.table.scrollTo(0);
      this.pause(false);
    });
    byId('events-about').addEventListener('click', () => this.setAbout(null));
  }

  /** Holds the list as it is, or lets it run again. */
  pause(paused) {
    this.paused = paused;
    setAttribute(this.pauseButton, 'aria-pressed', String(paused));
    if (!paused) this.held = null;
    this.drawn = '';
    this.draw(this.now);
  }

  /** Shows only events about an actor or provider; `null` shows all. */
  setAbout(key) {
    this.about = key;
    byId('events-about').hidden = key === null;
    if (key !== null) setText(byId('events-about-name'), this.store.nameOf(key));
    this.held = null;
    this.drawn = '';
    this.draw(this.now);
  }

  draw(now) {
    this.now = now;
    this.offerKinds();
    const still = this.paused || this.table.scrolled > 4;
    if (still && this.held === null) this.held = this.chosen();
    if (!still) this.held = null;
    const revision = `${this.store.revisions.events} ${still}`;
    const fresh = this.drawn === revision ? this.fresh : this.chosen();
    this.drawn = revision;
    this.fresh = fresh;
    const shown = this.held ?? fresh;
    this.offerNew(
      fresh.length === 0 || shown.length === 0 ? 0 : fresh.findIndex((event) => event.sequence === shown[0].sequence),
    );
    this.table.show(shown, now, this.store.events.length === 0);
    const total = this.store.events.length.toLocaleString('en');
    setText(
      byId('events-count'),
      fresh.length === this.store.events.length ? total : `${fresh.length.toLocaleString('en')} of ${total}`,
    );
    setText(byId('events-missed'), this.store.missed > 0 ? `${plural(this.store.missed, 'event')} did not reach this page.` : '');
  }

  chosen() {
    const levels = new Set(
      this.levels.filter((button) => button.getAttribute('aria-pressed') === 'true').map((button) => button.dataset.severity),
    );
    const words = this.search.value
      .toLowerCase()
      .split(/\s+/)
      .filter((word) => word !== '');
    const about = this.about === null ? null : new Set(this.store.eventsOf(this.about));
    const kind = this.kind.value;
    return this.store.events
      .filter(
        (event) =>
          levels.has(levelOf(event)) &&
          (kind === '' || event.kind === kind) &&
          (about === null || about.has(event)) &&
          words.every((word) => wordsOf(event).includes(word)),
      )
      .reverse();
  }

  offerNew(count) {
    const button = byId('events-new');
    button.hidden = count <= 0;
    if (count > 0) setText(button, `${plural(count, 'new event')}: show`);
  }

  // The kinds that were seen, in alphabetical order.
  offerKinds() {
    const before = this.kinds.size;
    for (const event of this.store.events) this.kinds.add(event.kind);
    if (this.kinds.size === before) return;
    const chosen = this.kind.value;
    const options = [...this.kinds]
      .filter((kind) => typeof kind === 'string')
      .sort()
      .map((kind) => element('option', { value: kind }, clean(kind, 40).replaceAll('_', ' ')));
    this.kind.replaceChildren(element('option', { value: '' }, 'all kinds'), ...options);
    this.kind.value = chosen;
  }
}

function levelOf(event) {
  return LEVELS[event.severity] ?? 'info';
}

function columns() {
  return [
    {
      name: 'time',
      title: 'Time',
      make: () =>
        textCell(
          (event, now) => time(event.at, now),
          (event) => instant(event.at) || null,
          'time',
        ),
    },
    {
      name: 'kind',
      title: 'Event',
      make: () =>
        standingCell((event) => ({
          level: levelOf(event),
          icon: levelOf(event),
          word: clean(event.kind, 30).replaceAll('_', ' '),
        })),
    },
    { name: 'about', title: 'About', make: () => textCell((event) => event.label, null, 'bdi') },
    {
      name: 'what',
      title: 'What happened',
      make: () =>
        textCell(
          (event) => clean(event.text, 200),
          (event) => cleanLong(event.text),
          'bdi',
        ),
    },
  ];
}
