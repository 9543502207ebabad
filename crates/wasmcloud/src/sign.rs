//! `wasmcloud sign`: a module with a token that says what it is and what it may do.

use std::path::PathBuf;
use std::time::SystemTime;

use wasmcloud_claims::signing::{ActorClaims, sign_module};
use wasmcloud_core::error::ErrorKind;

use crate::outcome::{Failure, Outcome};
use crate::secret::{IssuerSource, SubjectSource};
use crate::{input, moment, output};

/// Signs a WebAssembly module, so that hosts run it as an actor. A signature that it carries is replaced.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud sign echo.wasm --output echo_signed.wasm --name Echo -c httpserver --revision 1 \\
      --issuer-seed-file account.seed --subject-seed-file echo.seed
  WASMCLOUD_ISSUER_SEED=$(cat account.seed) wasmcloud sign counter.wasm --output counter.wasm \\
      --name Counter -c httpserver -c keyvalue -c example:clock --alias counter --expires-in 30d \\
      --subject MBCFOPM6JW2APJLXJD3Z5O4CN7CPYJ2B4FTKLJUR5YR5MITIU7HD3WD5

Short names of capabilities: blobstore, extras, httpclient, httpserver, keyvalue, logging, messaging.
They stand for wasmcloud:blobstore and so on.")]
pub(crate) struct Sign {
    /// The module.
    #[arg(value_name = "MODULE")]
    module: PathBuf,

    /// Where the signed module is written, `-` for standard output. A file that is there is replaced; it may be the module
    /// itself.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// The actor's name.
    #[arg(long, short)]
    name: String,

    /// A contract that it may use, such as wasmcloud:keyvalue, or short keyvalue. Can be given several times.
    #[arg(long = "capability", short, value_name = "CONTRACT", value_parser = contract)]
    capabilities: Vec<String>,

    /// A tag. Can be given several times.
    #[arg(long = "tag", short, value_name = "TAG")]
    tags: Vec<String>,

    /// The name by which other actors may call it.
    #[arg(long)]
    alias: Option<String>,

    #[command(flatten)]
    release: Release,

    #[command(flatten)]
    issuer: IssuerSource,

    #[command(flatten)]
    subject: SubjectSource,
}

/// What a token says of a release, whatever is released.
#[derive(Debug, clap::Args)]
pub(crate) struct Release {
    /// A number that grows with each release.
    #[arg(long, short)]
    pub(crate) revision: Option<i32>,

    /// The version for people, such as 1.2.0.
    #[arg(long, visible_alias = "ver", value_name = "TEXT")]
    pub(crate) version: Option<String>,

    /// How long the signature is valid: a number of s, m, h, d or w, such as 30d. For ever, if not given.
    #[arg(long, value_name = "TIME", value_parser = moment::from_now)]
    pub(crate) expires_in: Option<SystemTime>,

    /// How long it takes until the signature is valid, such as 12h. It is at once, if not given.
    #[arg(long, value_name = "TIME", value_parser = moment::from_now)]
    pub(crate) valid_in: Option<SystemTime>,
}

pub(crate) fn run(command: Sign) -> Outcome {
    let module = input::read(&command.module, "the module")?;
    let issuer = command.issuer.key()?;
    let subject = command.subject.key()?;
    let signed =
        sign_module(&module, &command.claims(), issuer.key_pair(), &subject).map_err(|error| match error.kind() {
            ErrorKind::InvalidModule => Failure::of_file(&command.module, &error),
            _ => error.into(),
        })?;
    let written = output::write(&command.output, &signed)?;
    let (subject, issuer) = (subject.public_key(), issuer.public_key());
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

/// A contract id, or the short name of one that everybody knows.
pub(crate) fn contract(text: &str) -> Result<String, String> {
    const KNOWN: [&str; 7] = ["blobstore", "extras", "httpclient", "httpserver", "keyvalue", "logging", "messaging"];
    if text.split_once(':').is_some_and(|(vendor, name)| !vendor.is_empty() && !name.is_empty()) {
        return Ok(text.to_owned());
    }
    if KNOWN.contains(&text) {
        return Ok(format!("wasmcloud:{text}"));
    }
    Err(format!(
        "a contract id has a vendor and a name, as in example:clock; those with a short name are {}",
        KNOWN.join(", ")
    ))
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
