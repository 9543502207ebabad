//! Taking an archive apart, believing nothing that it says of itself.
//!
//! The tar file is read header by header as it is: extended headers, which can rename what follows or change its size, have
//! no place in an archive, so that every reader sees the same entries.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;
use tar::EntryType;
use wasmcloud_core::entity::shorten;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::{ArchiveLimits, LIBRARY, TOKEN, invalid, is_target};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const MODULE: &[u8] = b"\0asm";

/// What everything in a tar file is a multiple of. A block of zeros marks its end.
const BLOCK: u64 = 512;

/// What lies in an archive, not verified.
pub(super) struct Contents {
    pub(super) token: String,
    pub(super) targets: BTreeMap<String, Vec<u8>>,
    pub(super) compressed: bool,
}

/// The bytes of a file, of which no more is read than an archive may have.
///
/// # Errors
/// `Io` where it cannot be read, `InvalidArchive` where there is more.
pub(super) fn file(path: &Path, limits: &ArchiveLimits) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limits.archive_bytes.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|error| {
            Error::new(ErrorKind::Io, format!("cannot read the provider archive {}", path.display())).caused_by(error)
        })?;
    check_size(bytes.len(), limits)?;
    Ok(bytes)
}

/// The token and the libraries of an archive.
///
/// # Errors
/// `InvalidArchive`, with what is wrong, or `Unsigned`.
pub(super) fn contents(bytes: &[u8], limits: &ArchiveLimits) -> Result<Contents> {
    check_size(bytes.len(), limits)?;
    if bytes.starts_with(MODULE) {
        return Err(invalid("it is a WebAssembly module"));
    }
    if !bytes.starts_with(&GZIP) {
        return Ok(unpack(bytes, limits)?.0);
    }
    let (contents, unpacked) = unpack(GzDecoder::new(bytes), limits)?;
    expect_zeros(unpacked.into_inner())?;
    Ok(Contents { compressed: true, ..contents })
}

fn check_size(bytes: usize, limits: &ArchiveLimits) -> Result<()> {
    if u64::try_from(bytes).is_ok_and(|bytes| bytes <= limits.archive_bytes) {
        return Ok(());
    }
    Err(invalid(format!("it has more than the {} bytes that are allowed", limits.archive_bytes)))
}

/// The contents of a tar file, and its source, which has been read to its end.
fn unpack<R: Read>(source: R, limits: &ArchiveLimits) -> Result<(Contents, R)> {
    let mut archive = tar::Archive::new(Capped { source, read: 0, limit: limits.unpacked_bytes });
    let mut found = Found::default();
    for (number, entry) in archive.entries().map_err(unreadable)?.raw(true).enumerate() {
        if number >= limits.entries {
            return Err(invalid(format!("it has more than the {} entries that are allowed", limits.entries)));
        }
        found.add(&mut entry.map_err(unreadable)?, limits)?;
    }
    let mut rest = archive.into_inner();
    if rest.read < found.end.saturating_add(BLOCK) {
        return Err(invalid("it ends before its end is marked, so there may have been more"));
    }
    expect_zeros(&mut rest)?;
    Ok((found.contents()?, rest.source))
}

/// What has been found so far.
#[derive(Default)]
struct Found {
    /// Where the last entry ends.
    end: u64,
    token: Option<Vec<u8>>,
    targets: BTreeMap<String, Vec<u8>>,
}

impl Found {
    fn add(&mut self, entry: &mut tar::Entry<'_, impl Read>, limits: &ArchiveLimits) -> Result<()> {
        self.end = entry.raw_file_position().saturating_add(entry.size().div_ceil(BLOCK).saturating_mul(BLOCK));
        let name = entry_name(entry)?;
        if name == TOKEN {
            if entry.size() > limits.token_bytes {
                let (size, limit) = (entry.size(), limits.token_bytes);
                return Err(invalid(format!("its token has {size} bytes; at most {limit} are read")));
            }
            return match self.token.replace(entry_bytes(entry)?) {
                None => Ok(()),
                Some(_) => Err(twice(&name)),
            };
        }
        let target = name.strip_suffix(LIBRARY).filter(|target| is_target(target)).ok_or_else(|| {
            let what = "only claims.jwt and <arch>-<os>.bin have a place in an archive";
            invalid(format!("it holds {:?}; {what}", shorten(&name)))
        })?;
        match self.targets.entry(target.to_owned()) {
            Entry::Vacant(place) => place.insert(entry_bytes(entry)?),
            Entry::Occupied(_) => return Err(twice(&name)),
        };
        Ok(())
    }

    fn contents(self) -> Result<Contents> {
        let unsigned = "the provider archive carries no token (claims.jwt): sign it before it is used";
        let token = self.token.ok_or_else(|| Error::new(ErrorKind::Unsigned, unsigned))?;
        let token = String::from_utf8(token)
            .map_err(|error| Error::new(ErrorKind::InvalidToken, "the archive's token is no text").caused_by(error))?;
        if self.targets.is_empty() {
            return Err(invalid("it has no library for any target"));
        }
        Ok(Contents { token, targets: self.targets, compressed: false })
    }
}

/// The name of an entry, which must be a plain file.
fn entry_name(entry: &tar::Entry<'_, impl Read>) -> Result<String> {
    let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    match entry.header().entry_type() {
        EntryType::Regular => Ok(path.strip_prefix("./").unwrap_or(&path).to_owned()),
        other => Err(invalid(format!("its entry {:?} is no plain file but of type {other:?}", shorten(&path)))),
    }
}

fn entry_bytes(entry: &mut tar::Entry<'_, impl Read>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length == entry.size()) {
        return Ok(bytes);
    }
    Err(invalid(format!("it ends after {} of the {} bytes of an entry", bytes.len(), entry.size())))
}

/// Reads what comes after the last entry to its end, where gzip has its checksum. Nothing may hide there.
fn expect_zeros(mut rest: impl Read) -> Result<()> {
    let mut buffer = [0; 8192];
    loop {
        match rest.read(&mut buffer).map_err(unreadable)? {
            0 => return Ok(()),
            length if buffer[..length].iter().all(|&byte| byte == 0) => {}
            _ => return Err(invalid("something follows after its end")),
        }
    }
}

fn twice(name: &str) -> Error {
    invalid(format!("it holds {:?} twice", shorten(name)))
}

/// An error of a reader in words of ours: those of the library repeat what the file holds.
fn unreadable(error: io::Error) -> Error {
    let is_ours = error.get_ref().is_some_and(|inner| inner.is::<TooLarge>());
    match error.kind() {
        _ if is_ours => invalid(error),
        io::ErrorKind::UnexpectedEof => invalid("it ends too early"),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => invalid("its compression is damaged"),
        _ => invalid("it is no tar file, or a damaged one"),
    }
}

/// Why nothing more is read of a source.
#[derive(Debug)]
struct TooLarge(u64);

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it unpacks to more than the {} bytes that are allowed", self.0)
    }
}

impl std::error::Error for TooLarge {}

/// A reader that fails where its source gives more than it may.
struct Capped<R> {
    source: R,
    read: u64,
    limit: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        // No buffer is longer than 64 bits can say.
        self.read = self.read.saturating_add(length as u64);
        if self.read > self.limit {
            return Err(io::Error::other(TooLarge(self.limit)));
        }
        Ok(length)
    }
}
