//! What a host is labelled with: what it is, what its builder was told, and what manifests add while it runs.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::labels::is_reserved;

/// A host's labels.
pub(super) struct Labels(Mutex<HashMap<String, String>>);

impl Labels {
    pub(super) fn new(labels: HashMap<String, String>) -> Labels {
        Labels(Mutex::new(labels))
    }

    pub(super) fn all(&self) -> HashMap<String, String> {
        self.lock().clone()
    }

    /// Adds labels, in the place of those of the same names. The host's own stay.
    pub(super) fn merge(&self, labels: BTreeMap<String, String>) {
        self.lock().extend(labels.into_iter().filter(|(key, _)| !is_reserved(key)));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, String>> {
        // Nothing that panics is done while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
