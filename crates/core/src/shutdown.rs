//! Tells work that it is to end, in two stages: closing, then ended.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

const CLOSING: u8 = 1;
const ENDED: u8 = 2;

/// Tells work that it is to end. Stages are reached in order and never left.
#[derive(Debug, Default)]
pub struct ShutdownSignal {
    stage: AtomicU8,
    changed: Notify,
}

impl ShutdownSignal {
    /// Enters the stage in which no new work is accepted. Work under way goes on.
    pub fn close(&self) {
        self.reach(CLOSING);
    }

    /// Enters the stage in which work under way is abandoned.
    pub fn end(&self) {
        self.reach(ENDED);
    }

    fn reach(&self, stage: u8) {
        // Sequentially consistent with the counts of calls in flight: see `Reservation::send`.
        self.stage.fetch_max(stage, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Returns whether no new work is accepted.
    pub fn is_closing(&self) -> bool {
        self.stage.load(Ordering::SeqCst) >= CLOSING
    }

    /// Returns whether work under way is abandoned.
    pub fn is_ended(&self) -> bool {
        self.stage.load(Ordering::Relaxed) >= ENDED
    }

    /// Waits until no new work is accepted.
    pub async fn closing(&self) {
        self.reached(CLOSING).await;
    }

    /// Waits until work under way is to be abandoned.
    pub async fn ended(&self) {
        self.reached(ENDED).await;
    }

    async fn reached(&self, stage: u8) {
        loop {
            // Registered before the check, so that no change in between is missed.
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.stage.load(Ordering::SeqCst) >= stage {
                return;
            }
            changed.await;
        }
    }
}

/// Ends work when it is dropped before [`ShutdownOnDrop::disarm`] is called.
#[derive(Debug)]
#[must_use = "dropping the guard ends the work"]
pub struct ShutdownOnDrop(Option<Arc<ShutdownSignal>>);

impl ShutdownOnDrop {
    /// Returns a guard for this signal.
    pub fn new(signal: Arc<ShutdownSignal>) -> ShutdownOnDrop {
        ShutdownOnDrop(Some(signal))
    }

    /// Lets the work go on: it is done, or cannot be abandoned any more.
    pub fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for ShutdownOnDrop {
    fn drop(&mut self) {
        if let Some(signal) = &self.0 {
            signal.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    #[actix_rt::test]
    async fn stages_are_reached_one_after_the_other_and_never_left() {
        let signal = ShutdownSignal::default();
        let mut closing = pin!(signal.closing());
        let mut ended = pin!(signal.ended());
        assert!(poll!(closing.as_mut()).is_pending() && poll!(ended.as_mut()).is_pending());
        signal.close();
        assert!(poll!(closing).is_ready() && poll!(ended.as_mut()).is_pending());
        signal.end();
        signal.close();
        assert!(poll!(ended).is_ready() && signal.is_ended() && signal.is_closing());
    }
}
