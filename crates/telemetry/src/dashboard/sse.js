// Reads server-sent events from text that arrives in pieces.

// What one event may hold: far more than the snapshot of 50,000 actors. A stream beyond it is not one of ours.
const EVENT_LIMIT = 256 * 1024 * 1024;

/** Collects pieces of a stream and calls `onEvent(kind, data)` for each event, and `onRetry(ms)` for the delay it asks for. */
export class EventReader {
  constructor(onEvent, onRetry) {
    this.onEvent = onEvent;
    this.onRetry = onRetry;
    this.pieces = [];
    this.kind = '';
    this.data = [];
    this.size = 0;
  }

  /** Takes the next piece. A line that is not complete waits for the rest of it. */
  push(text) {
    let start = 0;
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
      this.pieces.push(text.slice(start, end));
      this.line(this.pieces.join('').replace(/\r$/, ''));
      this.pieces = [];
      start = end + 1;
    }
    if (start < text.length) this.keep(this.pieces, text.slice(start));
  }

  keep(list, text) {
    this.size += text.length;
    if (this.size > EVENT_LIMIT) throw new Error('an event of the stream is too long');
    list.push(text);
  }

  line(line) {
    if (line === '') return this.dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return undefined;
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.kind = value;
    else if (field === 'data') this.keep(this.data, value);
    else if (field === 'retry' && /^\d{1,7}$/.test(value)) this.onRetry(Number(value));
    return undefined;
  }

  dispatch() {
    const data = this.data.join('\n');
    const kind = this.kind || 'message';
    this.kind = '';
    this.data = [];
    this.size = 0;
    if (data !== '') this.onEvent(kind, data);
  }
}
