//! How much of an archive is read: archives come from strangers, and a few bytes of gzip can stand for terabytes.

/// Bounds for reading provider archives.
///
/// ```
/// use wasmcloud_host::ArchiveLimits;
///
/// let limits = ArchiveLimits::new().unpacked_bytes(64 * 1024 * 1024);
/// # let _ = limits;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveLimits {
    pub(super) archive_bytes: u64,
    pub(super) unpacked_bytes: u64,
    pub(super) entries: usize,
    pub(super) token_bytes: u64,
}

impl ArchiveLimits {
    /// The defaults.
    pub fn new() -> ArchiveLimits {
        ArchiveLimits {
            archive_bytes: 256 * 1024 * 1024,
            unpacked_bytes: 512 * 1024 * 1024,
            entries: 64,
            token_bytes: 64 * 1024,
        }
    }

    /// The largest archive that is read, in bytes as it comes; 256 MiB by default.
    pub fn archive_bytes(mut self, bytes: u64) -> ArchiveLimits {
        self.archive_bytes = bytes;
        self
    }

    /// The most that an archive may unpack to, in bytes; 512 MiB by default. Unpacking ends there.
    pub fn unpacked_bytes(mut self, bytes: u64) -> ArchiveLimits {
        self.unpacked_bytes = bytes;
        self
    }

    /// The most entries that an archive may have; 64 by default.
    pub fn entries(mut self, entries: usize) -> ArchiveLimits {
        self.entries = entries;
        self
    }

    /// The longest token, in bytes; 64 KiB by default.
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
