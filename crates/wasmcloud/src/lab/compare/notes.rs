//! What makes the figures of two reports less comparable, in words.

use super::rows::{ENOUGH_RUNS, Judgement, Load, Row, worse_among_all};
use crate::lab::check::count;
use crate::lab::machine::Machine;
use crate::lab::report::Report;

const NAMES: [&str; 2] = ["before", "after"];

/// The runs from which on shares that scatter can be judged by their order alone.
const ENOUGH_FOR_SHARES: usize = 5;

/// Returns the notes on a comparison.
pub(super) fn notes(before: &Report, after: &Report, loads: &[Load], rows: &[Row]) -> Vec<String> {
    let mut notes = origins(before, after);
    for (report, name) in [before, after].into_iter().zip(NAMES) {
        notes.extend(of_report(report, name));
    }
    notes.extend(runs(before.runs.len().min(after.runs.len())));
    for (one, other, missing) in [(before, after, "after"), (after, before, "before")] {
        let names = one.load_names().filter(|name| !other.load_names().any(|known| known == *name));
        notes.extend(names.map(|name| format!("the load {name} is missing {missing}")));
    }
    notes.extend(loads.iter().flat_map(of_load));
    notes.extend(by_chance(rows));
    notes
}

/// Returns what differs in where the figures come from.
fn origins(before: &Report, after: &Report) -> Vec<String> {
    let of = |report: &Report| {
        let machine = &report.machine;
        [
            ("machine", machine.summary()),
            ("kernel", machine.kernel.clone().unwrap_or_default()),
            ("memory", machine.memory()),
            ("release", report.version.clone()),
            ("plan", report.plan.digest.clone()),
            ("manifest", report.manifest.digest.clone()),
            ("seed", report.seed.to_string()),
        ]
    };
    let both = of(before).into_iter().zip(of(after)).filter(|(one, other)| one != other);
    both.map(|((what, one), (_, other))| {
        let [one, other] = [one, other].map(|text| if text.is_empty() { "unknown".to_owned() } else { text });
        format!("the {what} differs: {one} before, {other} after")
    })
    .collect()
}

fn of_report(report: &Report, name: &str) -> Vec<String> {
    let mut notes = Vec::new();
    if report.interrupted {
        notes.push(format!("the experiment {name} was interrupted"));
    }
    if let Some(failure) = &report.failure {
        notes.push(format!("the experiment {name} was not finished: {failure}"));
    }
    if !report.machine.optimized {
        notes.push(format!("the program {name} was built without optimisations"));
    }
    if let Machine { load_before: Some(load), processors: Some(processors), .. } = report.machine
        && load > processors as f64
    {
        notes.push(format!("the machine was busy {name}: {load} processes wanted to run on {processors} processors"));
    }
    if report.events_missed() > 0 {
        let missed = report.events_missed();
        notes.push(format!("{missed} events were missed {name}: counts of events are too small, and are not judged"));
    }
    notes
}

/// Returns what a number of runs, the smaller one of both reports, does not tell.
fn runs(number: usize) -> Option<String> {
    if number < ENOUGH_RUNS {
        let what =
            "a report has fewer than 3 runs: the samples are stretches of runs, which know nothing of how runs differ";
        return Some(format!("{what}: use --runs 5"));
    }
    let few =
        "a report has fewer than 5 runs: shares of calls that scatter between runs cannot be judged: use --runs 5";
    (number < ENOUGH_FOR_SHARES).then(|| few.to_owned())
}

fn of_load(load: &Load) -> Vec<String> {
    let mut notes = Vec::new();
    for (side, name) in load.sides.iter().zip(NAMES) {
        let all = side.run_count() + side.runs_without_calls;
        if side.runs_without_calls > 0 {
            let what = format!("made no calls in {} of {}", side.runs_without_calls, count(all, "run"));
            notes.push(format!("the load {} {what} {name}, which are left out", load.name));
        }
        if side.runs_without_answers() > 0 {
            let what = format!("no call was answered in {} of {}", side.runs_without_answers(), count(all, "run"));
            notes.push(format!("{what} {name} of the load {}: its latencies are not judged", load.name));
        }
    }
    notes
}

/// Returns how many verdicts chance explains, among so many.
fn by_chance(rows: &[Row]) -> Option<String> {
    let worse = rows.iter().filter(|row| row.verdict == Judgement::Worse).count();
    let explained = worse - worse_among_all(rows);
    let (figures, are) = if explained == 1 { ("figure", "is") } else { ("figures", "are") };
    (explained > 0).then(|| {
        let all = rows.len();
        format!("{explained} {figures} that {are} worse may be so by chance among {all}: --fail-if-worse does not count them")
    })
}
