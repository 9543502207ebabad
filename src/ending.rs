//! Telling work that it is to end, once and for all who are at it.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

/// Of the stages after the first, in which everything goes on.
const CLOSING: u8 = 1;
const ENDED: u8 = 2;

/// How far something is with its end: it goes from open over closing to ended, and never back.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    stage: AtomicU8,
    told: Notify,
}

impl Ending {
    /// Nothing new is taken up from now on; what is under way goes on.
    pub(crate) fn close(&self) {
        self.reach(CLOSING);
    }

    /// What is under way ends, too.
    pub(crate) fn end(&self) {
        self.reach(ENDED);
    }

    fn reach(&self, stage: u8) {
        // In one order with the counts of what is under way: see `Mailbox::deliver`.
        self.stage.fetch_max(stage, Ordering::SeqCst);
        self.told.notify_waiters();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.stage.load(Ordering::SeqCst) >= CLOSING
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.stage.load(Ordering::Relaxed) >= ENDED
    }

    /// Waits until nothing new is taken up.
    pub(crate) async fn closing(&self) {
        self.reached(CLOSING).await;
    }

    /// Waits until what is under way is to end.
    pub(crate) async fn ended(&self) {
        self.reached(ENDED).await;
    }

    async fn reached(&self, stage: u8) {
        loop {
            // Listened for before looking, so that nothing that is told in between is missed.
            let mut told = pin!(self.told.notified());
            told.as_mut().enable();
            if self.stage.load(Ordering::SeqCst) >= stage {
                return;
            }
            told.await;
        }
    }
}

/// Ends work that is dropped before it is done.
#[derive(Debug)]
pub(crate) struct EndOnDrop(Option<Arc<Ending>>);

impl EndOnDrop {
    pub(crate) fn new(ending: Arc<Ending>) -> EndOnDrop {
        EndOnDrop(Some(ending))
    }

    /// The work is done.
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        if let Some(ending) = &self.0 {
            ending.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    #[actix_rt::test]
    async fn stages_are_reached_one_after_the_other_and_never_left() {
        let ending = Ending::default();
        let (mut closing, mut ended) = (pin!(ending.closing()), pin!(ending.ended()));
        assert!(poll!(closing.as_mut()).is_pending() && poll!(ended.as_mut()).is_pending());
        ending.close();
        assert!(poll!(closing).is_ready() && poll!(ended.as_mut()).is_pending());
        ending.end();
        ending.close();
        assert!(poll!(ended).is_ready() && ending.is_ended() && ending.is_closing());
    }
}
