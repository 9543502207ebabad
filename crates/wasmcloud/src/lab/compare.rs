//! `wasmcloud lab compare`: compares two reports.
//!
//! # Layout
//! - `statistics`: whether figures differ by more than chance

mod statistics;

use std::path::{Path, PathBuf};

use serde::Serialize;
use wasmcloud_core::text::escaped;
use zeroize::Zeroizing;

use super::page;
use super::report::{LoadReport, Report};
use super::summary::{rate, time};
use crate::outcome::{self, CommandError, CommandResult};
use crate::output::{self, shown};
use crate::table::Table;
use crate::{description, input};
use statistics::{Estimate, Sample, estimate, shares_differ};

/// The format of comparisons.
const FORMAT: &str = "wasmcloud.lab.comparison/1";

/// The runs from which on each run is one sample. With fewer, samples are stretches of a run.
const ENOUGH_RUNS: usize = 3;

/// Compares two reports: what differs, by how much, and whether by more than chance.
///
/// A figure is better or worse if the 99 % confidence interval of its ratio excludes 1, and the ratio differs from 1 by at least
/// the threshold. The samples are the runs of each report, or with fewer than 3 runs, 10 stretches of each. Stretches of one run
/// know nothing of how runs differ from each other, so run plans with --runs 5 before you decide by them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud lab compare before.html after.html
  wasmcloud lab compare before.html after.html --out difference.html --fail-if-worse")]
pub(crate) struct Compare {
    /// The report to compare with: a page or JSON of `wasmcloud lab run`.
    #[arg(value_name = "BEFORE")]
    before: PathBuf,

    /// The report that is compared.
    #[arg(value_name = "AFTER")]
    after: PathBuf,

    /// The file for a page with both reports. An existing file is replaced.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,

    /// The least difference that matters, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=1000))]
    threshold: u32,

    /// End with exit code 1 if a figure is worse.
    #[arg(long)]
    fail_if_worse: bool,

    /// Print the comparison in JSON.
    #[arg(long)]
    json: bool,
}

/// A comparison, with both reports.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    format: &'static str,
    /// The names of the files.
    files: [String; 2],
    /// What differs in how the figures came about, and makes them less comparable.
    notes: Vec<String>,
    rows: Vec<Row>,
    reports: [Report; 2],
}

/// A figure of both reports.
#[derive(Debug, Clone, Serialize)]
struct Row {
    load: String,
    measure: &'static str,
    /// The figures as they are shown.
    before: String,
    after: String,
    /// The ratio with its confidence interval, if the figure is a quantity.
    ratio: Option<Estimate>,
    verdict: Judgement,
}

/// What a difference means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Judgement {
    Better,
    Worse,
    /// No difference that matters, and that chance cannot explain.
    Same,
    /// It differs, and neither is better by itself.
    Differs,
    /// There is too little to judge by.
    Unknown,
}

pub(super) fn run(command: &Compare) -> CommandResult {
    let reports = [read(&command.before)?, read(&command.after)?];
    let files = [&command.before, &command.after].map(|path| shown(path));
    let comparison = compare(files, reports, f64::from(command.threshold) / 100.0);
    let mut text = if command.json {
        description::json(&Listed { notes: &comparison.notes, rows: &comparison.rows })?
    } else {
        Zeroizing::new(comparison.text())
    };
    if let Some(file) = &command.out {
        let page = page::of(&comparison)?;
        text = output::write(file, page.as_bytes())?.report(std::mem::take(&mut *text)).into();
    }
    let worse = comparison.rows.iter().filter(|row| row.verdict == Judgement::Worse).count();
    if command.fail_if_worse && worse > 0 {
        outcome::print(&text);
        return Err(CommandError::Failed(format!("{worse} of {} figures are worse", comparison.rows.len())));
    }
    Ok(text)
}

/// What is printed in JSON.
#[derive(Serialize)]
struct Listed<'a> {
    notes: &'a [String],
    rows: &'a [Row],
}

fn read(path: &Path) -> CommandResult<Report> {
    let bytes = input::read(path, "the report")?;
    let text = String::from_utf8(bytes)
        .map_err(|_| CommandError::Failed(format!("{} is not a report: it is not UTF-8", shown(path))))?;
    page::read(&text).map_err(|reason| CommandError::Failed(format!("{} is not a report: {reason}", shown(path))))
}

fn compare(files: [String; 2], reports: [Report; 2], threshold: f64) -> Comparison {
    let [before, after] = &reports;
    let names: Vec<String> = loads(before).filter(|name| loads(after).any(|other| other == *name)).cloned().collect();
    let mut rows: Vec<Row> = names.iter().flat_map(|name| rows_of_load(name, before, after, threshold)).collect();
    rows.extend(rows_of_events(before, after));
    Comparison { format: FORMAT, files, notes: notes(before, after), rows, reports }
}

