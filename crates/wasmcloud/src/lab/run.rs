//! `wasmcloud lab run`: carries a plan out.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wasmcloud_core::text::escaped;
use zeroize::Zeroizing;

use super::bench::{self, Ran};
use super::load::{Stop, Tally};
use super::machine::Machine;
use super::page;
use super::plan::Plan;
use super::report::{FORMAT, Report, RunReport, Verdict};
use super::summary::summary;
use crate::logging;
use crate::outcome::{self, CommandError, CommandResult};
use crate::output::{self, Written, shown};
use crate::runtime::in_runtime;
use crate::signals::Shutdown;

/// The time between two changes of the line that tells of progress.
const TICK: Duration = Duration::from_millis(100);

/// Carries a plan out: starts a host with the manifest, makes the calls, injects the faults, and reports what became of them.
///
/// The host runs in this process, joins no lattice, and ends with the experiment. The exit code is 1 if an expectation of the
/// plan is not met. SIGINT ends the experiment with the calls in progress, and what was measured is reported.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud lab run crashes.yaml --out report.html
  wasmcloud lab run crashes.yaml --seed 7 --runs 5 --json report.json

RUST_LOG sets what is logged. Default: off, since crashes are what is wanted.")]
pub(crate) struct Run {
    /// The plan: YAML, TOML (.toml) or JSON (.json).
    #[arg(value_name = "PLAN")]
    plan: PathBuf,

    /// The file for the report: one page in HTML that needs nothing else. An existing file is replaced.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,

    /// The file for the figures of the report in JSON, or `-` for standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// The seed of random faults. Default: that of the plan.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,

    /// How often the plan is run, each time with a new host. Maximum: 100. Default: as the plan says.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=100))]
    runs: Option<u64>,
}

pub(super) fn run(command: &Run) -> CommandResult {
    logging::start_by_environment("off", logging::Format::Text).map_err(CommandError::Usage)?;
    for file in command.out.iter().chain(&command.json) {
        expect_folder(file)?;
    }
    let mut plan = Plan::read(&command.plan)?;
    plan.seed = command.seed.unwrap_or(plan.seed);
    plan.runs = command.runs.map_or(plan.runs, |runs| runs as usize);
    let report = in_runtime(experiment(&plan))??;
    let mut text = summary(&report);
    let mut files = Vec::new();
    if let Some(file) = &command.json {
        files.push(output::write(file, &json(&report)?)?);
    }
    if let Some(file) = &command.out {
        files.push(output::write(file, page::of(&report)?.as_bytes())?);
        text.push_str(&format!("The report is in {}.\n", shown(file)));
    }
    // What goes to standard output stands there alone.
    let printed = files.into_iter().find(|written| *written == Written::Output).unwrap_or(Written::File);
    conclude(&report, Zeroizing::new(printed.report(text)))
}

/// Refuses a file in a folder that is not there, before an experiment is made in vain.
fn expect_folder(file: &Path) -> CommandResult<()> {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            Err(CommandError::Failed(format!("cannot write {}: there is no folder {}", shown(file), shown(folder))))
        }
        _ => Ok(()),
    }
}

fn json(report: &Report) -> CommandResult<Vec<u8>> {
    serde_json::to_vec(report).map_err(|error| CommandError::Failed(format!("the report cannot be written: {error}")))
}

/// Returns the output of the command, or prints it and returns the error if the outcome is not as expected.
fn conclude(report: &Report, text: Zeroizing<String>) -> CommandResult {
    let unmet: Vec<&Verdict> = report.expectations.iter().filter(|verdict| !verdict.met).collect();
    let failure = match unmet.first() {
        Some(first) => {
            let of = first.scope.as_ref().map_or_else(String::new, |scope| format!(" of {scope}"));
            let (number, total) = (unmet.len(), report.expectations.len());
            format!("{number} of {total} expectations are not met, first: {}{of}", first.expected)
        }
        None if report.interrupted => "the experiment was interrupted".to_owned(),
        None => return Ok(text),
    };
    outcome::print(&text);
    Err(CommandError::Failed(failure))
}

/// Runs the plan as often as it says.
async fn experiment(plan: &Plan) -> CommandResult<Report> {
    let manifest = plan.manifest()?;
    let manifest_source = plan.manifest_source()?;
    let began_at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let machine = Machine::this();
    let mut shutdown = Shutdown::new()?;
    let stop = Stop::default();
    let mut runs: Vec<RunReport> = Vec::new();
    let mut names = Vec::new();
    for number in 1..=plan.runs {
        if stop.is_asked() {
            break;
        }
        let tally = Tally::default();
        let progress = Progress::new(number, plan.runs);
        let work = bench::run(plan, manifest.clone(), &stop, &tally);
        let ran: Ran = tokio::select! {
            ran = interruptible(work, &stop, &mut shutdown) => ran?,
            never = progress.tell(&tally) => match never {},
        };
        runs.push(ran.report);
        names = ran.names;
    }
    let judge = |expectation: &super::expectation::Expectation| {
        expectation.judge(&runs, |name| names.iter().find(|(known, _)| known == name).map(|(_, number)| *number))
    };
    Ok(Report {
        format: FORMAT.to_owned(),
        name: plan.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        began_at: u64::try_from(began_at.as_millis()).unwrap_or_default(),
        seed: plan.seed,
        plan: plan.source.clone(),
        manifest: manifest_source,
        machine,
        interrupted: stop.is_asked(),
        expectations: plan.expect.iter().map(judge).collect(),
        runs,
    })
}

/// Carries work out. The first signal asks the loads to end, and a second one ends the process at once.
async fn interruptible<T>(work: impl Future<Output = T>, stop: &Stop, shutdown: &mut Shutdown) -> T {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        _ = shutdown.asked_for() => {
            crate::announce::note("ending with the calls in progress; a second signal ends at once");
            stop.ask();
        }
    }
    let mut done = None;
    shutdown.or_at_once(async { done = Some(work.await) }).await;
    match done {
        Some(done) => done,
        // `or_at_once` returns once the work is done, and in no other case.
        None => std::future::pending().await,
    }
}

/// A line on standard error that tells what has been called, if that is a terminal.
struct Progress {
    bar: ProgressBar,
    run: String,
}

impl Progress {
    fn new(number: usize, runs: usize) -> Progress {
        let target =
            if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        let run = if runs == 1 { "running".to_owned() } else { format!("run {number} of {runs}") };
        Progress { bar, run }
    }

    async fn tell(&self, tally: &Tally) -> std::convert::Infallible {
        loop {
            let (calls, bad) = (tally.calls.get(), tally.bad.get());
            self.bar.set_message(format!("{}: {calls} calls, {bad} not answered", escaped(&self.run)));
            self.bar.tick();
            tokio::time::sleep(TICK).await;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
