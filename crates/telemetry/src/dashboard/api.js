// The stream of the host's state: one request that stays open, and a new one after growing delays when it ends.
//
// EventSource cannot send a token, so this reads the body of a fetch.

import { EventReader } from './sse.js';
import { clean } from './text.js';

const STREAM = 'api/v1/stream';
// The host speaks every second. Silence this long makes figures stale; longer silence, and the connection is given up.
const STALE_MS = 5_000;
const GIVE_UP_MS = 15_000;
const LONGEST_DELAY_MS = 30_000;
const TOKEN_KEY = 'wasmcloud.token';

/**
 * The connection to the host. `onMessage(kind, value)` gets each event, `onState(state)` each change of
 * `{ phase: 'connecting'|'live'|'stale'|'waiting'|'denied'|'paused', since, retryAt, reason }`, with times of `performance.now()`.
 */
export class Connection {
  constructor(onMessage, onState) {
    this.onMessage = onMessage;
    this.onState = onState;
    this.state = { phase: 'connecting', since: performance.now(), reason: null };
    this.retry = 2_000;
    this.failures = 0;
    this.attempt = null;
    this.timer = 0;
    this.heardAt = null;
  }

  /** Opens the stream. */
  open() {
    this.close();
    const attempt = new AbortController();
    this.attempt = attempt;
    this.watch = setInterval(() => this.listenForSilence(), 1_000);
    this.set('connecting', null);
    this.read(attempt).catch((error) => this.ended(attempt, error));
  }

  /** Uses a token from now on, until the tab is closed. */
  useToken(token) {
    sessionStorage.setItem(TOKEN_KEY, token);
    this.failures = 0;
    this.open();
  }

  /** Closes the stream while the page is hidden: a page that no one sees is no work for the host. */
  pause() {
    this.close();
    this.set('paused', null);
  }

  close() {
    clearTimeout(this.timer);
    clearInterval(this.watch);
    this.attempt?.abort();
    this.attempt = null;
  }

  async read(attempt) {
    const token = sessionStorage.getItem(TOKEN_KEY);
    const headers = { Accept: 'text/event-stream' };
    if (token !== null) headers.Authorization = `Bearer ${token}`;
    const response = await fetch(STREAM, { headers, signal: attempt.signal, cache: 'no-store', credentials: 'omit' });
    if (response.status === 401 || response.status === 403) return this.denied(attempt, token !== null);
    if (!response.ok) throw new Error(await refusal(response));
    this.heardAt = performance.now();
    const events = new EventReader(
      (kind, data) => this.take(kind, data),
      (delay) => {
        this.retry = delay;
      },
    );
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (this.attempt !== attempt) return undefined;
      if (done) throw new Error('the host ended the stream');
      this.heardAt = performance.now();
      if (this.state.phase === 'stale') this.set('live', null);
      events.push(value);
    }
  }

  take(kind, data) {
    const value = JSON.parse(data);
    if (kind === 'snapshot') this.failures = 0;
    this.onMessage(kind, value);
    if (kind === 'snapshot') this.set('live', null);
  }

  listenForSilence() {
    if (this.heardAt === null) this.heardAt = performance.now();
    const silence = performance.now() - this.heardAt;
    if (silence > GIVE_UP_MS) {
      this.heardAt = null;
      this.ended(this.attempt, new Error('the host is silent'));
    } else if (silence > STALE_MS && this.state.phase === 'live') {
      this.set('stale', 'the host is silent');
    }
  }

  denied(attempt, hadToken) {
    if (this.attempt !== attempt) return;
    this.close();
    sessionStorage.removeItem(TOKEN_KEY);
    this.set('denied', hadToken ? 'The host did not accept the token.' : null);
  }

  ended(attempt, error) {
    if (this.attempt !== attempt) return;
    this.close();
    const reason = error instanceof TypeError ? 'the host cannot be reached' : error.message;
    const longest = Math.min(LONGEST_DELAY_MS, this.retry * 1.6 ** this.failures);
    // Up to a third less by chance, so that the viewers of a host that returns do not come all at once.
    const delay = longest * (1 - Math.random() / 3);
    this.failures += 1;
    this.heardAt = null;
    this.timer = setTimeout(() => this.open(), delay);
    this.set('waiting', reason, performance.now() + delay);
  }

  set(phase, reason, retryAt = null) {
    const before = this.state;
    const since = before.phase === phase ? before.since : performance.now();
    this.state = { phase, since, reason: reason ?? (phase === 'connecting' ? before.reason : null), retryAt };
    this.onState(this.state);
  }
}

// What the host says of why it does not answer with the stream.
async function refusal(response) {
  const said = await response.json().then(
    (body) => clean(body.error),
    () => '',
  );
  return `the host answered ${response.status}${said === '' ? '' : `, ${said}`}`;
}
