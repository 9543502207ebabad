//! The libraries on the command line: files and their targets.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

use wasmcloud_claims::{ArchiveBuilder, ProviderArchive};

use super::{format, target};
use crate::input;
use crate::outcome::{CommandError, CommandResult};

/// The libraries that are put into an archive.
#[derive(Debug, clap::Args)]
pub(super) struct Libraries {
    /// A library and its target. Can be given several times. The text before the first `=` is the target, unless it contains a
    /// slash: write ./a=b.so for a file with such a name. Default target: that of this machine.
    #[arg(long = "library", short, value_name = "[TARGET=]FILE", required = true)]
    libraries: Vec<Library>,

    /// Accepts any libraries and targets, without checking the format, the architecture and the exported table of functions.
    #[arg(long)]
    unchecked: bool,
}

#[derive(Debug, Clone)]
struct Library {
    target: String,
    file: PathBuf,
}

impl FromStr for Library {
    type Err = String;

    fn from_str(text: &str) -> Result<Library, String> {
        let (target, file) = match text.split_once('=').filter(|(target, _)| !target.contains(['/', '\\'])) {
            Some((target, file)) => (target.to_owned(), file),
            None => (ProviderArchive::host_target(), text),
        };
        if target.is_empty() || file.is_empty() {
            return Err("not a library: give a file, or a target and a file, as in x86_64-linux=libclock.so".to_owned());
        }
        Ok(Library { target, file: file.into() })
    }
}

impl Libraries {
    /// Checks the libraries, and adds them to an archive.
    pub(super) fn add_to(&self, mut archive: ArchiveBuilder) -> CommandResult<ArchiveBuilder> {
        let mut targets = BTreeSet::new();
        for Library { target, file } in &self.libraries {
            if !targets.insert(target) {
                return Err(CommandError::Usage(format!(
                    "there is more than one library for {target}: an archive has one for each target"
                )));
            }
            if !self.unchecked {
                target::check(target).map_err(CommandError::Usage)?;
            }
            let bytes = input::read(file, "the library")?;
            let refuse = |reason| {
                let file = file.display();
                Err(CommandError::Failed(format!(
                    "{file} is not a library for {target}: {reason} (--unchecked accepts it)"
                )))
            };
            match format::check(&bytes, target) {
                Err(reason) if !self.unchecked => return refuse(reason),
                _ => archive = archive.target(target, bytes),
            }
        }
        Ok(archive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_ends_at_the_first_equals_sign_and_has_no_slash() {
        let read = |text: &str| text.parse::<Library>().map(|library| (library.target, library.file));
        let here = ProviderArchive::host_target();
        assert_eq!(read("libclock.so"), Ok((here.clone(), "libclock.so".into())));
        assert_eq!(read("x86_64-linux=a.so"), Ok(("x86_64-linux".to_owned(), "a.so".into())));
        assert_eq!(read("x86_64-linux=out/a=b.so"), Ok(("x86_64-linux".to_owned(), "out/a=b.so".into())));
        assert_eq!(read("./a=b.so"), Ok((here.clone(), "./a=b.so".into())));
        assert_eq!(read("out/a=b.so"), Ok((here, "out/a=b.so".into())));
        for bad in ["", "=a.so", "x86_64-linux="] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
