//! The result of an experiment, as it is kept in reports. Times are in microseconds since the beginning of a run.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::histogram::Histogram;
use super::machine::Machine;

/// The format of reports. Another number means that older programs cannot read it.
pub(super) const FORMAT: &str = "wasmcloud.lab.report/1";

/// The most runs of a plan, and the most loads of a run.
pub(super) const MOST_RUNS: usize = 100;
pub(super) const MOST_LOADS: usize = 32;

/// The stretches of time of a load that a comparison takes its samples from.
pub(super) const BLOCKS: usize = 10;

/// The size of the largest report that is read, in bytes.
pub(super) const LARGEST: usize = 256 * 1024 * 1024;

/// The result of an experiment.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) format: String,
    /// The name of the plan.
    pub(super) name: String,
    /// The release of the program.
    pub(super) version: String,
    /// Milliseconds since 1970.
    pub(super) began_at: u64,
    pub(super) seed: u64,
    pub(super) plan: SourceFile,
    pub(super) manifest: SourceFile,
    pub(super) machine: Machine,
    /// Whether the experiment was ended before its time.
    pub(super) interrupted: bool,
    /// Why the run after the last one could not be carried out.
    pub(super) failure: Option<String>,
    pub(super) runs: Vec<RunReport>,
    pub(super) expectations: Vec<Verdict>,
}

/// A file that determines an experiment.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct SourceFile {
    pub(super) file: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub(super) digest: String,
    /// The text, with variables as they are written. That of a manifest is not kept, since its values may be secrets.
    pub(super) text: Option<String>,
}

/// One run of a plan, with a host of its own.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct RunReport {
    /// The seed of its random faults: a plan with this seed begins with the same faults.
    pub(super) seed: u64,
    pub(super) duration_us: f64,
    pub(super) loads: Vec<LoadReport>,
    pub(super) entities: Vec<EntityReport>,
    /// The first events. The counts of entities hold all.
    pub(super) events: Vec<EventReport>,
    pub(super) events_left_out: u64,
    /// Events that the experiment was too slow to take. Counts of events are too small by them.
    pub(super) events_missed: u64,
}

/// A load of a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct LoadReport {
    pub(super) name: String,
    /// What is called: the actor and operation, or the method and URL.
    pub(super) target: String,
    /// How it is called.
    pub(super) pace: String,
    pub(super) began_us: f64,
    pub(super) duration_us: f64,
    pub(super) calls: u64,
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) lost: u64,
    /// The calls that the plan asks for and that were not begun: the experiment was interrupted, or all callers were busy long after
    /// they were due.
    pub(super) not_begun: u64,
    /// Answers per second, from its beginning to the end of its last call.
    pub(super) throughput: f64,
    /// How much later than a call was due its caller woke up. That is no time in the queue: this machine was busy.
    pub(super) latest_wake_us: f64,
    pub(super) latency: Latency,
    pub(super) failure_latency: Latency,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) slots: Slots,
    pub(super) blocks: Vec<Figures>,
}

/// The distribution of durations.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Latency {
    pub(super) p50_us: Option<f64>,
    pub(super) p90_us: Option<f64>,
    pub(super) p99_us: Option<f64>,
    pub(super) p999_us: Option<f64>,
    pub(super) max_us: Option<f64>,
    /// The buckets that are not empty: the beginning and the end in microseconds, and the count.
    pub(super) buckets: Vec<(f64, f64, u64)>,
}

/// The calls that failed or were lost in one way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) kind: String,
    pub(super) count: u64,
    pub(super) first_us: f64,
    /// The text of the first one.
    pub(super) example: String,
    pub(super) is_loss: bool,
}

/// A load over time: a value for each slot of the same width.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Slots {
    pub(super) width_us: f64,
    pub(super) answered: Vec<u64>,
    pub(super) failed: Vec<u64>,
    pub(super) lost: Vec<u64>,
    pub(super) p50_us: Vec<Option<f64>>,
    pub(super) p99_us: Vec<Option<f64>>,
    pub(super) max_us: Vec<Option<f64>>,
}

