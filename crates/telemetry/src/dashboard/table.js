// A table of any length that holds only the rows on the screen: 1,000 actors take some thirty elements.
//
// The rows are made once and show whatever item is at their place. The table is one stop of the tab key; arrow keys move
// within it, and `aria-activedescendant` tells screen readers where.

import { element, icon, setAttribute, setIcon, setText } from './dom.js';

const SPARE_ROWS = 3;
let tables = 0;

/**
 * A table. `columns` are `{ name, title, kind, make }`, where `make()` returns `{ node, update(item, now) }`; `keyOf(item)`
 * identifies an item; `onOpen(item, byKey)` is called when a row is opened, `onMove(item)` when the arrow keys reach one.
 */
export class Table {
  constructor(root, { label, columns, keyOf, levelOf, onOpen, onMove = () => {}, onSort = null, empty }) {
    Object.assign(this, { root, columns, keyOf, levelOf, onOpen, onMove, onSort });
    this.prefix = `table${(tables += 1)}`;
    this.items = [];
    this.rows = [];
    this.active = null;
    this.selected = null;
    // Where the table is scrolled and how large it is. Asking the page while it is drawn would lay it out again each time.
    this.scrolled = 0;
    this.size = null;
    this.body = element('div', { class: 'grid-body', role: 'rowgroup' });
    this.head = element(
      'div',
      { class: 'grid-head', role: 'rowgroup' },
      element(
        'div',
        { class: 'grid-row', role: 'row', 'aria-rowindex': 1 },
        columns.map((column) => this.heading(column)),
      ),
    );
    this.nothing = empty;
    this.empty = element('p', { class: 'grid-empty', hidden: true });
    for (const [name, value] of Object.entries({
      role: 'grid',
      tabindex: '0',
      'aria-label': label,
      'aria-readonly': 'true',
      'aria-colcount': columns.length,
    }))
      root.setAttribute(name, value);
    root.append(this.head, this.body, this.empty);
    this.listen();
  }

  heading(column) {
    const sorts = this.onSort !== null && column.sorts;
    const content = sorts ? element('button', { type: 'button', tabindex: '-1' }, column.title, icon('sort')) : column.title;
    const node = element(
      'div',
      { class: `cell cell-${column.name}`, role: 'columnheader', title: column.explains ?? null },
      content,
    );
    if (sorts) content.addEventListener('click', () => this.onSort(column.name));
    column.heading = node;
    return node;
  }

  /** Shows by which column the items are sorted, `ascending` or `descending`. */
  showSort(name, direction) {
    for (const column of this.columns) {
      if (column.sorts) setAttribute(column.heading, 'aria-sort', column.name === name ? direction : 'none');
    }
  }

  listen() {
    this.root.addEventListener(
      'scroll',
      () => {
        this.scrolled = this.root.scrollTop;
        this.draw(this.now);
      },
      { passive: true },
    );
    this.root.addEventListener('keydown', (event) => this.key(event));
    this.root.addEventListener('focus', () => this.moveTo(Math.max(0, this.indexOf(this.active ?? this.selected)), false));
    this.body.addEventListener('click', (event) => this.click(event));
    new ResizeObserver(() => {
      this.size = null;
      this.draw(this.now);
    }).observe(this.root);
  }

  click(event) {
    const row = this.rows.find((candidate) => candidate.node.contains(event.target));
    if (!row || getSelection()?.isCollapsed === false) return;
    this.active = this.keyOf(row.item);
    this.onOpen(row.item, false);
    this.draw(this.now);
  }

