//! Reads the entries of an archive. All input is untrusted.
//!
//! The tar file is read header by header. Extended headers, which can rename the next entry or change its size, are refused,
//! so that every reader sees the same entries.

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

use super::{ArchiveLimits, LIBRARY_SUFFIX, TOKEN_ENTRY, invalid, is_target};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const MODULE_MAGIC: &[u8] = b"\0asm";

/// The size of a block of a tar file, in bytes. A block of zeros marks the end of the file.
const BLOCK: u64 = 512;

/// The contents of an archive before they are verified.
pub(super) struct UnverifiedArchive {
    pub(super) token: String,
    pub(super) targets: BTreeMap<String, Vec<u8>>,
    pub(super) compressed: bool,
}

/// Reads a file, up to the size of the largest archive.
///
/// # Errors
/// `Io` if the file cannot be read, `InvalidArchive` if it is larger.
pub(super) fn read_file(path: &Path, limits: &ArchiveLimits) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limits.archive_bytes.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|error| {
            Error::new(ErrorKind::Io, format!("cannot read the provider archive {}", path.display())).caused_by(error)
        })?;
    check_size(bytes.len(), limits)?;
    Ok(bytes)
}

/// Reads the token and the libraries of an archive.
///
/// # Errors
/// `InvalidArchive` if the archive is malformed or exceeds the limits, `Unsigned` if it has no token, `InvalidToken` if the
/// token is not UTF-8.
pub(super) fn read_archive(bytes: &[u8], limits: &ArchiveLimits) -> Result<UnverifiedArchive> {
    check_size(bytes.len(), limits)?;
    if bytes.starts_with(MODULE_MAGIC) {
        return Err(invalid("it is a WebAssembly module"));
    }
    if !bytes.starts_with(&GZIP_MAGIC) {
        return Ok(unpack(bytes, limits)?.0);
    }
    let (contents, unpacked) = unpack(GzDecoder::new(bytes), limits)?;
    expect_zeros(unpacked.into_inner())?;
    Ok(UnverifiedArchive { compressed: true, ..contents })
}

fn check_size(bytes: usize, limits: &ArchiveLimits) -> Result<()> {
    if u64::try_from(bytes).is_ok_and(|bytes| bytes <= limits.archive_bytes) {
        return Ok(());
    }
    Err(invalid(format!("it is larger than the limit of {} bytes", limits.archive_bytes)))
}

/// Reads the contents of a tar file. Returns the source too, read to its end.
fn unpack<R: Read>(source: R, limits: &ArchiveLimits) -> Result<(UnverifiedArchive, R)> {
    let mut archive = tar::Archive::new(LimitedReader { source, read: 0, limit: limits.unpacked_bytes });
    let mut entries = ArchiveEntries::default();
    for (number, entry) in archive.entries().map_err(unreadable)?.raw(true).enumerate() {
        if number >= limits.entries {
            return Err(invalid(format!("it has more entries than the limit of {}", limits.entries)));
        }
        entries.add(&mut entry.map_err(unreadable)?, limits)?;
    }
    let mut rest = archive.into_inner();
    if rest.read < entries.end.saturating_add(BLOCK) {
        return Err(invalid("its end is not marked, so it may have been cut short"));
    }
    expect_zeros(&mut rest)?;
    Ok((entries.into_archive()?, rest.source))
}

/// The entries that have been read.
#[derive(Default)]
struct ArchiveEntries {
    /// The position behind the last entry, in bytes.
    end: u64,
    token: Option<Vec<u8>>,
    targets: BTreeMap<String, Vec<u8>>,
}

