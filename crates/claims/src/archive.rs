//! Provider archives: the libraries of one capability provider, one for each target, and the token that vouches for them.
//!
//! An archive is a tar file, gzipped or not, of a `claims.jwt` and one `<arch>-<os>.bin` for each target. The token names
//! the SHA-256 of each library. Nothing of an archive can be had before all of it has been verified.
//!
//! # Layout
//! - `limits`: how much is read
//! - `read`: the entries of the tar file, as they are
//! - `verify`: whether the token vouches for what there is
//! - `write`: making and signing archives

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

/// The entry that holds the token.
const TOKEN: &str = "claims.jwt";

/// How the name of a library ends, after its target.
const LIBRARY: &str = ".bin";

/// A signed archive of a provider's libraries, verified.
///
/// ```
/// use wasmcloud_host::{ErrorKind, ProviderArchive};
///
/// let refused = ProviderArchive::try_load(b"this is no archive").unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::InvalidArchive);
/// ```
#[derive(Clone)]
pub struct ProviderArchive {
    claims: Claims<CapabilityProvider>,
    token: String,
    targets: BTreeMap<String, Vec<u8>>,
    compressed: bool,
}

impl ProviderArchive {
    /// Reads an archive and verifies all of it: the token's signature and keys, its validity at this moment, and the
    /// hash of each library. What is larger than the default [`ArchiveLimits`] is refused.
    ///
    /// The token may name targets that the archive does not have; it may not be silent about one that it has.
    ///
    /// # Errors
    /// `InvalidArchive`, `Unsigned`, `InvalidToken`, `TokenExpired`, `TokenNotYetValid` or `Tampered`.
    pub fn try_load(bytes: &[u8]) -> Result<ProviderArchive> {
        ProviderArchive::try_load_within(bytes, &ArchiveLimits::new())
    }

    /// The same within other limits.
    ///
    /// # Errors
    /// Those of [`ProviderArchive::try_load`].
    pub fn try_load_within(bytes: &[u8], limits: &ArchiveLimits) -> Result<ProviderArchive> {
        let contents = read::contents(bytes, limits)?;
        let claims = verify::claims(&contents)?;
        check_validity(&claims, SystemTime::now())?;
        let read::Contents { token, targets, compressed } = contents;
        Ok(ProviderArchive { claims, token, targets, compressed })
    }

    /// Returns the claims of an archive after all of it has been verified but the token's validity in time: also those of an
    /// archive that cannot be used any more, or not yet.
    ///
    /// # Errors
    /// `InvalidArchive`, `Unsigned`, `InvalidToken` or `Tampered`.
    pub fn claims_of(bytes: &[u8]) -> Result<Claims<CapabilityProvider>> {
        verify::claims(&read::contents(bytes, &ArchiveLimits::new())?)
    }

    /// Reads an archive from a file, as [`ProviderArchive::try_load`] does.
    ///
    /// This reads the file where it is called, so call it from a place that may block.
    ///
    /// # Errors
    /// `Io` where the file cannot be read, and those of [`ProviderArchive::try_load`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<ProviderArchive> {
        ProviderArchive::from_file_within(path, &ArchiveLimits::new())
    }

    /// The same within other limits. Of a file that is larger, no more is read than they allow.
    ///
    /// # Errors
    /// Those of [`ProviderArchive::from_file`].
    pub fn from_file_within(path: impl AsRef<Path>, limits: &ArchiveLimits) -> Result<ProviderArchive> {
        ProviderArchive::try_load_within(&read::file(path.as_ref(), limits)?, limits)
    }

    /// Begins an archive for a provider of this name, contract (such as `wasmcloud:keyvalue`) and vendor.
    pub fn builder(name: &str, contract_id: &str, vendor: &str) -> ArchiveBuilder {
        ArchiveBuilder::new(name, contract_id, vendor)
    }

    /// Begins an archive with the libraries of this one and what its token says, gzipped if this one is, to be changed and
    /// signed anew.
    pub fn to_builder(&self) -> ArchiveBuilder {
        ArchiveBuilder::of(self)
    }

    /// All that its token claims.
    pub fn claims(&self) -> Claims<CapabilityProvider> {
        self.claims.clone()
    }

    /// The token itself: three segments of base64url.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The targets that it has libraries for, such as `x86_64-linux`, in the order of the alphabet.
    pub fn targets(&self) -> Vec<String> {
        self.targets.keys().cloned().collect()
    }

    /// The library for a target. Its hash was compared with the signed one when the archive was read.
    ///
    /// # Errors
    /// `TargetMissing`, naming the targets there are.
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

    /// The target that this host is: its architecture and operating system as Rust names them, such as `x86_64-linux` or
    /// `aarch64-macos`.
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

/// Whether this can be the name of a target: `<arch>-<os>` in letters, digits, `_`, `-` and `.`, and no way to a place
/// elsewhere.
fn is_target(name: &str) -> bool {
    const LONGEST: usize = 64;
    let well_made = |part: &str| part.starts_with(|first: char| first.is_ascii_alphanumeric());
    name.len() <= LONGEST
        && name.chars().all(|character| character.is_ascii_alphanumeric() || "_-.".contains(character))
        && name.split_once('-').is_some_and(|(architecture, system)| well_made(architecture) && well_made(system))
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
