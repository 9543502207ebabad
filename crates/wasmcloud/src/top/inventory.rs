//! What the inventory of a host tells, as a state without figures (pure).

use wasmcloud_control::message::{EntityEntry, WholeInventory};
use wasmcloud_telemetry::state::{Activity, ActorState, HealthState, HostState, Lifecycle, ProviderState};

/// Returns what an inventory tells as a state.
pub(super) fn state_of(inventory: WholeInventory, now: u64) -> HostState {
    let WholeInventory { host_id, version, uptime, labels, cordoned, actors, providers, .. } = inventory;
    let mut state = HostState::default();
    state.at = now;
    state.host.id = host_id;
    state.host.version = version.unwrap_or_default();
    state.host.started_at = uptime.map_or(0, |uptime| now.saturating_sub(uptime.saturating_mul(1000)));
    state.host.labels = labels;
    state.host.cordoned = cordoned;
    state.actors = actors.into_iter().map(|entry| actor_of(entry, now)).collect();
    state.providers = providers.into_iter().map(|entry| provider_of(entry, now)).collect();
    state
}

fn actor_of(entry: EntityEntry, now: u64) -> ActorState {
    let activity = activity_of(&entry, now);
    let mut actor = ActorState { activity, id: entry.id, ..ActorState::default() };
    actor.trust.trusted = !matches!(entry.state.as_str(), "expired" | "distrusted");
    actor.trust.reason = entry.reason.filter(|_| !actor.trust.trusted);
    actor.name = entry.name.unwrap_or_default();
    actor.alias = entry.call_alias;
    actor.revision = entry.revision;
    actor.image_ref = entry.image_ref;
    actor.instances = entry.instances.unwrap_or_default();
    actor.instances_running = if actor.activity.state == Lifecycle::Running { actor.instances } else { 0 };
    actor.in_flight = entry.calls.unwrap_or_default();
    actor
}

fn provider_of(entry: EntityEntry, now: u64) -> ProviderState {
    let activity = activity_of(&entry, now);
    let link_name = entry.link_name.unwrap_or_default();
    let mut provider = ProviderState { activity, ..ProviderState::default() };
    provider.key = format!("{}/{link_name}", entry.id);
    provider.trust.trusted = !matches!(entry.state.as_str(), "expired" | "distrusted");
    provider.trust.reason = entry.reason.filter(|_| !provider.trust.trusted);
    provider.id = entry.id;
    provider.link_name = link_name;
    provider.contract_id = entry.contract_id.unwrap_or_default();
    provider.name = entry.name.unwrap_or_default();
    provider.image_ref = entry.image_ref;
    provider
}

fn activity_of(entry: &EntityEntry, now: u64) -> Activity {
    let state = match entry.state.as_str() {
        "restarting" => Lifecycle::Restarting,
        "failed" => Lifecycle::Failed,
        "stopping" => Lifecycle::Stopping,
        _ => Lifecycle::Running,
    };
    let health = entry.health.as_deref().unwrap_or_default();
    let health_state = match health {
        "healthy" => HealthState::Healthy,
        "busy" => HealthState::Busy,
        "" => HealthState::Unknown,
        _ => HealthState::Unhealthy,
    };
    let reason = entry.reason.clone().or_else(|| (health_state == HealthState::Unhealthy).then(|| health.to_owned()));
    Activity { state, reason, health: health_state, restarts: entry.restarts, measured_at: now, ..Activity::default() }
}
