//! Answers per second, and durations of answered calls.

use super::super::statistics::{Estimate, arithmetic_mean, geometric_mean};
use super::samples::Load;
use super::{Judged, Judgement, Row};
use crate::lab::histogram::RELATIVE_WIDTH;
use crate::lab::report::Figures;
use crate::lab::summary::{rate, time};

/// The answers that have to lie beyond a percentile in each sample: with fewer, it is about the longest duration.
const ENOUGH_BEYOND: u64 = 5;

/// A percentile of durations.
struct Percentile {
    measure: &'static str,
    /// One of so many answers takes longer.
    one_in: u64,
    of: fn(&Figures) -> Option<f64>,
}

const PERCENTILES: [Percentile; 3] = [
    Percentile { measure: "p50", one_in: 2, of: |figures| figures.p50_us },
    Percentile { measure: "p90", one_in: 10, of: |figures| figures.p90_us },
    Percentile { measure: "p99", one_in: 100, of: |figures| figures.p99_us },
];

pub(super) fn rows(load: &Load, threshold: f64) -> Vec<Row> {
    let percentiles = PERCENTILES.iter().map(|percentile| percentile.row(load, threshold));
    [throughput(load, threshold)].into_iter().chain(percentiles).collect()
}

/// Compares answers per second. None at all is a figure too.
fn throughput(load: &Load, threshold: f64) -> Row {
    let of = |figures: &[Figures]| -> Vec<f64> { figures.iter().map(|figures| figures.throughput).collect() };
    let means = load.sides.each_ref().map(|side| arithmetic_mean(&of(&side.runs)));
    let [before, after] = load.sides.each_ref().map(|side| of(&side.samples));
    let estimate = around(Estimate::of_arithmetic_means(&before, &after), means);
    let judged = match load.sides.each_ref().map(|side| side.runs_without_answers() > 0) {
        _ if means.contains(&None) => Judged::plainly(Judgement::Unknown),
        // A run that answered nothing is no scatter of one that did.
        [false, true] => Judged { ratio: estimate, chance: Some(0.0), verdict: Judgement::Worse },
        [true, false] => Judged { ratio: estimate, chance: Some(0.0), verdict: Judgement::Better },
        [true, true] if means == [Some(0.0); 2] => Judged::plainly(Judgement::Same),
        _ => by_ratio(estimate, threshold, true),
    };
    judged.row(&load.name, "answers per second", means.map(|mean| mean.map_or_else(String::new, rate)))
}

impl Percentile {
    fn row(&self, load: &Load, threshold: f64) -> Row {
        let means = load.sides.each_ref().map(|side| {
            let known: Vec<f64> = side.runs.iter().filter_map(self.of).collect();
            geometric_mean(&known)
        });
        let enough = |figures: &Figures| {
            let is_enough = figures.answered >= ENOUGH_BEYOND * self.one_in;
            (self.of)(figures).filter(|_| is_enough)
        };
        // A sample without the figure is not left out: the others alone would tell of the better ones.
        let samples = load.sides.each_ref().map(|side| side.samples.iter().map(enough).collect::<Option<Vec<f64>>>());
        let estimate = match samples {
            [Some(before), Some(after)] => around(Estimate::of_geometric_means(&before, &after, RELATIVE_WIDTH), means),
            _ => None,
        };
        by_ratio(estimate, threshold, false).row(&load.name, self.measure, means.map(time))
    }
}

/// Returns the estimate around the ratio of whole runs.
fn around(estimate: Option<Estimate>, means: [Option<f64>; 2]) -> Option<Estimate> {
    match means {
        [Some(before), Some(after)] if before > 0.0 && estimate.is_some_and(|estimate| estimate.ratio > 0.0) => {
            estimate.map(|estimate| estimate.around(after / before))
        }
        _ => estimate,
    }
}

/// Judges a ratio. What cannot be estimated is unknown.
fn by_ratio(estimate: Option<Estimate>, threshold: f64, more_is_better: bool) -> Judged {
    let verdict = match &estimate {
        None => Judgement::Unknown,
        Some(estimate) if !estimate.differs(threshold) => Judgement::Same,
        Some(estimate) => Judgement::of((estimate.ratio > 1.0) == more_is_better),
    };
    Judged { ratio: estimate, chance: estimate.map(|estimate| estimate.chance), verdict }
}
