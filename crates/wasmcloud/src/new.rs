//! `wasmcloud new`: projects to begin with.
//!
//! # Layout
//! - `actor`, `provider`: the two kinds of projects, and their templates
//! - `name`: the names of projects
//! - `project`: the files of a project, written all or none

mod actor;
mod name;
mod project;
mod provider;

use clap::Subcommand;

use crate::outcome::CommandResult;

/// Makes a project to begin with: an actor, or a capability provider.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  wasmcloud new actor hello
  wasmcloud new provider clock --lang c")]
pub(crate) enum Command {
    Actor(actor::Actor),
    Provider(provider::Provider),
}

pub(crate) fn run(command: &Command) -> CommandResult {
    match command {
        Command::Actor(command) => actor::run(command),
        Command::Provider(command) => provider::run(command),
    }
}
