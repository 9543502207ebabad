//! Work on many things at once is done in batches, so that a shard serves others in between.

use std::task::Poll;

use futures_util::future::poll_fn;
use futures_util::stream::{FuturesUnordered, StreamExt};

/// How many things are begun before the shard serves others.
pub(crate) const BATCH: usize = 32;

/// Works on many things concurrently, and waits until all work is done. Begins a batch at a time.
pub(crate) async fn for_each_in_batches<T>(things: impl IntoIterator<Item = T>, work: impl AsyncFn(T)) {
    let mut things = things.into_iter();
    let mut under_way = FuturesUnordered::new();
    loop {
        let before = under_way.len();
        under_way.extend(things.by_ref().take(BATCH).map(|thing| work(thing)));
        if under_way.len() == before {
            break;
        }
        // Begins the new ones.
        poll_fn(|context| {
            while let Poll::Ready(Some(())) = under_way.poll_next_unpin(context) {}
            Poll::Ready(())
        })
        .await;
        tokio::task::yield_now().await;
    }
    while under_way.next().await.is_some() {}
}

/// Counts the messages that an actor takes from its mailbox, which it would otherwise empty in one step.
#[derive(Debug, Default)]
pub(crate) struct BatchCounter(usize);

impl BatchCounter {
    /// Counts a message. Returns whether a batch is complete: the actor is to yield.
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
    async fn others_have_their_turn_between_the_batchs_and_nothing_waits_for_what_hangs() {
        let (begun, looks, done) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let work = for_each_in_batches(0..10 * BATCH, async |number| {
            begun.set(begun.get() + 1);
            if number == 0 {
                // Until everything else is done.
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
