//! One connection, as the other connections of its server know it: how long it has been idle, what it holds, and what it is
//! asked for.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Instant;

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::{ConnectionTable, Kind};
use crate::memory_quota::{Full, Grant};

/// What a connection is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Asked {
    Nothing,
    /// To end with the requests that are under way.
    ToEnd,
    /// To end at once.
    ToBeCut,
}

/// The rank of a connection that is not idle.
const BUSY: u64 = u64::MAX;

/// Puts those whose request has begun to arrive behind all that are idle.
const BEHIND: u64 = 1 << 62;

/// A connection. It lasts as long as something that belongs to it does.
pub(crate) struct Peer {
    pub(crate) table: Arc<ConnectionTable>,
    number: usize,
    pub(crate) port: usize,
    asked: AtomicU8,
    ended: AtomicBool,
    /// Wakes what serves the connection.
    task: AtomicWaker,
    /// Since when it has been idle, in nanoseconds since the table's beginning: the lower, the sooner it may be ended.
    rank: AtomicU64,
    /// Told when the bodies that it is receiving are to be refused.
    refused: Notify,
    /// The calls under way, and the bytes of answers that have not been sent.
    calls: AtomicUsize,
    unsent: AtomicUsize,
    /// Told when there are fewer of these, if somebody waits for that.
    eased: Notify,
    is_awaited: AtomicBool,
}

impl Peer {
    pub(crate) fn new(table: Arc<ConnectionTable>, number: usize, port: usize) -> Peer {
        let peer = Peer {
            table,
            number,
            port,
            asked: AtomicU8::new(Asked::Nothing as u8),
            ended: AtomicBool::default(),
            task: AtomicWaker::new(),
            rank: AtomicU64::default(),
            refused: Notify::new(),
            calls: AtomicUsize::default(),
            unsent: AtomicUsize::default(),
            eased: Notify::new(),
            is_awaited: AtomicBool::default(),
        };
        peer.set_idle(Instant::now());
        peer
    }

    /// Asks the connection for something. The answer is whether it had been asked for less before: the table counts that, so
    /// it is the one to be told.
    pub(crate) fn ask(&self, asked: Asked) -> bool {
        if self.ended.load(Ordering::Relaxed) {
            return false;
        }
        let is_more = self.asked.fetch_max(asked as u8, Ordering::Relaxed) < asked as u8;
        if is_more {
            self.task.wake();
        }
        is_more
    }

    pub(crate) fn asked(&self) -> Asked {
        match self.asked.load(Ordering::Relaxed) {
            0 => Asked::Nothing,
            1 => Asked::ToEnd,
            _ => Asked::ToBeCut,
        }
    }

    /// Has what serves the connection woken when it is asked for something.
    pub(crate) fn wake_when_asked(&self, waker: &Waker) {
        self.task.register(waker);
    }

    pub(crate) fn set_ended(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.set_busy();
    }

    pub(crate) fn set_busy(&self) {
        self.rank.store(BUSY, Ordering::Relaxed);
    }

    pub(crate) fn set_idle(&self, since: Instant) {
        self.rank.store(self.nanoseconds(since), Ordering::Relaxed);
    }

    /// A request has begun to arrive.
    pub(crate) fn set_beginning(&self, since: Instant) {
        self.rank.store(BEHIND | self.nanoseconds(since), Ordering::Relaxed);
    }

    fn nanoseconds(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.table.beginning);
        // It would take centuries to reach the rank of others.
        (since.as_secs() * 1_000_000_000 + u64::from(since.subsec_nanos())).min(BEHIND - 1)
    }

    /// Where it stands among those that can be asked to end, the lowest first. None where it cannot, or has been.
    pub(crate) fn idle_rank(&self) -> Option<u64> {
        let rank = self.rank.load(Ordering::Relaxed);
        (rank != BUSY && self.asked() == Asked::Nothing).then_some(rank)
    }

    pub(crate) fn refuse_bodies(&self) {
        self.refused.notify_waiters();
    }

    /// Ends when the bodies that are being received are to be refused.
    pub(crate) fn bodies_refused(&self) -> Notified<'_> {
        self.refused.notified()
    }

    /// Waits until an answer of so many bytes can be expected to find room beside those of the calls under way. Once the
    /// connection has ended nobody would take it, so that is never.
    pub(crate) async fn begin_call(self: &Arc<Self>, expected: usize) -> CallUnderWay {
        while self.ended.load(Ordering::Relaxed) || !self.has_room_for(expected) {
            let eased = self.eased.notified();
            self.is_awaited.store(true, Ordering::Relaxed);
            eased.await;
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        CallUnderWay(self.clone())
    }

    fn has_room_for(&self, expected: usize) -> bool {
        let (calls, unsent) = (self.calls.load(Ordering::Relaxed), self.unsent.load(Ordering::Relaxed));
        let expected = expected.saturating_mul(calls + 1).saturating_add(unsent);
        expected <= self.table.answers_per_connection || (calls == 0 && unsent == 0)
    }

    fn ease(&self) {
        if self.is_awaited.swap(false, Ordering::Relaxed) {
            self.eased.notify_waiters();
        }
    }

    /// Holds bytes for this connection.
    ///
    /// # Errors
    /// There is no room for them.
    pub(crate) fn hold(self: &Arc<Self>, kind: Kind, bytes: usize) -> Result<Holding, Full> {
        let grant = self.table.hold(self.number, kind, bytes)?;
        if kind == Kind::Answer {
            self.unsent.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(Holding { peer: self.clone(), kind, grant })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.table.forget(self.number);
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("number", &self.number).field("asked", &self.asked()).finish_non_exhaustive()
    }
}

/// A call of the connection that has not been answered.
#[derive(Debug)]
pub(crate) struct CallUnderWay(Arc<Peer>);

impl Drop for CallUnderWay {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
        self.0.ease();
    }
}

/// Bytes that are held for a connection, until this is dropped.
#[derive(Debug)]
pub(crate) struct Holding {
    peer: Arc<Peer>,
    kind: Kind,
    grant: Grant,
}

impl Holding {
    /// Makes sure that these bytes are not taken away.
    ///
    /// # Errors
    /// They have been.
    pub(crate) fn keep(&mut self) -> Result<(), Full> {
        self.peer.table.keep(self.peer.number, self.kind, &mut self.grant)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.peer.table.release(self.peer.number, self.kind, self.grant);
        if self.kind == Kind::Answer {
            self.peer.unsent.fetch_sub(self.grant.bytes, Ordering::Relaxed);
            self.peer.ease();
        }
    }
}
