//! The events and calls of a scenario, with their times.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use wasmcloud_host::EventKind;

/// An event, at its time since the scenario began.
pub(crate) struct Entry {
    pub(crate) at: Duration,
    pub(crate) name: &'static str,
    pub(crate) kind: EventKind,
    /// The kind in words, with names instead of keys.
    pub(crate) text: String,
}

/// A call and its outcome.
pub(crate) struct Call {
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// It was answered as expected.
    Answered,
    /// It failed with an error.
    Failed {
        /// The kind of error.
        why: String,
        text: String,
    },
    /// It did not end, or was answered otherwise.
    Lost(String),
}

/// The results of a scenario.
pub(crate) struct Report {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) entries: Vec<Entry>,
    pub(crate) calls: Vec<Call>,
    pub(crate) expectations: Vec<Expectation>,
}

/// An expected outcome of a scenario.
pub(crate) struct Expectation {
    pub(crate) what: String,
    pub(crate) met: bool,
}

/// The numbers of calls by outcome. They add up to the number of calls offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) offered: usize,
    pub(crate) answered: usize,
    pub(crate) failed: usize,
    pub(crate) lost: usize,
}

impl Report {
    pub(crate) fn is_as_expected(&self) -> bool {
        self.expectations.iter().all(|expectation| expectation.met)
    }

    pub(crate) fn counts(&self) -> Counts {
        let count = |is: fn(&Outcome) -> bool| self.calls.iter().filter(|call| is(&call.outcome)).count();
        Counts {
            offered: self.calls.len(),
            answered: count(|outcome| matches!(outcome, Outcome::Answered)),
            failed: count(|outcome| matches!(outcome, Outcome::Failed { .. })),
            lost: count(|outcome| matches!(outcome, Outcome::Lost(_))),
        }
    }

    /// The calls that failed: how long each took, why, and in which words.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (Duration, &str, &str)> {
        self.calls.iter().filter_map(|call| match &call.outcome {
            Outcome::Failed { why, text } => Some((call.ended.saturating_sub(call.began), why.as_str(), text.as_str())),
            _ => None,
        })
    }

    /// Returns the number of events of a kind about one entity.
    pub(crate) fn times(&self, name: &str, is_it: impl Fn(&EventKind) -> bool) -> usize {
        self.entries.iter().filter(|entry| entry.name == name && is_it(&entry.kind)).count()
    }

    /// Returns the number of failed calls for each reason.
    pub(crate) fn reasons(&self) -> BTreeMap<&str, usize> {
        let mut reasons = BTreeMap::new();
        self.failures().for_each(|(_, why, _)| *reasons.entry(why).or_default() += 1);
        reasons
    }
}

impl Expectation {
    pub(crate) fn new(what: impl Into<String>, met: bool) -> Expectation {
        Expectation { what: what.into(), met }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.2} ms  {:<10} {}", milliseconds(self.at), self.name, self.text)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "== {}: {}", self.name, self.about)?;
        self.entries.iter().try_for_each(|entry| writeln!(f, "{entry}"))?;
        let Counts { offered, answered, failed, lost } = self.counts();
        write!(f, "   offered {offered}, answered {answered}, failed {failed}, lost {lost}")?;
        let reasons: Vec<String> = self.reasons().into_iter().map(|(why, times)| format!("{why} {times}")).collect();
        writeln!(f, "{}", if reasons.is_empty() { String::new() } else { format!("  ({})", reasons.join(", ")) })?;
        for Expectation { what, met } in &self.expectations {
            writeln!(f, "   {}: {what}", if *met { "as expected" } else { "NOT AS EXPECTED" })?;
        }
        writeln!(f)
    }
}

/// Returns an event in words.
pub(crate) fn describe(kind: &EventKind) -> String {
    match kind {
        EventKind::HostStarted | EventKind::Started => "started".to_owned(),
        EventKind::HostStopped | EventKind::Stopped => "stopped".to_owned(),
        EventKind::Crashed { cause } => format!("crashed: {cause}"),
        EventKind::Interrupted { cause } => format!("interrupted: {cause}"),
        EventKind::Restarted { attempt, delay } => format!("restarted, attempt {attempt} after a delay of {delay:.1?}"),
        EventKind::Failed { reason } => format!("failed: {reason}"),
        EventKind::Updated { from, to } => format!("updated from revision {from} to {to}"),
        EventKind::UpdateRefused { reason } => format!("update refused: {reason}"),
        EventKind::Scaled { instances } => format!("scaled to {instances} instances"),
        EventKind::Linked { contract_id, .. } => format!("linked to {contract_id}"),
        EventKind::Unlinked { contract_id, .. } => format!("unlinked from {contract_id}"),
        EventKind::LinkRefused { contract_id, reason, .. } => format!("link to {contract_id} refused: {reason}"),
        EventKind::LimitBreached { message, .. } => format!("limit breached: {message}"),
        EventKind::Injected { fault } => format!("injected: {fault}"),
        other => format!("{other:?}"),
    }
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
