// The dashboard of a host: joins the connection, the state and the panels.
//
// The page draws at most once a second, and at once when the viewer does something. Panels that are off the screen, and
// pages that are hidden, draw nothing.

import { Connection } from './api.js';
import { hostTime } from './clock.js';
import { actorColumns, hostColumns, providerColumns } from './columns.js';
import { Detail } from './detail.js';
import { byId, setText } from './dom.js';
import { Events } from './events.js';
import { Figures } from './figures.js';
import { Graph } from './graph.js';
import { listen } from './keyboard.js';
import { Listing } from './listing.js';
import { problems } from './problems.js';
import { actorStanding, hostStanding, providerStanding } from './standing.js';
import { Status } from './status.js';
import { Store } from './store.js';
import { Table } from './table.js';
import { nextTheme, themeName } from './theme.js';
import { listenForToken } from './token.js';
import { Verdict } from './verdict.js';

const TICK_MS = 1_000;
// Messages are drawn at most this often.
const SHORTEST_MS = 900;
// A page that was hidden for this long closes its stream.
const HIDDEN_MS = 10_000;
const HOST_ORDER = { down: 0, gone: 1, up: 2, left: 3 };

const store = new Store();
const connection = new Connection(receive, () => schedule());
const visible = new Map();
let scheduled = false;
let drawnAt = 0;
let later = 0;

const open = (key, byKey = false) => {
  detail.open(key, hostTime(), byKey, problems(store, hostTime()));
  select(key);
};
const follow = (key) => {
  if (detail.isOpen) open(key);
};
const status = new Status({ onRetry: () => connection.open() });
const figures = new Figures();
const verdict = new Verdict({ onOpen: open, onChange: () => schedule() });
const events = new Events(store, { onOpen: open });
const detail = new Detail(store, {
  onOpen: (key) => open(key, true),
  onClose: () => select(null),
  onShowLinks: (key) => {
    graph.setFocus(key);
    byId('links').scrollIntoView({ block: 'nearest' });
  },
});
const graph = new Graph(store, { onOpen: open, onNarrow: narrow });
const actors = new Listing({
  name: 'actors',
  label: 'Actors',
  columns: actorColumns(),
  keyOf: (actor) => actor.id,
  standingOf: actorStanding,
  empty: 'This host runs no actor.',
  onOpen: (actor, byKey) => open(actor.id, byKey),
  onMove: (actor) => follow(actor.id),
});
const providers = new Listing({
  name: 'providers',
  label: 'Providers',
  columns: providerColumns(),
  keyOf: (provider) => provider.key,
  standingOf: providerStanding,
  empty: 'This host runs no provider.',
  onOpen: (provider, byKey) => open(provider.key, byKey),
  onMove: (provider) => follow(provider.key),
});
const hosts = new Table(byId('hosts-table'), {
  label: 'Hosts',
  columns: hostColumns(),
  keyOf: (host) => host.id,
  levelOf: (host) => hostStanding(host).level,
  empty: 'This host is in no lattice.',
  onOpen: (host, byKey) => open(host.id, byKey),
  onMove: (host) => follow(host.id),
});

const panels = {
  actors: (now) => actors.draw([...store.actors.values()], now),
  providers: (now) => providers.draw([...store.providers.values()], now),
  events: (now) => events.draw(now),
  links: (now) => graph.draw(now),
  hosts: drawHosts,
};

function drawHosts(now) {
  const order = (host) => HOST_ORDER[host.state] ?? 2;
  const shown = [...store.hosts.values()].sort(
    (a, b) => order(a) - order(b) || Number(b.is_self) - Number(a.is_self) || (a.id < b.id ? -1 : 1),
  );
  setText(byId('hosts-count'), shown.length.toLocaleString('en'));
  hosts.show(shown, now, shown.length === 0);
}

function receive(kind, value) {
  if (!store.take(kind, value)) return;
  const early = drawnAt + SHORTEST_MS - performance.now();
  if (kind === 'snapshot' || early <= 0) schedule();
  else later ||= setTimeout(schedule, early);
}

function schedule() {
  clearTimeout(later);
  later = 0;
  if (scheduled || document.hidden) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    draw();
  });
}

function draw() {
  const now = hostTime();
  drawnAt = performance.now();
  status.connection(connection.state, store, now);
  if (connection.state.phase === 'denied' && !byId('token').open) askForToken(connection.state.reason);
  if (store.host === null) return;
  const found = problems(store, now);
  status.host(store, now, found);
  verdict.draw(store, found, now);
  figures.draw(store, now);
  for (const [name, drawPanel] of Object.entries(panels)) if (visible.get(name)) safely(drawPanel, now);
  safely((at) => detail.draw(at, found), now);
  if (!document.documentElement.dataset.drawn) {
    document.documentElement.dataset.drawn = 'true';
    performance.mark('drawn');
  }
}

// A panel that cannot be drawn leaves the others as they are.
function safely(drawPanel, now) {
  try {
    drawPanel(now);
  } catch (error) {
    reportError(error);
  }
}

function select(key) {
  for (const table of [actors.table, providers.table, hosts]) table.selected = key;
  history.replaceState(null, '', key === null ? location.pathname + location.search : `#${encodeURIComponent(key)}`);
  schedule();
}

function narrow(keys, title) {
  actors.narrow(keys);
  byId('actors-only').hidden = keys === null;
  if (keys === null) return;
  setText(byId('actors-only-name'), title);
  byId('actors').scrollIntoView({ block: 'nearest' });
}

function escape(event) {
  const search = event.target.matches?.('input[type="search"]') ? event.target : null;
  if (search && search.value !== '') return;
  if (detail.isOpen) detail.close();
  else if (!byId('actors-only').hidden) narrow(null);
  else if (graph.focus !== null) graph.setFocus(null);
  else if (events.about !== null) events.setAbout(null);
  else search?.blur();
}

const askForToken = listenForToken((token) => connection.useToken(token));

// A panel that comes to the screen is drawn at once.
const watcher = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) visible.set(entry.target.id, entry.isIntersecting);
    schedule();
  },
  { rootMargin: '100px' },
);
for (const name of Object.keys(panels)) watcher.observe(byId(name));

let hiddenTimer = 0;
document.addEventListener('visibilitychange', () => {
  clearTimeout(hiddenTimer);
  if (document.hidden) hiddenTimer = setTimeout(() => connection.pause(), HIDDEN_MS);
  else if (connection.state.phase === 'paused') connection.open();
  schedule();
});
addEventListener('online', () => {
  if (connection.state.phase === 'waiting') connection.open();
});

const themeButton = byId('theme');
const switchTheme = () => setText(byId('theme-name'), nextTheme());
setText(byId('theme-name'), themeName());
themeButton.addEventListener('click', switchTheme);
byId('actors-only').addEventListener('click', () => narrow(null));
byId('detail-events').addEventListener('click', () => {
  events.setAbout(detail.key);
  byId('events').scrollIntoView({ block: 'nearest' });
});
listen({ search: () => byId('actors-search').focus(), theme: switchTheme, pause: () => events.pause(!events.paused), escape });

// Ages grow even when nothing arrives.
setInterval(() => {
  if (performance.now() - drawnAt > TICK_MS * 1.3) schedule();
}, TICK_MS);
connection.open();

// The address names what is shown, so that it can be sent to others.
const openAsked = () => {
  if (/^#[MNV][A-Z2-7]{55}/.test(location.hash)) open(decodeURIComponent(location.hash.slice(1)));
};
addEventListener('hashchange', openAsked);
openAsked();
