//! What is expected of an experiment, and whether it is so.
//!
//! # Layout
//! - `comparison`: what figures are compared with

mod comparison;
#[cfg(test)]
mod tests;

use std::fmt;

use wasmcloud_core::error::ErrorKind;

use super::entity_name::EntityName;
use super::report::{EntityReport, EventCounts, LoadReport, RunReport, Verdict};
use comparison::{Comparison, Figures};

/// An expectation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expectation {
    pub(super) scope: Scope,
    measure: Measure,
    comparison: Comparison,
}

/// What an expectation concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    /// All loads together, and all actors and providers.
    All,
    /// A load, by its name.
    Load(String),
    /// An actor or provider with faults.
    Entity(EntityName),
}

/// What is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Measure {
    Calls,
    Answered,
    Failed,
    Lost,
    /// The calls that failed with a kind of error.
    FailedWith(String),
    Throughput,
    P50,
    P90,
    P99,
    P999,
    Max,
    Injected,
    Crashes,
    Interruptions,
    Restarts,
    GivenUp,
}

/// The measures of calls, and of actors and providers.
const CALLS: [(&str, Measure); 10] = [
    ("calls", Measure::Calls),
    ("answered", Measure::Answered),
    ("failed", Measure::Failed),
    ("lost", Measure::Lost),
    ("throughput", Measure::Throughput),
    ("p50", Measure::P50),
    ("p90", Measure::P90),
    ("p99", Measure::P99),
    ("p999", Measure::P999),
    ("max", Measure::Max),
];
const ENTITIES: [(&str, Measure); 5] = [
    ("injected", Measure::Injected),
    ("crashes", Measure::Crashes),
    ("interruptions", Measure::Interruptions),
    ("restarts", Measure::Restarts),
    ("given_up", Measure::GivenUp),
];

/// Reads an expectation: the name of a measure, and what it is compared with: `0`, `<= 20ms`, `>= 99%`, `10..20`.
///
/// # Errors
/// The reason.
pub(super) fn read(scope: &Scope, name: &str, text: &str) -> Result<Expectation, String> {
    let measure = measure(scope, name)?;
    let comparison = Comparison::read(measure.figures(), text.trim())?;
    Ok(Expectation { scope: scope.clone(), measure, comparison })
}

fn measure(scope: &Scope, name: &str) -> Result<Measure, String> {
    let known = CALLS.iter().filter(|_| !matches!(scope, Scope::Entity(_)));
    let known: Vec<&(&str, Measure)> =
        known.chain(ENTITIES.iter().filter(|_| !matches!(scope, Scope::Load(_)))).collect();
    if let Some((_, measure)) = known.iter().find(|(known, _)| *known == name) {
        return Ok(measure.clone());
    }
    let is_kind = ErrorKind::from_name(name).is_some() || is_outcome(name);
    if is_kind && !matches!(scope, Scope::Entity(_)) {
        return Ok(Measure::FailedWith(name.to_owned()));
    }
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let meant = wasmcloud_document::closest(name, &names).map(|meant| format!(": did you mean {meant}?"));
    Err(format!(
        "the measure is unknown{} (known measures: {}{})",
        meant.unwrap_or_default(),
        names.join(", "),
        if matches!(scope, Scope::Entity(_)) { "" } else { ", and kinds of errors such as ActorTrapped" }
    ))
}

/// Returns whether a name is that of an outcome of HTTP, or of a lost call.
fn is_outcome(name: &str) -> bool {
    let status = name.strip_prefix("Http").is_some_and(|status| status.len() == 3 && status.parse::<u16>().is_ok());
    status || ["HttpConnection", "HttpTimeout", "NeverEnded", "WrongAnswer"].contains(&name)
}

impl Expectation {
    /// Returns what is expected, and of what.
    pub(super) fn in_words(&self) -> String {
        self.scope.name().map_or_else(|| self.to_string(), |scope| format!("{self} of {scope}"))
    }

    /// Returns whether all runs are as expected. `number_of` returns the number of an entity in each run.
    pub(super) fn judge(&self, runs: &[RunReport], number_of: impl Fn(&EntityName) -> Option<usize>) -> Verdict {
        let mut met = !runs.is_empty();
        let mut found = Vec::new();
        for run in runs {
            let figure = self.figure(run, &number_of);
            met &= figure.is_some_and(|figure| self.comparison.holds(figure));
            found.push(figure.map_or_else(|| "unknown".to_owned(), |figure| self.comparison.text(figure)));
        }
        Verdict { expected: self.to_string(), scope: self.scope.name(), found, met }
    }

