//! Identifiers and secrets of calls. Asking the system for each would cost more than all else that is done for it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// A source of numbers that no one else can predict: the hashes of a counter under a secret key.
pub(super) struct Randomness {
    key: [u8; 32],
    counter: AtomicU64,
}

/// The random numbers of a call.
pub(super) struct Numbers {
    id: [u8; 16],
    /// Revealed to cancel the call. The identifier tells nothing about it.
    pub(super) secret: [u8; 16],
}

impl Randomness {
    /// Returns a source with a key of the system's random numbers, from which `uuid` makes the identifiers.
    pub(super) fn new() -> Randomness {
        let mut key = [0; 32];
        key[..16].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        key[16..].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        Randomness { key, counter: AtomicU64::new(0) }
    }

    pub(super) fn next(&self) -> Numbers {
        let counter = self.counter.fetch_add(1, Ordering::Relaxed);
        let hash = blake3::keyed_hash(&self.key, &counter.to_le_bytes());
        let (mut id, mut secret) = ([0; 16], [0; 16]);
        id.copy_from_slice(&hash.as_bytes()[..16]);
        secret.copy_from_slice(&hash.as_bytes()[16..]);
        Numbers { id, secret }
    }
}

impl Numbers {
    /// Returns the identifier: a UUID of version 4.
    pub(super) fn id(&self) -> String {
        let id = uuid::Builder::from_random_bytes(self.id).into_uuid();
        id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()).to_owned()
    }
}

impl fmt::Debug for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Randomness")
    }
}
