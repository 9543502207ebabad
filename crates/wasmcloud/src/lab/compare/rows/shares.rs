//! The shares of calls that failed and that were lost. Calls fail together, so that a run or stretch is one measurement, however
//! many calls it has.

use super::super::statistics::{Certainty, order};
use super::samples::Load;
use super::{Judged, Judgement, Row};
use crate::lab::report::Figures;

pub(super) fn rows(load: &Load, threshold: f64) -> Vec<Row> {
    vec![row(load, "failed", |figures| figures.failed, threshold), row(load, "lost", |figures| figures.lost, threshold)]
}

fn row(load: &Load, measure: &'static str, part: fn(&Figures) -> u64, threshold: f64) -> Row {
    let totals = load.sides.each_ref().map(|side| Total {
        part: side.runs.iter().map(part).fold(0, u64::saturating_add),
        calls: side.runs.iter().map(Figures::calls).fold(0, u64::saturating_add),
    });
    // A stretch in which no call ended has no share.
    let samples = load.sides.each_ref().map(|side| -> Vec<f64> {
        side.samples
            .iter()
            .filter_map(|figures| Total { part: part(figures), calls: figures.calls() }.share())
            .collect()
    });
    let judged = match totals.each_ref().map(Total::share) {
        [Some(before), Some(after)] => judge(after - before, &samples, threshold),
        _ => Judged::plainly(Judgement::Unknown),
    };
    judged.row(&load.name, measure, totals.map(|Total { part, calls }| format!("{part} of {calls}")))
}

/// The calls that something became of, and all calls.
struct Total {
    part: u64,
    calls: u64,
}

impl Total {
    fn share(&self) -> Option<f64> {
        (self.calls > 0).then(|| self.part as f64 / self.calls as f64)
    }
}

/// Judges by how much the share of all calls has grown.
fn judge(growth: f64, [before, after]: &[Vec<f64>; 2], threshold: f64) -> Judged {
    let order = if growth > 0.0 { order(before, after) } else { order(after, before) };
    let verdict = match order.map(|order| order.certainty) {
        _ if growth == 0.0 || growth.abs() < threshold => Judgement::Same,
        None | Some(Certainty::Unsure) => Judgement::Unknown,
        Some(Certainty::Chance) => Judgement::Same,
        Some(Certainty::Sure) => Judgement::of(growth < 0.0),
    };
    Judged { ratio: None, chance: order.map(|order| order.chance), verdict }
}
