//! `wasmcloud par insert`: adds libraries to an archive.

use std::path::PathBuf;

use nkeys::KeyPair;

use super::library::Libraries;
use crate::outcome::{CommandError, CommandResult};
use crate::output;
use crate::secret::IssuerSource;

/// Adds libraries to an archive, or replaces them.
///
/// Verifies the archive, and signs it again for the same provider. All other claims are kept. The new archive is gzipped if
/// the old one is.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud par insert clock.par.gz --library aarch64-linux=libclock.so \\
      --issuer-seed-file account.seed")]
pub(crate) struct Insert {
    /// The archive.
    #[arg(value_name = "ARCHIVE")]
    archive: PathBuf,

    #[command(flatten)]
    libraries: Libraries,

    /// The file for the new archive. Default: replaces the old archive.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    issuer: IssuerSource,
}

pub(super) fn run(command: &Insert) -> CommandResult {
    let archive = super::read(&command.archive)?;
    let provider = KeyPair::from_public_key(&archive.claims().subject)
        .map_err(|error| CommandError::Failed(format!("{error}; in the file {}", command.archive.display())))?;
    let changed = command.libraries.add_to(archive.to_builder())?;
    let issuer = command.issuer.key()?;
    let output = command.output.as_ref().unwrap_or(&command.archive);
    let written = output::write(output, &changed.sign(issuer.key_pair(), &provider)?)?;
    let subject = provider.public_key();
    let issuer = issuer.public_key();
    Ok(written.report(format!("Signed {}: provider {subject}, issued by {issuer}\n", output::shown(output))).into())
}
