//! Resolves references to modules and archives: files, built-in providers, or registries.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use wasmcloud_claims::Actor;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::text::escaped;

/// The prefix of references to built-in providers.
const BUILTIN: &str = "builtin:";

/// Where a module or archive is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// A built-in provider, by its name.
    Builtin(String),
    File(PathBuf),
    /// An OCI registry, by the reference of an image.
    Registry(String),
}

/// Returns the name of the built-in provider that a reference names, if it does.
pub(super) fn builtin_name(reference: &str) -> Option<&str> {
    reference.strip_prefix(BUILTIN)
}

/// Returns where a reference leads to. A path is relative to the folder of the manifest, or else to the working directory.
///
/// # Errors
/// `Io` if it is the path of no regular file.
pub(super) fn locate(reference: &str, folder: Option<&Path>) -> Result<Location> {
    match builtin_name(reference) {
        Some(name) => Ok(Location::Builtin(name.to_owned())),
        None => find_file(reference, folder),
    }
}

/// Returns where a reference of a manifest from elsewhere leads to.
///
/// # Errors
/// `InvalidArgument` if it is a path.
pub(super) fn locate_elsewhere(reference: &str) -> Result<Location> {
    expect_portable(reference)?;
    Ok(match builtin_name(reference) {
        Some(name) => Location::Builtin(name.to_owned()),
        None => registry(reference),
    })
}

/// Checks that a reference means the same on every machine.
///
/// # Errors
/// `InvalidArgument` if it is a path.
pub(super) fn expect_portable(reference: &str) -> Result<()> {
    if builtin_name(reference).is_some() || names_registry(reference) {
        return Ok(());
    }
    let message = format!(
        "{} is a path, and a manifest for another machine can name no files: push the file to a registry (wasmcloud registry \
         push FILE registry.example/name:tag) and write that reference",
        wasmcloud_document::printable(reference)
    );
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

/// Returns the location of an image, by its reference with or without `oci://`.
fn registry(reference: &str) -> Location {
    Location::Registry(reference.strip_prefix(SCHEME).unwrap_or(reference).to_owned())
}

/// What may precede a reference to a registry.
const SCHEME: &str = "oci://";

/// Reads an actor from a file, up to the size of the largest module.
pub(super) fn read_actor(path: &Path, module_bytes: usize) -> Result<Actor> {
    let mut module = Vec::new();
    let most = u64::try_from(module_bytes).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path).and_then(|file| file.take(most).read_to_end(&mut module)).map_err(|error| {
        Error::new(ErrorKind::Io, format!("cannot read the actor module {}", path.display())).caused_by(error)
    })?;
    if module.len() > module_bytes {
        let message = format!("the module {} is larger than the limit of {module_bytes} bytes", path.display());
        return Err(Error::new(ErrorKind::InvalidModule, message));
    }
    Actor::from_slice(&module)
}

/// Returns the file that a reference names, or else the registry.
fn find_file(reference: &str, folder: Option<&Path>) -> Result<Location> {
    if reference.is_empty() {
        return Err(Error::new(ErrorKind::InvalidArgument, "the path is empty"));
    }
    let beside = folder.filter(|folder| !folder.as_os_str().is_empty()).map(|folder| folder.join(reference));
    let here = PathBuf::from(reference);
    let found = beside.iter().chain([&here]).find(|path| path.exists());
    match found {
        Some(path) if !path.is_file() => {
            Err(Error::new(ErrorKind::Io, format!("{} is not a regular file", path.display())))
        }
        Some(path) => {
            if beside.as_ref().is_some_and(|beside| beside != path) {
                let name = path.to_string_lossy();
                let name = escaped(&name);
                log::warn!("{name} is taken from the working directory: the manifest's folder has no such file");
            }
            Ok(Location::File(path.clone()))
        }
        None if names_registry(reference) => Ok(registry(reference)),
        None => {
            let nor_here = if beside.as_ref().is_some_and(|beside| *beside != here) {
                ", nor in the working directory"
            } else {
                ""
            };
            let message = format!("there is no file {}{nor_here}", beside.as_ref().unwrap_or(&here).display());
            Err(Error::new(ErrorKind::Io, message))
        }
    }
}

/// Returns whether a reference has the form of one to a registry, such as `localhost:5000/echo:0.2.1`: a host before the first
/// slash, and no extension of a module or archive.
pub(super) fn names_registry(reference: &str) -> bool {
    if reference.starts_with(SCHEME) {
        return true;
    }
    let Some((host, path)) = reference.split_once('/') else { return false };
    let is_host = host == "localhost" || (host.contains(['.', ':']) && !matches!(host, "." | ".."));
    is_host && !path.is_empty() && ![".wasm", ".par", ".par.gz"].iter().any(|extension| path.ends_with(extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_distinguished_from_files() {
        for reference in [
            "wasmcloud.azurecr.io/kvcounter:0.2.0",
            "localhost:5000/echo:0.2.1",
            "localhost/echo",
            "oci://registry/echo",
            "registry.example/team/echo@sha256:0011",
        ] {
            assert!(names_registry(reference), "{reference}");
        }
        for reference in [
            "echo.wasm",
            "./echo",
            "../echo",
            "/var/echo",
            "actors/echo",
            "v1.2/echo.wasm",
            "v1.2/echo.par.gz",
            "",
            "a.b/",
        ] {
            assert!(!names_registry(reference), "{reference}");
        }
    }

    #[test]
    fn only_regular_files_are_accepted() {
        let refused = |reference| locate(reference, None).unwrap_err().kind();
        assert_eq!(refused(""), ErrorKind::InvalidArgument);
        assert_eq!(refused("src"), ErrorKind::Io);
        assert_eq!(refused("/dev/zero"), ErrorKind::Io);
        assert_eq!(refused("no/such.wasm"), ErrorKind::Io);
        let found = |reference, folder| locate(reference, folder).unwrap();
        let file = |path: &str| Location::File(PathBuf::from(path));
        assert_eq!(found("lib.rs", Some(Path::new("src"))), file("src/lib.rs"));
        assert_eq!(found("Cargo.toml", Some(Path::new("src"))), file("Cargo.toml"));
        let image = Location::Registry("localhost:5000/echo:0.2.1".to_owned());
        assert_eq!(found("localhost:5000/echo:0.2.1", None), image);
        assert_eq!(found("oci://localhost:5000/echo:0.2.1", None), image);
        assert_eq!(found("builtin:logging", None), Location::Builtin("logging".to_owned()));
    }

    #[test]
    fn a_manifest_from_elsewhere_names_no_files() {
        for path in ["", "Cargo.toml", "/etc/passwd", "../a.wasm", "./localhost:5000/echo", "a/b.wasm"] {
            assert_eq!(locate_elsewhere(path).unwrap_err().kind(), ErrorKind::InvalidArgument, "{path}");
        }
        let image = Location::Registry("localhost:5000/echo:1".to_owned());
        assert_eq!(locate_elsewhere("localhost:5000/echo:1").unwrap(), image);
        assert_eq!(locate_elsewhere("builtin:extras").unwrap(), Location::Builtin("extras".to_owned()));
    }
}
