//! `wasmcloud par`: provider archives.

mod create;
pub(crate) mod format;
mod insert;
mod inspect;
mod library;
mod target;
mod verify;

use std::path::Path;

use clap::Subcommand;
use wasmcloud_claims::ProviderArchive;

use crate::input;
use crate::outcome::{self, Failure, Outcome};

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

/// The bytes of an archive's file.
fn read_bytes(path: &Path) -> Outcome<Vec<u8>> {
    input::read(path, "the provider archive")
}

/// An archive from a file, verified.
fn read(path: &Path) -> Outcome<ProviderArchive> {
    ProviderArchive::try_load(&read_bytes(path)?).map_err(|error| Failure::of_file(path, &error))
}

/// Warns of libraries in an archive that no host of this project can load. Those of 2021 are among them: they speak another
/// interface.
fn warn_of_libraries(archive: &ProviderArchive) {
    for target in archive.targets() {
        let problem = archive.target_bytes(&target).map(|library| format::check(library, &target));
        if let Ok(Err(reason)) = problem {
            outcome::warn(&format!("no host can load the library for {target}: {reason}"));
        }
    }
}
