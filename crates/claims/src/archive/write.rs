//! Writes and signs archives. The same contents give the same bytes, so builds are reproducible.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::{Compression, GzBuilder};
use nkeys::KeyPair;
use wasmcloud_core::entity::{expect_whole_contract, shorten};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::verify::library_hash;
use super::{LIBRARY_SUFFIX, ProviderArchive, TOKEN_ENTRY, is_target};
use crate::issue::{Validity, issue_token};
use crate::jwt::CapabilityProvider;

/// Builds a provider archive. [`ArchiveBuilder::sign`] checks the contents and returns the archive.
///
/// ```
/// use wasmcloud_host::ProviderArchive;
/// use wasmcloud_host::signing::KeyPair;
///
/// # fn main() -> wasmcloud_host::Result<()> {
/// let (account, provider) = (KeyPair::new_account(), KeyPair::new_service());
/// let bytes = ProviderArchive::builder("Clock", "example:clock", "Example")
///     .revision(1)
///     .target("x86_64-linux", b"the bytes of a library".to_vec())
///     .sign(&account, &provider)?;
/// assert_eq!(ProviderArchive::try_load(&bytes)?.targets(), ["x86_64-linux"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "`sign` returns the archive"]
pub struct ArchiveBuilder {
    metadata: CapabilityProvider,
    validity: Validity,
    targets: BTreeMap<String, Vec<u8>>,
    compressed: bool,
}

impl ArchiveBuilder {
    pub(super) fn new(name: &str, contract_id: &str, vendor: &str) -> ArchiveBuilder {
        let metadata = CapabilityProvider {
            name: Some(name.to_owned()),
            capid: contract_id.to_owned(),
            vendor: vendor.to_owned(),
            ..CapabilityProvider::default()
        };
        ArchiveBuilder { metadata, validity: Validity::default(), targets: BTreeMap::new(), compressed: false }
    }

    pub(super) fn of(archive: &ProviderArchive) -> ArchiveBuilder {
        let time = |seconds: u64| UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        let validity = Validity {
            issued_at: None,
            not_before: archive.claims.not_before.and_then(time),
            expires: archive.claims.expires.and_then(time),
        };
        let metadata = archive.claims.metadata.clone().unwrap_or_default();
        ArchiveBuilder { metadata, validity, targets: archive.targets.clone(), compressed: archive.compressed }
    }

    /// Sets the provider's revision, which increases with each release. Default: none.
    pub fn revision(mut self, revision: i32) -> ArchiveBuilder {
        self.metadata.rev = Some(revision);
        self
    }

    /// Sets the provider's human-readable version, such as `1.2.0`. Default: none.
    pub fn version(mut self, version: impl Into<String>) -> ArchiveBuilder {
        self.metadata.ver = Some(version.into());
        self
    }

    /// Sets when the token expires, rounded down to seconds. It must be later than the time of issue. Default: never.
    pub fn expires(mut self, time: SystemTime) -> ArchiveBuilder {
        self.validity.expires = Some(time);
        self
    }

    /// Sets when the token becomes valid, rounded down to seconds. Default: immediately.
    pub fn not_before(mut self, time: SystemTime) -> ArchiveBuilder {
        self.validity.not_before = Some(time);
        self
    }

    /// Sets the token's time of issue, rounded down to seconds. Archives with the same contents, keys and time of issue have
    /// the same bytes. Default: the time of signing.
    pub fn issued_at(mut self, time: SystemTime) -> ArchiveBuilder {
        self.validity.issued_at = Some(time);
        self
    }

    /// Adds or replaces the library for a target, such as `x86_64-linux`. An archive needs at least one.
    pub fn target(mut self, target: impl Into<String>, library: impl Into<Vec<u8>>) -> ArchiveBuilder {
        self.targets.insert(target.into(), library.into());
        self
    }

    /// Sets whether the archive is gzipped. Default: no.
    pub fn compressed(mut self, compressed: bool) -> ArchiveBuilder {
        self.compressed = compressed;
        self
    }

    /// Signs the archive with the account key `issuer`, and returns its bytes. `provider` is the provider's key; its public
    /// half suffices.
    ///
    /// # Errors
    /// `InvalidArgument` if
    /// - a key is of the wrong kind, or the issuer's seed is missing,
    /// - there is no library, or a target or the contract id is malformed,
    /// - the token would never be valid, or would be larger than hosts read (64 KiB).
    pub fn sign(mut self, issuer: &KeyPair, provider: &KeyPair) -> Result<Vec<u8>> {
        self.check_targets()?;
        expect_whole_contract(&self.metadata.capid)?;
        self.metadata.target_hashes =
            self.targets.iter().map(|(target, library)| (target.clone(), library_hash(library))).collect();
        let mut claims = self.metadata.clone().claims(issuer.public_key(), provider.public_key());
        self.validity.apply_to(&mut claims);
        let token = issue_token(claims, issuer)?;
        self.write(&token).map_err(|error| Error::new(ErrorKind::Io, "cannot write the archive").caused_by(error))
    }

    fn check_targets(&self) -> Result<()> {
        let refuse = |message| Err(Error::new(ErrorKind::InvalidArgument, message));
        if let Some(name) = self.targets.keys().find(|name| !is_target(name)) {
            return refuse(format!("{:?} is not a target: use a name such as x86_64-linux", shorten(name)));
        }
        if self.targets.is_empty() {
            return refuse("the archive has no library: add one for at least one target".to_owned());
        }
        Ok(())
    }

    fn write(&self, token: &str) -> io::Result<Vec<u8>> {
        if !self.compressed {
            return self.write_tar(token, Vec::new());
        }
        // No time and no file name in the header: they would differ between builds.
        let gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
        self.write_tar(token, gzip)?.finish()
    }

    fn write_tar<W: Write>(&self, token: &str, destination: W) -> io::Result<W> {
        let mut tar = tar::Builder::new(destination);
        append(&mut tar, TOKEN_ENTRY, token.as_bytes())?;
        for (target, library) in &self.targets {
            append(&mut tar, &format!("{target}{LIBRARY_SUFFIX}"), library)?;
        }
        tar.into_inner()
    }
}

fn append(tar: &mut tar::Builder<impl Write>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    tar.append_data(&mut header, name, bytes)
}
