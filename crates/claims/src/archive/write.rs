//! Making archives: always the same bytes for the same contents, so that a build can be repeated and compared.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::{Compression, GzBuilder};
use nkeys::KeyPair;
use wasmcloud_core::entity::{expect_whole_contract, shorten};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::verify::library_hash;
use super::{LIBRARY, ProviderArchive, TOKEN, is_target};
use crate::issue::{Validity, issue_token};
use crate::jwt::CapabilityProvider;

/// An archive that is being made. Nothing is checked before it is signed.
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

    /// The provider's revision, which grows with each release; none by default.
    pub fn revision(mut self, revision: i32) -> ArchiveBuilder {
        self.metadata.rev = Some(revision);
        self
    }

    /// The provider's version for people, such as `1.2.0`; none by default.
    pub fn version(mut self, version: impl Into<String>) -> ArchiveBuilder {
        self.metadata.ver = Some(version.into());
        self
    }

    /// When the archive stops being valid, in whole seconds; never by default.
    pub fn expires(mut self, time: SystemTime) -> ArchiveBuilder {
        self.validity.expires = Some(time);
        self
    }

    /// When the archive begins to be valid, in whole seconds; at once by default.
    pub fn not_before(mut self, time: SystemTime) -> ArchiveBuilder {
        self.validity.not_before = Some(time);
        self
    }

    /// When the token says it was issued; now, by default. An archive with the same contents, keys and time of issue has
    /// the same bytes.
    pub fn issued_at(mut self, time: SystemTime) -> ArchiveBuilder {
        self.validity.issued_at = Some(time);
        self
    }

    /// Adds the library for a target such as `x86_64-linux`, in the place of one that there is.
    pub fn target(mut self, target: impl Into<String>, library: impl Into<Vec<u8>>) -> ArchiveBuilder {
        self.targets.insert(target.into(), library.into());
        self
    }

    /// Whether the archive is gzipped; not by default.
    pub fn compressed(mut self, compressed: bool) -> ArchiveBuilder {
        self.compressed = compressed;
        self
    }

    /// Signs the archive in the name of an account, for the provider of this key, of which the public part is enough. A
    /// former signature is replaced.
    ///
    /// # Errors
    /// `InvalidArgument` where a key is of the wrong kind, where the issuer's seed is missing, where there is no target or
    /// one with a name that is none, where the contract id is not one, and where the token would never be valid or be longer
    /// than hosts read (64 KiB).
    pub fn sign(mut self, issuer: &KeyPair, provider: &KeyPair) -> Result<Vec<u8>> {
        self.check_targets()?;
        expect_whole_contract(&self.metadata.capid)?;
        self.metadata.target_hashes =
            self.targets.iter().map(|(target, library)| (target.clone(), library_hash(library))).collect();
        let mut claims = self.metadata.clone().claims(issuer.public_key(), provider.public_key());
        self.validity.apply(&mut claims);
        let token = issue_token(claims, issuer)?;
        self.write(&token).map_err(|error| Error::new(ErrorKind::Io, "cannot write the archive").caused_by(error))
    }

    fn check_targets(&self) -> Result<()> {
        let refuse = |message| Err(Error::new(ErrorKind::InvalidArgument, message));
        if let Some(name) = self.targets.keys().find(|name| !is_target(name)) {
            return refuse(format!("{:?} is no target: it should be like x86_64-linux", shorten(name)));
        }
        if self.targets.is_empty() {
            return refuse("an archive needs a library for at least one target".to_owned());
        }
        Ok(())
    }

    fn write(&self, token: &str) -> io::Result<Vec<u8>> {
        if !self.compressed {
            return self.write_tar(token, Vec::new());
        }
        // A header without a time and a name: they would differ from build to build.
        let gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
        self.write_tar(token, gzip)?.finish()
    }

    fn write_tar<W: Write>(&self, token: &str, destination: W) -> io::Result<W> {
        let mut tar = tar::Builder::new(destination);
        append(&mut tar, TOKEN, token.as_bytes())?;
        for (target, library) in &self.targets {
            append(&mut tar, &format!("{target}{LIBRARY}"), library)?;
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
