//! Events in words.

use std::time::Duration;

use wasmcloud_host::EventKind;

/// Returns whether an event follows from a fault, and comes as often as faults do.
pub(super) fn is_frequent(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::Injected { .. }
            | EventKind::Crashed { .. }
            | EventKind::Interrupted { .. }
            | EventKind::Restarted { .. }
            | EventKind::LimitBreached { .. }
    )
}

/// Returns what an event says beside its kind.
pub(super) fn describe(kind: &EventKind) -> String {
    match kind {
        EventKind::HostStarted | EventKind::Started | EventKind::HostStopped | EventKind::Stopped => String::new(),
        EventKind::Crashed { cause } | EventKind::Interrupted { cause } => cause.clone(),
        EventKind::Restarted { attempt, delay: Duration::ZERO } => format!("attempt {attempt}, at once"),
        EventKind::Restarted { attempt, delay } => format!("attempt {attempt}, after {delay:.1?}"),
        EventKind::Failed { reason } => reason.clone(),
        EventKind::Linked { contract_id, .. } => format!("to {contract_id}"),
        EventKind::Unlinked { contract_id, .. } => format!("from {contract_id}"),
        EventKind::LinkRefused { contract_id, reason, .. } => format!("to {contract_id}: {reason}"),
        EventKind::LimitBreached { message, .. } => message.clone(),
        EventKind::Injected { fault } => fault.to_string(),
        EventKind::Lagged { missed } => format!("{missed} events were missed"),
        other => format!("{other:?}"),
    }
}
