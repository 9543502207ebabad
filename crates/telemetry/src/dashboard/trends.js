// How calls and errors grew within the last minute. The host counts them since the start, which says little about now.

const WINDOW_MS = 60_000;
const STEP_MS = 5_000;

/** The counts of all entities, a sample every five seconds for a minute. */
export class Trends {
  constructor() {
    this.samples = [];
  }

  /** Forgets the samples: counts before and after a gap do not compare. */
  reset() {
    this.samples = [];
  }

  /** Takes a sample if the last one is old enough. */
  take(at, ...collections) {
    const newest = this.samples[this.samples.length - 1];
    if (newest && at - newest.at < STEP_MS) return;
    const counts = new Map();
    for (const collection of collections) {
      for (const [key, item] of collection) counts.set(key, { calls: item.calls, errors: item.errors });
    }
    this.samples.push({ at, counts });
    while (this.samples.length > 2 && at - this.samples[1].at >= WINDOW_MS) this.samples.shift();
  }

  /** Returns `{ calls, errors, over }` since the oldest sample, or `null` where nothing was counted. Unit of `over`: ms. */
  of(key, item, at) {
    const oldest = this.samples[0];
    const before = oldest?.counts.get(key);
    if (!before || at <= oldest.at) return null;
    const calls = item.calls - before.calls;
    const errors = item.errors - before.errors;
    return calls >= 0 && errors >= 0 ? { calls, errors, over: at - oldest.at } : null;
  }
}
