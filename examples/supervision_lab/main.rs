//! Demonstrates supervision: actors and providers crash, hang and are replaced while they are called, and the outcome of every
//! call is checked.
//!
//! ```sh
//! cargo run --release --features experiments --example supervision_lab -- --out lab.html
//! ```
//!
//! # Layout
//! - `scenarios`: the faults, and the expected outcomes
//! - `lab`: the host of a scenario, and its calls
//! - `echo_provider`: the provider of a scenario
//! - `timeline`: the events and calls, with their times
//! - `picture`: a page with the timelines

mod echo_provider;
mod lab;
mod picture;
mod scenarios;
#[path = "../../tests/support/signing.rs"]
#[allow(
    dead_code,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "it is shared with the tests, which need more of it"
)]
mod signing;
mod timeline;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use scenarios::{SCENARIOS, Scenario};
use timeline::Report;
use wasmcloud_host::BoxedError;

/// Crashes, hangs and replaces actors and providers while they are called, and counts the outcomes of the calls.
#[derive(Parser)]
#[command(after_help = "Examples:\n  supervision_lab --list\n  supervision_lab --scenario storm --seed 42\n  \
                        supervision_lab --out lab.html")]
struct Arguments {
    /// The scenario to run; see --list
    #[arg(long, default_value = "all")]
    scenario: String,
    /// The seed of random faults
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// The file to write a page with the timelines to
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
    /// List the scenarios and exit
    #[arg(long)]
    list: bool,
}

#[actix_rt::main]
async fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("off")).init();
    match run(&Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("supervision_lab: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the scenarios. Returns whether all expectations are met.
async fn run(arguments: &Arguments) -> Result<bool, BoxedError> {
    if arguments.list {
        SCENARIOS.iter().for_each(|scenario| println!("{:<14} {}", scenario.name, scenario.about));
        return Ok(true);
    }
    let mut reports = Vec::new();
    for scenario in chosen(&arguments.scenario)? {
        let report = scenario.play(arguments.seed).await?;
        print!("{report}");
        reports.push(report);
    }
    if let Some(path) = &arguments.out {
        std::fs::write(path, picture::page(&reports, arguments.seed))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        println!("The timelines are drawn in {}.", path.display());
    }
    let unmet: Vec<&str> = reports.iter().filter(|report| !report.is_as_expected()).map(|report| report.name).collect();
    match unmet.as_slice() {
        [] => println!("Every call is accounted for, and all expectations are met."),
        unmet => println!("Not as expected: {}", unmet.join(", ")),
    }
    Ok(reports.iter().all(Report::is_as_expected))
}

fn chosen(name: &str) -> Result<Vec<&'static Scenario>, String> {
    let chosen: Vec<_> = SCENARIOS.iter().filter(|scenario| name == "all" || scenario.name == name).collect();
    if chosen.is_empty() {
        return Err(format!("the scenario {name:?} does not exist: see --list"));
    }
    Ok(chosen)
}
