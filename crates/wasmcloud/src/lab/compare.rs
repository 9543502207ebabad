//! `wasmcloud lab compare`: compares two reports.
//!
//! # Layout
//! - `rows`: the figures that are compared, and what their differences mean
//! - `notes`: what makes them less comparable
//! - `statistics`: whether figures differ by more than chance

mod notes;
mod rows;
mod statistics;

use std::path::{Path, PathBuf};

use serde::Serialize;
use wasmcloud_core::text::escaped;
use wasmcloud_document::quantity;

use super::page;
use super::report::{LARGEST, Report};
use crate::outcome::{self, CommandError, CommandResult};
use crate::output::{self, Written, shown};
use crate::table::Table;
use crate::{description, input};
use notes::notes;
use rows::{Load, Row, Thresholds, rows, worse_among_all};

/// The format of comparisons.
const FORMAT: &str = "wasmcloud.lab.comparison/1";

/// Compares two reports: what differs, by how much, and whether by more than chance.
///
/// A quantity is better or worse if the 99 % confidence interval of its ratio excludes 1, and the ratio differs from 1 by at least
/// the threshold; a share of calls, if its runs are ordered by more than chance, and it differs by at least the threshold of
/// shares. The samples are the runs of each report, or with fewer than 3 runs of one, 10 stretches of each run. Stretches know
/// nothing of how runs differ from each other, so run plans with --runs 5 before you decide by them.
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

    /// The least difference of answers per second and latencies that matters, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=1000))]
    threshold: u32,

    /// The least difference that matters in the shares of calls that failed or were lost, in percentage points.
    #[arg(long, value_name = "POINTS", default_value = "0.1", value_parser = points)]
    share_threshold: f64,

    /// End with exit code 1 if a figure is worse, by more than chance does among all figures.
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
    let thresholds = Thresholds { ratio: f64::from(command.threshold) / 100.0, share: command.share_threshold / 100.0 };
    let comparison = compare(files, reports, thresholds);
    let text = if command.json {
        description::json(&Listed { notes: &comparison.notes, rows: &comparison.rows })?.to_string()
    } else {
        comparison.text()
    };
    let text = match command.out.as_ref().map(|file| write(file, &comparison)).transpose() {
        Ok(written) => written.unwrap_or(Written::File).report(text),
        Err(failure) => {
            outcome::print(&text);
            return Err(failure);
        }
    };
    let worse = worse_among_all(&comparison.rows);
    if command.fail_if_worse && worse > 0 {
        outcome::print(&text);
        return Err(CommandError::Failed(format!("{worse} of {} figures are worse", comparison.rows.len())));
    }
    Ok(text.into())
}

fn write(file: &Path, comparison: &Comparison) -> CommandResult<Written> {
    page::of(comparison).and_then(|page| output::write(file, page.as_bytes()))
}

/// Parses percentage points.
fn points(text: &str) -> Result<f64, String> {
    let points = quantity::decimal(text).ok().filter(|points| *points <= 100.0);
    points.ok_or_else(|| "it should be a number from 0 to 100, such as 0.1".to_owned())
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

fn compare(files: [String; 2], reports: [Report; 2], thresholds: Thresholds) -> Comparison {
    let [before, after] = &reports;
    let loads = Load::all(before, after);
    let rows = rows(&loads, before, after, thresholds);
    let notes = notes(before, after, &loads, &rows);
    Comparison { format: FORMAT, files, notes, rows, reports }
}

impl Comparison {
    fn text(&self) -> String {
        let mut table = Table::new(&["LOAD", "FIGURE", "BEFORE", "AFTER", "RATIO", "99 % INTERVAL", "VERDICT"]);
        for Row { load, measure, before, after, ratio, verdict, .. } in &self.rows {
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
