//! Every verdict, on figures whose differences are known.

use super::super::{Comparison, compare};
use super::*;
use crate::lab::report::{EntityReport, EventCounts, Figures, Latency, LoadReport, RunReport};

const THRESHOLDS: Thresholds = Thresholds { ratio: 0.05, share: 0.001 };

/// A run in which a load was answered so often in a second, with the same figures in each stretch of it.
fn run(throughput: f64) -> RunReport {
    with_outcomes(throughput, 1_000, 0, 0)
}

fn with_outcomes(throughput: f64, answered: u64, failed: u64, lost: u64) -> RunReport {
    let p50_us = (answered > 0).then_some(1e6 / throughput);
    let [few, bad, gone] = [answered, failed, lost].map(|number| number / 10);
    let block = Figures { answered: few, failed: bad, lost: gone, throughput, p50_us, p90_us: p50_us, p99_us: p50_us };
    let load = LoadReport {
        name: "callers".to_owned(),
        calls: answered.saturating_add(failed).saturating_add(lost),
        answered,
        failed,
        lost,
        throughput,
        latency: Latency { p50_us, p90_us: p50_us, p99_us: p50_us, ..Latency::default() },
        blocks: vec![block; 10],
        ..LoadReport::default()
    };
    RunReport { loads: vec![load], ..RunReport::default() }
}

/// A run without stretches: its load ended at once.
fn short(run: RunReport) -> RunReport {
    let loads = run.loads.into_iter().map(|load| LoadReport { blocks: Vec::new(), ..load }).collect();
    RunReport { loads, ..run }
}

fn failing(failed: u64) -> RunReport {
    with_outcomes(1_000.0, 10_000 - failed, failed, 0)
}

fn crashing(crashes: u64) -> RunReport {
    let counts = EventCounts { crashes, ..EventCounts::default() };
    RunReport { entities: vec![EntityReport { counts, ..EntityReport::default() }], ..run(1_000.0) }
}

fn report(runs: Vec<RunReport>) -> Report {
    Report { runs, ..Report::default() }
}

fn throughputs(values: [f64; 5]) -> Report {
    report(values.map(|value| if value > 0.0 { run(value) } else { with_outcomes(0.0, 0, 1_000, 0) }).into())
}

fn comparison(before: &Report, after: &Report) -> Comparison {
    compare([String::new(), String::new()], [before.clone(), after.clone()], THRESHOLDS)
}

fn row(before: &Report, after: &Report, measure: &str) -> Row {
    comparison(before, after).rows.into_iter().find(|row| row.measure == measure).unwrap()
}

fn verdict(before: &Report, after: &Report, measure: &str) -> Judgement {
    row(before, after, measure).verdict
}

const STEADY: [f64; 5] = [1_000.0, 1_010.0, 990.0, 1_005.0, 995.0];

#[test]
fn quantities_are_better_or_worse_by_their_direction() {
    let steady = throughputs(STEADY);
    let faster = throughputs(STEADY.map(|value| value * 1.2));
    for measure in ["answers per second", "p50", "p90", "p99"] {
        assert_eq!(verdict(&steady, &faster, measure), Judgement::Better, "{measure}");
        assert_eq!(verdict(&faster, &steady, measure), Judgement::Worse, "{measure}");
        assert_eq!(verdict(&steady, &steady, measure), Judgement::Same, "{measure}");
    }
    let hardly = throughputs(STEADY.map(|value| value * 1.04));
    assert_eq!(verdict(&steady, &hardly, "answers per second"), Judgement::Same, "4 % do not matter");
    let scattered = throughputs([600.0, 1_800.0, 900.0, 1_400.0, 1_100.0]);
    assert_eq!(verdict(&steady, &scattered, "answers per second"), Judgement::Same, "chance explains it");
    let found = row(&steady, &faster, "answers per second");
    assert_eq!((found.before.as_str(), found.after.as_str()), ("1000", "1200"));
    assert!(found.ratio.is_some_and(|ratio| ratio.low > 1.15 && ratio.high < 1.25), "{found:?}");
}