/// Returns the names of the loads.
fn loads(report: &Report) -> impl Iterator<Item = &String> {
    report.runs.first().into_iter().flat_map(|run| run.loads.iter().map(|load| &load.name))
}

/// Returns what differs beside the figures.
fn notes(before: &Report, after: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    let mut differ = |what: &str, one: &str, other: &str| {
        if one != other {
            notes.push(format!("{what}: {one} before, {other} after"));
        }
    };
    differ("the machine differs", &before.machine.summary(), &after.machine.summary());
    differ("the release differs", &before.version, &after.version);
    differ("the plan differs", &before.plan.digest, &after.plan.digest);
    differ("the manifest differs", &before.manifest.digest, &after.manifest.digest);
    differ("the seed differs", &before.seed.to_string(), &after.seed.to_string());
    for (report, which) in [(before, "before"), (after, "after")] {
        if report.interrupted {
            notes.push(format!("the experiment {which} was interrupted"));
        }
        if !report.machine.optimized {
            notes.push(format!("the program {which} was built without optimisations"));
        }
    }
    let runs = before.runs.len().min(after.runs.len());
    if runs < ENOUGH_RUNS {
        let what = "the samples are stretches of one run each, which know nothing of how runs differ: use --runs 5";
        notes.push(what.to_owned());
    }
    for (one, other, which) in [(before, after, "after"), (after, before, "before")] {
        for name in loads(one).filter(|name| !loads(other).any(|known| known == *name)) {
            notes.push(format!("the load {name} is missing {which}"));
        }
    }
    notes
}

/// A quantity of a load.
struct Quantity {
    measure: &'static str,
    of_load: fn(&LoadReport) -> Option<f64>,
    of_block: fn(&super::report::Block) -> Option<f64>,
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

fn rows_of_load(name: &str, before: &Report, after: &Report, threshold: f64) -> Vec<Row> {
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
        let ratio = estimate(&sample(before), &sample(after));
        let verdict = match &ratio {
            None => Judgement::Unknown,
            Some(ratio) if !ratio.differs(threshold) => Judgement::Same,
            Some(ratio) if (ratio.ratio > 1.0) == self.more_is_better => Judgement::Better,
            Some(_) => Judgement::Worse,
        };
        let middle = |loads: &[LoadReport]| (self.shown)(median(loads.iter().filter_map(self.of_load).collect()));
        Row {
            load: load.to_owned(),
            measure: self.measure,
            before: middle(before),
            after: middle(after),
            ratio,
            verdict,
        }
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
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
fn rows_of_events(before: &Report, after: &Report) -> Vec<Row> {
    type Count = fn(&super::report::EventCounts) -> u64;
    let kinds: [(&'static str, Count); 4] = [
        ("crashes", |counts| counts.crashes),
        ("interruptions", |counts| counts.interruptions),
        ("restarts", |counts| counts.restarts),
        ("given up", |counts| counts.given_up),
    ];
    let row = |(measure, of): (&'static str, Count)| {
        let each = |report: &Report| -> Vec<u64> {
            let sum = |run: &super::report::RunReport| run.entities.iter().map(|entity| of(&entity.counts)).sum();
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

impl Comparison {
    fn text(&self) -> String {
        let mut table = Table::new(&["LOAD", "FIGURE", "BEFORE", "AFTER", "RATIO", "99 % INTERVAL", "VERDICT"]);
        for Row { load, measure, before, after, ratio, verdict } in &self.rows {
            table.row([
                if load.is_empty() { "all".to_owned() } else { load.clone() },
                (*measure).to_owned(),
                before.clone(),
                after.clone(),
                ratio.as_ref().map_or_else(String::new, |ratio| format!("{:.3}", ratio.ratio)),
                ratio.as_ref().map_or_else(String::new, |ratio| format!("{:.3} to {:.3}", ratio.low, ratio.high)),
                verdict.words().to_owned(),
            ]);
        }
        let notes: String = self.notes.iter().map(|note| format!("note: {}\n", escaped(note))).collect();
        format!("{}{}{notes}", table.to_text(), if notes.is_empty() { "" } else { "\n" })
    }
}

impl Judgement {
    fn words(self) -> &'static str {
        match self {
            Judgement::Better => "better",
            Judgement::Worse => "WORSE",
            Judgement::Same => "no clear difference",
            Judgement::Differs => "differs",
            Judgement::Unknown => "too little to judge",
        }
    }
}
