//! The keys of other hosts. Reading one from its text costs a good part of a verification.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nkeys::KeyPair;

/// How many keys are remembered.
const MOST: usize = 1024;

/// The public keys that have signed a message lately.
#[derive(Default)]
pub(super) struct Keys(Mutex<HashMap<Box<str>, Arc<KeyPair>>>);

impl Keys {
    fn known(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<KeyPair>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a key, or `None` if the text is none.
    pub(super) fn get(&self, text: &str) -> Option<Arc<KeyPair>> {
        if let Some(key) = self.known().get(text) {
            return Some(key.clone());
        }
        KeyPair::from_public_key(text).ok().map(Arc::new)
    }

    /// Remembers a key that has signed a message of a host that is trusted.
    pub(super) fn remember(&self, text: &str) {
        let mut known = self.known();
        if known.contains_key(text) {
            return;
        }
        if known.len() >= MOST {
            known.clear();
        }
        if let Ok(key) = KeyPair::from_public_key(text) {
            known.insert(text.into(), Arc::new(key));
        }
    }

    /// Verifies an ed25519 signature by a public key in text. The key is remembered if it is right.
    pub(super) fn verify(&self, text: &str, bytes: &[u8], signature: &[u8]) -> bool {
        let is_right = self.get(text).is_some_and(|key| key.verify(bytes, signature).is_ok());
        if is_right {
            self.remember(text);
        }
        is_right
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.known().len())
    }
}
