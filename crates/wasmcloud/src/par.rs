//! `wasmcloud par`: creates, changes and verifies provider archives.

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
use crate::outcome::{self, CommandError, CommandResult};

/// Creates, changes and verifies provider archives.
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

pub(crate) fn run(command: Command) -> CommandResult {
    match command {
        Command::Create(command) => create::run(command),
        Command::Insert(command) => insert::run(&command),
        Command::Inspect(command) => inspect::run(&command),
        Command::Verify(command) => verify::run(&command),
    }
}

/// Reads the bytes of an archive from a file.
fn read_bytes(path: &Path) -> CommandResult<Vec<u8>> {
    input::read(path, "the provider archive")
}

/// Reads and verifies an archive from a file.
fn read(path: &Path) -> CommandResult<ProviderArchive> {
    ProviderArchive::try_load(&read_bytes(path)?).map_err(|error| CommandError::of_file(path, &error))
}

/// Warns of libraries in an archive that hosts of this version cannot load. Libraries for wasmCloud 0.18 are among them, because
/// they have another interface.
fn warn_of_libraries(archive: &ProviderArchive) {
    for target in archive.targets() {
        let problem = archive.target_bytes(&target).map(|library| format::check(library, &target));
        if let Ok(Err(reason)) = problem {
            outcome::warn(&format!("no host can load the library for {target}: {reason}"));
        }
    }
}
