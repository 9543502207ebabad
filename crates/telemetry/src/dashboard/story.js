// The story of an actor or provider: its events in order, with what repeats told once.
//
// An actor that crashes and is restarted a hundred times in a minute has a hundred pairs of events. What matters is the first,
// the last, how often and why.

import { span } from './format.js';
import { plural } from './text.js';

const CYCLE = new Set(['crashed', 'interrupted', 'restarted']);

/** Returns `[{ at, until, level, text, kind, times, detail }]`, oldest first, of at most `limit` chapters. */
export function story(events, limit) {
  const chapters = [];
  for (const event of events) {
    const open = chapters[chapters.length - 1];
    if (open && continues(open, event)) extend(open, event);
    else chapters.push(chapter(event));
  }
  return chapters.slice(-limit);
}

function chapter(event) {
  return {
    at: event.at,
    until: event.at,
    level: event.severity,
    text: event.text,
    kind: event.kind,
    times: 1,
    detail: event.detail,
    last: event,
  };
}

function continues(open, event) {
  if (CYCLE.has(open.kind)) return CYCLE.has(event.kind) && (event.kind === 'restarted' || sameCause(open, event));
  return open.kind === event.kind && open.text === event.text;
}

function sameCause(open, event) {
  return event.kind === open.kind && cause(event) === cause(open);
}

function cause(event) {
  return event.detail?.cause ?? event.text;
}

function extend(open, event) {
  open.until = event.at;
  open.last = event;
  if (event.kind === open.kind) open.times += 1;
  if (event.kind === 'restarted') open.restarted = (open.restarted ?? 0) + 1;
}

/** Returns the sentence of a chapter about what repeated, or an empty text. */
export function repetition(told) {
  const restarted = told.restarted ?? 0;
  if (CYCLE.has(told.kind) && told.kind !== 'restarted') {
    if (told.times === 1) return restarted > 0 ? 'It was restarted.' : '';
    return `${told.times} times in ${span(told.until - told.at + 999)}, and restarted ${plural(restarted, 'time')}.`;
  }
  return told.times > 1 ? `${told.times} times in ${span(told.until - told.at + 999)}.` : '';
}
