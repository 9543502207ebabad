//! Events as viewers are told them: in one line, with what is worth a colour.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::health::Health;
use wasmcloud_telemetry::state::EventRecord;

use super::{cut, millis};
use crate::event::{Event, EventKind};

/// How many events are kept.
const KEPT: usize = 500;

/// The longest text of an event. Unit: characters.
const LONGEST_TEXT: usize = 600;

/// The longest name that is told. Unit: characters.
const LONGEST_NAME: usize = 200;

/// The last events of a host.
#[derive(Debug, Default)]
pub(super) struct ToldEvents {
    last: VecDeque<EventRecord>,
    sequence: u64,
}

impl ToldEvents {
    /// Keeps an event, and returns it as it is told.
    pub(super) fn keep(&mut self, host: &str, event: &Event) -> EventRecord {
        self.sequence += 1;
        let record = record(self.sequence, host, event);
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(record.clone());
        record
    }

    pub(super) fn last(&self) -> impl ExactSizeIterator<Item = &EventRecord> {
        self.last.iter()
    }
}

fn record(sequence: u64, host: &str, event: &Event) -> EventRecord {
    let Told { severity, text, detail } = told(&event.kind);
    let detail = match detail {
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, short(value))).collect(),
        _ => BTreeMap::new(),
    };
    EventRecord {
        sequence,
        at: millis(event.at),
        host: host.to_owned(),
        kind: event.kind.word().to_owned(),
        severity: severity.to_owned(),
        entity: entity(event),
        name: event.name.as_deref().map(|name| cut(name, LONGEST_NAME)),
        text: cut(&text, LONGEST_TEXT),
        detail,
    }
}

/// Cuts the text of a field. Providers, guests and other hosts choose its length.
fn short(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(cut(&text, LONGEST_TEXT)),
        value => value,
    }
}

/// Returns the key of what an event is about. `None` for the host itself.
fn entity(event: &Event) -> Option<String> {
    #[cfg(feature = "lattice")]
    if let EventKind::PeerUp { host } | EventKind::PeerDown { host } | EventKind::PeerLeft { host } = &event.kind {
        return Some(host.clone());
    }
    match &event.entity {
        WasmCloudEntity::Actor(key) => Some(key.clone()),
        WasmCloudEntity::Capability { id, link_name, .. } => Some(format!("{id}/{link_name}")),
        _ => None,
    }
}

/// An event in words.
struct Told {
    severity: &'static str,
    text: String,
    detail: Value,
}

fn info(text: impl Into<String>, detail: Value) -> Told {
    Told { severity: "info", text: text.into(), detail }
}

fn warning(text: impl Into<String>, detail: Value) -> Told {
    Told { severity: "warning", text: text.into(), detail }
}

fn error(text: impl Into<String>, detail: Value) -> Told {
    Told { severity: "error", text: text.into(), detail }
}

fn told(kind: &EventKind) -> Told {
    match kind {
        EventKind::HostStarted => info("the host has started", Value::Null),
        EventKind::HostStopped => info("the host has stopped", Value::Null),
        EventKind::Started => info("it has started", Value::Null),
        EventKind::Stopped => info("it was stopped", Value::Null),
        EventKind::Updated { from, to } => {
            info(format!("it runs revision {to}, before {from}"), json!({ "from": from, "to": to }))
        }
        EventKind::UpdateRefused { reason } => {
            error(format!("its update was refused: {reason}"), json!({ "reason": reason }))
        }
        EventKind::UpdateRolledBack { from, to, reason } => error(
            format!("its update was rolled back from revision {from} to {to}: {reason}"),
            json!({ "from": from, "to": to, "reason": reason }),
        ),
        EventKind::Scaled { instances } => {
            info(format!("it has {instances} instance(s) now"), json!({ "instances": instances }))
        }
        EventKind::LimitBreached { limit, message } => {
            warning(format!("it breached a limit: {message}"), json!({ "limit": limit.name() }))
        }
        EventKind::Lagged { missed } => warning(
            format!("{missed} events are missing here: there were too many at once"),
            json!({ "missed": missed }),
        ),
        #[cfg(feature = "experiments")]
        EventKind::Injected { fault } => warning(format!("an experiment injected a fault: {fault:?}"), Value::Null),
        kind => told_of_failures(kind),
    }
}

fn told_of_failures(kind: &EventKind) -> Told {
    match kind {
        EventKind::Crashed { cause } => error(format!("it crashed: {cause}"), json!({ "cause": cause })),
        EventKind::Interrupted { cause } => {
            warning(format!("an instance was interrupted: {cause}"), json!({ "cause": cause }))
        }
        EventKind::Restarted { attempt, delay } => {
            warning("an instance was restarted", json!({ "attempt": attempt, "delay_ms": delay.as_millis() as u64 }))
        }
        EventKind::Failed { reason } => {
            error(format!("it has failed and is not restarted any more: {reason}"), json!({ "reason": reason }))
        }
        EventKind::HealthChanged { health } => health_changed(health),
        EventKind::Expired => error("its token has expired", Value::Null),
        EventKind::Distrusted { reason } => {
            error(format!("it is not trusted any more: {reason}"), json!({ "reason": reason }))
        }
        EventKind::Trusted => info("it is trusted again", Value::Null),
        kind => told_of_links(kind),
    }
}

