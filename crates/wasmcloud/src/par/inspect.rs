//! `wasmcloud par inspect`: what an archive says of itself.

use std::path::PathBuf;

use crate::inspect;
use crate::outcome::Outcome;

/// Verifies an archive, and shows what its token says and which targets it is for.
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

pub(super) fn run(command: &Inspect) -> Outcome {
    inspect::archive(&command.archive, &super::read_bytes(&command.archive)?, command.json)
}
