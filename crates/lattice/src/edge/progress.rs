//! The calls of other hosts that are in progress.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::wire::Digest;

/// The digests of calls that are being checked, or were admitted and are not answered yet, and how many copies of each.
#[derive(Debug, Clone, Default)]
pub(super) struct CallsInProgress(Arc<Mutex<HashMap<Digest, usize>>>);

/// A call in progress. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    calls: CallsInProgress,
    digest: Digest,
}

impl CallsInProgress {
    fn digests(&self) -> MutexGuard<'_, HashMap<Digest, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, digest: Digest) -> Progress {
        *self.digests().entry(digest).or_default() += 1;
        Progress { calls: self.clone(), digest }
    }

    pub(super) fn holds(&self, digest: &Digest) -> bool {
        self.digests().contains_key(digest)
    }
}

impl Progress {
    pub(super) fn digest(&self) -> Digest {
        self.digest
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Entry::Occupied(mut copies) = self.calls.digests().entry(self.digest) {
            *copies.get_mut() -= 1;
            if *copies.get() == 0 {
                copies.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_in_progress_until_its_last_copy_has_ended() {
        let calls = CallsInProgress::default();
        let (first, copy) = (calls.begin([1; 32]), calls.begin([1; 32]));
        drop(copy);
        assert!(calls.holds(&[1; 32]));
        drop(first);
        assert!(!calls.holds(&[1; 32]));
        assert!(calls.digests().is_empty());
    }
}
