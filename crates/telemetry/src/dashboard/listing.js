// A panel with a table: what is shown of the items (search, filter) and in which order.

import { byId, setText } from './dom.js';
import { Table } from './table.js';
import { RANK } from './standing.js';
import { wordsOf } from './store.js';

// Rows do not change places more often than this, or no one could point at them. Failures come first at once.
const ORDER_MS = 5_000;

/** A listing of actors or of providers. */
export class Listing {
  constructor({ name, label, columns, keyOf, standingOf, onOpen, onMove, empty }) {
    Object.assign(this, { name, keyOf, standingOf });
    this.columns = new Map(columns.map((column) => [column.name, column]));
    this.search = byId(`${name}-search`);
    this.show = byId(`${name}-show`);
    this.sort = byId(`${name}-sort`);
    this.count = byId(`${name}-count`);
    this.order = { column: 'state', direction: 'ascending' };
    this.only = null;
    this.ordered = { at: 0, signature: '', items: [] };
    const levelOf = (item, now) => standingOf(item, now).level;
    this.table = new Table(byId(`${name}-table`), {
      label,
      columns,
      keyOf,
      levelOf,
      onOpen,
      onMove,
      empty,
      onSort: (column) => this.sortBy(column),
    });
    this.listen();
    this.showSort();
  }

  listen() {
    const again = () => {
      this.ordered.at = 0;
      this.draw(this.items ?? [], this.now);
    };
    this.again = again;
    this.search?.addEventListener('input', again);
    this.show?.addEventListener('change', again);
    this.sort?.addEventListener('change', () => this.sortBy(this.sort.value, true));
    // From the search, the arrow leads into what was found.
    this.search?.addEventListener('keydown', (event) => {
      if (event.key !== 'ArrowDown' && event.key !== 'Enter') return;
      event.preventDefault();
      this.table.root.focus();
    });
  }

  sortBy(name, first = false) {
    const column = this.columns.get(name);
    const natural = column.descending ? 'descending' : 'ascending';
    const turned = natural === 'ascending' ? 'descending' : 'ascending';
    const again = !first && this.order.column === name && this.order.direction === natural;
    this.order = { column: name, direction: again ? turned : natural };
    this.showSort();
    this.again();
  }

  showSort() {
    this.table.showSort(this.order.column, this.order.direction);
    if (this.sort) this.sort.value = this.order.column;
  }

  /** Shows only the items with these keys, as when a group of the picture was chosen; `null` shows all. */
  narrow(keys) {
    this.only = keys;
    if (keys !== null && this.search) this.search.value = '';
    if (keys !== null && this.show) this.show.value = 'all';
    this.again();
  }

  /** Draws items in their order. */
  draw(items, now) {
    this.items = items;
    this.now = now;
    const shown = this.chosen(items, now);
    const signature = this.signature(shown, now);
    if (now - this.ordered.at >= ORDER_MS || signature !== this.ordered.signature) {
      shown.sort(this.comparison(now));
      this.ordered = { at: now, signature, places: new Map(shown.map((item, at) => [this.keyOf(item), at])) };
    } else {
      shown.sort((a, b) => this.ordered.places.get(this.keyOf(a)) - this.ordered.places.get(this.keyOf(b)));
    }
    this.table.show(shown, now, items.length === 0);
    const total = items.length.toLocaleString('en');
    setText(this.count, shown.length === items.length ? total : `${shown.length.toLocaleString('en')} of ${total}`);
  }

  chosen(items, now) {
    const words = (this.search?.value ?? '')
      .toLowerCase()
      .split(/\s+/)
      .filter((word) => word !== '');
    const show = this.show?.value ?? 'all';
    return items.filter((item) => {
      if (this.only !== null && !this.only.has(this.keyOf(item))) return false;
      if (show === 'problems' && RANK[this.standingOf(item, now).level] > RANK.warning) return false;
      return words.every((word) => wordsOf(item).includes(word));
    });
  }

  // A row that begins to fail, ends to, comes or goes changes the order at once.
  signature(items, now) {
    let ranks = items.length;
    for (const item of items) ranks = (ranks * 31 + RANK[this.standingOf(item, now).level] + item.label.length) % 2_147_483_647;
    const { column, direction } = this.order;
    return `${column} ${direction} ${ranks} ${items.length > 0 ? this.keyOf(items[0]) : ''}`;
  }

  comparison(now) {
    const value = this.columns.get(this.order.column).sorts;
    const sign = this.order.direction === 'ascending' ? 1 : -1;
    return (a, b) =>
      sign * compare(value(a, now), value(b, now)) || compare(a.label, b.label) || compare(this.keyOf(a), this.keyOf(b));
  }
}

function compare(a, b) {
  return a < b ? -1 : Number(a > b);
}
