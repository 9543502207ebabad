// The picture of the links: two columns of buttons, and curves between them.
//
// It is drawn again when links or standings change, not every second. Up, down, left and right lead from node to node.

import { byId, element, icon, setAttribute, setText, svg } from './dom.js';
import { picture } from './groups.js';
import { plural } from './text.js';

const REDRAW_MS = 2_000;
// Between columns that are closer than this, signs stand for words. Unit: pixels.
const NARROW = 140;

/** The panel of links. `onOpen(key, byKey)` is called for an actor or a provider, `onNarrow(keys, title)` for a group. */
export class Graph {
  constructor(store, { onOpen, onNarrow }) {
    Object.assign(this, { store, onOpen, onNarrow });
    this.root = byId('links-picture');
    this.left = element('ul', { class: 'nodes', 'aria-label': 'Actors' });
    this.right = element('ul', { class: 'nodes', 'aria-label': 'Providers' });
    this.edges = svg('svg', { class: 'edges', 'aria-hidden': 'true' });
    this.root.append(this.left, this.edges, this.right);
    this.focus = null;
    this.drawn = { at: 0, revision: '' };
    this.buttons = new Map();
    this.root.addEventListener('keydown', (event) => this.key(event));
    for (const kind of ['pointerover', 'focusin'])
      this.root.addEventListener(kind, (event) => this.highlight(event.target.closest('button')));
    for (const kind of ['pointerleave', 'focusout']) this.root.addEventListener(kind, () => this.highlight(null));
    byId('links-all').addEventListener('click', () => this.setFocus(null));
    new ResizeObserver(() => this.drawEdges()).observe(this.root);
  }

  /** Shows the neighbourhood of an actor or provider alone; `null` shows all. */
  setFocus(key) {
    this.focus = key;
    this.drawn.at = 0;
    this.draw(this.now);
  }

  draw(now) {
    this.now = now;
    const { links, actors, providers } = this.store.revisions;
    const revision = `${links} ${actors} ${providers}`;
    if (this.drawn.at !== 0 && (revision === this.drawn.revision || now - this.drawn.at < REDRAW_MS)) return;
    const shown = picture(this.store, this.focus, now);
    this.drawn = { at: now, revision, signature: this.drawn.signature };
    this.describe(shown);
    const signature = JSON.stringify([shown.left, shown.right, shown.edges]);
    if (signature === this.drawn.signature) return;
    this.drawn.signature = signature;
    this.shown = shown;
    this.drawNodes();
    this.drawEdges();
  }

  describe({ unlinked, refused, left }) {
    setText(byId('links-count'), this.store.links.size.toLocaleString('en'));
    setText(byId('links-refused'), refused > 0 ? `${refused.toLocaleString('en')} refused` : '');
    const name = this.focus === null ? '' : this.store.nameOf(this.focus);
    byId('links-all').hidden = this.focus === null;
    this.root.classList.toggle('focused', this.focus !== null);
    const alone =
      this.store.links.size === 0
        ? 'There are no links.'
        : unlinked > 0
          ? `${plural(unlinked, 'actor')} without links ${unlinked === 1 ? 'is' : 'are'} not shown.`
          : '';
    setText(
      byId('links-note'),
      this.focus === null ? alone : left.length === 0 ? `${name} has no links.` : `Only ${name} and its neighbours are shown.`,
    );
  }

  drawNodes() {
    const focused = document.activeElement?.dataset?.node;
    this.buttons = new Map();
    this.left.replaceChildren(...this.shown.left.map((node) => this.nodeOf(node, 'left')));
    this.right.replaceChildren(...this.shown.right.map((node) => this.nodeOf(node, 'right')));
    const first = this.buttons.get(focused) ?? [...this.buttons.values()][0];
    if (first) first.tabIndex = 0;
    if (this.buttons.has(focused)) this.buttons.get(focused).focus({ preventScroll: true });
  }

  nodeOf(node, side) {
    const mark = node.level === 'ok' ? null : icon(node.level);
    const button = element(
      'button',
      { type: 'button', class: 'node', tabindex: '-1', 'data-level': node.level, 'aria-label': this.spoken(node) },
      element('span', { class: 'node-title' }, mark, element('bdi', {}, node.title)),
      element('bdi', { class: 'node-note' }, node.note),
    );
    button.dataset.node = `${side} ${node.id}`;
    button.classList.toggle('group', !node.alone);
    button.classList.toggle('absent', node.absent === true);
    button.addEventListener('click', (event) => this.open(node, event.detail === 0));
    this.buttons.set(button.dataset.node, button);
    return element('li', {}, button);
  }

  spoken(node) {
    const edges = this.shown.edges.filter((edge) => edge.from === node.id || edge.to === node.id);
    const refused = edges.filter((edge) => edge.state === 'refused').reduce((sum, edge) => sum + edge.count, 0);
    const all = edges.reduce((sum, edge) => sum + edge.count, 0);
    return `${node.title}, ${node.note}, ${plural(all, 'link')}${refused > 0 ? `, ${refused} refused` : ''}`;
  }

