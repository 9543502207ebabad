//! `wasmcloud inspect`: verifies a signed module or a provider archive, and shows its claims.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use wasmcloud_claims::{Actor, ProviderArchive};
use wasmcloud_core::error::{Error, ErrorKind};

use crate::description::Description;
use crate::input;
use crate::outcome::{self, CommandError, CommandResult};

/// Verifies a signed module or a provider archive, and shows its claims.
///
/// If the token has expired or is not valid yet, the claims are shown and the exit code is 3.
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

pub(crate) fn run(command: &Inspect) -> CommandResult {
    refuse_reference(&command.file)?;
    let bytes = input::read(&command.file, "the file")?;
    if bytes.starts_with(MODULE) {
        module(&command.file, &bytes, command.json)
    } else if bytes.starts_with(GZIP) || is_tar(&bytes) {
        archive(&command.file, &bytes, command.json)
    } else {
        let file = command.file.display();
        Err(CommandError::Failed(format!("{file} is neither a WebAssembly module nor a provider archive")))
    }
}

/// Describes a signed module.
fn module(path: &Path, bytes: &[u8], as_json: bool) -> CommandResult {
    match Actor::from_slice(bytes) {
        Err(error) if is_out_of_time(&error) => {
            outcome::print(&Description::of_actor(&Actor::claims_of(bytes)?).to_text(as_json));
            Err(CommandError::of_file(path, &error))
        }
        Err(error) => Err(CommandError::of_file(path, &error)),
        Ok(actor) => Ok(Description::of_actor(&actor.claims()).to_text(as_json)),
    }
}

/// Describes a provider archive.
pub(crate) fn archive(path: &Path, bytes: &[u8], as_json: bool) -> CommandResult {
    match ProviderArchive::try_load(bytes) {
        Err(error) if is_out_of_time(&error) => {
            let claims = ProviderArchive::claims_of(bytes)?;
            // The targets in the token, because an archive that is not valid cannot be read.
            let hashes = claims.metadata.iter().flat_map(|metadata| metadata.target_hashes.keys());
            let targets = hashes.cloned().collect::<BTreeSet<String>>().into_iter().collect();
            outcome::print(&Description::of_archive(&claims, targets).to_text(as_json));
            Err(CommandError::of_file(path, &error))
        }
        Err(error) => Err(CommandError::of_file(path, &error)),
        Ok(archive) => Ok(Description::of_archive(&archive.claims(), archive.targets()).to_text(as_json)),
    }
}

/// Returns whether the signature is valid, but the token has expired or is not valid yet.
fn is_out_of_time(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::TokenExpired | ErrorKind::TokenNotYetValid)
}

const MODULE: &[u8] = b"\0asm";
const GZIP: &[u8] = &[0x1f, 0x8b];

/// Returns whether a file begins with the header of a tar file.
fn is_tar(bytes: &[u8]) -> bool {
    const MAGIC_AT: usize = 257;
    bytes.get(MAGIC_AT..).is_some_and(|rest| rest.starts_with(b"ustar"))
}

/// Refuses a path that names no file and has the form of a reference to an image in a registry.
fn refuse_reference(path: &Path) -> CommandResult<()> {
    let text = path.to_string_lossy();
    let is_reference = text.split_once('/').is_some_and(|(registry, image)| {
        (registry.contains('.') || registry.contains(':') || registry == "localhost")
            && !registry.starts_with('.')
            && !image.is_empty()
    });
    if !is_reference || path.exists() {
        return Ok(());
    }
    let message = format!(
        "there is no file {text}; to inspect an image in a registry, pull it first: wasmcloud registry pull --help"
    );
    Err(CommandError::Failed(message))
}
