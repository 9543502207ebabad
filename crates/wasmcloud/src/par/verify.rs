//! `wasmcloud par verify`: verifies an archive.

use std::path::PathBuf;

use crate::outcome::{CommandError, CommandResult};
use crate::output;

/// Verifies an archive: its signature, its validity in time, and each library.
///
/// Warns of libraries that hosts cannot load.
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

pub(super) fn run(command: &Verify) -> CommandResult {
    let archive = super::read(&command.archive)?;
    if let Some(target) = &command.target {
        archive.target_bytes(target).map_err(|error| CommandError::of_file(&command.archive, &error))?;
    }
    super::warn_of_libraries(&archive);
    let claims = archive.claims();
    let text = format!(
        "{} is valid: provider {}, issued by {}\n",
        output::shown(&command.archive),
        claims.subject,
        claims.issuer
    );
    Ok(text.into())
}
