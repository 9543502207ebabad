//! Events in words.

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

/// Returns the kind of an event in a word.
pub(super) fn word(kind: &EventKind) -> String {
    let word = match kind {
        EventKind::HostStarted => "host_started",
        EventKind::HostStopped => "host_stopped",
        EventKind::Started => "started",
        EventKind::Stopped => "stopped",
        EventKind::Crashed { .. } => "crashed",
        EventKind::Interrupted { .. } => "interrupted",
        EventKind::Restarted { .. } => "restarted",
        EventKind::Failed { .. } => "failed",
        EventKind::Linked { .. } => "linked",
        EventKind::Unlinked { .. } => "unlinked",
        EventKind::LinkRefused { .. } => "link_refused",
        EventKind::HealthChanged { .. } => "health_changed",
        EventKind::LimitBreached { .. } => "limit_breached",
        EventKind::Injected { .. } => "injected",
        EventKind::Lagged { .. } => "missed",
        _ => "other",
    };
    word.to_owned()
}

/// Returns an event in words.
pub(super) fn describe(kind: &EventKind) -> String {
    match kind {
        EventKind::HostStarted | EventKind::Started => "started".to_owned(),
        EventKind::HostStopped | EventKind::Stopped => "stopped".to_owned(),
        EventKind::Crashed { cause } => format!("crashed: {cause}"),
        EventKind::Interrupted { cause } => format!("interrupted: {cause}"),
        EventKind::Restarted { attempt, delay } => format!("restarted, attempt {attempt} after a delay of {delay:.1?}"),
        EventKind::Failed { reason } => format!("failed: {reason}"),
        EventKind::Linked { contract_id, .. } => format!("linked to {contract_id}"),
        EventKind::Unlinked { contract_id, .. } => format!("unlinked from {contract_id}"),
        EventKind::LinkRefused { contract_id, reason, .. } => format!("link to {contract_id} refused: {reason}"),
        EventKind::LimitBreached { message, .. } => format!("limit breached: {message}"),
        EventKind::Injected { fault } => format!("injected: {fault}"),
        EventKind::Lagged { missed } => format!("{missed} events were missed"),
        other => format!("{other:?}"),
    }
}
