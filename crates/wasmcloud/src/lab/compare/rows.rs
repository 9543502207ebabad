//! The figures that are compared, and what their differences mean.

use serde::Serialize;

use super::statistics::{Estimate, Sample, estimate, shares_differ};
use crate::lab::report::{Block, EventCounts, LoadReport, Report, RunReport};
use crate::lab::summary::{rate, time};

/// The runs from which on each run is one sample. With fewer, samples are stretches of a run.
pub(super) const ENOUGH_RUNS: usize = 3;

/// A figure of both reports.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    pub(super) load: String,
    pub(super) measure: &'static str,
    /// The figures as they are shown.
    pub(super) before: String,
    pub(super) after: String,
    /// The ratio with its confidence interval, if the figure is a quantity.
    pub(super) ratio: Option<Estimate>,
    pub(super) verdict: Judgement,
}

/// What a difference means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Judgement {
    Better,
    Worse,
    /// No difference that matters, and that chance cannot explain.
    Same,
    /// It differs, and neither is better by itself.
    Differs,
    /// There is too little to judge by.
    Unknown,
}

impl Judgement {
    /// Returns the word for it on a terminal.
    pub(super) fn words(self) -> &'static str {
        match self {
            Judgement::Better => "better",
            Judgement::Worse => "WORSE",
            Judgement::Same => "no clear difference",
            Judgement::Differs => "differs",
            Judgement::Unknown => "too little to judge",
        }
    }
}

/// A quantity of a load.
struct Quantity {
    measure: &'static str,
    of_load: fn(&LoadReport) -> Option<f64>,
    of_block: fn(&Block) -> Option<f64>,
    shown: fn(Option<f64>) -> String,
    more_is_better: bool,
}

const QUANTITIES: [Quantity; 4] = [
    Quantity {
        measure: "answers per second",
        of_load: |load| Some(load.throughput),
        of_block: |block| Some(block.throughput),
        shown: |value| value.map_or_else(String::new, rate),
        more_is_better: true,
    },
    Quantity {
        measure: "p50",
        of_load: |load| load.latency.p50_us,
        of_block: |block| block.p50_us,
        shown: time,
        more_is_better: false,
    },
    Quantity {
        measure: "p90",
        of_load: |load| load.latency.p90_us,
        of_block: |block| block.p90_us,
        shown: time,
        more_is_better: false,
    },
    Quantity {
        measure: "p99",
        of_load: |load| load.latency.p99_us,
        of_block: |block| block.p99_us,
        shown: time,
        more_is_better: false,
    },
];

/// Compares the loads of a name.
pub(super) fn rows_of_load(name: &str, before: &Report, after: &Report, threshold: f64) -> Vec<Row> {
    let of = |report: &Report| -> Vec<LoadReport> {
        let loads = report.runs.iter().flat_map(|run| &run.loads);
        loads.filter(|load| load.name == name).cloned().collect()
    };
    let (before, after) = (of(before), of(after));
    let mut rows: Vec<Row> = QUANTITIES.iter().map(|quantity| quantity.row(name, &before, &after, threshold)).collect();
    rows.extend(rows_of_outcomes(name, &before, &after));
    rows
}

impl Quantity {
    fn row(&self, load: &str, before: &[LoadReport], after: &[LoadReport], threshold: f64) -> Row {
        let by_runs = before.len().min(after.len()) >= ENOUGH_RUNS;
        let sample = |loads: &[LoadReport]| -> Sample {
            if by_runs {
                return Sample::of(loads.iter().filter_map(self.of_load));
            }
            Sample::of(loads.iter().flat_map(|load| &load.blocks).filter_map(self.of_block))
        };
        let [of_before, of_after] =
            [before, after].map(|loads| Sample::of(loads.iter().filter_map(self.of_load)).middle());
        let ratio = match (of_before, of_after) {
            (Some(of_before), Some(of_after)) => {
                estimate(&sample(before), &sample(after)).map(|ratio| ratio.around(of_after / of_before))
            }
            _ => None,
        };
        let verdict = match &ratio {
            None => Judgement::Unknown,
            Some(ratio) if !ratio.differs(threshold) => Judgement::Same,
            Some(ratio) if (ratio.ratio > 1.0) == self.more_is_better => Judgement::Better,
            Some(_) => Judgement::Worse,
        };
        Row {
            load: load.to_owned(),
            measure: self.measure,
            before: (self.shown)(of_before),
            after: (self.shown)(of_after),
            ratio,
            verdict,
        }
    }
}

/// The shares of calls that failed and that were lost.
fn rows_of_outcomes(name: &str, before: &[LoadReport], after: &[LoadReport]) -> Vec<Row> {
    let row = |measure, of: fn(&LoadReport) -> u64| {
        let count = |loads: &[LoadReport]| -> (u64, u64) {
            (loads.iter().map(of).sum(), loads.iter().map(|load| load.calls).sum())
        };
        let (before, after) = (count(before), count(after));
        let share = |(part, all): (u64, u64)| part as f64 / all.max(1) as f64;
        let verdict = match (shares_differ(before, after), share(after) > share(before)) {
            (false, _) => Judgement::Same,
            (true, true) => Judgement::Worse,
            (true, false) => Judgement::Better,
        };
        let shown = |(part, all): (u64, u64)| format!("{part} of {all}");
        Row { load: name.to_owned(), measure, before: shown(before), after: shown(after), ratio: None, verdict }
    };
    vec![row("failed", |load| load.failed), row("lost", |load| load.lost)]
}

/// The events of all actors and providers. More or fewer of them are neither better nor worse by themselves.
pub(super) fn rows_of_events(before: &Report, after: &Report) -> Vec<Row> {
    type Count = fn(&EventCounts) -> u64;
    let kinds: [(&'static str, Count); 4] = [
        ("crashes", |counts| counts.crashes),
        ("interruptions", |counts| counts.interruptions),
        ("restarts", |counts| counts.restarts),
        ("given up", |counts| counts.given_up),
    ];
    let row = |(measure, of): (&'static str, Count)| {
        let each = |report: &Report| -> Vec<u64> {
            let sum = |run: &RunReport| run.entities.iter().map(|entity| of(&entity.counts)).sum();
            report.runs.iter().map(sum).collect()
        };
        let (before, after) = (each(before), each(after));
        let is_same = range(&before) == range(&after);
        let shown = |counts: &[u64]| match range(counts) {
            Some((least, most)) if least != most => format!("{least} to {most}"),
            Some((least, _)) => least.to_string(),
            None => String::new(),
        };
        let verdict = if is_same { Judgement::Same } else { Judgement::Differs };
        Row { load: String::new(), measure, before: shown(&before), after: shown(&after), ratio: None, verdict }
    };
    kinds.map(row).into()
}

fn range(counts: &[u64]) -> Option<(u64, u64)> {
    Some((*counts.iter().min()?, *counts.iter().max()?))
}
