//! A library on the command line: a file, and the target that it is for.

use std::path::PathBuf;
use std::str::FromStr;

use wasmcloud_host::{ArchiveBuilder, ProviderArchive};

use crate::outcome::{Failure, Outcome};

#[derive(Debug, Clone)]
pub(super) struct Library {
    target: String,
    file: PathBuf,
}

impl FromStr for Library {
    type Err = String;

    fn from_str(text: &str) -> Result<Library, String> {
        let (target, file) = match text.split_once('=') {
            Some((target, file)) => (target.to_owned(), file),
            None => (ProviderArchive::host_target(), text),
        };
        if target.is_empty() || file.is_empty() {
            return Err("not a library: a file, or a target and a file, as in x86_64-linux=libclock.so".to_owned());
        }
        Ok(Library { target, file: file.into() })
    }
}

/// Puts libraries into an archive.
pub(super) fn add(mut archive: ArchiveBuilder, libraries: &[Library]) -> Outcome<ArchiveBuilder> {
    for Library { target, file } in libraries {
        let bytes = std::fs::read(file)
            .map_err(|error| Failure::Refused(format!("cannot read the library {}: {error}", file.display())))?;
        archive = archive.target(target, bytes);
    }
    Ok(archive)
}
