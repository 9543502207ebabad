//! The labels of a host: its platform, those of its builder, and those of manifests.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(feature = "lattice")]
use wasmcloud_core::entity::shorten;
#[cfg(feature = "lattice")]
use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::labels::is_reserved;

/// The most labels that a host may be given from afar.
#[cfg(feature = "lattice")]
const MOST: usize = 256;

/// The longest name and value of such a label. Unit: bytes.
#[cfg(feature = "lattice")]
const LONGEST: usize = 1024;

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

    /// Sets and removes labels.
    ///
    /// # Errors
    /// `InvalidArgument` for a reserved label, one that is too long, and more labels than a host may have. Nothing is changed
    /// then.
    #[cfg(feature = "lattice")]
    pub(super) fn change(&self, set: BTreeMap<String, String>, remove: &[String]) -> Result<()> {
        let invalid = |message: String| Err(Error::new(ErrorKind::InvalidArgument, message));
        if let Some(name) = set.keys().chain(remove).find(|name| is_reserved(name)) {
            return invalid(format!("the label {:?} is the host's own: choose another name", shorten(name)));
        }
        let is_too_long = |text: &String| text.is_empty() || text.len() > LONGEST;
        if let Some(text) = set.iter().flat_map(|(name, value)| [name, value]).find(|text| is_too_long(text)) {
            return invalid(format!("{:?} is no name or value of a label: use 1 to {LONGEST} bytes", shorten(text)));
        }
        let mut labels = self.lock();
        let mut changed = labels.clone();
        changed.retain(|name, _| !remove.contains(name));
        changed.extend(set);
        if changed.len() > MOST {
            return invalid(format!("the host would have {} labels: it may have {MOST}", changed.len()));
        }
        *labels = changed;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, String>> {
        // Nothing panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
