//! `wasmcloud lab`: experiments by plan. A plan names a manifest, the calls to make, the faults to inject meanwhile, and what is
//! expected to come of it.
//!
//! # Layout
//! - `run`, `check`, `compare`: the commands
//! - `plan`, `entity_name`: what a plan says
//! - `bench`: the host of an experiment
//! - `load`, `target`: the calls that are made
//! - `recorder`, `histogram`: what becomes of the calls
//! - `timeline`: the events of actors and providers
//! - `expectation`: what is expected, and whether it is so
//! - `report`, `summary`: the result of an experiment, as it is kept and as it is printed
//! - `page`: the report as one file in HTML
//! - `machine`: what the experiment ran on

mod bench;
mod check;
mod compare;
mod entity_name;
mod expectation;
mod histogram;
mod load;
mod machine;
mod page;
mod plan;
mod recorder;
mod report;
mod run;
mod summary;
mod target;
mod timeline;

use clap::Subcommand;

use crate::outcome::CommandResult;

/// Experiments with actors and providers: calls, faults, and what becomes of them.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  wasmcloud lab check crashes.yaml
  wasmcloud lab run crashes.yaml --out before.html
  wasmcloud lab compare before.html after.html --out difference.html")]
pub(crate) enum Command {
    Run(run::Run),
    Check(check::Check),
    Compare(compare::Compare),
}

pub(crate) fn run(command: Command) -> CommandResult {
    match command {
        Command::Run(command) => run::run(&command),
        Command::Check(command) => check::run(&command),
        Command::Compare(command) => compare::run(&command),
    }
}
