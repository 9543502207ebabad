//! Runs work on many items in batches, so that a shard serves other tasks in between.

use std::task::Poll;

use futures_util::future::poll_fn;
use futures_util::stream::{FuturesUnordered, StreamExt};

/// The number of items after which a shard serves other tasks.
pub(crate) const BATCH: usize = 32;

/// Works on many items concurrently, and waits until all work is done. Begins one batch at a time.
pub(crate) async fn for_each_in_batches<T>(things: impl IntoIterator<Item = T>, work: impl AsyncFn(T)) {
    let mut things = things.into_iter();
    let mut under_way = FuturesUnordered::new();
    loop {
        let before = under_way.len();
        under_way.extend(things.by_ref().take(BATCH).map(|thing| work(thing)));
        if under_way.len() == before {
            break;
        }
        // Polls the new batch.
        poll_fn(|context| {
            while let Poll::Ready(Some(())) = under_way.poll_next_unpin(context) {}
            Poll::Ready(())
        })
        .await;
        tokio::task::yield_now().await;
    }
    while under_way.next().await.is_some() {}
}

/// Counts the messages that an actor takes from its mailbox, which actix would otherwise empty in one step.
#[derive(Debug, Default)]
pub(crate) struct BatchCounter(usize);

impl BatchCounter {
    /// Counts a message. Returns whether a batch is complete, after which the actor yields.
    pub(crate) fn completes_batch(&mut self) -> bool {
        self.0 = (self.0 + 1) % BATCH;
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[actix_rt::test]
    async fn other_tasks_run_between_batches_and_no_batch_waits_for_a_slow_item() {
        let begun = Cell::new(0);
        let looks = Cell::new(0);
        let done = Cell::new(0);
        let work = for_each_in_batches(0..10 * BATCH, async |number| {
            begun.set(begun.get() + 1);
            if number == 0 {
                // Waits until all other items are done.
                while done.get() < 10 * BATCH - 1 {
                    tokio::task::yield_now().await;
                }
            }
            done.set(done.get() + 1);
        });
        let others = async {
            let mut before = begun.get();
            while done.get() < 10 * BATCH {
                assert!(begun.get() - before <= BATCH, "{} after {before}", begun.get());
                before = begun.get();
                looks.set(looks.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        futures_util::join!(work, others);
        assert!(looks.get() >= 9, "{}", looks.get());
        for_each_in_batches([0; 0], async |_| unreachable!("there is nothing to do")).await;
    }
}
