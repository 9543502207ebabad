//! Actors and providers, as a state tells them.

use wasmcloud_claims::TrustState;
use wasmcloud_telemetry::state::{Activity, ActorState, HealthState, ProviderState, TrustStanding};

use super::child::Child;
use super::history::{History, told_latency};
use super::standing::LONGEST_REASON;
use super::{LONGEST, MOST_WORDS, cut, standing};
use crate::dispatch::snapshot::{Condition, LastCheck, RunningActor, RunningProvider, distrust_health};
use crate::identity::ActorIdentity;
use crate::instruments::Reading;

/// Returns an actor as it is told.
pub(super) fn actor(running: &RunningActor, child: &Child, at: u64) -> ActorState {
    let RunningActor { identity, instances, .. } = running;
    let metadata = identity.claims.metadata.as_ref();
    let mailboxes = instances.mailboxes();
    let waiting = || mailboxes.iter().map(|mailbox| mailbox.load()).sum::<usize>();
    let reading = child.reading.as_ref();
    ActorState {
        id: identity.key.to_string(),
        name: cut(&identity.name, LONGEST),
        alias: identity.call_alias.as_deref().map(|alias| cut(alias, LONGEST)),
        revision: identity.revision,
        version: metadata
            .and_then(|metadata| metadata.ver.as_deref())
            .map_or_else(String::new, |ver| cut(ver, LONGEST)),
        issuer: identity.claims.issuer.clone(),
        image_ref: identity.image.as_deref().map(|image| cut(&image.reference, LONGEST)),
        capabilities: capabilities(identity),
        tags: words(metadata.and_then(|metadata| metadata.tags.as_ref()).into_iter().flatten()),
        expires_at: identity.claims.expires.map(|seconds| seconds.saturating_mul(1_000)),
        trust: trust(&identity.trust, child),
        instances: mailboxes.len(),
        instances_running: match &running.condition {
            Condition::Failed(_) => 0,
            _ => mailboxes.len().saturating_sub(child.standing.lost),
        },
        memory_bytes: reading.map_or(0, |reading| reading.memory_bytes),
        mailbox: reading.map_or_else(waiting, |reading| count(reading.mailbox)),
        in_flight: reading.map_or(0, |reading| count(reading.in_flight)),
        activity: activity(child, at),
    }
}

/// Returns a provider as it is told.
pub(super) fn provider(running: &RunningProvider, child: &Child, at: u64) -> ProviderState {
    let identity = &running.identity;
    let vendor = identity.claims.metadata.as_ref().map(|metadata| metadata.vendor.as_str());
    ProviderState {
        key: format!("{}/{}", identity.key.id, identity.key.link_name),
        id: identity.key.id.to_string(),
        link_name: identity.key.link_name.to_string(),
        contract_id: identity.contract_id.clone(),
        name: cut(&identity.claims.name(), LONGEST),
        vendor: cut(vendor.unwrap_or_default(), LONGEST),
        image_ref: identity.image.as_deref().map(|image| cut(&image.reference, LONGEST)),
        isolation: if identity.is_isolated { "process" } else { "in_process" }.to_owned(),
        trust: trust(&identity.trust, child),
        activity: activity(child, at),
    }
}

fn activity(child: &Child, at: u64) -> Activity {
    let Child { standing, history, reading, checked_at, reason, .. } = child;
    let counted = |of_reading: fn(&Reading) -> u64, else_: u64| reading.as_ref().map_or(else_, of_reading);
    let History { calls, errors, rate, .. } = history;
    let latency = told_latency(&history.last_minute());
    Activity {
        state: standing.state,
        reason: reason.clone(),
        since: standing.since,
        health: standing.health,
        health_at: *checked_at,
        health_since: standing.health_since,
        restarts: counted(|reading| reading.restarts, standing.restarts),
        crashes: counted(|reading| reading.crashes, standing.crashes),
        calls: *calls,
        errors: *errors,
        errors_last_minute: history.errors_last_minute(),
        rate: rate.told(),
        p50_us: latency.map(|latency| latency.p50),
        p99_us: latency.map(|latency| latency.p99),
        measured_at: at,
    }
}

fn trust(trust: &TrustState, child: &Child) -> TrustStanding {
    let lost = trust.lost();
    let reason = lost.as_ref().map(|distrust| cut(&distrust.reason, LONGEST_REASON));
    let since = lost.is_some().then_some(child.standing.distrusted_since).flatten();
    TrustStanding { trusted: lost.is_none(), reason, since }
}

fn capabilities(identity: &ActorIdentity) -> Vec<String> {
    let mut capabilities = words(identity.capabilities.iter());
    capabilities.sort_unstable();
    capabilities
}

fn words<'a>(words: impl Iterator<Item = &'a String>) -> Vec<String> {
    words.take(MOST_WORDS).map(|word| cut(word, LONGEST)).collect()
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Returns the health of a child as it stands, and when it was checked.
pub(super) fn health(
    trust: &TrustState,
    condition: &Condition,
    check: Option<&LastCheck>,
) -> (HealthState, Option<u64>) {
    let known = distrust_health(trust).or_else(|| condition.health());
    let health = known.as_ref().or(check.map(|check| &check.health));
    (standing::health_state(health), check.map(LastCheck::at))
}
