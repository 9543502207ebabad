//! The events of all actors and providers. More or fewer of them are neither better nor worse by themselves.

use super::super::statistics::{Certainty, NORMAL, arithmetic_mean, order};
use super::samples::ENOUGH_RUNS;
use super::{Judged, Judgement, Row};
use crate::lab::report::{EventCounts, Report, RunReport};

/// A kind of event.
struct Kind {
    measure: &'static str,
    of: fn(&EventCounts) -> u64,
}

const KINDS: [Kind; 4] = [
    Kind { measure: "crashes", of: |counts| counts.crashes },
    Kind { measure: "interruptions", of: |counts| counts.interruptions },
    Kind { measure: "restarts", of: |counts| counts.restarts },
    Kind { measure: "given up", of: |counts| counts.given_up },
];

pub(super) fn rows(before: &Report, after: &Report) -> Vec<Row> {
    let are_complete = [before, after].iter().all(|report| report.events_missed() == 0);
    let row = |kind: &Kind| {
        let counts = [before, after].map(|report| -> Vec<u64> {
            let sum = |run: &RunReport| {
                run.entities.iter().map(|entity| (kind.of)(&entity.counts)).fold(0, u64::saturating_add)
            };
            report.runs.iter().map(sum).collect()
        });
        // Counts that lack events decide nothing.
        let verdict = if are_complete { judge(&counts) } else { Judgement::Unknown };
        Judged::plainly(verdict).row("", kind.measure, counts.map(|counts| shown(&counts)))
    };
    KINDS.iter().map(row).collect()
}

/// Judges the counts of each run.
fn judge(counts: &[Vec<u64>; 2]) -> Judgement {
    let counts = counts.each_ref().map(|counts| counts.iter().map(|count| *count as f64).collect::<Vec<f64>>());
    let [before, after] = &counts;
    let (Some(of_before), Some(of_after)) = (arithmetic_mean(before), arithmetic_mean(after)) else {
        return Judgement::Unknown;
    };
    if of_before == of_after {
        return Judgement::Same;
    }
    if before.len().min(after.len()) < ENOUGH_RUNS {
        // Counts of single events scatter by their roots.
        let error = (of_before / before.len() as f64 + of_after / after.len() as f64).sqrt();
        return if (of_after - of_before).abs() > NORMAL * error { Judgement::Differs } else { Judgement::Unknown };
    }
    let order = if of_before < of_after { order(before, after) } else { order(after, before) };
    match order.map(|order| order.certainty) {
        None | Some(Certainty::Unsure) => Judgement::Unknown,
        Some(Certainty::Chance) => Judgement::Same,
        Some(Certainty::Sure) => Judgement::Differs,
    }
}

fn shown(counts: &[u64]) -> String {
    match (counts.iter().min(), counts.iter().max()) {
        (Some(least), Some(most)) if least != most => format!("{least} to {most}"),
        (Some(least), _) => least.to_string(),
        _ => String::new(),
    }
}
