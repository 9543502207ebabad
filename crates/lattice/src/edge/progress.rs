//! The calls of other hosts that are in progress.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::wire::Digest;

/// The digests of calls that were admitted and are not answered yet. There are as many as calls that a host serves at once.
#[derive(Debug, Clone, Default)]
pub(super) struct CallsInProgress(Arc<Mutex<HashSet<Digest>>>);

/// A call in progress. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Progress {
    calls: CallsInProgress,
    digest: Digest,
}

impl CallsInProgress {
    fn digests(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, digest: Digest) -> Progress {
        self.digests().insert(digest);
        Progress { calls: self.clone(), digest }
    }

    pub(super) fn holds(&self, digest: &Digest) -> bool {
        self.digests().contains(digest)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.calls.digests().remove(&self.digest);
    }
}
