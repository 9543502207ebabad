// What is wrong, in plain words, with what to do next: the most urgent first.

import { clean, plural, short } from './text.js';
import { percent, span } from './format.js';
import { RANK, actorStanding, providerStanding } from './standing.js';

const EXPIRY_NOTICE_MS = 7 * 86_400_000;
const PENDING_NOTICE_MS = 30_000;
const RECENT_MS = 600_000;
const REASON_LIMIT = 240;
// Fewer errors than this within a minute are no news, whatever their share.
const ERRORS_NOTICE = 10;
const ERRORS_SHARE = 0.05;

// Said of one and of several alike.
const NEXT = {
  actorFailed: 'Calls fail at once. Look for the cause in the story, mend it, then start the actor again: that revives it.',
  providerFailed: 'Calls over its links fail at once. Look for the cause in the story, then start the provider again.',
  distrusted: 'Calls to and from it are rejected. Sign it with an account that the trust policy accepts, or change the policy.',
  expired: 'Calls to and from it are rejected. Update it, or start it again, with a token that is valid.',
  expiring: 'Sign and update it before then. After that, calls to and from it are rejected.',
  restarting: 'The host replaces it, with a growing delay. Look for the cause in the story: if the crashes go on, it will fail.',
  unhealthy: 'The last health check got an error, or no answer in time. Look at the log, and at what it depends on.',
  instances: 'The others serve the calls. The host replaces what is missing; look at the story if that takes long.',
  errors: 'Look at the story and the log, and at the providers that it is linked to.',
  refused: 'Calls over this link fail. Mend the reason, then put the link again.',
  pending: 'Calls over this link fail until its provider runs. Start the provider, or remove the link.',
  hostDown: 'What it runs is not called any more. Look at the machine, the process, and the connection to the lattice.',
  lattice: 'Local work goes on; calls to other hosts fail. Look at the NATS server and the way to it.',
  slow: 'Messages of the lattice were dropped. Look at the load of this machine and its network.',
  denied: 'The NATS server does not allow it. Give the account of this host the permission.',
};

// What several of a kind do, where that is not what one does with other words.
const MANY = {
  failed: 'have failed',
  distrusted: 'are not trusted',
  expired: 'have expired tokens',
  unhealthy: 'are unhealthy',
  restarting: 'are being restarted',
  instances: 'run fewer instances than they should',
  expiring: 'have tokens that expire soon',
  errors: 'answer calls with errors',
  host: 'are missing',
};

/**
 * Returns the problems: `{ level, group, key, subject, noun, id, says, many, reason, next, since }`. `says` is what one does,
 * `many` what several with the same `group`, `many` and `reason` do.
 */
export function problems(store, now) {
  const found = [];
  hostProblems(store, now, found);
  for (const actor of store.actors.values()) actorProblem(store, actor, now, found);
  for (const provider of store.providers.values()) providerProblem(store, provider, found);
  for (const link of store.links.values()) linkProblem(store, link, now, found);
  return found.sort((a, b) => RANK[a.level] - RANK[b.level] || (b.since ?? 0) - (a.since ?? 0) || compare(a.key, b.key));
}

function hostProblems(store, now, found) {
  for (const host of store.hosts.values()) {
    if (host.state !== 'down' && host.state !== 'gone') continue;
    const says = host.state === 'gone' ? 'has vanished from the lattice' : 'is not heard any more';
    const runs = `It ran ${plural(host.actors ?? 0, 'actor')} and ${plural(host.providers ?? 0, 'provider')}.`;
    found.push({
      level: 'error',
      group: 'host',
      key: `host ${host.id}`,
      subject: 'Host',
      noun: 'host',
      id: host.id,
      says,
      many: MANY.host,
      reason: runs,
      next: NEXT.hostDown,
      since: host.heard_at,
    });
  }
  const lattice = store.host?.lattice;
  if (lattice && lattice.state !== 'joined') {
    found.push({
      level: lattice.state === 'lost' ? 'error' : 'warning',
      group: 'lattice',
      key: 'lattice',
      subject: 'This host',
      noun: 'host',
      id: store.host.id,
      says:
        { lost: 'has lost its lattice', alone: 'is alone: it could not connect to its lattice' }[lattice.state] ??
        'is joining its lattice',
      reason: '',
      next: NEXT.lattice,
      since: lattice.since,
    });
  }
  latticeEvents(store, now, found);
}

function latticeEvents(store, now, found) {
  const latest = new Map();
  for (const event of store.events) {
    if ((event.kind === 'slow_consumer' || event.kind === 'lattice_denied') && now - event.at < RECENT_MS)
      latest.set(event.kind + event.text, event);
  }
  for (const event of latest.values()) {
    const denied = event.kind === 'lattice_denied';
    found.push({
      level: 'warning',
      group: event.kind,
      key: `event ${event.sequence}`,
      subject: 'This host',
      noun: 'host',
      id: event.host,
      says: denied ? 'may not use a subject of the lattice' : 'reads the lattice too slowly',
      reason: clean(event.text, REASON_LIMIT),
      next: denied ? NEXT.denied : NEXT.slow,
      since: event.at,
    });
  }
}

