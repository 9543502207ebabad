//! The slots in which modules are compiled: work waits here for its turn.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::queue::{Capacity, Queue, Ticket, Work};

/// The slots of one host. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Slots(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    queue: Queue,
    /// Those that wait for their turn.
    waiting: HashMap<Ticket, oneshot::Sender<()>>,
}

/// Work in the queue, or in a slot. It leaves when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Slots,
    work: Work,
    ticket: Ticket,
}

impl Slots {
    pub(super) fn new(small: Capacity, large: Capacity) -> Slots {
        Slots(Arc::new(Mutex::new(State { queue: Queue::new(small, large), waiting: HashMap::new() })))
    }

    /// Waits until it is the turn of this work.
    pub(super) async fn enter(&self, work: Work) -> Slot {
        let (told, turn) = oneshot::channel();
        let slot = {
            let mut state = self.state();
            let ticket = state.queue.enter(&work);
            state.waiting.insert(ticket, told);
            state.begin();
            Slot { slots: self.clone(), work, ticket }
        };
        // The sender lies in the state until it is used or the slot is dropped.
        let _ = turn.await;
        slot
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Begins all work whose turn it is.
    fn begin(&mut self) {
        while let Some(ticket) = self.queue.begin_next() {
            if let Some(told) = self.waiting.remove(&ticket) {
                // Work that is waited for no more leaves the queue when its slot is dropped.
                let _ = told.send(());
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.slots.state();
        state.waiting.remove(&self.ticket);
        state.queue.leave(&self.work, self.ticket);
        state.begin();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::poll;

    use super::super::queue::Size;
    use super::*;

    fn work(issuer: &str) -> Work {
        Work { issuer: issuer.into(), size: Size::Large, bytes: 1 }
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
        // Of what had its turn and was given up at the same moment, nothing is left.
        let late = Box::pin(slots.enter(work("c")));
        drop(next);
        drop(late);
        drop(slots.enter(work("a")).await);
        assert_eq!(slots.state().waiting.len(), 0);
    }
}
