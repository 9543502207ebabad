//! `wasmcloud keys`: generates and inspects keys.

mod generate;
mod inspect;

use clap::Subcommand;
use nkeys::KeyPairType;

use crate::outcome::CommandResult;

/// Generates and inspects keys.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  wasmcloud keys gen account --output account.seed
  wasmcloud keys inspect account.seed")]
pub(crate) enum Command {
    Gen(generate::Generate),
    Inspect(inspect::Inspect),
}

pub(crate) fn run(command: Command) -> CommandResult {
    match command {
        Command::Gen(command) => generate::run(&command),
        Command::Inspect(command) => inspect::run(&command),
    }
}

fn name_of(kind: &KeyPairType) -> &'static str {
    match kind {
        KeyPairType::Account => "account",
        KeyPairType::User => "user",
        KeyPairType::Module => "module",
        KeyPairType::Service => "service",
        KeyPairType::Server => "server",
        KeyPairType::Operator => "operator",
        KeyPairType::Cluster => "cluster",
        KeyPairType::Curve => "curve",
    }
}
