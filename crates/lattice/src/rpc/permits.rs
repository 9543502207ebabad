//! How many calls of other hosts are served at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// A number of calls.
#[derive(Debug)]
pub(super) struct Permits {
    most: usize,
    taken: AtomicUsize,
    /// Told when no call is left.
    free: Notify,
}

/// The permit of a call. Dropping it returns it.
#[derive(Debug)]
pub(super) struct Permit(Arc<Permits>);

impl Permits {
    pub(super) fn new(most: usize) -> Arc<Permits> {
        Arc::new(Permits { most, taken: AtomicUsize::new(0), free: Notify::new() })
    }

    /// Returns how many there are.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Returns how many calls have one.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Acquire)
    }

    /// Returns a permit, or `None` if there is none left.
    pub(super) fn take(self: &Arc<Self>) -> Option<Permit> {
        let add = |taken: usize| Some(taken + 1).filter(|taken| *taken <= self.most);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).ok()?;
        Some(Permit(self.clone()))
    }

    /// Waits until no call has one. Calls get permits meanwhile.
    pub(super) async fn all_free(&self) {
        loop {
            let free = self.free.notified();
            if self.taken() == 0 {
                return;
            }
            free.await;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.0.taken.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.free.notify_waiters();
        }
    }
}
