//! Portions: what concerns many things at once is done with some of them before the shard looks at what else there is to do.

use std::task::Poll;

use futures_util::future::poll_fn;
use futures_util::stream::{FuturesUnordered, StreamExt};

/// How many things are taken up between two looks.
pub(crate) const PORTION: usize = 32;

/// Does something with each of many things, side by side, and waits until all of that is done.
pub(crate) async fn with_each<T>(things: impl IntoIterator<Item = T>, work: impl AsyncFn(T)) {
    let mut things = things.into_iter();
    let mut under_way = FuturesUnordered::new();
    loop {
        let before = under_way.len();
        under_way.extend(things.by_ref().take(PORTION).map(|thing| work(thing)));
        if under_way.len() == before {
            break;
        }
        // Begins what is new.
        poll_fn(|context| {
            while let Poll::Ready(Some(())) = under_way.poll_next_unpin(context) {}
            Poll::Ready(())
        })
        .await;
        tokio::task::yield_now().await;
    }
    while under_way.next().await.is_some() {}
}

/// Counts what an actor takes from its mailbox, which it would otherwise empty in one step.
#[derive(Debug, Default)]
pub(crate) struct Taken(usize);

impl Taken {
    /// Counts one more message. Returns whether a portion is full: the actor is to wait for the next look.
    pub(crate) fn fills_a_portion(&mut self) -> bool {
        self.0 = (self.0 + 1) % PORTION;
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[actix_rt::test]
    async fn others_have_their_turn_between_the_portions_and_nothing_waits_for_what_hangs() {
        let (begun, looks, done) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let work = with_each(0..10 * PORTION, async |number| {
            begun.set(begun.get() + 1);
            if number == 0 {
                // Until everything else is done.
                while done.get() < 10 * PORTION - 1 {
                    tokio::task::yield_now().await;
                }
            }
            done.set(done.get() + 1);
        });
        let others = async {
            let mut before = begun.get();
            while done.get() < 10 * PORTION {
                assert!(begun.get() - before <= PORTION, "{} after {before}", begun.get());
                before = begun.get();
                looks.set(looks.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        futures_util::join!(work, others);
        assert!(looks.get() >= 9, "{}", looks.get());
        with_each([0; 0], async |_| unreachable!("there is nothing to do")).await;
    }
}