function actorProblem(store, actor, now, found) {
  const { kind } = actorStanding(actor, now);
  const add = adding(found, 'actor', actor.id, actor.label);
  const errors = errorShare(store, actor.id, actor, now);
  if (kind === 'distrusted') {
    const since = actor.trust.since ?? store.latest('distrusted', actor.id)?.at;
    add('error', 'distrusted', 'is not trusted', actor.trust.reason, NEXT.distrusted, since);
  } else if (kind === 'expired') {
    add('error', 'expired', 'has an expired token', null, NEXT.expired, actor.expires_at);
  } else if (kind === 'instances') {
    const runs = `runs ${actor.instances_running} of ${actor.instances} instances`;
    add('warning', 'instances', runs, actor.reason, NEXT.instances, null);
  } else {
    entityProblem(store, actor.id, actor, kind, NEXT.actorFailed, add);
  }
  if (errors !== null && kind !== 'failed') add('warning', 'errors', errors, null, NEXT.errors, null);
  const left = typeof actor.expires_at === 'number' ? actor.expires_at - now : Infinity;
  if (left > 0 && left < EXPIRY_NOTICE_MS) {
    add('warning', 'expiring', `has a token that expires in ${span(left)}`, null, NEXT.expiring, null);
  }
}

function providerProblem(store, provider, found) {
  const add = adding(found, 'provider', provider.key, provider.label);
  if (providerStanding(provider).kind === 'distrusted') {
    add('error', 'distrusted', 'is not trusted', provider.trust.reason, NEXT.distrusted, provider.trust.since);
  }
  entityProblem(store, provider.key, provider, providerStanding(provider).kind, NEXT.providerFailed, add);
}

// What actors and providers have in common.
function entityProblem(store, key, entity, kind, failed, add) {
  if (kind === 'failed') add('error', kind, 'has failed', withCause(store, key, entity.reason), failed, entity.since);
  if (kind === 'restarting') {
    add('warning', kind, 'is being restarted', withCause(store, key, entity.reason), NEXT.restarting, entity.since);
  }
  if (kind === 'unhealthy') {
    add('warning', kind, 'is unhealthy', entity.reason, NEXT.unhealthy, entity.health_since ?? store.latest('health_changed', key)?.at);
  }
}

function adding(found, noun, id, subject) {
  return (level, group, says, reason, next, since) => {
    const text = clean(reason, REASON_LIMIT);
    found.push({ level, group, key: `${group} ${id}`, subject, noun, id, says, many: MANY[group], reason: text, next, since });
  };
}

function linkProblem(store, link, now, found) {
  const pending = link.state === 'pending' && now - link.since > PENDING_NOTICE_MS;
  if (link.state !== 'refused' && !pending) return;
  const provider = store.providerOf(link);
  const target = `${provider ? provider.label : short(link.provider)} (${clean(link.contract_id, 40)})`;
  found.push({
    level: pending ? 'warning' : 'error',
    group: pending ? 'pending' : 'refused',
    key: `link ${link.key}`,
    noun: 'actor',
    id: link.actor,
    subject: store.nameOf(link.actor),
    says: pending ? `waits for its link to ${target}` : `is refused its link to ${target}`,
    many: pending ? `wait for their links to ${target}` : `are refused their links to ${target}`,
    reason: clean(link.reason, REASON_LIMIT),
    next: pending ? NEXT.pending : NEXT.refused,
    since: link.since,
  });
}

// The reason of a failure names the rule that applied; the last crash says why.
function withCause(store, key, reason) {
  const crash = store.latest('crashed', key);
  const cause = crash?.detail?.cause ?? crash?.text ?? '';
  if (cause === '' || reason?.includes(cause)) return reason;
  return reason ? `${reason}. Last crash: ${cause}` : cause;
}

function errorShare(store, key, item, now) {
  const told = typeof item.errors_last_minute === 'number' && Array.isArray(item.rate);
  const trend = told
    ? { errors: item.errors_last_minute, calls: item.rate.reduce((sum, calls) => sum + calls, 0) }
    : store.trends.of(key, item, now);
  if (trend === null || trend.errors < ERRORS_NOTICE || trend.errors < trend.calls * ERRORS_SHARE) return null;
  return `answers ${percent(trend.errors / Math.max(trend.calls, trend.errors))} of its calls with errors`;
}

function compare(a, b) {
  return a < b ? -1 : Number(a > b);
}
