// How things stand, in one word each: the word and the icon of a state, how urgent it is, and its kind for those who tell why.

/** The levels, most urgent first. */
export const RANK = { error: 0, warning: 1, change: 2, ok: 3 };

const PLAIN = { failed: 'error', restarting: 'warning', starting: 'change', stopping: 'change' };

const standing = (level, kind, word = kind, icon = level) => ({ level, kind, word, icon });

/** Returns how an actor stands. */
export function actorStanding(actor, now) {
  if (actor.state === 'failed') return standing('error', 'failed');
  if (actor.trust?.trusted === false) return standing('error', 'distrusted');
  if (typeof actor.expires_at === 'number' && actor.expires_at <= now) return standing('error', 'expired');
  if (actor.state !== 'running') return plainStanding(actor.state);
  if (actor.health === 'unhealthy') return standing('warning', 'unhealthy');
  if (actor.instances_running < actor.instances)
    return standing('warning', 'instances', `${actor.instances_running} of ${actor.instances} run`);
  if (actor.refused > 0) return standing('warning', 'refused', 'link refused');
  return standing('ok', 'running', actor.health === 'busy' ? 'busy' : 'running');
}

/** Returns how a provider stands. */
export function providerStanding(provider) {
  if (provider.state === 'failed') return standing('error', 'failed');
  if (provider.trust?.trusted === false) return standing('error', 'distrusted');
  if (provider.state !== 'running') return plainStanding(provider.state);
  if (provider.health === 'unhealthy') return standing('warning', 'unhealthy');
  return standing('ok', 'running', provider.health === 'busy' ? 'busy' : 'running');
}

/** Returns how an actor or provider stands. */
export function entityStanding(entity, now) {
  return 'key' in entity ? providerStanding(entity) : actorStanding(entity, now);
}

/** Returns how a host stands. */
export function hostStanding(host) {
  if (host.state === 'down') return standing('error', 'down');
  if (host.state === 'gone') return standing('error', 'gone', 'vanished');
  if (host.state === 'left') return standing('ok', 'left', 'left', 'off');
  return host.cordoned ? standing('change', 'cordoned') : standing('ok', 'up');
}

/** Returns how a link stands. */
export function linkStanding(link) {
  if (link.state === 'refused') return standing('error', 'refused');
  if (link.state === 'pending') return standing('warning', 'pending');
  return standing('ok', 'established');
}

function plainStanding(state) {
  const word = typeof state === 'string' ? state : 'unknown';
  return standing(PLAIN[word] ?? 'change', word);
}
