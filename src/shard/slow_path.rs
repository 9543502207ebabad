//! The queue for slow paths: steps that take a shard so long that it runs one at a time, with other work in between.
//!
//! To replace a lost instance, to enter a guest that has released its stacks, or to end a guest that traps, takes tens of
//! microseconds, most of them in the operating system. A thousand such steps in a row, as after a thousand actors crash
//! together, would delay all other actors of the shard. Which guest will trap is not known beforehand, but a guest that has
//! trapped lately is likely to trap again.
//!
//! Turns go alternately to the step that has waited longest and to the step that came last. A new step does not wait for
//! hundreds of earlier ones, and those wait at most twice as long as they would in order of arrival.
//!
//! After some turns the shard yields to its runtime, for timers, sockets and the tasks that wait for them. On a busy shard,
//! where guests use up their time slices, the yield takes long; slow paths may then take as long before the next yield.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// The shortest time of slow paths between two yields to the runtime.
const LEAST: Duration = Duration::from_micros(250);

/// The longest time of slow paths between two yields to the runtime.
const MOST: Duration = Duration::from_millis(20);

/// The queue for slow paths of one shard. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct SlowPathQueue(Arc<Mutex<Turns>>);

#[derive(Debug)]
struct Turns {
    /// The time budget. The holder of the turn has it while there is one.
    time: Option<TimeBudget>,
    waiting: VecDeque<oneshot::Sender<SlowPathTurn>>,
    /// Whether the next turn is for the step that came last.
    is_for_last: bool,
}

/// The time that slow paths have taken since the last yield to the runtime, and may take until the next one.
#[derive(Debug, Clone, Copy)]
struct TimeBudget {
    spent: Duration,
    allowed: Duration,
}

/// The turn to take a slow path now. The next step gets it when this is dropped.
#[derive(Debug)]
pub(crate) struct SlowPathTurn {
    queue: SlowPathQueue,
    /// `None` once the turn is passed on.
    time: Option<TimeBudget>,
    since: Instant,
}

impl SlowPathQueue {
    pub(super) fn new() -> SlowPathQueue {
        let time = Some(TimeBudget { spent: Duration::ZERO, allowed: LEAST });
        let turns = Turns { time, waiting: VecDeque::new(), is_for_last: false };
        SlowPathQueue(Arc::new(Mutex::new(turns)))
    }

    /// Returns the turn, if it is free.
    pub(crate) fn try_begin(&self) -> Option<SlowPathTurn> {
        let time = self.with(|turns| turns.time.take())?;
        Some(SlowPathTurn { queue: self.clone(), time: Some(time), since: Instant::now() })
    }

    /// Waits for the turn.
    pub(crate) async fn begin(&self) -> SlowPathTurn {
        let (turn, given) = oneshot::channel();
        self.with(|turns| turns.waiting.push_back(turn));
        if let Some(turn) = self.try_begin() {
            // It goes to the next step in the queue, which need not be this one.
            drop(turn);
        }
        let mut turn = given.await.unwrap_or_else(|_| unreachable!("a waiting step keeps the queue alive"));
        turn.since = Instant::now();
        turn
    }

    fn with<T>(&self, work: impl FnOnce(&mut Turns) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Turns {
    /// Returns the step that gets the next turn.
    fn next(&mut self) -> Option<oneshot::Sender<SlowPathTurn>> {
        self.is_for_last = !self.is_for_last;
        if self.is_for_last { self.waiting.pop_front() } else { self.waiting.pop_back() }
    }
}

impl SlowPathTurn {
    /// Yields to the shard's runtime during a turn, and starts a new time budget.
    pub(crate) async fn yield_if_due(&mut self) {
        let begin = Instant::now();
        tokio::task::yield_now().await;
        self.since = Instant::now();
        self.time = Some(TimeBudget { spent: Duration::ZERO, allowed: (self.since - begin).clamp(LEAST, MOST) });
    }

    /// Ends the turn. The next turn begins once the tasks that are ready on this thread, which must be the shard, have run.
    pub(crate) fn end(mut self) {
        let spent = self.since.elapsed();
        let is_enough = self.time.as_mut().is_some_and(|time| {
            time.spent += spent;
            time.spent >= time.allowed
        });
        // Tasks of a shard are polled in the order in which they became ready.
        actix_rt::spawn(async move {
            if is_enough {
                self.yield_if_due().await;
            }
        });
    }
}

impl Drop for SlowPathTurn {
    fn drop(&mut self) {
        let time = self.time.take();
        if time.is_none() {
            return;
        }
        let mut turn = SlowPathTurn { queue: self.queue.clone(), time, since: self.since };
        loop {
            let next = self.queue.with(|turns| {
                let next = turns.next();
                if next.is_none() {
                    turns.time = turn.time.take();
                }
                next
            });
            match next.map(|next| next.send(turn)) {
                // The step that waited for it was cancelled.
                Some(Err(refused)) => turn = refused,
                Some(Ok(())) | None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn turns_go_alternately_to_the_oldest_and_the_newest_step() {
        let queue = SlowPathQueue::new();
        let mut turn = queue.try_begin().unwrap();
        assert!(queue.try_begin().is_none());
        let mut waiting: Vec<_> = (0..5).map(|number| Some((number, Box::pin(queue.begin())))).collect();
        assert!(waiting.iter_mut().flatten().all(|(_, begin)| begin.now_or_never().is_none()));
        let mut order = Vec::new();
        while order.len() < 5 {
            drop(turn);
            let ready = waiting.iter_mut().find_map(|slot| {
                let (number, begin) = slot.as_mut()?;
                let begun = begin.as_mut().now_or_never().map(|turn| (*number, turn));
                begun.inspect(|_| *slot = None)
            });
            let (number, next) = ready.unwrap();
            order.push(number);
            turn = next;
        }
        assert_eq!(order, [0, 4, 1, 3, 2]);
        drop(turn);
        assert!(queue.try_begin().is_some());
    }

    #[test]
    fn cancelled_steps_are_passed_over() {
        let queue = SlowPathQueue::new();
        let turn = queue.try_begin().unwrap();
        let mut gone = Box::pin(queue.begin());
        let mut given = Box::pin(queue.begin());
        let mut stays = Box::pin(queue.begin());
        for begin in [&mut gone, &mut given, &mut stays] {
            assert!(begin.as_mut().now_or_never().is_none());
        }
        drop(gone);
        drop(turn);
        // This step gets the turn, and is cancelled before it is polled.
        drop(given);
        let turn = stays.as_mut().now_or_never();
        assert!(turn.is_some());
        drop(turn);
        assert!(queue.try_begin().is_some());
    }
}
