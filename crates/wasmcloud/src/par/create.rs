//! `wasmcloud par create`: creates an archive.

use std::path::PathBuf;

use wasmcloud_claims::{ArchiveBuilder, ProviderArchive};

use super::library::Libraries;
use crate::outcome::CommandResult;
use crate::output;
use crate::secret::{IssuerSource, SubjectSource};
use crate::sign::{Release, contract};

/// Creates a signed archive of a provider's libraries.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud par create --output clock.par --name Clock --contract example:clock --vendor Example \\
      --library libclock.so --issuer-seed-file account.seed --subject-seed-file clock.seed
  wasmcloud par create --output clock.par.gz --name Clock --contract example:clock \\
      --vendor Example --revision 3 --version 0.3.0 --expires-in 52w \\
      --library x86_64-linux=libclock.so --library aarch64-macos=libclock.dylib \\
      --issuer-seed-file account.seed --subject-seed-file clock.seed")]
pub(crate) struct Create {
    /// The file for the archive, or `-` for standard output. An existing file is replaced.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// The provider's name.
    #[arg(long, short)]
    name: String,

    /// The contract that the provider serves, such as wasmcloud:keyvalue, or keyvalue for short.
    #[arg(long, short, value_name = "CONTRACT", value_parser = contract)]
    contract: String,

    /// The provider's vendor.
    #[arg(long)]
    vendor: String,

    #[command(flatten)]
    libraries: Libraries,

    /// Gzips the archive. Default: only if the file's extension is .gz.
    #[arg(long)]
    gzip: bool,

    #[command(flatten)]
    release: Release,

    #[command(flatten)]
    issuer: IssuerSource,

    #[command(flatten)]
    subject: SubjectSource,
}

pub(super) fn run(command: Create) -> CommandResult {
    let release = &command.release;
    let compressed =
        command.gzip || command.output.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    let mut archive =
        ProviderArchive::builder(&command.name, &command.contract, &command.vendor).compressed(compressed);
    archive = release.revision.into_iter().fold(archive, ArchiveBuilder::revision);
    archive = release.version.iter().fold(archive, |archive, version| archive.version(version));
    archive = release.expires_in.into_iter().fold(archive, ArchiveBuilder::expires);
    archive = release.valid_in.into_iter().fold(archive, ArchiveBuilder::not_before);
    archive = command.libraries.add_to(archive)?;
    let issuer = command.issuer.key()?;
    let subject = command.subject.key()?;
    let written = output::write(&command.output, &archive.sign(issuer.key_pair(), &subject)?)?;
    let subject = subject.public_key();
    let issuer = issuer.public_key();
    let output = output::shown(&command.output);
    Ok(written.report(format!("Signed {output}: provider {subject}, issued by {issuer}\n")).into())
}
