//! `wasmcloud lab compare`: compares two reports.
//!
//! # Layout
//! - `rows`: the figures that are compared, and what their differences mean
//! - `statistics`: whether figures differ by more than chance

mod rows;
mod statistics;

use std::path::{Path, PathBuf};

use serde::Serialize;
use wasmcloud_core::text::escaped;
use zeroize::Zeroizing;

use super::page;
use super::report::Report;
use crate::outcome::{self, CommandError, CommandResult};
use crate::output::{self, shown};
use crate::table::Table;
use crate::{description, input};
use rows::{ENOUGH_RUNS, Judgement, Row, rows_of_events, rows_of_load};

/// The size of the largest report that is read, in bytes. That of 100 runs with 32 loads is smaller.
const LARGEST: usize = 256 * 1024 * 1024;

/// The format of comparisons.
const FORMAT: &str = "wasmcloud.lab.comparison/1";

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
    let bytes = input::read_up_to(path, "the report", LARGEST)?;
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
