//! `wasmcloud par inspect`: verifies an archive and shows its claims.

use std::path::PathBuf;

use crate::inspect;
use crate::outcome::CommandResult;

/// Verifies an archive, and shows its claims and targets.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud par inspect clock.par.gz
  wasmcloud par inspect clock.par.gz --json")]
pub(crate) struct Inspect {
    /// The archive.
    #[arg(value_name = "ARCHIVE")]
    archive: PathBuf,

    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Inspect) -> CommandResult {
    inspect::archive(&command.archive, &super::read_bytes(&command.archive)?, command.json)
}
