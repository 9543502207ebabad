//! `wasmcloud registry pull`: downloads and verifies an actor or a provider archive.

use std::path::PathBuf;

use wasmcloud_host::oci::Reference;

use super::access::{self, Access};
use super::progress::Bar;
use super::push::name;
use crate::outcome::{self, CommandResult};
use crate::output;

/// Pulls an actor or a provider archive, verifies its digest, and prints the reference with the digest.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud registry pull registry.example/actors/echo:1.0.0
  wasmcloud registry pull registry.example/actors/echo:1.0.0 --output echo.wasm && wasmcloud inspect echo.wasm")]
pub(crate) struct Pull {
    /// What is pulled: registry/repository:tag or registry/repository@sha256:DIGEST.
    #[arg(value_name = "REFERENCE", value_parser = access::reference)]
    reference: Reference,

    /// The file for the content, or `-` for standard output. Default: it stays in the cache.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    access: Access,
}

pub(super) fn run(command: Pull) -> CommandResult {
    let client = command.access.client(&command.reference)?;
    let bar = Bar::new("Pulling");
    let is_read = command.output.is_some();
    let transfer = async {
        let pulled = client.pull(&command.reference, &bar).await?;
        let content = if is_read { client.read(&pulled).await? } else { Vec::new() };
        Ok((pulled, content))
    };
    let (pulled, content) = access::carry_out(transfer)?;
    if pulled.is_stale {
        outcome::warn("the registry cannot be reached: this is what the tag stood for when it was last asked");
    }
    let pinned = pulled.reference.with_digest(&pulled.digest);
    let kind = name(pulled.kind);
    let path = command.output.as_ref().unwrap_or(&pulled.path);
    let report = format!("Pulled {kind} {pinned} to {}\n", output::shown(path));
    match &command.output {
        Some(path) => Ok(output::write(path, &content)?.report(report).into()),
        None => Ok(report.into()),
    }
}