  key(event) {
    if (event.target !== this.root || event.altKey || event.ctrlKey || event.metaKey) return;
    const { row, room } = this.measured();
    const page = Math.max(1, Math.floor(room / row) - 2);
    const at = this.indexOf(this.active);
    const targets = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: this.items.length - 1,
    };
    if (event.key in targets) {
      event.preventDefault();
      this.moveTo(targets[event.key], true);
    } else if ((event.key === 'Enter' || event.key === ' ') && at !== -1) {
      event.preventDefault();
      this.onOpen(this.items[at], true);
    }
  }

  indexOf(key) {
    return key === null ? -1 : this.items.findIndex((item) => this.keyOf(item) === key);
  }

  moveTo(index, tell) {
    if (this.items.length === 0) return;
    const at = Math.min(Math.max(0, index), this.items.length - 1);
    this.active = this.keyOf(this.items[at]);
    this.scrollToRow(at);
    this.draw(this.now);
    if (tell) this.onMove(this.items[at]);
  }

  scrollToRow(at) {
    const { row, head, room } = this.measured();
    const top = at * row;
    if (top < this.scrolled) this.scrollTo(top);
    else if (top + row > this.scrolled + room - head) this.scrollTo(top + row + head - room);
  }

  /** Scrolls to a place. Unit: pixels. */
  scrollTo(top) {
    this.root.scrollTop = top;
    this.scrolled = this.root.scrollTop;
  }

  measured() {
    if (this.size === null) {
      if (this.rows.length === 0) this.rows.push(this.makeRow());
      const first = this.rows[0].node;
      first.hidden = false;
      this.size = { row: first.offsetHeight || 32, head: this.head.offsetHeight, room: this.root.clientHeight };
    }
    return this.size;
  }

  /** Shows items, in order. `ofNone` says that there are none to choose from. */
  show(items, now, ofNone = false) {
    this.items = items;
    if (items.length === 0) setText(this.empty, ofNone ? this.nothing : 'Nothing matches the search and the filters.');
    this.draw(now);
  }

  /** Draws the rows that are on the screen. */
  draw(now) {
    this.now = now;
    const { row: height, room } = this.measured();
    const first = Math.max(0, Math.floor(this.scrolled / height) - SPARE_ROWS);
    const last = Math.min(this.items.length, first + Math.ceil(room / height) + 2 * SPARE_ROWS);
    while (this.rows.length < last - first) this.rows.push(this.makeRow());
    this.resize(this.items.length * height);
    setAttribute(this.root, 'aria-rowcount', this.items.length + 1);
    this.rows.forEach((row, at) => this.drawRow(row, first + at < last ? first + at : -1, height));
    const active = this.rows.find((row) => row.item && this.keyOf(row.item) === this.active);
    setAttribute(this.root, 'aria-activedescendant', active?.node.id ?? null);
  }

  resize(height) {
    if (height === this.bodyHeight) return;
    this.bodyHeight = height;
    this.body.style.height = `${height}px`;
    this.empty.hidden = height > 0;
  }

  drawRow(row, at, height) {
    row.node.hidden = at === -1;
    row.item = at === -1 ? null : this.items[at];
    if (at === -1) return;
    const key = this.keyOf(row.item);
    if (row.at !== at || row.height !== height) row.node.style.transform = `translateY(${at * height}px)`;
    Object.assign(row, { at, height });
    setAttribute(row.node, 'aria-rowindex', at + 2);
    setAttribute(row.node, 'data-level', this.levelOf(row.item, this.now));
    setAttribute(row.node, 'aria-selected', String(key === this.selected));
    row.node.classList.toggle('active', key === this.active);
    row.node.classList.toggle('odd', at % 2 === 1);
    for (const cell of row.cells) cell.update(row.item, this.now);
  }

  makeRow() {
    const cells = this.columns.map((column) => column.make());
    const nodes = cells.map((cell, at) =>
      element('div', { class: `cell cell-${this.columns[at].name}`, role: 'gridcell' }, cell.node),
    );
    const node = element('div', { class: 'grid-row', role: 'row', id: `${this.prefix}-row${this.rows.length}` }, nodes);
    this.body.append(node);
    return { node, cells, item: null, at: -1, height: 0 };
  }
}

/** Returns a cell of text. `text(item, now)` is what it shows, `title(item, now)` its tooltip. */
export function textCell(text, title = null, name = 'span') {
  const node = element(name, { class: 'text' });
  return {
    node,
    update(item, now) {
      setText(node, text(item, now));
      if (title) setAttribute(node, 'title', title(item, now));
    },
  };
}

/** Returns a cell of an icon and a word that say how an item stands. */
export function standingCell(standingOf) {
  const mark = icon('ok');
  const word = element('span', { class: 'text' });
  const node = element('span', { class: 'standing' }, mark, word);
  return {
    node,
    update(item, now) {
      const standing = standingOf(item, now);
      setAttribute(node, 'data-level', standing.level);
      setIcon(mark, standing.icon);
      setText(word, standing.word);
    },
  };
}
