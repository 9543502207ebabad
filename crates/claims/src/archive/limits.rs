//! How much of an archive is read. Archives are untrusted, and a few bytes of gzip can unpack to terabytes.

/// Limits for reading provider archives. An archive that exceeds one is refused as `InvalidArchive`.
///
/// ```
/// use wasmcloud_host::ArchiveLimits;
///
/// let limits = ArchiveLimits::new().unpacked_bytes(64 * 1024 * 1024);
/// # let _ = limits;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "limits have no effect until an archive is read within them"]
pub struct ArchiveLimits {
    pub(super) archive_bytes: u64,
    pub(super) unpacked_bytes: u64,
    pub(super) entries: usize,
    pub(super) token_bytes: u64,
}

impl ArchiveLimits {
    /// Returns the default limits.
    pub fn new() -> ArchiveLimits {
        ArchiveLimits {
            archive_bytes: 256 * 1024 * 1024,
            unpacked_bytes: 512 * 1024 * 1024,
            entries: 64,
            token_bytes: 64 * 1024,
        }
    }

    /// Sets the size of the largest archive as it is stored. Unit: bytes. Default: 256 MiB.
    pub fn archive_bytes(mut self, bytes: u64) -> ArchiveLimits {
        self.archive_bytes = bytes;
        self
    }

    /// Sets the size of the largest archive after it is unpacked. Unpacking stops there. Unit: bytes. Default: 512 MiB.
    pub fn unpacked_bytes(mut self, bytes: u64) -> ArchiveLimits {
        self.unpacked_bytes = bytes;
        self
    }

    /// Sets how many entries an archive may have. Default: 64.
    pub fn entries(mut self, entries: usize) -> ArchiveLimits {
        self.entries = entries;
        self
    }

    /// Sets the size of the largest token. Unit: bytes. Default: 64 KiB.
    pub fn token_bytes(mut self, bytes: u64) -> ArchiveLimits {
        self.token_bytes = bytes;
        self
    }
}

impl Default for ArchiveLimits {
    fn default() -> ArchiveLimits {
        ArchiveLimits::new()
    }
}