impl ArchiveEntries {
    fn add(&mut self, entry: &mut tar::Entry<'_, impl Read>, limits: &ArchiveLimits) -> Result<()> {
        self.end = entry.raw_file_position().saturating_add(entry.size().div_ceil(BLOCK).saturating_mul(BLOCK));
        let name = entry_name(entry)?;
        if name == TOKEN_ENTRY {
            if entry.size() > limits.token_bytes {
                let (size, limit) = (entry.size(), limits.token_bytes);
                return Err(invalid(format!("its token has {size} bytes, more than the limit of {limit}")));
            }
            return match self.token.replace(entry_bytes(entry)?) {
                None => Ok(()),
                Some(_) => Err(twice(&name)),
            };
        }
        let target = name.strip_suffix(LIBRARY_SUFFIX).filter(|target| is_target(target)).ok_or_else(|| {
            let allowed = "an archive holds only claims.jwt and <arch>-<os>.bin";
            invalid(format!("it holds {:?}; {allowed}", shorten(&name)))
        })?;
        match self.targets.entry(target.to_owned()) {
            Entry::Vacant(vacant) => vacant.insert(entry_bytes(entry)?),
            Entry::Occupied(_) => return Err(twice(&name)),
        };
        Ok(())
    }

    fn into_archive(self) -> Result<UnverifiedArchive> {
        let unsigned = "the provider archive carries no token (claims.jwt): sign it before it is used";
        let token = self.token.ok_or_else(|| Error::new(ErrorKind::Unsigned, unsigned))?;
        let token = String::from_utf8(token).map_err(|error| {
            Error::new(ErrorKind::InvalidToken, "the archive's token is not UTF-8").caused_by(error)
        })?;
        if self.targets.is_empty() {
            return Err(invalid("it has no library for any target"));
        }
        Ok(UnverifiedArchive { token, targets: self.targets, compressed: false })
    }
}

/// Returns the name of an entry, which must be a regular file.
fn entry_name(entry: &tar::Entry<'_, impl Read>) -> Result<String> {
    let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    match entry.header().entry_type() {
        EntryType::Regular => Ok(path.strip_prefix("./").unwrap_or(&path).to_owned()),
        other => Err(invalid(format!("its entry {:?} is of type {other:?}, not a regular file", shorten(&path)))),
    }
}

fn entry_bytes(entry: &mut tar::Entry<'_, impl Read>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length == entry.size()) {
        return Ok(bytes);
    }
    Err(invalid(format!("it was cut short after {} of the {} bytes of an entry", bytes.len(), entry.size())))
}

/// Reads the bytes after the last entry to the end of the source, so that gzip checks its checksum. All must be zero.
fn expect_zeros(mut rest: impl Read) -> Result<()> {
    let mut buffer = [0; 8192];
    loop {
        match rest.read(&mut buffer).map_err(unreadable)? {
            0 => return Ok(()),
            length if buffer[..length].iter().all(|&byte| byte == 0) => {}
            _ => return Err(invalid("there are further bytes behind its end")),
        }
    }
}

fn twice(name: &str) -> Error {
    invalid(format!("it has the entry {:?} twice", shorten(name)))
}

/// Returns the error for a failed read. The texts of the library are replaced, because they repeat the file's contents.
fn unreadable(error: io::Error) -> Error {
    let is_too_large = error.get_ref().is_some_and(|inner| inner.is::<TooLarge>());
    match error.kind() {
        _ if is_too_large => invalid(error),
        io::ErrorKind::UnexpectedEof => invalid("it was cut short"),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => invalid("its compression is damaged"),
        _ => invalid("it is not a tar file, or a damaged one"),
    }
}

/// The error of a [`LimitedReader`] that has reached its limit, in bytes.
#[derive(Debug)]
struct TooLarge(u64);

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it unpacks to more than the limit of {} bytes", self.0)
    }
}

impl std::error::Error for TooLarge {}

/// A reader that fails once it has read more bytes than its limit.
struct LimitedReader<R> {
    source: R,
    read: u64,
    limit: u64,
}

impl<R: Read> Read for LimitedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        // The length of a buffer fits in 64 bits.
        self.read = self.read.saturating_add(length as u64);
        if self.read > self.limit {
            return Err(io::Error::other(TooLarge(self.limit)));
        }
        Ok(length)
    }
}
