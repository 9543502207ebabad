//! `wasmcloud lab run`: carries a plan out.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wasmcloud_core::text::escaped;
use wasmcloud_host::HostManifest;

use super::bench::{self, Ran};
use super::entity_name::EntityName;
use super::expectation::Expectation;
use super::load::{Stop, Tally};
use super::machine::Machine;
use super::page;
use super::plan::{Plan, seed_of_run};
use super::report::{FORMAT, LARGEST, MOST_RUNS, Report, RunReport, Verdict};
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
/// plan is not met. SIGINT ends the experiment with the calls in progress. What was measured is reported then, and if a later run
/// cannot be carried out.
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

    /// The seed of random faults in the first run, from which those of the others follow. Default: that of the plan.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,

    /// How often the plan is run, each time with a new host and a seed of its own. Maximum: 100. Default: as the plan says.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=MOST_RUNS as u64))]
    runs: Option<u64>,
}

pub(super) fn run(command: &Run) -> CommandResult {
    logging::start_by_environment("off", logging::Format::Text).map_err(CommandError::Usage)?;
    for file in command.out.iter().chain(&command.json) {
        expect_folder(file)?;
        output::expect_writable(file)?;
    }
    let mut plan = Plan::read(&command.plan)?;
    plan.seed = command.seed.unwrap_or(plan.seed);
    plan.runs = command.runs.map_or(plan.runs, |runs| runs as usize);
    let Experiment { report, failure } = in_runtime(experiment(&plan))??;
    let Kept { text, failures } = keep(command, &report);
    conclude(text, failure.into_iter().chain(failures).chain(shortfall(&report)))
}

/// What was written of a report, and what could not be.
struct Kept {
    /// What is left to be printed.
    text: String,
    failures: Vec<CommandError>,
}

/// Writes the report to the files that were asked for, each whether the other one can be written or not.
fn keep(command: &Run, report: &Report) -> Kept {
    let mut text = summary(report);
    let mut failures = Vec::new();
    // What goes to standard output stands there alone.
    let mut printed = Written::File;
    let written = command.json.as_ref().map(|file| json(report).and_then(|bytes| write(file, &bytes)));
    match written.transpose() {
        Ok(written) => printed = written.unwrap_or(printed),
        Err(failure) => failures.push(failure),
    }
    if let Some(file) = &command.out {
        match page::of(report).and_then(|page| write(file, page.as_bytes())) {
            Ok(Written::Output) => printed = Written::Output,
            Ok(Written::File) => text.push_str(&format!("The report is in {}.\n", shown(file))),
            Err(failure) => failures.push(failure),
        }
    }
    Kept { text: printed.report(text), failures }
}

fn write(file: &Path, bytes: &[u8]) -> CommandResult<Written> {
    if bytes.len() > LARGEST {
        let advice = "`wasmcloud lab compare` reads no reports of this size: use fewer runs or loads";
        outcome::warn(&format!("{} has {} bytes: {advice}", shown(file), bytes.len()));
    }
    output::write(file, bytes)
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

/// Returns the error of an experiment that did not come out as it should have.
fn shortfall(report: &Report) -> Option<CommandError> {
    let unmet: Vec<&Verdict> = report.expectations.iter().filter(|verdict| !verdict.met).collect();
    match unmet.first() {
        Some(first) => {
            let of = first.scope.as_ref().map_or_else(String::new, |scope| format!(" of {scope}"));
            let (number, total) = (unmet.len(), report.expectations.len());
            let text = format!("{number} of {total} expectations are not met, first: {}{of}", first.expected);
            Some(CommandError::Failed(text))
        }
        None => report.interrupted.then(|| CommandError::Failed("the experiment was interrupted".to_owned())),
    }
}

/// Returns the output of the command, or prints it and returns the first error. Further ones are told before.
fn conclude(text: String, mut failures: impl Iterator<Item = CommandError>) -> CommandResult {
    let Some(first) = failures.next() else { return Ok(text.into()) };
    outcome::print(&text);
    failures.for_each(|failure| outcome::warn(&failure.message()));
    Err(first)
}

/// An experiment that was carried out, at least in part.
struct Experiment {
    report: Report,
    /// Why a run could not be carried out.
    failure: Option<CommandError>,
}

/// The runs of a plan so far.
#[derive(Default)]
struct Runs {
    reports: Vec<RunReport>,
    /// Which entities the names in the plan stand for.
    names: Vec<(EntityName, usize)>,
    interrupted: bool,
    failure: Option<CommandError>,
}

async fn experiment(plan: &Plan) -> CommandResult<Experiment> {
    let manifest = plan.manifest()?;
    let manifest_source = plan.manifest_source()?;
    let began_at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let machine = Machine::this();
    let Runs { reports, names, interrupted, failure } = runs(plan, &manifest).await?;
    let judge = |expectation: &Expectation| {
        expectation.judge(&reports, |name| names.iter().find(|(known, _)| known == name).map(|(_, number)| *number))
    };
    let expectations = plan.expect.iter().map(judge).collect();
    let report = Report {
        format: FORMAT.to_owned(),
        name: plan.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        began_at: u64::try_from(began_at.as_millis()).unwrap_or_default(),
        seed: plan.seed,
        plan: plan.source.clone(),
        manifest: manifest_source,
        machine,
        interrupted,
        failure: failure.as_ref().map(CommandError::message),
        expectations,
        runs: reports,
    };
    Ok(Experiment { report, failure })
}

/// Runs the plan as often as it says. The runs before one that fails are kept.
///
/// # Errors
/// Why the first run could not be carried out.
async fn runs(plan: &Plan, manifest: &HostManifest) -> CommandResult<Runs> {
    let mut shutdown = Shutdown::new()?;
    let stop = Stop::default();
    let mut runs = Runs::default();
    for number in 0..plan.runs {
        if stop.is_asked() {
            break;
        }
        let tally = Tally::default();
        let progress = Progress::new(number + 1, plan.runs);
        let work = bench::run(plan, seed_of_run(plan.seed, number), manifest.clone(), &stop, &tally);
        let ran = tokio::select! {
            ran = interruptible(work, &stop, &mut shutdown) => ran,
            never = progress.tell(&tally) => match never {},
        };
        match ran {
            Ok(Ran { report, names }) => {
                runs.reports.push(report);
                runs.names = names;
            }
            Err(failure) if runs.reports.is_empty() => return Err(failure),
            Err(failure) => {
                let context = format!("run {} of {} could not be carried out", number + 1, plan.runs);
                runs.failure = Some(failure.with_context(&context));
                break;
            }
        }
    }
    runs.interrupted = stop.is_asked();
    Ok(runs)
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