#[test]
fn runs_without_an_answer_are_not_left_out() {
    let steady = throughputs(STEADY);
    let broken = throughputs([0.0, 0.0, 1_000.0, 1_004.0, 996.0]);
    let silent = throughputs([0.0; 5]);
    for after in [&broken, &silent] {
        assert_eq!(verdict(&steady, after, "answers per second"), Judgement::Worse);
        assert_eq!(verdict(after, &steady, "answers per second"), Judgement::Better);
        assert_eq!(verdict(&steady, after, "p50"), Judgement::Unknown, "the latencies of the others tell nothing");
    }
    let found = row(&steady, &broken, "answers per second");
    assert_eq!((found.before.as_str(), found.after.as_str()), ("1000", "600"), "arithmetic means");
    assert_eq!(verdict(&silent, &silent, "answers per second"), Judgement::Same);
    assert_eq!(verdict(&broken, &broken, "answers per second"), Judgement::Same);
    let notes = comparison(&steady, &broken).notes;
    assert!(notes.iter().any(|note| note.contains("no call was answered in 2 of 5 runs after")), "{notes:?}");
    // One run is enough for this, even if it ended before it had stretches.
    let once = |run: RunReport| report(vec![short(run)]);
    let (before, after) = (once(run(1_000.0)), once(with_outcomes(0.0, 0, 1_000, 0)));
    assert_eq!(verdict(&before, &after, "answers per second"), Judgement::Worse);
}

#[test]
fn a_run_that_made_no_calls_is_left_out_and_told() {
    let steady = throughputs(STEADY);
    let mut interrupted = throughputs(STEADY);
    interrupted.runs.push(with_outcomes(0.0, 0, 0, 0));
    assert_eq!(verdict(&steady, &interrupted, "answers per second"), Judgement::Same);
    let notes = comparison(&steady, &interrupted).notes;
    assert!(notes.iter().any(|note| note.contains("made no calls in 1 of 6 runs after")), "{notes:?}");
    let never = report(vec![with_outcomes(0.0, 0, 0, 0)]);
    for measure in ["answers per second", "p50", "failed", "lost"] {
        assert_eq!(verdict(&steady, &never, measure), Judgement::Unknown, "{measure}");
    }
}

#[test]
fn a_percentile_needs_answers_beyond_it() {
    let answered = |number: u64, speed: f64| report(vec![with_outcomes(speed, number, 0, 0); 3]);
    for (number, p50, p90, p99) in [
        (9, Judgement::Unknown, Judgement::Unknown, Judgement::Unknown),
        (10, Judgement::Worse, Judgement::Unknown, Judgement::Unknown),
        (50, Judgement::Worse, Judgement::Worse, Judgement::Unknown),
        (500, Judgement::Worse, Judgement::Worse, Judgement::Worse),
    ] {
        let (before, after) = (answered(number, 1_000.0), answered(number, 500.0));
        let found = ["p50", "p90", "p99"].map(|measure| verdict(&before, &after, measure));
        assert_eq!(found, [p50, p90, p99], "{number}");
    }
    // One bucket of the histogram is no difference, even if all runs are equal and the threshold is zero.
    let next = answered(500, 1_000.0 / (1.0 + 1.0 / 64.0));
    let thresholds = Thresholds { ratio: 0.0, share: 0.0 };
    let before = answered(500, 1_000.0);
    let rows = rows(&Load::all(&before, &next), &before, &next, thresholds);
    assert!(
        rows.iter().filter(|row| row.measure.starts_with('p')).all(|row| row.verdict == Judgement::Same),
        "{rows:?}"
    );
}

#[test]
fn with_few_runs_stretches_are_compared() {
    let (once, five) = (report(vec![run(1_000.0)]), throughputs(STEADY.map(|value| value / 2.0)));
    assert_eq!(verdict(&once, &five, "answers per second"), Judgement::Worse);
    assert_eq!(verdict(&five, &once, "answers per second"), Judgement::Better);
    let found = row(&once, &five, "answers per second").ratio.unwrap();
    assert!((found.ratio - 0.5).abs() < 1e-9, "the ratio is that of whole runs: {found:?}");
    let notes = comparison(&once, &five).notes;
    assert!(notes.iter().any(|note| note.contains("a report has fewer than 3 runs")), "{notes:?}");
    let short = report(vec![short(run(1_000.0))]);
    assert_eq!(verdict(&short, &once, "answers per second"), Judgement::Unknown, "no stretches");
    assert_eq!(verdict(&once, &once, "failed"), Judgement::Same);
}

