//! `wasmcloud par insert`: more libraries for an archive that there is.

use std::path::PathBuf;

use nkeys::KeyPair;
use wasmcloud_host::ProviderArchive;
use wasmcloud_host::signing::write_file;

use super::library::{self, Library};
use crate::outcome::{Failure, Outcome};
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

    /// A library, and the target it is for: this machine's, if none is given. Can be given several times.
    #[arg(long = "library", short, value_name = "[TARGET=]FILE", required = true)]
    libraries: Vec<Library>,

    /// Where the new archive is written; in the place of the old one, if not given.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    issuer: IssuerSource,
}

pub(super) fn run(command: &Insert) -> Outcome {
    let archive = ProviderArchive::from_file(&command.archive)?;
    let provider = KeyPair::from_public_key(&archive.claims().subject)
        .map_err(|error| Failure::Refused(format!("the archive names no provider: {error}")))?;
    let changed = library::add(archive.to_builder(), &command.libraries)?;
    let issuer = command.issuer.key()?;
    let output = command.output.as_ref().unwrap_or(&command.archive);
    write_file(output, &changed.sign(issuer.key_pair(), &provider)?)?;
    let (subject, issuer) = (provider.public_key(), issuer.public_key());
    Ok(format!("Signed {}: provider {subject}, issued by {issuer}\n", output.display()).into())
}