fn told_of_links(kind: &EventKind) -> Told {
    match kind {
        EventKind::Linked { contract_id, link_name, provider_id } => info(
            format!("it is linked to {contract_id} ({link_name})"),
            json!({ "contract_id": contract_id, "link_name": link_name, "provider": provider_id }),
        ),
        EventKind::Unlinked { contract_id, link_name } => info(
            format!("its link to {contract_id} ({link_name}) was removed"),
            json!({ "contract_id": contract_id, "link_name": link_name }),
        ),
        EventKind::LinkRefused { contract_id, link_name, reason } => error(
            format!("its link to {contract_id} ({link_name}) was refused: {reason}"),
            json!({ "contract_id": contract_id, "link_name": link_name, "reason": reason }),
        ),
        #[cfg(feature = "lattice")]
        EventKind::LinkConflict { contract_id, link_name, reason } => warning(
            format!("its link to {contract_id} ({link_name}) was changed on another host as well: {reason}"),
            json!({ "contract_id": contract_id, "link_name": link_name, "reason": reason }),
        ),
        #[cfg(feature = "lattice")]
        kind => told_of_lattice(kind),
        #[cfg(not(feature = "lattice"))]
        kind => info(kind.word().replace('_', " "), Value::Null),
    }
}

#[cfg(feature = "lattice")]
fn told_of_lattice(kind: &EventKind) -> Told {
    use wasmcloud_lattice::LatticeState;
    match kind {
        EventKind::LatticeChanged { state: state @ LatticeState::Disconnected { .. } } => {
            error(format!("the lattice is lost: {state}"), Value::Null)
        }
        EventKind::LatticeChanged { state: state @ LatticeState::Alone { .. } } => {
            warning(format!("the host runs alone: {state}"), Value::Null)
        }
        EventKind::LatticeChanged { state: LatticeState::Joined } => {
            info("the host is part of its lattice", Value::Null)
        }
        EventKind::LatticeChanged { .. } => info("the host is joining its lattice", Value::Null),
        EventKind::PeerUp { .. } => info("the host is there", Value::Null),
        EventKind::PeerDown { .. } => error("the host was silent for two heartbeats", Value::Null),
        EventKind::PeerLeft { .. } => info("the host has left the lattice", Value::Null),
        EventKind::SlowConsumer => {
            warning("messages of the lattice were dropped, since this host reads too slowly", Value::Null)
        }
        EventKind::LatticeDenied { subject } => {
            error(format!("the NATS server denies the subject {subject}"), json!({ "subject": subject }))
        }
        kind => info(kind.word().replace('_', " "), Value::Null),
    }
}

fn health_changed(health: &Health) -> Told {
    match health {
        Health::Healthy => info("it is healthy", json!({ "health": "healthy" })),
        Health::Busy => info("it is busy with calls", json!({ "health": "busy" })),
        Health::Unanswered => warning("it did not answer its health check", json!({ "health": "unanswered" })),
        Health::Unhealthy { reason } => {
            warning(format!("it is unhealthy: {reason}"), json!({ "health": "unhealthy", "reason": reason }))
        }
        _ => info("its health has changed", Value::Null),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use wasmcloud_core::error::ErrorKind;

    use super::*;

    fn event(kind: EventKind) -> Event {
        let entity = WasmCloudEntity::Actor("M".to_owned());
        Event { at: SystemTime::now(), entity, name: Some("n".repeat(10_000)), image_ref: None, kind }
    }

    #[test]
    fn the_last_events_are_kept_and_numbered() {
        let mut events = ToldEvents::default();
        for number in 1..=KEPT as u64 + 7 {
            assert_eq!(events.keep("N", &event(EventKind::Started)).sequence, number);
        }
        let sequences: Vec<u64> = events.last().map(|event| event.sequence).collect();
        assert_eq!((sequences.len(), sequences[0], sequences[KEPT - 1]), (KEPT, 8, KEPT as u64 + 7));
    }

    /// An event of each kind that tells a text of others, with this text.
    fn events_that_tell(text: &str) -> Vec<EventKind> {
        let text = || text.to_owned();
        vec![
            EventKind::Crashed { cause: text() },
            EventKind::Interrupted { cause: text() },
            EventKind::Failed { reason: text() },
            EventKind::UpdateRefused { reason: text() },
            EventKind::UpdateRolledBack { from: 1, to: 2, reason: text() },
            EventKind::Linked { contract_id: text(), link_name: text(), provider_id: text() },
            EventKind::Unlinked { contract_id: text(), link_name: text() },
            EventKind::LinkRefused { contract_id: text(), link_name: text(), reason: text() },
            #[cfg(feature = "lattice")]
            EventKind::LinkConflict { contract_id: text(), link_name: text(), reason: text() },
            #[cfg(feature = "lattice")]
            EventKind::LatticeDenied { subject: text() },
            EventKind::Distrusted { reason: text() },
            EventKind::HealthChanged { health: Health::Unhealthy { reason: text() } },
            EventKind::LimitBreached { limit: ErrorKind::Busy, message: text() },
        ]
    }

    #[test]
    fn an_event_is_bounded_whatever_its_cause_says() {
        let mut events = ToldEvents::default();
        for kind in events_that_tell(&"ü".repeat(100_000)) {
            let word = kind.word();
            let told = events.keep("N", &event(kind));
            let json = serde_json::to_string(&told).unwrap();
            assert!(json.len() < 8_000, "{word}: {} bytes", json.len());
            assert_eq!((told.kind.as_str(), told.entity.as_deref()), (word, Some("M")));
        }
        assert_eq!(events.last().next().unwrap().severity, "error");
    }

    #[test]
    fn a_provider_is_named_with_its_link() {
        let entity = WasmCloudEntity::Capability {
            id: "V".to_owned(),
            contract_id: "wasmcloud:keyvalue".to_owned(),
            link_name: "default".to_owned(),
        };
        let stopped = Event { entity, ..event(EventKind::Stopped) };
        assert_eq!(ToldEvents::default().keep("N", &stopped).entity.as_deref(), Some("V/default"));
    }
}
