//! The slots in which modules are compiled. Jobs wait here for their turn.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::queue::{Capacity, Job, Queue, Ticket};

/// The slots of one host. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Slots(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    queue: Queue,
    /// The jobs that wait for their turn.
    waiting: HashMap<Ticket, oneshot::Sender<()>>,
}

/// A job in the queue, or in a slot. It leaves when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Slots,
    job: Job,
    ticket: Ticket,
}

impl Slots {
    pub(super) fn new(small: Capacity, large: Capacity) -> Slots {
        Slots(Arc::new(Mutex::new(State { queue: Queue::new(small, large), waiting: HashMap::new() })))
    }

    /// Waits for the turn of a job.
    pub(super) async fn enter(&self, job: Job) -> Slot {
        let (sender, turn) = oneshot::channel();
        let slot = {
            let mut state = self.state();
            let ticket = state.queue.enter(&job);
            state.waiting.insert(ticket, sender);
            state.begin();
            Slot { slots: self.clone(), job, ticket }
        };
        // The sender stays in the state until it is used or the slot is dropped.
        let _ = turn.await;
        slot
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Begins all jobs that can begin.
    fn begin(&mut self) {
        while let Some(ticket) = self.queue.begin_next() {
            if let Some(sender) = self.waiting.remove(&ticket) {
                // An abandoned job leaves the queue when its slot is dropped.
                let _ = sender.send(());
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.slots.state();
        state.waiting.remove(&self.ticket);
        state.queue.leave(&self.job, self.ticket);
        state.begin();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::poll;

    use super::super::queue::Size;
    use super::*;

    fn work(issuer: &str) -> Job {
        Job { issuer: issuer.into(), size: Size::Large, bytes: 1 }
    }

    #[actix_rt::test]
    async fn work_begins_when_a_slot_is_left_and_holds_nothing_when_it_is_cancelled() {
        let capacity = Capacity { slots: 2, bytes: 10 };
        let slots = Slots::new(capacity, capacity);
        let first = slots.enter(work("a")).await;
        let _other = slots.enter(work("b")).await;
        let mut abandoned = Box::pin(slots.enter(work("a")));
        let mut next = pin!(slots.enter(work("a")));
        assert!(poll!(&mut abandoned).is_pending() && poll!(next.as_mut()).is_pending());
        drop(abandoned);
        drop(first);
        let next = next.await;
        // A job that is abandoned as its turn comes leaves nothing behind.
        let late = Box::pin(slots.enter(work("c")));
        drop(next);
        drop(late);
        drop(slots.enter(work("a")).await);
        assert_eq!(slots.state().waiting.len(), 0);
    }
}
