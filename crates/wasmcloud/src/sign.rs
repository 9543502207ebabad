//! `wasmcloud sign`: embeds a signed token with an actor's claims in a module.

use std::path::PathBuf;
use std::time::SystemTime;

use wasmcloud_claims::signing::{ActorClaims, sign_module};
use wasmcloud_core::error::ErrorKind;

use crate::outcome::{CommandError, CommandResult};
use crate::secret::{IssuerSource, SubjectSource};
use crate::{input, output, time};

/// Signs a WebAssembly module, so that hosts run it as an actor.
///
/// An existing signature is replaced.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud sign echo.wasm --output echo_signed.wasm --name Echo -c httpserver --revision 1 \\
      --issuer-seed-file account.seed --subject-seed-file echo.seed
  WASMCLOUD_ISSUER_SEED=$(cat account.seed) wasmcloud sign counter.wasm --output counter.wasm \\
      --name Counter -c httpserver -c keyvalue -c example:clock --alias counter --expires-in 30d \\
      --subject MBCFOPM6JW2APJLXJD3Z5O4CN7CPYJ2B4FTKLJUR5YR5MITIU7HD3WD5

Short names of contracts: blobstore, extras, httpclient, httpserver, keyvalue, logging, messaging.
blobstore is short for wasmcloud:blobstore, and so on.")]
pub(crate) struct Sign {
    /// The module to sign.
    #[arg(value_name = "MODULE")]
    module: PathBuf,

    /// The file for the signed module, or `-` for standard output. An existing file is replaced. It may be the module itself.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// The actor's name.
    #[arg(long, short)]
    name: String,

    /// A contract that the actor may use, such as wasmcloud:keyvalue, or keyvalue for short. Can be given several times.
    /// Default: none.
    #[arg(long = "capability", short, value_name = "CONTRACT", value_parser = contract)]
    capabilities: Vec<String>,

    /// A tag of the actor. Can be given several times. Default: none.
    #[arg(long = "tag", short, value_name = "TAG")]
    tags: Vec<String>,

    /// The name by which other actors may call the actor. Default: none.
    #[arg(long)]
    alias: Option<String>,

    #[command(flatten)]
    release: Release,

    #[command(flatten)]
    issuer: IssuerSource,

    #[command(flatten)]
    subject: SubjectSource,
}

/// The claims about a release of an actor or a provider.
#[derive(Debug, clap::Args)]
pub(crate) struct Release {
    /// The revision, a number that increases with each release. Default: none.
    #[arg(long, short)]
    pub(crate) revision: Option<i32>,

    /// The human-readable version, such as 1.2.0. Default: none.
    #[arg(long, visible_alias = "ver", value_name = "TEXT")]
    pub(crate) version: Option<String>,

    /// How long the signature is valid: a number of s, m, h, d or w, such as 30d. Default: forever.
    #[arg(long, value_name = "DURATION", value_parser = time::from_now)]
    pub(crate) expires_in: Option<SystemTime>,

    /// When the signature becomes valid: a number of s, m, h, d or w from now, such as 12h. Default: immediately.
    #[arg(long, value_name = "DURATION", value_parser = time::from_now)]
    pub(crate) valid_in: Option<SystemTime>,
}

pub(crate) fn run(command: Sign) -> CommandResult {
    let module = input::read(&command.module, "the module")?;
    let issuer = command.issuer.key()?;
    let subject = command.subject.key()?;
    let signed =
        sign_module(&module, &command.claims(), issuer.key_pair(), &subject).map_err(|error| match error.kind() {
            ErrorKind::InvalidModule => CommandError::of_file(&command.module, &error),
            _ => error.into(),
        })?;
    let written = output::write(&command.output, &signed)?;
    let subject = subject.public_key();
    let issuer = issuer.public_key();
    let output = output::shown(&command.output);
    Ok(written.report(format!("Signed {output}: actor {subject}, issued by {issuer}\n")).into())
}

impl Sign {
    fn claims(&self) -> ActorClaims {
        let release = &self.release;
        let mut claims = ActorClaims::new(&self.name);
        claims = self.capabilities.iter().fold(claims, |claims, contract| claims.capability(contract));
        claims = self.tags.iter().fold(claims, |claims, tag| claims.tag(tag));
        claims = self.alias.iter().fold(claims, |claims, alias| claims.call_alias(alias));
        claims = release.revision.into_iter().fold(claims, ActorClaims::revision);
        claims = release.version.iter().fold(claims, |claims, version| claims.version(version));
        claims = release.expires_in.into_iter().fold(claims, ActorClaims::expires);
        release.valid_in.into_iter().fold(claims, ActorClaims::not_before)
    }
}

/// Parses a contract id, or the short name of a standard contract.
pub(crate) fn contract(text: &str) -> Result<String, String> {
    const KNOWN: [&str; 7] = ["blobstore", "extras", "httpclient", "httpserver", "keyvalue", "logging", "messaging"];
    if text.split_once(':').is_some_and(|(vendor, name)| !vendor.is_empty() && !name.is_empty()) {
        return Ok(text.to_owned());
    }
    if KNOWN.contains(&text) {
        return Ok(format!("wasmcloud:{text}"));
    }
    Err(format!("a contract id has a vendor and a name, as in example:clock; the short names are {}", KNOWN.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contracts_have_short_names_or_a_colon() {
        assert_eq!(contract("keyvalue").unwrap(), "wasmcloud:keyvalue");
        assert_eq!(contract("example:clock").unwrap(), "example:clock");
        for bad in ["clock", "clock:", ":clock", ":"] {
            assert!(contract(bad).unwrap_err().contains("httpserver"), "{bad}");
        }
    }
}
