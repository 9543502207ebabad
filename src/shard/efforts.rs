//! Efforts: what takes a shard so long that only one is made between two looks at everything else that lives there.
//!
//! To replace a lost instance, to enter a guest that has given its stacks back, or to end one that traps, takes tens of
//! microseconds, most of them the operating system's. A thousand in a row, as when a thousand actors crash together, would
//! hold up a bystander for as long as a thousand of them take. Nobody knows beforehand who will trap; but who has lately
//! is the first to be suspected.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns to make an effort on one shard. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Efforts(Arc<Semaphore>);

/// The turn to make an effort now.
#[derive(Debug)]
pub(crate) struct Effort {
    _turn: OwnedSemaphorePermit,
}

impl From<OwnedSemaphorePermit> for Effort {
    fn from(turn: OwnedSemaphorePermit) -> Effort {
        Effort { _turn: turn }
    }
}

impl Efforts {
    pub(super) fn new() -> Efforts {
        Efforts(Arc::new(Semaphore::new(1)))
    }

    /// A turn, if nobody has one and nobody waits for one.
    pub(crate) fn begin_at_once(&self) -> Option<Effort> {
        self.0.clone().try_acquire_owned().ok().map(Effort::from)
    }

    /// A turn, after those who have asked before. There is none any more where the shard has ended.
    pub(crate) async fn begin(&self) -> Option<Effort> {
        self.0.clone().acquire_owned().await.ok().map(Effort::from)
    }
}

impl Effort {
    /// Ends the effort. The next turn comes when what waits on this thread, which must be the shard, has been looked at.
    pub(crate) fn end(self) {
        // Tasks of a shard are polled in the order in which they became ready.
        actix_rt::spawn(async move { drop(self) });
    }
}
