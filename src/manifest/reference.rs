//! What the place of a module or archive stands for: a file, a provider that comes with the host, or a registry's.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use wasmcloud_claims::Actor;
use wasmcloud_claims::ProviderArchive;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::text::escaped;
use wasmcloud_plugin::NativeCapability;

use super::{ManifestCapability, ManifestIsolation};

/// How references to providers begin that come with the host.
const BUILTIN: &str = "builtin:";

/// The name of a provider that comes with the host, if that is what this refers to.
pub(super) fn builtin_name(reference: &str) -> Option<&str> {
    reference.strip_prefix(BUILTIN)
}

/// The provider that a manifest asks for.
pub(super) fn provider(asked: &ManifestCapability, folder: Option<&Path>) -> Result<NativeCapability> {
    let ManifestCapability { image_ref, link_name, isolation } = asked.clone();
    if let Some(name) = builtin_name(&image_ref) {
        if matches!(isolation, Some(ManifestIsolation::Process { .. })) {
            let message = "providers that come with the host run in its process: leave out its isolation";
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        return wasmcloud_providers::named(name, link_name);
    }
    let archive = ProviderArchive::from_file(file(&image_ref, folder)?)?;
    let isolation = isolation.map(ManifestIsolation::isolation).unwrap_or_default();
    NativeCapability::from_archive_isolated(&archive, link_name, isolation)
}

/// The actor whose module this refers to. Of a file that is larger, no more is read than a module may have.
pub(super) fn actor(reference: &str, folder: Option<&Path>, module_bytes: usize) -> Result<Actor> {
    let path = file(reference, folder)?;
    let mut module = Vec::new();
    let most = u64::try_from(module_bytes).unwrap_or(u64::MAX).saturating_add(1);
    File::open(&path).and_then(|file| file.take(most).read_to_end(&mut module)).map_err(|error| {
        Error::new(ErrorKind::Io, format!("cannot read the actor module {}", path.display())).caused_by(error)
    })?;
    if module.len() > module_bytes {
        let message = format!("the module {} has more than the {module_bytes} bytes that are allowed", path.display());
        return Err(Error::new(ErrorKind::InvalidModule, message));
    }
    Actor::from_slice(&module)
}

/// The file that this refers to: where the manifest lies, or else in the working directory.
fn file(reference: &str, folder: Option<&Path>) -> Result<PathBuf> {
    if reference.is_empty() {
        return Err(Error::new(ErrorKind::InvalidArgument, "the path is empty"));
    }
    let beside = folder.filter(|folder| !folder.as_os_str().is_empty()).map(|folder| folder.join(reference));
    let here = PathBuf::from(reference);
    let found = beside.iter().chain([&here]).find(|path| path.exists());
    match found {
        Some(path) if !path.is_file() => Err(Error::new(ErrorKind::Io, format!("{} is no file", path.display()))),
        Some(path) => {
            if beside.as_ref().is_some_and(|beside| beside != path) {
                let name = path.to_string_lossy();
                let name = escaped(&name);
                log::warn!("{name} is taken from the working directory: there is none beside the manifest");
            }
            Ok(path.clone())
        }
        None if names_registry(reference) => {
            let message = "it refers to a registry, and hosts fetch nothing from registries: save the module or archive \
                           as a file, and give its path";
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

/// Whether this is the form of a reference to a registry, such as `localhost:5000/echo:0.2.1`: what comes before the first
/// slash is a host, and the whole does not end like a file.
fn names_registry(reference: &str) -> bool {
    if reference.starts_with("oci://") {
        return true;
    }
    let Some((host, path)) = reference.split_once('/') else { return false };
    let is_host = host == "localhost" || (host.contains(['.', ':']) && !matches!(host, "." | ".."));
    is_host && !path.is_empty() && ![".wasm", ".par", ".par.gz"].iter().any(|shutdown| path.ends_with(shutdown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_told_from_files() {
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
    fn what_is_no_file_is_refused() {
        let refused = |reference| file(reference, None).unwrap_err().kind();
        assert_eq!(refused(""), ErrorKind::InvalidArgument);
        assert_eq!(refused("src"), ErrorKind::Io);
        assert_eq!(refused("/dev/zero"), ErrorKind::Io);
        assert_eq!(refused("no/such.wasm"), ErrorKind::Io);
        assert_eq!(refused("localhost:5000/echo:0.2.1"), ErrorKind::Unsupported);
        assert_eq!(file("lib.rs", Some(Path::new("src"))).unwrap(), Path::new("src/lib.rs"));
        assert_eq!(file("Cargo.toml", Some(Path::new("src"))).unwrap(), Path::new("Cargo.toml"));
    }
}
