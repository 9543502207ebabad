//! `wasmcloud par insert`: more libraries for an archive that there is.

use std::path::PathBuf;

use nkeys::KeyPair;

use super::library::Libraries;
use crate::outcome::{Failure, Outcome};
use crate::output;
use crate::secret::IssuerSource;

/// Verifies an archive, adds libraries or replaces them, and signs it anew for the same provider. All else that its token
/// says stays, and so does whether it is gzipped.
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

    /// Where the new archive is written; in the place of the old one, if not given.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    issuer: IssuerSource,
}

pub(super) fn run(command: &Insert) -> Outcome {
    let archive = super::read(&command.archive)?;
    let provider = KeyPair::from_public_key(&archive.claims().subject)
        .map_err(|error| Failure::of_file(&command.archive, &error))?;
    let changed = command.libraries.add_to(archive.to_builder())?;
    let issuer = command.issuer.key()?;
    let output = command.output.as_ref().unwrap_or(&command.archive);
    let written = output::write(output, &changed.sign(issuer.key_pair(), &provider)?)?;
    let (subject, issuer) = (provider.public_key(), issuer.public_key());
    Ok(written.report(format!("Signed {}: provider {subject}, issued by {issuer}\n", output::shown(output))).into())
}