#[test]
fn shares_are_judged_by_runs_and_not_by_calls() {
    let of = |failed: &[u64]| report(failed.iter().map(|failed| failing(*failed)).collect());
    for (before, after, expected) in [
        // A burst of 50 failures in one run, and two in another.
        (&[0, 0, 50, 0, 0], &[0, 100, 50, 0, 0], Judgement::Same),
        // Each run fails now, and none did before: by shares that hardly scatter, and by shares that do.
        (&[0, 0, 0, 0, 0], &[50, 51, 50, 49, 50], Judgement::Worse),
        (&[0, 0, 0, 0, 0], &[20, 40, 100, 300, 600], Judgement::Worse),
        (&[20, 40, 100, 300, 600], &[0, 0, 0, 0, 0], Judgement::Better),
        (&[200, 201, 200, 199, 200], &[200, 201, 200, 199, 200], Judgement::Same),
        // 0.05 percentage points are below the threshold, however sure they are.
        (&[10, 10, 10, 10, 10], &[15, 15, 15, 15, 15], Judgement::Same),
    ] {
        assert_eq!(verdict(&of(before), &of(after), "failed"), expected, "{before:?} and {after:?}");
    }
    let three = |failed: [u64; 3]| of(&failed);
    assert_eq!(verdict(&three([0; 3]), &three([10_000; 3]), "failed"), Judgement::Worse, "all calls fail");
    assert_eq!(verdict(&three([200; 3]), &three([400; 3]), "failed"), Judgement::Worse);
    assert_eq!(verdict(&three([0; 3]), &three([100, 200, 300]), "failed"), Judgement::Unknown, "use more runs");
    assert_eq!(verdict(&three([0; 3]), &three([0, 0, 50]), "failed"), Judgement::Same);
    let found = row(&of(&[1, 2, 3]), &of(&[4, 5, 6]), "failed");
    assert_eq!((found.before.as_str(), found.after.as_str()), ("6 of 30000", "15 of 30000"));
    // Lost calls have the same rule, and stretches are measurements too.
    let lost = |lost: u64| report(vec![with_outcomes(1_000.0, 10_000 - lost, 0, lost)]);
    assert_eq!(verdict(&lost(0), &lost(1_000), "lost"), Judgement::Worse);
    assert_eq!(verdict(&lost(1_000), &lost(0), "lost"), Judgement::Better);
    let short = |failed: u64| report(vec![short(failing(failed))]);
    assert_eq!(verdict(&short(0), &short(5_000), "failed"), Judgement::Unknown, "one run without stretches");
    assert_eq!(verdict(&short(0), &short(0), "failed"), Judgement::Same);
}

#[test]
fn events_differ_by_more_than_chance_or_not() {
    let of = |crashes: &[u64]| report(crashes.iter().map(|crashes| crashing(*crashes)).collect());
    for (before, after, expected) in [
        (&[20][..], &[20][..], Judgement::Same),
        (&[20], &[23], Judgement::Unknown),
        (&[20], &[60], Judgement::Differs),
        (&[0], &[1], Judgement::Unknown),
        (&[20, 22, 19, 25, 21], &[23, 20, 18, 22, 24], Judgement::Same),
        (&[20, 22, 19, 25, 21], &[43, 40, 38, 42, 44], Judgement::Differs),
        (&[20, 20, 20], &[40, 40, 40], Judgement::Differs),
        (&[20, 20, 20], &[30, 60, 90], Judgement::Unknown),
        (&[], &[1], Judgement::Unknown),
    ] {
        assert_eq!(verdict(&of(before), &of(after), "crashes"), expected, "{before:?} and {after:?}");
    }
    let found = row(&of(&[20, 22]), &of(&[5, 5]), "crashes");
    assert_eq!((found.before.as_str(), found.after.as_str()), ("20 to 22", "5"));
}

