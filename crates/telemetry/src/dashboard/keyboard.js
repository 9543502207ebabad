// Keys that work everywhere on the page. Those of a single letter can be switched off in the help.

import { byId } from './dom.js';

const KEY = 'wasmcloud.keys';
const PANELS = ['problems', 'actors', 'events', 'links', 'providers', 'hosts'];

/** Listens for keys. `actions` are `{ search, theme, pause, escape }`. */
export function listen(actions) {
  const help = byId('help');
  const letters = byId('help-letters');
  letters.checked = localStorage.getItem(KEY) !== 'off';
  letters.addEventListener('change', () => localStorage.setItem(KEY, letters.checked ? 'on' : 'off'));
  byId('help-open').addEventListener('click', () => help.showModal());
  byId('help-close').addEventListener('click', () => help.close());
  document.addEventListener('keydown', (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.isComposing || document.querySelector('dialog[open]')) return;
    if (event.key === 'Escape') actions.escape(event);
    else if (letters.checked && !takesText(event.target)) letter(event, actions, help);
  });
}

/** Moves the keyboard to a panel. */
export function goTo(name) {
  const panel = byId(name);
  const target = panel.querySelector('[role="grid"], .problem, .node[tabindex="0"]') ?? panel.querySelector('h2');
  panel.scrollIntoView({
    block: 'nearest',
    behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth',
  });
  target.focus({ preventScroll: true });
}

function letter(event, actions, help) {
  const panel = PANELS[Number(event.key) - 1];
  if (panel) goTo(panel);
  else if (event.key === '/') actions.search();
  else if (event.key === '?') help.showModal();
  else if (event.key === 't') actions.theme();
  else if (event.key === 'p') actions.pause();
  else return;
  event.preventDefault();
}

function takesText(target) {
  return target.matches?.('input:not([type="checkbox"]), select, textarea') ?? false;
}