/// The figures of a run or of a stretch of it, as a sample for comparisons.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Figures {
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) lost: u64,
    pub(super) throughput: f64,
    pub(super) p50_us: Option<f64>,
    pub(super) p90_us: Option<f64>,
    pub(super) p99_us: Option<f64>,
}

/// An actor or provider, and what happened to it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct EntityReport {
    /// The public key, and for a provider the link name after a slash.
    pub(super) key: String,
    pub(super) name: String,
    pub(super) is_provider: bool,
    pub(super) revision: i32,
    pub(super) instances: usize,
    /// The state at the end, in a word, and its reason.
    pub(super) state: String,
    pub(super) reason: Option<String>,
    pub(super) counts: EventCounts,
    pub(super) activity: Activity,
}

/// The events of an entity by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EventCounts {
    pub(super) injected: u64,
    pub(super) crashes: u64,
    pub(super) interruptions: u64,
    pub(super) restarts: u64,
    /// How often the supervisor gave it up.
    pub(super) given_up: u64,
}

/// The events of an entity over time: a count for each slot of the same width.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Activity {
    pub(super) width_us: f64,
    pub(super) injected: Vec<u64>,
    pub(super) crashed: Vec<u64>,
    pub(super) restarted: Vec<u64>,
}

/// An event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct EventReport {
    pub(super) at_us: f64,
    /// The number of the entity in the run. `None` for the host.
    pub(super) entity: Option<usize>,
    /// A word, as in the dashboard.
    pub(super) kind: String,
    pub(super) text: String,
}

/// An expectation, and whether it was met.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Verdict {
    /// What was expected, such as `lost = 0`.
    pub(super) expected: String,
    /// What it concerns. `None` for the experiment as a whole.
    pub(super) scope: Option<String>,
    /// What was found in each run.
    pub(super) found: Vec<String>,
    pub(super) met: bool,
}

impl Report {
    /// Returns the names of the loads.
    pub(super) fn load_names(&self) -> impl Iterator<Item = &String> {
        self.runs.first().into_iter().flat_map(|run| run.loads.iter().map(|load| &load.name))
    }

    /// Returns the number of events that were missed in all runs.
    pub(super) fn events_missed(&self) -> u64 {
        self.runs.iter().map(|run| run.events_missed).fold(0, u64::saturating_add)
    }

    /// Checks that the report has no more parts than an experiment can have: comparing more would take long.
    ///
    /// # Errors
    /// Which parts are too many.
    pub(super) fn check(&self) -> Result<(), String> {
        let within = |number: usize, limit: usize, what: &str| {
            if number <= limit { Ok(()) } else { Err(format!("it has {number} {what}, and the limit is {limit}")) }
        };
        within(self.runs.len(), MOST_RUNS, "runs")?;
        for run in &self.runs {
            within(run.loads.len(), MOST_LOADS, "loads in a run")?;
            for load in &run.loads {
                within(load.blocks.len(), BLOCKS, "stretches of a load")?;
            }
        }
        Ok(())
    }
}

impl RunReport {
    /// Returns the answers per second of all loads together, over the whole run.
    pub(super) fn throughput(&self) -> f64 {
        let answered: u64 = self.loads.iter().map(|load| load.answered).sum();
        if self.duration_us > 0.0 { answered as f64 / self.duration_us * 1e6 } else { 0.0 }
    }
}

impl From<&Histogram> for Latency {
    fn from(histogram: &Histogram) -> Latency {
        let of = |nanoseconds: f64| rounded(nanoseconds / 1000.0);
        let quantile = |share| histogram.quantile(share).map(of);
        Latency {
            p50_us: quantile(0.5),
            p90_us: quantile(0.9),
            p99_us: quantile(0.99),
            p999_us: quantile(0.999),
            max_us: histogram.longest().map(of),
            buckets: histogram
                .buckets()
                .map(|bucket| (of(bucket.from as f64), of(bucket.to as f64), bucket.count))
                .collect(),
        }
    }
}

/// Returns a time in microseconds.
pub(super) fn microseconds(time: Duration) -> f64 {
    rounded(time.as_nanos() as f64 / 1000.0)
}

/// Returns a number with three digits after the point: more are no figures of this clock.
pub(super) fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}
