//! `wasmcloud par verify`: whether an archive is what was signed.

use std::path::PathBuf;

use crate::outcome::{Failure, Outcome};
use crate::output;

/// Verifies an archive: its signature, its time, and each library. Warns of libraries that this project's hosts cannot load.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud par verify clock.par.gz
  wasmcloud par verify clock.par.gz --target x86_64-linux")]
pub(crate) struct Verify {
    /// The archive.
    #[arg(value_name = "ARCHIVE")]
    archive: PathBuf,

    /// A target that the archive must have a library for.
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
}

pub(super) fn run(command: &Verify) -> Outcome {
    let archive = super::read(&command.archive)?;
    if let Some(target) = &command.target {
        archive.target_bytes(target).map_err(|error| Failure::of_file(&command.archive, &error))?;
    }
    super::warn_of_libraries(&archive);
    let claims = archive.claims();
    let text = format!(
        "{} is as it was signed: provider {}, issued by {}\n",
        output::shown(&command.archive),
        claims.subject,
        claims.issuer
    );
    Ok(text.into())
}
