//! SlowPathQueue: what takes a shard so long that only one is made between two looks at everything else that lives there.
//!
//! To replace a lost instance, to enter a guest that has given its stacks back, or to end one that traps, takes tens of
//! microseconds, most of them the operating system's. A thousand in a row, as when a thousand actors crash together, would
//! hold up a bystander for as long as a thousand of them take. Nobody knows beforehand who will trap; but who has lately
//! is the first to be suspected.
//!
//! The turns go by rotation to who has waited longest and to who has come last. So whoever comes while hundreds wait does not
//! wait for all of them, and they wait for twice as long as they would have at most.
//!
//! After some of them the shard looks at what its runtime has to say: at timers, at sockets, and at what waits for those.
//! Where there is much else to do, as where guests use up their slices, that look takes its time; so queue may take as long
//! before the next one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// For how long queue are made at least before the shard looks at its runtime.
const LEAST: Duration = Duration::from_micros(250);

/// For how long they are made at most.
const MOST: Duration = Duration::from_millis(20);

/// The turns to make an turn on one shard. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct SlowPathQueue(Arc<Mutex<Turns>>);

#[derive(Debug)]
struct Turns {
    /// The time for queue, while nobody has the turn; otherwise who has it has this too.
    time: Option<Time>,
    waiting: VecDeque<oneshot::Sender<SlowPathTurn>>,
    /// Whether the next turn is for who came last.
    is_for_last: bool,
}

/// How long queue have taken since the last look at the runtime, and may take until the next one.
#[derive(Debug, Clone, Copy)]
struct Time {
    spent: Duration,
    allowed: Duration,
}

/// The turn to make an turn now. The next one gets it when this is dropped.
#[derive(Debug)]
pub(crate) struct SlowPathTurn {
    queue: SlowPathQueue,
    /// Nothing once the turn is given away.
    time: Option<Time>,
    since: Instant,
}

impl SlowPathQueue {
    pub(super) fn new() -> SlowPathQueue {
        let time = Some(Time { spent: Duration::ZERO, allowed: LEAST });
        let turns = Turns { time, waiting: VecDeque::new(), is_for_last: false };
        SlowPathQueue(Arc::new(Mutex::new(turns)))
    }

    /// A turn, if nobody has one.
    pub(crate) fn try_begin(&self) -> Option<SlowPathTurn> {
        let time = self.with(|turns| turns.time.take())?;
        Some(SlowPathTurn { queue: self.clone(), time: Some(time), since: Instant::now() })
    }

    /// A turn, when it comes.
    pub(crate) async fn begin(&self) -> SlowPathTurn {
        let (turn, given) = oneshot::channel();
        self.with(|turns| turns.waiting.push_back(turn));
        if let Some(turn) = self.try_begin() {
            // It goes to the next one, who need not be this.
            drop(turn);
        }
        let mut turn = given.await.unwrap_or_else(|_| unreachable!("who waits for a turn keeps the turns"));
        turn.since = Instant::now();
        turn
    }

    fn with<T>(&self, work: impl FnOnce(&mut Turns) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Turns {
    /// Who gets the next turn.
    fn next(&mut self) -> Option<oneshot::Sender<SlowPathTurn>> {
        self.is_for_last = !self.is_for_last;
        if self.is_for_last { self.waiting.pop_front() } else { self.waiting.pop_back() }
    }
}

impl SlowPathTurn {
    /// Looks at what the shard's runtime has to say, in the midst of an turn.
    pub(crate) async fn yield_if_due(&mut self) {
        let begin = Instant::now();
        tokio::task::yield_now().await;
        self.since = Instant::now();
        self.time = Some(Time { spent: Duration::ZERO, allowed: (self.since - begin).clamp(LEAST, MOST) });
    }

    /// Ends the turn. The next turn comes when what waits on this thread, which must be the shard, has been looked at.
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
                // Who waited for it has gone.
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
    fn turns_go_by_rotation_to_who_waits_longest_and_who_came_last() {
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
    fn who_has_gone_is_passed_over() {
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
        // One has got the turn and goes without having looked.
        drop(given);
        let turn = stays.as_mut().now_or_never();
        assert!(turn.is_some());
        drop(turn);
        assert!(queue.try_begin().is_some());
    }
}
