//! Provider archives: the libraries of one capability provider, one for each target, with a signed token.
//!
//! An archive is a tar file, optionally gzipped, with a `claims.jwt` and one `<arch>-<os>.bin` for each target. The token
//! holds the SHA-256 of each library. An archive is verified as a whole before any part of it can be used.
//!
//! # Layout
//! - `limits`: how much of an archive is read
//! - `read`: reads the entries of the tar file
//! - `verify`: compares the libraries with the token
//! - `write`: writes and signs archives

mod limits;
mod read;
mod verify;
mod write;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::SystemTime;

use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::jwt::{CapabilityProvider, Claims};
use crate::token::check_validity;
pub use limits::ArchiveLimits;
pub use write::ArchiveBuilder;

/// The name of the entry that holds the token.
const TOKEN_ENTRY: &str = "claims.jwt";

/// The suffix of the name of a library's entry, after the target.
const LIBRARY_SUFFIX: &str = ".bin";

/// A verified, signed archive of a provider's libraries.
///
/// [`NativeCapability::from_archive`] makes a provider of it. [`ProviderArchive::builder`] and `wasmcloud par create` write
/// archives.
///
/// ```
/// use wasmcloud_host::{ErrorKind, ProviderArchive};
///
/// let refused = ProviderArchive::try_load(b"not an archive").unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::InvalidArchive);
/// ```
///
/// [`NativeCapability::from_archive`]: https://docs.rs/wasmcloud-host/latest/wasmcloud_host/struct.NativeCapability.html
#[derive(Clone)]
pub struct ProviderArchive {
    claims: Claims<CapabilityProvider>,
    token: String,
    targets: BTreeMap<String, Vec<u8>>,
    compressed: bool,
}

impl ProviderArchive {
    /// Reads and verifies an archive within the default [`ArchiveLimits`]: the token's signature and keys, its validity at
    /// this moment, and the hash of each library.
    ///
    /// The token must hold a hash of each library in the archive. It may name further targets.
    ///
    /// # Errors
    /// - `InvalidArchive` if the bytes are not a provider archive, or exceed the limits.
    /// - `Unsigned` if the archive carries no token.
    /// - `InvalidToken` if the token is malformed or its signature does not verify.
    /// - `TokenExpired` or `TokenNotYetValid` if the token is not valid at this moment.
    /// - `Tampered` if a library differs from the one that was signed, or the token does not name it.
    pub fn try_load(bytes: &[u8]) -> Result<ProviderArchive> {
        ProviderArchive::try_load_within(bytes, &ArchiveLimits::new())
    }

    /// Reads and verifies an archive within other limits.
    ///
    /// # Errors
    /// The errors of [`ProviderArchive::try_load`].
    pub fn try_load_within(bytes: &[u8], limits: &ArchiveLimits) -> Result<ProviderArchive> {
        let contents = read::read_archive(bytes, limits)?;
        let claims = verify::verify(&contents)?;
        check_validity(&claims, SystemTime::now())?;
        let read::UnverifiedArchive { token, targets, compressed } = contents;
        Ok(ProviderArchive { claims, token, targets, compressed })
    }

    /// Verifies an archive except for the token's validity in time, and returns its claims. The archive may have expired or
    /// not be valid yet.
    ///
    /// # Errors
    /// `InvalidArchive`, `Unsigned`, `InvalidToken` or `Tampered`, as for [`ProviderArchive::try_load`].
    pub fn claims_of(bytes: &[u8]) -> Result<Claims<CapabilityProvider>> {
        verify::verify(&read::read_archive(bytes, &ArchiveLimits::new())?)
    }

    /// Reads and verifies an archive from a file, as [`ProviderArchive::try_load`] does. This blocks the calling thread.
    ///
    /// # Errors
    /// `Io` if the file cannot be read, and the errors of [`ProviderArchive::try_load`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<ProviderArchive> {
        ProviderArchive::from_file_within(path, &ArchiveLimits::new())
    }

    /// Reads and verifies an archive from a file within other limits. Reading stops at [`ArchiveLimits::archive_bytes`].
    ///
    /// # Errors
    /// The errors of [`ProviderArchive::from_file`].
    pub fn from_file_within(path: impl AsRef<Path>, limits: &ArchiveLimits) -> Result<ProviderArchive> {
        ProviderArchive::try_load_within(&read::read_file(path.as_ref(), limits)?, limits)
    }

    /// Returns a builder of an archive for a provider with a name, a contract such as `wasmcloud:keyvalue`, and a vendor.
    pub fn builder(name: &str, contract_id: &str, vendor: &str) -> ArchiveBuilder {
        ArchiveBuilder::new(name, contract_id, vendor)
    }

    /// Returns a builder of an archive with the libraries and claims of this one, to be changed and signed again. The new
    /// archive is gzipped if this one is. Its time of issue is new.
    pub fn to_builder(&self) -> ArchiveBuilder {
        ArchiveBuilder::of(self)
    }

    /// Returns all claims of the token.
    pub fn claims(&self) -> Claims<CapabilityProvider> {
        self.claims.clone()
    }

    /// Returns the token: three segments of base64url.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Returns the targets that the archive has libraries for, such as `x86_64-linux`, in alphabetical order.
    pub fn targets(&self) -> Vec<String> {
        self.targets.keys().cloned().collect()
    }

    /// Returns the library for a target. Its hash was compared with the signed one when the archive was read.
    ///
    /// # Errors
    /// `TargetMissing` if the archive has no library for the target. The text lists the targets that it has.
    pub fn target_bytes(&self, target: &str) -> Result<&[u8]> {
        self.targets.get(target).map(Vec::as_slice).ok_or_else(|| {
            let message = format!(
                "the archive of provider {} has no library for {target:?}; it has {}",
                self.claims.subject,
                self.targets().join(", ")
            );
            Error::new(ErrorKind::TargetMissing, message)
        })
    }

    /// Returns the target of this program: the architecture and operating system in the names of [`std::env::consts`], such
    /// as `x86_64-linux` or `aarch64-macos`.
    pub fn host_target() -> String {
        format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
    }
}

impl fmt::Debug for ProviderArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderArchive")
            .field("subject", &self.claims.subject)
            .field("issuer", &self.claims.issuer)
            .field("targets", &self.targets())
            .finish_non_exhaustive()
    }
}

/// Returns whether a text has the form of a target: `<arch>-<os>` in letters, digits, `_`, `-` and `.`. A target is used as a
/// file name, so it cannot lead to another folder.
fn is_target(name: &str) -> bool {
    const LONGEST: usize = 64;
    let is_part = |part: &str| part.starts_with(|first: char| first.is_ascii_alphanumeric());
    name.len() <= LONGEST
        && name.chars().all(|character| character.is_ascii_alphanumeric() || "_-.".contains(character))
        && name.split_once('-').is_some_and(|(architecture, system)| is_part(architecture) && is_part(system))
}

fn invalid(reason: impl fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidArchive, format!("the provider archive cannot be read: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_an_architecture_and_a_system() {
        for good in ["x86_64-linux", "aarch64-macos", "armv7-linux-musl", "i686-windows"] {
            assert!(is_target(good), "{good}");
        }
        assert!(is_target(&ProviderArchive::host_target()));
        for bad in ["", "-", "linux", "x86_64-", "-linux", "a/b-linux", "x86-..", "é-linux", "x-linux\0", "a-\\b"] {
            assert!(!is_target(bad), "{bad}");
        }
        assert!(!is_target(&format!("x-{}", "y".repeat(64))));
    }
}
