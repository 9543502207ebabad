// The panel of one actor, provider or host: how it stands and what to do, its story, its figures, links, claims and trust.

import { byId, element, icon, setAttribute, setText } from './dom.js';
import { age, span, time } from './format.js';
import { sections } from './sections.js';
import { entityStanding, hostStanding } from './standing.js';
import { short } from './text.js';

/** The panel. `onClose()` is called when it was closed, `onOpen(key)` when a link in it was chosen. */
export class Detail {
  constructor(store, { onClose, onOpen, onShowLinks }) {
    Object.assign(this, { store, onClose, onOpen, onShowLinks });
    this.root = byId('detail');
    this.key = null;
    this.origin = null;
    this.parts = new Map();
    byId('detail-close').addEventListener('click', () => this.close());
    byId('detail-links').addEventListener('click', () => this.onShowLinks(this.key));
    this.root.addEventListener('click', (event) => {
      const target = event.target.closest('[data-open]');
      if (target) this.onOpen(target.dataset.open);
    });
  }

  get isOpen() {
    return this.key !== null;
  }

  /** Shows an actor, provider or host. With `focus`, the keyboard goes there. */
  open(key, now, focus, found) {
    if (this.key === null) this.origin = document.activeElement;
    if (this.key !== key) {
      this.parts.clear();
      byId('detail-body').replaceChildren();
      byId('detail-body').scrollTop = 0;
    }
    this.key = key;
    this.root.hidden = false;
    document.documentElement.classList.add('with-detail');
    this.draw(now, found);
    // On a small screen the panel covers everything else, so the keyboard goes there too.
    if (focus || matchMedia('(max-width: 720px)').matches) byId('detail-title').focus();
  }

  close() {
    if (this.key === null) return;
    const inside = this.root.contains(document.activeElement);
    this.key = null;
    this.root.hidden = true;
    document.documentElement.classList.remove('with-detail');
    if (inside && this.origin?.isConnected) this.origin.focus({ preventScroll: true });
    this.onClose();
  }

  draw(now, found) {
    if (this.key === null) return;
    const entity = this.store.entity(this.key);
    const host = entity === null ? this.store.hosts.get(this.key) : null;
    this.title(entity, host, now);
    for (const section of sections(this.store, this.key, entity, host, found, now)) this.part(section);
    this.ages(now);
  }

  title(entity, host, now) {
    const standing = entity
      ? entityStanding(entity, now)
      : host
        ? hostStanding(host)
        : { level: 'change', word: 'not listed', icon: 'off' };
    setText(byId('detail-title'), entity ? entity.label : host ? `Host ${short(host.id)}` : short(this.key));
    const state = byId('detail-state');
    setAttribute(state, 'data-level', standing.level);
    if (state.dataset.word !== standing.word) {
      state.dataset.word = standing.word;
      state.replaceChildren(icon(standing.icon), standing.word);
    }
    byId('detail-links').hidden = entity === null;
  }

  // A section is built again only if what it says has changed, so that a selection of text and the scroll stay. Live figures
  // change in place.
  part({ name, title, signature, build, update }) {
    let part = this.parts.get(name);
    if (!part) {
      const content = element('div', { class: 'part-body' });
      part = {
        node: element('section', { class: `part part-${name}` }, element('h3', {}, title), content),
        content,
        signature: null,
      };
      this.parts.set(name, part);
      byId('detail-body').append(part.node);
    }
    part.node.hidden = signature === null;
    if (signature === null) return;
    if (part.signature !== signature) {
      part.signature = signature;
      part.content.replaceChildren(...build());
    }
    update?.(part.content);
  }

  ages(now) {
    for (const node of this.root.querySelectorAll('[data-at]')) {
      const at = Number(node.dataset.at);
      const future = at > now;
      const text = future ? `in ${span(at - now)}` : `${age(now - at)} ago`;
      setText(node, node.dataset.form === 'since' ? `since ${time(at, now)}, ${text}` : text);
    }
  }
}
