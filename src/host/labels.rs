//! The labels of a host: its platform, those of its builder, and those of manifests.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::labels::is_reserved;

/// The labels of a host.
pub(super) struct Labels(Mutex<HashMap<String, String>>);

impl Labels {
    pub(super) fn new(labels: HashMap<String, String>) -> Labels {
        Labels(Mutex::new(labels))
    }

    pub(super) fn all(&self) -> HashMap<String, String> {
        self.lock().clone()
    }

    /// Adds labels and replaces those of the same names. Reserved labels stay as they are.
    pub(super) fn merge(&self, labels: BTreeMap<String, String>) {
        self.lock().extend(labels.into_iter().filter(|(key, _)| !is_reserved(key)));
    }

    /// Removes a label, or makes it what it was at first. Reserved labels stay as they are.
    pub(super) fn reset(&self, name: &str, first: Option<&String>) {
        let mut labels = self.lock();
        match first {
            Some(value) => drop(labels.insert(name.to_owned(), value.clone())),
            None if !is_reserved(name) => drop(labels.remove(name)),
            None => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, String>> {
        // Nothing panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
