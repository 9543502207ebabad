//! The figures that are compared, and what their differences mean.
//!
//! # Layout
//! - `samples`: the measurements of a load in both reports
//! - `quantities`, `shares`, `events`: the figures, and their verdicts

mod events;
mod quantities;
mod samples;
mod shares;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use serde::Serialize;

use super::statistics::{Estimate, LEVEL};
use crate::lab::report::Report;
pub(super) use samples::{ENOUGH_RUNS, Load};

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
    /// The probability that equal systems differ as much, if that was tested.
    pub(super) chance: Option<f64>,
    pub(super) verdict: Judgement,
}

/// What a difference means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Judgement {
    Better,
    Worse,
    /// The difference does not matter, or chance can explain it.
    Same,
    /// It differs by more than chance, and neither is better by itself.
    Differs,
    /// There is too little to judge by.
    Unknown,
}

/// The least differences that matter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thresholds {
    /// Of quantities, as a share of them.
    pub(super) ratio: f64,
    /// Of shares of calls. 0.01 is a percentage point.
    pub(super) share: f64,
}

/// The verdict on a figure, and the reasons for it.
struct Judged {
    ratio: Option<Estimate>,
    chance: Option<f64>,
    verdict: Judgement,
}

/// Compares two reports.
pub(super) fn rows(loads: &[Load], before: &Report, after: &Report, thresholds: Thresholds) -> Vec<Row> {
    let of_load = |load: &Load| {
        let mut rows = quantities::rows(load, thresholds.ratio);
        rows.extend(shares::rows(load, thresholds.share));
        rows
    };
    loads.iter().flat_map(of_load).chain(events::rows(before, after)).collect()
}

/// Returns how many figures are worse by more than chance does among all of them, by Holm's method: of many figures of equal
/// systems, some are worse by themselves.
pub(super) fn worse_among_all(rows: &[Row]) -> usize {
    let mut tested: Vec<&Row> = rows.iter().filter(|row| row.chance.is_some()).collect();
    tested.sort_by(|one, other| one.chance.partial_cmp(&other.chance).unwrap_or(Ordering::Equal));
    let number = tested.len();
    let holds = |place: usize, row: &Row| row.chance.is_some_and(|chance| chance <= LEVEL / (number - place) as f64);
    let holding = tested.iter().enumerate().take_while(|(place, row)| holds(*place, row));
    holding.filter(|(_, row)| row.verdict == Judgement::Worse).count()
}

impl Judged {
    /// Returns a verdict that follows from the figures themselves, without a test.
    fn plainly(verdict: Judgement) -> Judged {
        Judged { ratio: None, chance: None, verdict }
    }

    /// Returns the row of a figure.
    fn row(self, load: &str, measure: &'static str, [before, after]: [String; 2]) -> Row {
        let Judged { ratio, chance, verdict } = self;
        Row { load: load.to_owned(), measure, before, after, ratio, chance, verdict }
    }
}

impl Judgement {
    /// Returns the verdict on a difference that matters.
    fn of(is_better: bool) -> Judgement {
        if is_better { Judgement::Better } else { Judgement::Worse }
    }

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
