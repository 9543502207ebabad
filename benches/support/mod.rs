//! Shared code of the benchmarks: timing, the printed table, and the figures in JSON.
//!
//! Everything that is compared is timed alternately within one run, so that noise of the machine affects all of it.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// One row of a benchmark's table, and one entry of its figures.
pub(crate) struct Row {
    pub(crate) what: String,
    /// The time of one call, if it is meaningful.
    pub(crate) per_call: Option<Duration>,
    /// The figure. With the unit `x`, it is the ratio to a reference timed in the same run.
    pub(crate) figure: f64,
    pub(crate) unit: &'static str,
    /// The target of the figure, if it has one.
    pub(crate) target: Option<Target>,
}

/// The target of a figure.
#[derive(Clone, Copy)]
#[allow(dead_code, reason = "not every benchmark has targets of both kinds")]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    fn is_met_by(self, figure: f64) -> bool {
        match self {
            Target::AtMost(most) => figure <= most,
            Target::AtLeast(least) => figure >= least,
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::AtMost(most) => write!(f, "at most {most}"),
            Target::AtLeast(least) => write!(f, "at least {least}"),
        }
    }
}

/// The times of one measured operation, one per round. Unit: seconds.
pub(crate) struct Series {
    pub(crate) what: String,
    pub(crate) target: Option<f64>,
    pub(crate) times: Vec<f64>,
}

impl Series {
    pub(crate) fn new(what: String, target: Option<f64>) -> Series {
        Series { what, target, times: Vec::new() }
    }

    /// Adds the time of a batch.
    pub(crate) fn add(&mut self, elapsed: Duration, calls: u32) {
        self.times.push(elapsed.as_secs_f64() / f64::from(calls));
    }
}

/// Returns rows with the median of each series, and the median of its ratios to the reference in the same round.
pub(crate) fn rows(reference: &Series, others: &[&Series]) -> Vec<Row> {
    let row = |series: &Series| {
        let ratios = series.times.iter().zip(&reference.times).map(|(time, base)| time / base).collect();
        Row {
            what: series.what.clone(),
            per_call: Some(Duration::from_secs_f64(median(series.times.clone()))),
            figure: median(ratios),
            unit: "x",
            target: series.target.map(Target::AtMost),
        }
    };
    std::iter::once(reference).chain(others.iter().copied()).map(row).collect()
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Times a batch of synchronous calls.
pub(crate) fn time(calls: u32, mut call: impl FnMut()) -> Duration {
    let begin = Instant::now();
    for _ in 0..calls {
        call();
    }
    begin.elapsed()
}

/// Returns whether this is a real run (`cargo bench`) instead of a check that the benchmark works (`cargo test
/// --benches`).
pub(crate) fn is_real_run() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// Prints the table, and writes it to `target/figures/<name>.json`.
pub(crate) fn report(name: &str, title: &str, rows: &[Row]) -> std::io::Result<()> {
    println!("\n{title}\n");
    println!("{:<72} {:>12} {:>12} {:>14}", "", "per call", "figure", "target");
    for row in rows {
        let target = row.target.map_or_else(|| "-".to_owned(), |target| format!("{target}{}", row.unit));
        let per_call = row.per_call.map_or_else(String::new, |time| format!("{:.2} us", time.as_secs_f64() * 1e6));
        let figure = format!("{:.2}{}", row.figure, row.unit);
        println!("{:<72} {per_call:>12} {figure:>12} {target:>14}", row.what);
    }
    if is_real_run() {
        let folder = target_folder().join("figures");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("{name}.json")), json(rows))?;
    }
    Ok(())
}

/// Returns cargo's target folder: three levels above the benchmark's program, which is in `<profile>/deps`.
fn target_folder() -> std::path::PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.ancestors().nth(3).map(Into::into).unwrap_or_else(|| "target".into())
}

fn json(rows: &[Row]) -> String {
    let mut entries = String::new();
    for row in rows {
        let separator = if entries.is_empty() { "\n" } else { ",\n" };
        let (target, meets) = match row.target {
            Some(target) => (format!("\"{target}{}\"", row.unit), target.is_met_by(row.figure).to_string()),
            None => ("null".to_owned(), "null".to_owned()),
        };
        let figure = format!("{:.2}{}", row.figure, row.unit);
        // Writing to a string cannot fail.
        let _ = write!(
            entries,
            "{separator}  {{\"what\": {:?}, \"figure\": {figure:?}, \"target\": {target}, \"meets\": {meets}}}",
            row.what
        );
    }
    format!("[{entries}\n]\n")
}

/// Returns the parts that the command line names.
#[allow(dead_code, reason = "not every benchmark has parts")]
fn named_parts() -> Vec<String> {
    std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect()
}

/// Returns whether to run a part. All parts run unless the command line names some.
#[allow(dead_code, reason = "not every benchmark has parts")]
pub(crate) fn wanted(part: &str) -> bool {
    let named = named_parts();
    named.is_empty() || named.iter().any(|name| name == part)
}

/// Returns the name of the figures of this run, which includes the parts that the command line names.
#[allow(dead_code, reason = "not every benchmark has parts")]
pub(crate) fn name_of_run(benchmark: &str) -> String {
    std::iter::once(benchmark.to_owned()).chain(named_parts()).collect::<Vec<_>>().join("-")
}
