//! What a host tells of itself to those who watch it: metrics for Prometheus, its state for the dashboard and `wasmcloud top`, its
//! readiness, and the port that serves all of them.
//!
//! The port and what it needs run on a thread of its own, which reads what others publish: the supervisor's snapshot, the
//! instruments, events and the view of the lattice. It asks actors and providers nothing.
//!
//! # Layout
//! - `metrics`: the metrics of a host
//! - `metrics::table`: the table of all metrics
//! - `recorder`: records what happens, and makes states of it
//! - `memory`: what is remembered from one second to the next
//! - `child`: what is remembered of an actor or provider
//! - `history`: the last minute of an actor or provider
//! - `standing`: since when an actor, provider or link is as it is, and why
//! - `told_events`: events as viewers are told them
//! - `entities`, `links`, `hosts`: the parts of a state
//! - `readiness`, `liveness`: whether the host does its work, and whether its threads answer
//! - `service`: the thread and the port

mod child;
mod entities;
mod history;
mod hosts;
mod links;
mod liveness;
mod memory;
mod metrics;
mod readiness;
mod recorder;
mod service;
mod standing;
mod told_events;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::dispatch::Dispatch;
#[cfg(feature = "lattice")]
use crate::lattice::LatticeHosts;
use crate::shard::Shards;
pub(crate) use links::Elsewhere;
#[cfg(feature = "lattice")]
pub(crate) use metrics::LatticeReading;
pub use metrics::table::{METRICS, Metric, MetricKind};
pub use metrics::{HostMetrics, OPEN_METRICS, PROMETHEUS_TEXT};
pub(crate) use metrics::{HostReading, MetricsFacts};
pub(crate) use recorder::Recorder;
pub(crate) use service::TelemetryService;

/// The longest name, version and the like. Unit: characters.
const LONGEST: usize = 256;

/// The most words of a list, such as of tags.
const MOST_WORDS: usize = 64;

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

/// Measures how long the host runs. The clock of the machine may be set meanwhile, so that differences of its times say nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock(Instant::now())
    }

    fn uptime(self) -> Duration {
        self.0.elapsed()
    }

    /// Returns when the host started, by the present time of the machine. Unit: milliseconds since 1970.
    fn started_at(self, now: SystemTime) -> u64 {
        ago(now, self.uptime())
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

/// Returns a time that was this long ago, to the second, so that it is told as the same again and again. Unit: milliseconds since
/// 1970.
fn ago(now: SystemTime, elapsed: Duration) -> u64 {
    now.checked_sub(elapsed).map_or(0, millis) / 1_000 * 1_000
}

/// Returns a duration as viewers are told it. Unit: microseconds.
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
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
        assert_eq!(millis(UNIX_EPOCH - Duration::from_secs(1)), 0);
    }

    #[test]
    fn ages_hold_while_the_clock_of_the_machine_is_set() {
        let heard = Duration::from_millis(2_700);
        for now in [UNIX_EPOCH + Duration::from_secs(60), UNIX_EPOCH + Duration::from_secs(1_800_000_000)] {
            let age = millis(now) - ago(now, heard);
            assert!((2_700..=3_700).contains(&age), "{age}");
        }
        assert_eq!(ago(UNIX_EPOCH, Duration::MAX), 0);
        let clock = Clock::start();
        assert!(clock.uptime() < Duration::from_secs(60));
        assert_eq!(clock.started_at(UNIX_EPOCH + Duration::from_secs(100)) / 10_000, 9);
    }
}
