//! The slow-path queue of a shard: runs long steps one at a time, with time for other tasks in between.
//!
//! Replacing a lost instance, entering a guest that has released its stacks, and ending a guest that traps take tens of
//! microseconds each, most of them spent by the operating system. A thousand in a row, as when a thousand actors crash
//! together, would delay other calls by as much as all of them take. Which guests will trap is not known beforehand, so
//! guests that trapped recently are expected to.
//!
//! Turns are granted alternately to the task that has waited longest and to the one that came last. So a task that
//! comes while hundreds wait does not wait for all of them, and they wait at most twice as long as in strict order.
//!
//! After some turns the shard polls its runtime: timers, sockets, and the tasks that wait for them. If there is much
//! other work, such as guests that use up their slices, that poll takes time, and slow paths may take as long before
//! the next one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// The shortest time of slow paths between two polls of the runtime.
const LEAST: Duration = Duration::from_micros(250);

/// The longest time of slow paths between two polls of the runtime.
const MOST: Duration = Duration::from_millis(20);

/// The queue for slow paths on one shard. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct SlowPathQueue(Arc<Mutex<Turns>>);

#[derive(Debug)]
struct Turns {
    /// The time budget while no task has the turn. Otherwise, the turn holds it.
    time: Option<Time>,
    waiting: VecDeque<oneshot::Sender<SlowPathTurn>>,
    /// Whether the next turn goes to the task that came last.
    is_for_last: bool,
}

/// How long slow paths have taken since the last poll of the runtime, and may take until the next one.
#[derive(Debug, Clone, Copy)]
struct Time {
    spent: Duration,
    allowed: Duration,
}

/// The turn of a task on the slow path. Dropping it grants the turn to the next task.
#[derive(Debug)]
pub(crate) struct SlowPathTurn {
    queue: SlowPathQueue,
    /// The time budget. `None` once the turn has been passed on.
    time: Option<Time>,
    since: Instant,
}

impl SlowPathQueue {
    pub(super) fn new() -> SlowPathQueue {
        let time = Some(Time { spent: Duration::ZERO, allowed: LEAST });
        let turns = Turns { time, waiting: VecDeque::new(), is_for_last: false };
        SlowPathQueue(Arc::new(Mutex::new(turns)))
    }

    /// Returns the turn, or `None` while a task holds it.
    pub(crate) fn try_begin(&self) -> Option<SlowPathTurn> {
        let time = self.with(|turns| turns.time.take())?;
        Some(SlowPathTurn { queue: self.clone(), time: Some(time), since: Instant::now() })
    }

    /// Waits for the turn.
    pub(crate) async fn begin(&self) -> SlowPathTurn {
        let (turn, given) = oneshot::channel();
        self.with(|turns| turns.waiting.push_back(turn));
        if let Some(turn) = self.try_begin() {
            // Dropping it grants it to the next task in order, which may be another one.
            drop(turn);
        }
        let mut turn = given.await.unwrap_or_else(|_| unreachable!("a waiting task keeps the queue"));
        turn.since = Instant::now();
        turn
    }

    fn with<T>(&self, work: impl FnOnce(&mut Turns) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Turns {
    /// Returns the task that gets the next turn.
    fn next(&mut self) -> Option<oneshot::Sender<SlowPathTurn>> {
        self.is_for_last = !self.is_for_last;
        if self.is_for_last { self.waiting.pop_front() } else { self.waiting.pop_back() }
    }
}

impl SlowPathTurn {
    /// Yields to the shard's runtime in the middle of the turn, and begins a new time budget.
    pub(crate) async fn yield_if_due(&mut self) {
        let begin = Instant::now();
        tokio::task::yield_now().await;
        self.since = Instant::now();
        self.time = Some(Time { spent: Duration::ZERO, allowed: (self.since - begin).clamp(LEAST, MOST) });
    }

    /// Ends the turn. The next turn begins after the ready tasks of this thread, which must be the shard, have been
    /// polled.
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
                // The task no longer waits.
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
    fn turns_alternate_between_the_longest_waiting_and_the_last_task() {
        let queue = SlowPathQueue::new();
        let mut turn = queue.try_begin().unwrap();
        assert!(queue.try_begin().is_none());
        let mut waiting: Vec<_> = (0..5).map(|number| Some((number, Box::pin(queue.begin())))).collect();
        assert!(waiting.iter_mut().flatten().all(|(_, begin)| begin.now_or_never().is_none()));
        let mut order = Vec::new();
        while order.len() < 5 {
            drop(turn);
            let ready = waiting.iter_mut().find_map(|place| {
                let (number, begin) = place.as_mut()?;
                let begun = begin.as_mut().now_or_never().map(|turn| (*number, turn));
                begun.inspect(|_| *place = None)
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
    fn cancelled_tasks_are_skipped() {
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
        // This task has been granted the turn and is cancelled before it was polled.
        drop(given);
        let turn = stays.as_mut().now_or_never();
        assert!(turn.is_some());
        drop(turn);
        assert!(queue.try_begin().is_some());
    }
}
