//! `wasmcloud registry push`: uploads a signed module or a provider archive.

use std::path::PathBuf;

use clap::ValueEnum;
use wasmcloud_claims::{Actor, ProviderArchive};
use wasmcloud_core::error::Error;
use wasmcloud_host::oci::{self, Kind, Reference};

use super::access::{self, Access};
use super::progress::Bar;
use crate::outcome::{self, CommandResult};
use crate::{input, output};

/// Pushes a signed module or a provider archive to a registry, and prints the reference with its digest.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud registry push echo_signed.wasm registry.example/actors/echo:1.0.0
  wasmcloud registry push httpserver.par.gz localhost:5000/providers/httpserver:1.0.0 --insecure localhost:5000")]
pub(crate) struct Push {
    /// The signed module or the provider archive.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Where it is pushed to: registry/repository:tag.
    #[arg(value_name = "REFERENCE", value_parser = access::reference)]
    reference: Reference,

    /// How the manifest of an actor is written.
    #[arg(long, value_enum, default_value_t = Layout::Wasmcloud)]
    layout: Layout,

    #[command(flatten)]
    access: Access,
}

/// How the manifest of an actor is written.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Layout {
    /// The media types that hosts and tools of 2021 read.
    Wasmcloud,
    /// The layout of the CNCF for WebAssembly.
    Cncf,
}

impl From<Layout> for oci::Layout {
    fn from(layout: Layout) -> oci::Layout {
        match layout {
            Layout::Wasmcloud => oci::Layout::Wasmcloud,
            Layout::Cncf => oci::Layout::Cncf,
        }
    }
}

pub(super) fn run(command: Push) -> CommandResult {
    let client = command.access.client(&command.reference)?;
    if let Err(refusal) = verify(&input::read(&command.file, "the file")?) {
        let file = output::shown(&command.file);
        outcome::warn(&format!("hosts will refuse what is pushed: {refusal}; in the file {file}"));
    }
    let bar = Bar::new("Pushing");
    let pushed = access::carry_out(client.push(&command.reference, &command.file, command.layout.into(), &bar))?;
    let kind = name(pushed.kind);
    let file = output::shown(&command.file);
    Ok(format!("Pushed {file}: {kind} {}\n", pushed.reference.with_digest(&pushed.digest)).into())
}

/// Verifies what hosts will verify.
fn verify(bytes: &[u8]) -> Result<(), Error> {
    if bytes.starts_with(b"\0asm") {
        Actor::from_slice(bytes).map(drop)
    } else {
        ProviderArchive::try_load(bytes).map(drop)
    }
}

/// Returns how reports call a kind of content.
pub(super) fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Provider => "provider",
        _ => "actor",
    }
}
