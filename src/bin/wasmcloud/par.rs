//! `wasmcloud par`: provider archives.

mod create;
mod insert;
mod inspect;
mod library;
mod verify;

use clap::Subcommand;

use crate::outcome::Outcome;

/// Makes, changes and checks provider archives.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  wasmcloud par create --output clock.par.gz --gzip --name Clock --contract example:clock \\
      --vendor Example --library x86_64-linux=libclock.so \\
      --issuer-seed-file account.seed --subject-seed-file clock.seed
  wasmcloud par verify clock.par.gz")]
pub(crate) enum Command {
    Create(create::Create),
    Insert(insert::Insert),
    Inspect(inspect::Inspect),
    Verify(verify::Verify),
}

pub(crate) fn run(command: Command) -> Outcome {
    match command {
        Command::Create(command) => create::run(command),
        Command::Insert(command) => insert::run(&command),
        Command::Inspect(command) => inspect::run(&command),
        Command::Verify(command) => verify::run(&command),
    }
}
