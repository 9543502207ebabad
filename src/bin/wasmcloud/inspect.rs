//! `wasmcloud inspect`: what a signed module or a provider archive says of itself, after all of it has been verified.

use std::path::{Path, PathBuf};

use wasmcloud_host::{Actor, ProviderArchive};

use crate::description::Description;
use crate::outcome::{Failure, Outcome};

/// Verifies a signed module or a provider archive, and shows what its token says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud inspect echo_signed.wasm
  wasmcloud inspect httpserver.par.gz --json")]
pub(crate) struct Inspect {
    /// A signed module or a provider archive.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &Inspect) -> Outcome {
    refuse_reference(&command.file)?;
    let description = if is_module(&command.file)? {
        Description::of_actor(&Actor::from_file(&command.file)?)
    } else {
        Description::of_archive(&ProviderArchive::from_file(&command.file)?)
    };
    Ok(description.print(command.json))
}

/// Whether a file begins like WebAssembly. All else may be an archive.
fn is_module(path: &Path) -> Outcome<bool> {
    use std::io::Read;
    let mut beginning = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(4).read_to_end(&mut beginning))
        .map_err(|error| Failure::Refused(format!("cannot read {}: {error}", path.display())))?;
    Ok(beginning == b"\0asm")
}

/// Refuses what is no file but looks like an image in a registry.
fn refuse_reference(path: &Path) -> Outcome<()> {
    let text = path.to_string_lossy();
    let is_reference = text.split_once('/').is_some_and(|(registry, image)| {
        (registry.contains('.') || registry.contains(':') || registry == "localhost")
            && !registry.starts_with('.')
            && !image.is_empty()
    });
    if !is_reference || path.exists() {
        return Ok(());
    }
    let message = format!("{} is no file; images in a registry cannot be inspected: download it first", text);
    Err(Failure::Refused(message))
}
