//! What a host tells of itself to those who watch it: metrics for Prometheus, its state for the dashboard and `wasmcloud top`, its
//! readiness, and the port that serves all of them.
//!
//! The port and what it needs run on a thread of its own, which reads what others publish: the supervisor's snapshot, the instruments, events and
//! the view of the lattice. It asks actors and providers nothing.
//!
//! # Layout
//! - `metrics`: the metrics of a host
//! - `metrics::table`: the table of all metrics
//! - `recorder`: what is remembered from one second to the next, and the state that is made of it
//! - `known`: what is remembered of an actor or provider
//! - `history`: the last minute of an actor or provider
//! - `standing`: since when an actor, provider or link is as it is, and why
//! - `told_events`: events as viewers are told them
//! - `entities`, `hosts`: the parts of a state
//! - `readiness`, `liveness`: whether the host does its work, and whether its threads answer
//! - `service`: the thread and the port

mod entities;
mod history;
mod hosts;
mod known;
mod liveness;
mod metrics;
mod readiness;
mod recorder;
mod service;
mod standing;
mod told_events;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::dispatch::Dispatch;
#[cfg(feature = "lattice")]
use crate::lattice::LatticeHosts;
#[cfg(feature = "lattice")]
use crate::link::LinkDefinition;
use crate::shard::Shards;
pub(crate) use metrics::HostReading;
pub use metrics::table::{METRICS, Metric, MetricKind};
pub use metrics::{HostMetrics, OPEN_METRICS, PROMETHEUS_TEXT};
pub(crate) use recorder::Recorder;
pub(crate) use service::TelemetryService;

/// Returns the other host that runs the provider of a link, if one does.
#[cfg(feature = "lattice")]
pub(crate) type Elsewhere = Box<dyn Fn(&LinkDefinition) -> Option<String> + Send + Sync>;

/// What telemetry reads of a host. It does not keep the host alive.
pub(crate) struct HostFacts {
    pub(crate) id: String,
    pub(crate) clock: Clock,
    pub(crate) dispatch: Dispatch,
    pub(crate) shards: Arc<Shards>,
    pub(crate) labels: Box<dyn Fn() -> HashMap<String, String> + Send + Sync>,
    /// Returns the lattice, if the host was built with one.
    #[cfg(feature = "lattice")]
    pub(crate) lattice: Box<dyn Fn() -> Option<LatticeHosts> + Send + Sync>,
    #[cfg(feature = "lattice")]
    pub(crate) elsewhere: Elsewhere,
    pub(crate) phase: Arc<Phase>,
}

/// Where a host is between its start and its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    #[default]
    Starting,
    Running,
    Stopping,
}

/// What the host itself says of its readiness.
#[derive(Debug, Default)]
pub(crate) struct Phase(Mutex<PhaseState>);

#[derive(Debug, Default)]
struct PhaseState {
    stage: Stage,
    /// Why the host is not ready, by the word of its embedder.
    unready: Option<String>,
}

impl Phase {
    /// Returns the phase of a host that is being started.
    pub(crate) fn new(unready: Option<&str>) -> Phase {
        Phase(Mutex::new(PhaseState { stage: Stage::Starting, unready: unready.map(str::to_owned) }))
    }

    pub(crate) fn enter(&self, stage: Stage) {
        self.lock().stage = stage;
    }

    pub(crate) fn set_unready(&self, reason: Option<String>) {
        self.lock().unready = reason;
    }

    fn stage(&self) -> Stage {
        self.lock().stage
    }

    fn unready(&self) -> Option<String> {
        self.lock().unready.clone()
    }

    fn lock(&self) -> MutexGuard<'_, PhaseState> {
        // Nothing panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Translates the times of the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
    /// Unit: milliseconds since 1970.
    started_at: u64,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock { started: Instant::now(), started_at: millis(SystemTime::now()) }
    }

    /// Returns a time of the monotonic clock in milliseconds since 1970: the same for the same time, whenever it is asked for.
    #[cfg(feature = "lattice")]
    fn millis(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.started).as_millis();
        self.started_at.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }
}

impl std::fmt::Debug for HostFacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostFacts").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Returns a time as viewers are told it. Unit: milliseconds since 1970.
fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Cuts a text from outside, so that no signer makes a state large.
fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöü", 2), "äö…");
        assert_eq!(cut("", 0), "");
    }

    #[test]
    fn a_time_before_1970_is_no_panic() {
        assert_eq!(millis(UNIX_EPOCH - std::time::Duration::from_secs(1)), 0);
    }
}
