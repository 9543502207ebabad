//! Since when an actor, provider or link is as it is, and why. Events tell it; a look at what runs corrects what they missed.

use wasmcloud_core::health::Health;
use wasmcloud_telemetry::state::{HealthState, Lifecycle};

use super::{cut, millis};
use crate::dispatch::snapshot::Condition;
use crate::event::{Event, EventKind};

/// The longest reason. Unit: characters.
pub(super) const LONGEST_REASON: usize = 1_000;

/// How an actor or provider stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    pub(super) state: Lifecycle,
    /// When the state began. Unit of all times: milliseconds since 1970.
    pub(super) since: u64,
    pub(super) health: HealthState,
    pub(super) health_since: Option<u64>,
    pub(super) distrusted_since: Option<u64>,
    last_cause: Option<String>,
    /// How many instances are lost and not replaced yet.
    pub(super) lost: usize,
    pub(super) crashes: u64,
    pub(super) restarts: u64,
}

impl Standing {
    /// Returns the standing of a child that has started.
    pub(super) fn started(at: u64) -> Standing {
        Standing { since: at, ..Standing::default() }
    }

    /// Takes note of an event about the child.
    pub(super) fn note(&mut self, event: &Event) {
        let at = millis(event.at);
        match &event.kind {
            EventKind::Started => *self = Standing::started(at),
            EventKind::Crashed { cause } => {
                self.crashes += 1;
                self.lose(cause, at);
            }
            EventKind::Interrupted { cause } => self.lose(cause, at),
            EventKind::Restarted { .. } => {
                self.restarts += 1;
                self.lost = self.lost.saturating_sub(1);
                if self.lost == 0 {
                    self.enter(Lifecycle::Running, at);
                }
            }
            EventKind::Failed { .. } => self.enter(Lifecycle::Failed, at),
            EventKind::HealthChanged { .. } => self.health_since = Some(at),
            EventKind::Expired | EventKind::Distrusted { .. } => self.distrusted_since = Some(at),
            EventKind::Trusted => self.distrusted_since = None,
            _ => {}
        }
    }

    fn lose(&mut self, cause: &str, at: u64) {
        self.last_cause = Some(cut(cause, LONGEST_REASON));
        self.lost += 1;
        self.enter(Lifecycle::Restarting, at);
    }

    fn enter(&mut self, state: Lifecycle, at: u64) {
        if self.state != state {
            (self.state, self.since) = (state, at);
        }
    }

    /// Takes note of how the child is now, in case that an event about it was missed.
    pub(super) fn look(&mut self, condition: &Condition, is_stopping: bool, health: HealthState, at: u64) {
        let state = match condition {
            _ if is_stopping => Lifecycle::Stopping,
            Condition::Running => Lifecycle::Running,
            Condition::Restarting(_) => Lifecycle::Restarting,
            Condition::Failed(_) => Lifecycle::Failed,
        };
        self.enter(state, at);
        if state == Lifecycle::Running {
            self.lost = 0;
        }
        if self.health != health {
            // An event has told the time, unless the first check found the child healthy.
            self.health_since = self.health_since.filter(|_| self.health != HealthState::Unknown).or(Some(at));
            self.health = health;
        }
    }

    /// Returns why the child does not run, or is unhealthy.
    pub(super) fn reason(&self, condition: &Condition, health: Option<&Health>) -> Option<String> {
        let cause = self.last_cause.as_deref();
        let reason = match (condition, health) {
            (Condition::Failed(rule), _) => match cause {
                Some(cause) if !rule.contains(cause) => format!("{rule}. Last crash: {cause}"),
                _ => rule.to_string(),
            },
            (Condition::Restarting(attempt), _) => match cause {
                Some(cause) if *attempt > 0 => format!("attempt {attempt} to restart it. Last crash: {cause}"),
                Some(cause) => cause.to_owned(),
                None => format!("attempt {attempt} to restart it"),
            },
            (Condition::Running, Some(Health::Unhealthy { reason })) => reason.clone(),
            (Condition::Running, Some(Health::Unanswered)) => "it did not answer the health check in time".to_owned(),
            _ => return None,
        };
        Some(cut(&reason, LONGEST_REASON))
    }
}

/// Returns the word for a health.
pub(super) fn health_state(health: Option<&Health>) -> HealthState {
    match health {
        Some(Health::Healthy) => HealthState::Healthy,
        Some(Health::Busy) => HealthState::Busy,
        Some(Health::Unhealthy { .. } | Health::Unanswered) => HealthState::Unhealthy,
        _ => HealthState::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use wasmcloud_core::entity::WasmCloudEntity;

    use super::*;

    fn event(at: u64, kind: EventKind) -> Event {
        let entity = WasmCloudEntity::Actor("M".to_owned());
        Event { at: UNIX_EPOCH + Duration::from_millis(at), entity, name: None, image_ref: None, kind }
    }

    fn crashed(at: u64) -> Event {
        event(at, EventKind::Crashed { cause: "it trapped".to_owned() })
    }

    #[test]
    fn a_failure_tells_since_when_and_why() {
        let mut standing = Standing::default();
        standing.note(&event(1, EventKind::Started));
        standing.note(&crashed(2));
        standing.note(&crashed(3));
        assert_eq!((standing.state, standing.since, standing.lost), (Lifecycle::Restarting, 2, 2));
        let reason = standing.reason(&Condition::Restarting(2), None).unwrap();
        assert_eq!(reason, "attempt 2 to restart it. Last crash: it trapped");
        standing.note(&event(4, EventKind::Failed { reason: "it crashed twice".to_owned() }));
        let failed = Condition::Failed("it crashed twice".into());
        standing.look(&failed, false, HealthState::Unhealthy, 5);
        assert_eq!((standing.state, standing.since, standing.crashes), (Lifecycle::Failed, 4, 2));
        assert_eq!(standing.reason(&failed, None).unwrap(), "it crashed twice. Last crash: it trapped");
        standing.note(&event(6, EventKind::Started));
        assert_eq!((standing.state, standing.since, standing.crashes), (Lifecycle::Running, 6, 0));
        assert_eq!(standing.reason(&Condition::Running, None), None);
    }

    #[test]
    fn a_child_runs_again_once_all_lost_instances_are_replaced() {
        let mut standing = Standing::started(1);
        let restarted = |at| event(at, EventKind::Restarted { attempt: 1, delay: Duration::ZERO });
        standing.note(&crashed(2));
        standing.note(&crashed(3));
        standing.note(&restarted(4));
        assert_eq!((standing.state, standing.lost), (Lifecycle::Restarting, 1));
        standing.note(&restarted(5));
        assert_eq!((standing.state, standing.since, standing.restarts), (Lifecycle::Running, 5, 2));
    }

    #[test]
    fn a_look_corrects_what_events_missed() {
        let mut standing = Standing::started(1);
        standing.look(&Condition::Restarting(1), false, HealthState::Unknown, 7);
        assert_eq!((standing.state, standing.since, standing.health_since), (Lifecycle::Restarting, 7, None));
        standing.look(&Condition::Running, true, HealthState::Healthy, 8);
        assert_eq!((standing.state, standing.since), (Lifecycle::Stopping, 8));
        assert_eq!((standing.health, standing.health_since), (HealthState::Healthy, Some(8)));
        standing.note(&event(9, EventKind::HealthChanged { health: Health::Busy }));
        standing.look(&Condition::Running, true, HealthState::Busy, 10);
        assert_eq!((standing.health, standing.health_since), (HealthState::Busy, Some(9)));
    }
}