    /// Returns the figure of a run, in the unit of the comparison. `None` if it was not measured.
    fn figure(&self, run: &RunReport, number_of: impl Fn(&EntityName) -> Option<usize>) -> Option<f64> {
        let counts = |of: fn(&EventCounts) -> u64| -> Option<f64> {
            let entities: Vec<&EntityReport> = match &self.scope {
                Scope::Entity(name) => vec![run.entities.get(number_of(name)?)?],
                _ => run.entities.iter().collect(),
            };
            // A count that lacks events decides nothing.
            (run.events_missed == 0).then(|| entities.iter().map(|entity| of(&entity.counts)).sum::<u64>() as f64)
        };
        match &self.measure {
            Measure::Injected => counts(|counts| counts.injected),
            Measure::Crashes => counts(|counts| counts.crashes),
            Measure::Interruptions => counts(|counts| counts.interruptions),
            Measure::Restarts => counts(|counts| counts.restarts),
            Measure::GivenUp => counts(|counts| counts.given_up),
            _ => self.figure_of_calls(run),
        }
    }

    fn figure_of_calls(&self, run: &RunReport) -> Option<f64> {
        let loads: Vec<&LoadReport> = match &self.scope {
            Scope::Load(name) => run.loads.iter().filter(|load| load.name == *name).collect(),
            _ => run.loads.iter().collect(),
        };
        let sum = |of: fn(&LoadReport) -> u64| loads.iter().map(|load| of(load)).sum::<u64>() as f64;
        let worst = |of: fn(&LoadReport) -> Option<f64>| {
            // A load whose calls were not answered is no better than the others: its durations are unknown.
            let called = loads.iter().filter(|load| load.calls > 0).map(|load| of(load));
            called.collect::<Option<Vec<f64>>>()?.into_iter().reduce(f64::max)
        };
        let calls = sum(|load| load.calls);
        let count = match &self.measure {
            Measure::Calls => calls,
            Measure::Answered => sum(|load| load.answered),
            Measure::Failed => sum(|load| load.failed),
            Measure::Lost => sum(|load| load.lost),
            Measure::FailedWith(kind) => {
                let outcomes = loads.iter().flat_map(|load| &load.outcomes);
                outcomes.filter(|outcome| outcome.kind == *kind).map(|outcome| outcome.count).sum::<u64>() as f64
            }
            Measure::Throughput => match &self.scope {
                Scope::Load(_) => loads.iter().map(|load| load.throughput).sum(),
                _ => run.throughput(),
            },
            Measure::P50 => return worst(|load| load.latency.p50_us),
            Measure::P90 => return worst(|load| load.latency.p90_us),
            Measure::P99 => return worst(|load| load.latency.p99_us),
            Measure::P999 => return worst(|load| load.latency.p999_us),
            Measure::Max => return worst(|load| load.latency.max_us),
            _ => return None,
        };
        match self.comparison.is_share() {
            true if calls == 0.0 => None,
            true => Some(count / calls * 100.0),
            false => Some(count),
        }
    }
}

impl Scope {
    fn name(&self) -> Option<String> {
        match self {
            Scope::All => None,
            Scope::Load(name) => Some(name.clone()),
            Scope::Entity(entity) => Some(entity.as_str().to_owned()),
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.measure.name(), self.comparison)
    }
}

impl Measure {
    /// Returns the kind of its figures.
    fn figures(&self) -> Figures {
        match self {
            Measure::P50 | Measure::P90 | Measure::P99 | Measure::P999 | Measure::Max => Figures::Times,
            Measure::Throughput => Figures::Rates,
            Measure::Answered | Measure::Failed | Measure::Lost | Measure::FailedWith(_) => Figures::CountsAndShares,
            _ => Figures::Counts,
        }
    }

    fn name(&self) -> &str {
        match self {
            Measure::FailedWith(kind) => kind,
            known => CALLS.iter().chain(&ENTITIES).find(|(_, measure)| measure == known).map_or("", |(name, _)| name),
        }
    }
}
