//! Whether the host does what it was started for.
//!
//! A host is not ready while it starts, stops, or has never joined its lattice, and as long as its embedder says so. What fails
//! while the rest works is told as degraded: a balancer that took the host away for one failed actor would take the others too.

use wasmcloud_core::text::escaped;
use wasmcloud_telemetry::state::{ActorState, HealthState, HostState, Lifecycle, ProviderState};
use wasmcloud_telemetry::{Check, Report};

use super::Stage;
use super::recorder::Recorder;

/// How many names a reason holds.
const NAMED: usize = 5;

impl Recorder {
    /// Returns whether the host does what it was started for, with reasons.
    pub(super) fn readiness(&self) -> Report {
        let phase = &self.facts().phase;
        match phase.stage() {
            Stage::Starting => return Report(vec![Check::failed("host", "the host is being started")]),
            Stage::Stopping => return Report(vec![Check::failed("host", "the host is being stopped")]),
            Stage::Running => {}
        }
        let state = match self.state() {
            Ok(state) => state,
            Err(error) => return Report(vec![Check::failed("host", error.to_string())]),
        };
        let host = match phase.unready() {
            Some(reason) => Check::failed("host", reason),
            None => Check::ok("host"),
        };
        Report(vec![host, lattice(&state), actors(&state), providers(&state), links(&state)])
    }
}

fn lattice(state: &HostState) -> Check {
    const NAME: &str = "lattice";
    let Some(lattice) = &state.host.lattice else { return Check::ok(NAME) };
    match lattice.state.as_str() {
        "joined" if state.host.cordoned => {
            Check::degraded(NAME, "the host is cordoned, and accepts nothing new from the lattice: uncordon it")
        }
        "joined" => Check::ok(NAME),
        "lost" => Check::degraded(NAME, "the lattice is lost: local work goes on. Look at the NATS server"),
        "alone" => Check::failed(NAME, "the lattice was never joined: look at the NATS server and the way to it"),
        _ => Check::failed(NAME, "the lattice is being joined"),
    }
}

fn actors(state: &HostState) -> Check {
    let failing = |actor: &&ActorState| is_failing(actor.activity.state, actor.activity.health, actor.trust.trusted);
    let names = state.actors.iter().filter(failing).map(|actor| (actor.name.as_str(), actor.id.as_str()));
    check("actors", names.collect(), "has failed, is unhealthy or is not trusted")
}

fn providers(state: &HostState) -> Check {
    let failing = |provider: &&ProviderState| {
        is_failing(provider.activity.state, provider.activity.health, provider.trust.trusted)
    };
    let names = state.providers.iter().filter(failing).map(|provider| (provider.name.as_str(), provider.key.as_str()));
    check("providers", names.collect(), "has failed, is unhealthy or is not trusted")
}

fn links(state: &HostState) -> Check {
    let refused = state.links.iter().filter(|link| link.state == "refused");
    check("links", refused.map(|link| (link.contract_id.as_str(), link.actor.as_str())).collect(), "is refused")
}

fn is_failing(state: Lifecycle, health: HealthState, is_trusted: bool) -> bool {
    state == Lifecycle::Failed || (state == Lifecycle::Running && health == HealthState::Unhealthy) || !is_trusted
}

fn check(name: &'static str, failing: Vec<(&str, &str)>, what: &str) -> Check {
    if failing.is_empty() {
        return Check::ok(name);
    }
    let named: Vec<String> =
        failing.iter().take(NAMED).map(|(name, key)| format!("{} ({key})", escaped(name))).collect();
    let more = match failing.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let reason = format!("{} of them {what}: {}{more}. The dashboard tells why", failing.len(), named.join(", "));
    Check::degraded(name, reason)
}
