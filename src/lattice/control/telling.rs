//! The events of a host, as operators are told them.

use wasmcloud_control::{ControlEvent, kinds};
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::health::Health;
use wasmcloud_lattice::EraEvent;

use crate::event::{Event, EventKind};

/// Returns an event in the format of current hosts, or `None` if it concerns the host's program alone.
pub(super) fn event(event: &Event) -> Option<ControlEvent> {
    let mut told = of_kind(event)?;
    match &event.entity {
        WasmCloudEntity::Actor(key) => told.actor = Some(key.clone()),
        WasmCloudEntity::Capability { id, contract_id, link_name } => {
            told.provider = Some(id.clone());
            told.contract_id = Some(contract_id.clone());
            told.link_name = Some(link_name.clone());
        }
        _ => {}
    }
    told.name.clone_from(&event.name);
    told.image_ref.clone_from(&event.image_ref);
    let at = event.at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    told.at = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
    Some(told)
}

fn of_kind(event: &Event) -> Option<ControlEvent> {
    let is_actor = matches!(event.entity, WasmCloudEntity::Actor(_));
    let either = |actor, provider| ControlEvent::new(if is_actor { actor } else { provider });
    let failing = |mut told: ControlEvent, reason: &str| {
        told.failure = Some(reason.to_owned());
        told
    };
    Some(match &event.kind {
        EventKind::HostStarted => ControlEvent::new(kinds::HOST_STARTED),
        EventKind::HostStopped => ControlEvent::new(kinds::HOST_STOPPED),
        EventKind::Started => either(kinds::ACTOR_STARTED, kinds::PROVIDER_STARTED),
        EventKind::Stopped => either(kinds::ACTOR_STOPPED, kinds::PROVIDER_STOPPED),
        EventKind::Crashed { cause } => failing(either(kinds::ACTOR_CRASHED, kinds::PROVIDER_CRASHED), cause),
        EventKind::Restarted { attempt, .. } => {
            either(kinds::ACTOR_RESTARTED, kinds::PROVIDER_RESTARTED).with("attempt", *attempt)
        }
        EventKind::Failed { reason } => failing(either(kinds::ACTOR_FAILED, kinds::PROVIDER_FAILED), reason),
        EventKind::Updated { from, to } => {
            ControlEvent::new(kinds::ACTOR_UPDATED).with("old_revision", *from).with("new_revision", *to)
        }
        EventKind::UpdateRefused { reason } => failing(ControlEvent::new(kinds::UPDATE_REFUSED), reason),
        EventKind::UpdateRolledBack { from, to, reason } => {
            let told = ControlEvent::new(kinds::UPDATE_ROLLED_BACK);
            failing(told.with("old_revision", *from).with("new_revision", *to), reason)
        }
        EventKind::Scaled { instances } => ControlEvent::new(kinds::ACTOR_SCALED).with("instances", *instances),
        EventKind::Linked { contract_id, link_name, provider_id } => {
            let mut told = of_link(kinds::LINK_ESTABLISHED, contract_id, link_name);
            told.provider = Some(provider_id.clone());
            told
        }
        EventKind::Unlinked { contract_id, link_name } => of_link(kinds::LINK_REMOVED, contract_id, link_name),
        EventKind::LinkRefused { contract_id, link_name, reason } => {
            failing(of_link(kinds::LINK_REFUSED, contract_id, link_name), reason)
        }
        EventKind::PeerUp { host } => ControlEvent::new(kinds::PEER_UP).with("peer", host.as_str()),
        EventKind::PeerDown { host } => ControlEvent::new(kinds::PEER_DOWN).with("peer", host.as_str()),
        EventKind::PeerLeft { host } => {
            ControlEvent::new(kinds::PEER_DOWN).with("peer", host.as_str()).with("has_left", true)
        }
        EventKind::Expired => failing(ControlEvent::new(kinds::DISTRUSTED), "its token has expired"),
        EventKind::Distrusted { reason } => failing(ControlEvent::new(kinds::DISTRUSTED), reason),
        EventKind::Trusted => ControlEvent::new(kinds::TRUSTED),
        EventKind::HealthChanged { health } => {
            ControlEvent::new(kinds::HEALTH_CHANGED).with("health", health_text(health))
        }
        EventKind::LimitBreached { limit, message } => {
            let mut told = failing(ControlEvent::new(kinds::LIMIT_BREACHED), message);
            told.error_kind = Some(limit.name().to_owned());
            told
        }
        EventKind::Lagged { missed } => ControlEvent::new(kinds::LAGGED).with("missed", *missed),
        _ => return None,
    })
}

fn of_link(kind: &str, contract_id: &str, link_name: &str) -> ControlEvent {
    let mut told = ControlEvent::new(kind);
    told.contract_id = Some(contract_id.to_owned());
    told.link_name = Some(link_name.to_owned());
    told
}

/// Returns the text that stands for a health in events and inventories.
pub(crate) fn health_text(health: &Health) -> String {
    match health {
        Health::Healthy => "healthy".to_owned(),
        Health::Busy => "busy".to_owned(),
        Health::Unanswered => "unanswered".to_owned(),
        Health::Unhealthy { reason } => format!("unhealthy: {reason}"),
        _ => "unknown".to_owned(),
    }
}

/// Returns an event in the format of 2021, and one of a failure in the same form. The membership itself tells of the start and
/// the stop of the host.
pub(super) fn event_of_2021(event: &Event) -> Option<EraEvent> {
    let image_ref = event.image_ref.clone();
    match &event.entity {
        WasmCloudEntity::Actor(key) => actor_of_2021(key.clone(), image_ref, &event.kind),
        WasmCloudEntity::Capability { id, contract_id, link_name } => {
            let (contract_id, link_name, provider_id) = (contract_id.clone(), link_name.clone(), id.clone());
            match &event.kind {
                EventKind::Started => {
                    Some(EraEvent::ProviderStarted { contract_id, link_name, provider_id, image_ref })
                }
                EventKind::Stopped => Some(EraEvent::ProviderStopped { contract_id, link_name, provider_id }),
                EventKind::Failed { reason } => {
                    let failure = reason.clone();
                    Some(EraEvent::ProviderFailed { contract_id, link_name, provider_id, failure })
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn actor_of_2021(actor: String, image_ref: Option<String>, kind: &EventKind) -> Option<EraEvent> {
    match kind {
        EventKind::Started => Some(EraEvent::ActorStarted { actor, image_ref }),
        EventKind::Stopped => Some(EraEvent::ActorStopped { actor }),
        EventKind::Updated { from, to } => {
            Some(EraEvent::ActorUpdateCompleted { actor, old_revision: *from, new_revision: *to })
        }
        EventKind::UpdateRefused { reason } | EventKind::UpdateRolledBack { reason, .. } => {
            Some(EraEvent::ActorUpdateFailed { actor, failure: reason.clone() })
        }
        EventKind::Failed { reason } => Some(EraEvent::ActorFailed { actor, failure: reason.clone() }),
        EventKind::LinkRefused { contract_id, link_name, reason } => Some(EraEvent::LinkRefused {
            actor,
            contract_id: contract_id.clone(),
            link_name: link_name.clone(),
            failure: reason.clone(),
        }),
        _ => None,
    }
}