  open(node, byKey) {
    if (node.alone) this.onOpen(node.id, byKey);
    else if (node.id !== 'other providers') this.onNarrow(new Set(node.keys), node.title);
  }

  // All places are read before anything is written, so that the page is laid out once.
  drawEdges() {
    if (!this.shown) return;
    const width = this.edges.clientWidth;
    const height = Math.max(this.left.offsetHeight, this.right.offsetHeight);
    const places = new Map([...this.buttons].map(([key, button]) => [key, button.offsetTop + button.offsetHeight / 2]));
    this.edges.setAttribute('viewBox', `0 0 ${Math.max(1, width)} ${Math.max(1, height)}`);
    this.edges.style.height = `${height}px`;
    this.edges.replaceChildren(...this.shown.edges.map((edge) => this.edgeOf(edge, places, width)));
  }

  edgeOf(edge, places, width) {
    const from = places.get(`left ${edge.from}`) ?? 0;
    const to = places.get(`right ${edge.to}`) ?? 0;
    // Two states between the same nodes are drawn beside each other.
    const shift = { established: 0, pending: 4, refused: -4 }[edge.state] ?? 0;
    const d = `M0 ${from + shift}C${width * 0.45} ${from + shift} ${width * 0.55} ${to + shift} ${width} ${to + shift}`;
    const line = svg('path', {
      d,
      class: `edge edge-${edge.state}`,
      'stroke-width': (1.25 + Math.min(6, Math.log2(edge.count) * 0.7)).toFixed(2),
    });
    const group = svg('g', { 'data-from': edge.from, 'data-to': edge.to }, line);
    const narrow = width < NARROW;
    const place = onCurve(narrow ? 0.12 : 0.3, width, from + shift, to + shift);
    if (edge.state !== 'established') group.append(markOf(edge, narrow, ...place));
    return group;
  }

  // Dims all links but those of a node.
  highlight(button) {
    const id = button?.dataset.node?.replace(/^(left|right) /, '') ?? null;
    this.edges.classList.toggle('dimmed', id !== null);
    for (const group of this.edges.children)
      group.classList.toggle('lit', id !== null && (group.dataset.from === id || group.dataset.to === id));
  }

  key(event) {
    const key = document.activeElement?.dataset?.node;
    if (!key || !this.root.contains(document.activeElement)) return;
    const side = key.startsWith('left') ? 'left' : 'right';
    const keys = [...this.buttons.keys()].filter((candidate) => candidate.startsWith(side));
    const at = keys.indexOf(key);
    const target = {
      ArrowDown: keys[at + 1],
      ArrowUp: keys[at - 1],
      Home: keys[0],
      End: keys[keys.length - 1],
      ArrowLeft: this.across(key, 'left'),
      ArrowRight: this.across(key, 'right'),
    }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    this.buttons.get(key).tabIndex = -1;
    setAttribute(this.buttons.get(target), 'tabindex', '0');
    this.buttons.get(target).focus();
  }

  // The other end of the first link, refused ones before others.
  across(key, side) {
    if (key.startsWith(side)) return undefined;
    const id = key.replace(/^(left|right) /, '');
    const edges = this.shown.edges.filter((edge) => (side === 'right' ? edge.from : edge.to) === id);
    const edge = edges[edges.length - 1];
    return edge && `${side} ${side === 'right' ? edge.to : edge.from}`;
  }
}

// A place on a curve near its actor, where the curves of other actors are apart.
function onCurve(t, width, from, to) {
  const rest = 1 - t;
  const x = 3 * rest * rest * t * 0.45 * width + 3 * rest * t * t * 0.55 * width + t ** 3 * width;
  const y = (rest ** 3 + 3 * rest * rest * t) * from + (3 * rest * t * t + t ** 3) * to;
  return [x, y];
}

// Says in a word that a link is refused or pending, or by a sign where there is no room for a word.
function markOf(edge, narrow, x, y) {
  const sign = { refused: '✕', pending: '…' }[edge.state] ?? '?';
  const word = narrow ? sign : edge.state;
  const text = edge.count > 1 ? `${word} ×${edge.count}` : word;
  const size = Number.parseFloat(getComputedStyle(document.documentElement).fontSize) * 0.78;
  const width = text.length * size * 0.58 + size * (narrow ? 0.7 : 1.2);
  const height = size * 1.5;
  const place = `translate(${x} ${y})`;
  return svg(
    'g',
    { transform: place, class: `mark mark-${edge.state}` },
    svg('rect', { x: -width / 2, y: -height / 2, width, height, rx: height / 2 }),
    svg('text', { 'text-anchor': 'middle', dy: '0.34em' }, text),
  );
}