#[test]
fn counts_that_lack_events_are_not_judged() {
    let complete = report(vec![crashing(20); 3]);
    let mut lacking = complete.clone();
    lacking.runs[1].events_missed = 5;
    for (before, after) in [(&complete, &lacking), (&lacking, &complete), (&lacking, &lacking)] {
        assert_eq!(verdict(before, after, "crashes"), Judgement::Unknown);
    }
    let notes = comparison(&complete, &lacking).notes;
    assert!(notes.iter().any(|note| note.contains("5 events were missed after")), "{notes:?}");
}

#[test]
fn loads_that_one_report_lacks_are_told() {
    let (before, mut after) = (throughputs(STEADY), throughputs(STEADY));
    let loads = after.runs.iter_mut().flat_map(|run| &mut run.loads);
    loads.for_each(|load| load.name = "others".to_owned());
    let Comparison { rows, notes, .. } = comparison(&before, &after);
    assert!(rows.iter().all(|row| row.load.is_empty()), "only events are left: {rows:?}");
    for missing in ["the load callers is missing after", "the load others is missing before"] {
        assert!(notes.iter().any(|note| note == missing), "{notes:?}");
    }
    let nothing = comparison(&report(Vec::new()), &before);
    assert!(nothing.rows.iter().all(|row| row.verdict == Judgement::Unknown));
}

#[test]
fn among_many_figures_some_are_worse_by_chance() {
    let row = |chance: Option<f64>, verdict: Judgement| Row {
        load: String::new(),
        measure: "p50",
        before: String::new(),
        after: String::new(),
        ratio: None,
        chance,
        verdict,
    };
    let many = |chance: f64| {
        let mut rows = vec![row(Some(0.4), Judgement::Same); 99];
        rows.push(row(Some(chance), Judgement::Worse));
        rows.push(row(None, Judgement::Unknown));
        rows
    };
    assert_eq!(worse_among_all(&many(0.009)), 0, "one of a hundred is expected");
    assert_eq!(worse_among_all(&many(0.000_09)), 1);
    assert_eq!(worse_among_all(&many(0.009)[98..]), 0);
    assert_eq!(worse_among_all(&many(0.009)[99..]), 1, "one figure alone");
    // What is certain leaves fewer figures to explain.
    let rows =
        [row(Some(0.0), Judgement::Worse), row(Some(0.006), Judgement::Worse), row(Some(0.0), Judgement::Better)];
    assert_eq!(worse_among_all(&rows), 2);
    assert_eq!(worse_among_all(&[]), 0);
}

/// A report may be anybody's: its figures are added up and compared, whatever they are.
#[test]
fn figures_of_any_size_are_compared() {
    let largest = |throughput: f64| {
        let run = with_outcomes(throughput, u64::MAX, u64::MAX, u64::MAX);
        let entities = vec![crashing(u64::MAX).entities.remove(0); 2];
        report(vec![RunReport { entities, events_missed: u64::MAX, ..run }; 3])
    };
    for (before, after) in [(1.0, 1.0), (f64::MAX, f64::MIN_POSITIVE), (f64::MIN_POSITIVE, f64::MAX), (-1.0, 1.0)] {
        let Comparison { rows, .. } = comparison(&largest(before), &largest(after));
        assert_eq!(rows.len(), 10, "{before} and {after}");
        assert!(serde_json::to_string(&rows).is_ok());
    }
}

#[test]
fn words_and_names_of_verdicts_are_their_own() {
    let all = [Judgement::Better, Judgement::Worse, Judgement::Same, Judgement::Differs, Judgement::Unknown];
    let names = all.map(|verdict| serde_json::to_string(&verdict).unwrap());
    assert_eq!(names, ["\"better\"", "\"worse\"", "\"same\"", "\"differs\"", "\"unknown\""]);
    let page = include_str!("../../page/comparison.js");
    for (verdict, name) in all.into_iter().zip(names) {
        let word = verdict.words().to_lowercase();
        let line = page.lines().find(|line| line.trim_start().starts_with(&format!("{}:", name.trim_matches('"'))));
        assert!(line.is_some_and(|line| line.contains(&format!("'{word}'"))), "{name}");
    }
}
