//! The reasons for which entries are refused.

use std::fmt;

/// Why an entry was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The entry is larger than [`LARGEST_ENTRY`](super::LARGEST_ENTRY).
    TooLarge,
    /// The entry is a marker of the key-value store, not a signed removal.
    Marker,
    /// The entry vanished from the bucket without a signed removal.
    Vanished,
    /// The bytes are not an entry.
    Malformed,
    /// The host that wrote the entry is not trusted.
    Untrusted,
    /// The signature does not verify: the entry was changed, or belongs to another key or namespace.
    Forged,
    /// The entry is older than the one in effect, or was signed long before it was stored.
    Outdated,
    /// The value does not belong to the key, or its token does not verify.
    Mismatch,
    /// The entry has a newer schema than this host knows. It is kept in the bucket, and the last known state stays in effect.
    NewerSchema,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::TooLarge => "it is too large",
            Refusal::Marker => "it is a marker of the key-value store, not a signed removal",
            Refusal::Vanished => "it vanished without a signed removal",
            Refusal::Malformed => "its bytes are not an entry",
            Refusal::Untrusted => "the host that wrote it is not trusted",
            Refusal::Forged => "its signature does not verify",
            Refusal::Outdated => "it is older than the entry in effect",
            Refusal::Mismatch => "its value does not belong to its key",
            Refusal::NewerSchema => "its schema is newer than this host",
        })
    }
}
