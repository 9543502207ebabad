//! Resolves references to modules and archives: files, built-in providers, or registries, which are refused.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use wasmcloud_claims::Actor;
use wasmcloud_claims::ProviderArchive;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::text::escaped;
use wasmcloud_plugin::NativeCapability;

use super::{ManifestCapability, ManifestIsolation};

/// The prefix of references to built-in providers.
const BUILTIN: &str = "builtin:";

/// Returns the name of the built-in provider that a reference names, if it does.
pub(super) fn builtin_name(reference: &str) -> Option<&str> {
    reference.strip_prefix(BUILTIN)
}

/// Returns the provider of an entry of a manifest.
pub(super) fn provider(capability: &ManifestCapability, folder: Option<&Path>) -> Result<NativeCapability> {
    let ManifestCapability { image_ref, link_name, isolation } = capability.clone();
    if let Some(name) = builtin_name(&image_ref) {
        if matches!(isolation, Some(ManifestIsolation::Process { .. })) {
            let message = "built-in providers run in its process only: leave out `isolation`";
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        return wasmcloud_providers::named(name, link_name);
    }
    let archive = ProviderArchive::from_file(find_file(&image_ref, folder)?)?;
    let isolation = isolation.map(ManifestIsolation::isolation).unwrap_or_default();
    NativeCapability::from_archive_isolated(&archive, link_name, isolation)
}

/// Reads the actor that a reference names, up to the size of the largest module.
pub(super) fn actor(reference: &str, folder: Option<&Path>, module_bytes: usize) -> Result<Actor> {
    let path = find_file(reference, folder)?;
    let mut module = Vec::new();
    let most = u64::try_from(module_bytes).unwrap_or(u64::MAX).saturating_add(1);
    File::open(&path).and_then(|file| file.take(most).read_to_end(&mut module)).map_err(|error| {
        Error::new(ErrorKind::Io, format!("cannot read the actor module {}", path.display())).caused_by(error)
    })?;
    if module.len() > module_bytes {
        let message = format!("the module {} is larger than the limit of {module_bytes} bytes", path.display());
        return Err(Error::new(ErrorKind::InvalidModule, message));
    }
    Actor::from_slice(&module)
}

/// Returns the file that a reference names, relative to the folder of the manifest, or else to the working directory.
fn find_file(reference: &str, folder: Option<&Path>) -> Result<PathBuf> {
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
            Ok(path.clone())
        }
        None if names_registry(reference) => {
            let message = "it refers to a registry, and hosts do not download from registries: save the module or archive \
                           as a file, and use its path";
            Err(Error::new(ErrorKind::Unsupported, message))
        }
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
fn names_registry(reference: &str) -> bool {
    if reference.starts_with("oci://") {
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
        let refused = |reference| find_file(reference, None).unwrap_err().kind();
        assert_eq!(refused(""), ErrorKind::InvalidArgument);
        assert_eq!(refused("src"), ErrorKind::Io);
        assert_eq!(refused("/dev/zero"), ErrorKind::Io);
        assert_eq!(refused("no/such.wasm"), ErrorKind::Io);
        assert_eq!(refused("localhost:5000/echo:0.2.1"), ErrorKind::Unsupported);
        assert_eq!(find_file("lib.rs", Some(Path::new("src"))).unwrap(), Path::new("src/lib.rs"));
        assert_eq!(find_file("Cargo.toml", Some(Path::new("src"))).unwrap(), Path::new("Cargo.toml"));
    }
}
