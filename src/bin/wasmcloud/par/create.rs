//! `wasmcloud par create`: a new archive.

use std::path::PathBuf;

use wasmcloud_host::signing::write_file;
use wasmcloud_host::{ArchiveBuilder, ProviderArchive};

use super::library::{self, Library};
use crate::outcome::Outcome;
use crate::secret::{IssuerSource, SubjectSource};
use crate::sign::{Release, contract};

/// Makes a signed archive of a provider's libraries.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud par create --output clock.par --name Clock --contract example:clock --vendor Example \\
      --library libclock.so --issuer-seed-file account.seed --subject-seed-file clock.seed
  wasmcloud par create --output clock.par.gz --gzip --name Clock --contract example:clock \\
      --vendor Example --revision 3 --version 0.3.0 --expires-in 52w \\
      --library x86_64-linux=libclock.so --library aarch64-macos=libclock.dylib \\
      --issuer-seed-file account.seed --subject-seed-file clock.seed")]
pub(crate) struct Create {
    /// Where the archive is written. A file that is there is replaced.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// The provider's name.
    #[arg(long, short)]
    name: String,

    /// The contract that it serves, such as wasmcloud:keyvalue, or short keyvalue.
    #[arg(long, short, value_name = "CONTRACT", value_parser = contract)]
    contract: String,

    /// Who makes it.
    #[arg(long)]
    vendor: String,

    /// A library, and the target it is for: this machine's, if none is given. Can be given several times.
    #[arg(long = "library", short, value_name = "[TARGET=]FILE", required = true)]
    libraries: Vec<Library>,

    /// Gzips the archive.
    #[arg(long)]
    gzip: bool,

    #[command(flatten)]
    release: Release,

    #[command(flatten)]
    issuer: IssuerSource,

    #[command(flatten)]
    subject: SubjectSource,
}

pub(super) fn run(command: Create) -> Outcome {
    let release = &command.release;
    let mut archive =
        ProviderArchive::builder(&command.name, &command.contract, &command.vendor).compressed(command.gzip);
    archive = release.revision.into_iter().fold(archive, ArchiveBuilder::revision);
    archive = release.version.iter().fold(archive, |archive, version| archive.version(version));
    archive = release.expires_in.into_iter().fold(archive, ArchiveBuilder::expires);
    archive = release.valid_in.into_iter().fold(archive, ArchiveBuilder::not_before);
    archive = library::add(archive, &command.libraries)?;
    let issuer = command.issuer.key()?;
    let subject = command.subject.key()?;
    write_file(&command.output, &archive.sign(issuer.key_pair(), &subject)?)?;
    let (subject, issuer) = (subject.public_key(), issuer.public_key());
    Ok(format!("Signed {}: provider {subject}, issued by {issuer}\n", command.output.display()).into())
}
