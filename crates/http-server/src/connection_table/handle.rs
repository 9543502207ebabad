//! The shared handle of a connection: how long it has been idle, the memory that it holds, and requests to close it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Instant;

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::{ConnectionTable, MemoryKind};
use crate::memory_quota::{MemoryGrant, QuotaExceeded};

/// A request to close a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum CloseRequest {
    None,
    /// Close after the requests in flight.
    Graceful,
    /// Close at once.
    Immediate,
}

/// The rank of a connection that is not idle.
const BUSY: u64 = u64::MAX;

/// Ranks connections that receive the head of a request behind all idle ones.
const RECEIVING_HEAD: u64 = 1 << 62;

/// The shared handle of a connection. The table removes the connection when its last handle is dropped.
pub(crate) struct ConnectionHandle {
    pub(crate) table: Arc<ConnectionTable>,
    number: usize,
    pub(crate) port: usize,
    close_request: AtomicU8,
    ended: AtomicBool,
    /// Wakes the task that serves the connection.
    task: AtomicWaker,
    /// The time at which it became idle, in nanoseconds since the start of the table. Lower ranks are closed first.
    rank: AtomicU64,
    /// Notified when the bodies that are being received are to be rejected.
    bodies_rejected: Notify,
    /// The number of calls in flight.
    calls: AtomicUsize,
    /// The size of unsent responses. Unit: bytes.
    unsent: AtomicUsize,
    /// Notified when `calls` or `unsent` becomes lower, if a call waits for that.
    unsent_reduced: Notify,
    has_waiter: AtomicBool,
}

impl ConnectionHandle {
    pub(crate) fn new(table: Arc<ConnectionTable>, number: usize, port: usize) -> ConnectionHandle {
        let handle = ConnectionHandle {
            table,
            number,
            port,
            close_request: AtomicU8::new(CloseRequest::None as u8),
            ended: AtomicBool::default(),
            task: AtomicWaker::new(),
            rank: AtomicU64::default(),
            bodies_rejected: Notify::new(),
            calls: AtomicUsize::default(),
            unsent: AtomicUsize::default(),
            unsent_reduced: Notify::new(),
            has_waiter: AtomicBool::default(),
        };
        handle.set_idle(Instant::now());
        handle
    }

    /// Requests the connection to close. Returns whether this is more urgent than earlier requests. Called by the table only,
    /// which counts the connections that close.
    pub(crate) fn request_close(&self, request: CloseRequest) -> bool {
        if self.ended.load(Ordering::Relaxed) {
            return false;
        }
        let is_more = self.close_request.fetch_max(request as u8, Ordering::Relaxed) < request as u8;
        if is_more {
            self.task.wake();
        }
        is_more
    }

    pub(crate) fn close_request(&self) -> CloseRequest {
        match self.close_request.load(Ordering::Relaxed) {
            0 => CloseRequest::None,
            1 => CloseRequest::Graceful,
            _ => CloseRequest::Immediate,
        }
    }

    /// Registers the task to wake when the connection is requested to close.
    pub(crate) fn wake_on_close_request(&self, waker: &Waker) {
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

    /// Ranks the connection as receiving the head of a request.
    pub(crate) fn set_receiving_head(&self, since: Instant) {
        self.rank.store(RECEIVING_HEAD | self.nanoseconds(since), Ordering::Relaxed);
    }

    fn nanoseconds(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.table.started);
        // The bound is reached after more than a century.
        (since.as_secs() * 1_000_000_000 + u64::from(since.subsec_nanos())).min(RECEIVING_HEAD - 1)
    }

    /// Returns the rank among the connections that may be closed, the lowest first. Returns `None` if it is busy or closing.
    pub(crate) fn idle_rank(&self) -> Option<u64> {
        let rank = self.rank.load(Ordering::Relaxed);
        (rank != BUSY && self.close_request() == CloseRequest::None).then_some(rank)
    }

    pub(crate) fn reject_bodies(&self) {
        self.bodies_rejected.notify_waiters();
    }

    /// Waits until the bodies that are being received are rejected.
    pub(crate) fn bodies_rejected(&self) -> Notified<'_> {
        self.bodies_rejected.notified()
    }

    /// Waits until there is memory for a response of the expected size, in addition to those of the calls in flight. Never
    /// returns once the connection has ended, because the response could not be sent.
    pub(crate) async fn start_call(self: &Arc<Self>, expected: usize) -> CallInFlight {
        while self.ended.load(Ordering::Relaxed) || !self.has_room_for(expected) {
            let unsent_reduced = self.unsent_reduced.notified();
            self.has_waiter.store(true, Ordering::Relaxed);
            unsent_reduced.await;
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        CallInFlight(self.clone())
    }

    fn has_room_for(&self, expected: usize) -> bool {
        let (calls, unsent) = (self.calls.load(Ordering::Relaxed), self.unsent.load(Ordering::Relaxed));
        let expected = expected.saturating_mul(calls + 1).saturating_add(unsent);
        expected <= self.table.max_unsent_bytes || (calls == 0 && unsent == 0)
    }

    fn notify_reduced(&self) {
        if self.has_waiter.swap(false, Ordering::Relaxed) {
            self.unsent_reduced.notify_waiters();
        }
    }

    /// Reserves memory for this connection.
    ///
    /// # Errors
    /// `QuotaExceeded` if no memory can be freed.
    pub(crate) fn reserve_memory(
        self: &Arc<Self>,
        kind: MemoryKind,
        bytes: usize,
    ) -> Result<MemoryReservation, QuotaExceeded> {
        let grant = self.table.acquire_memory(self.number, kind, bytes)?;
        if kind == MemoryKind::Response {
            self.unsent.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(MemoryReservation { handle: self.clone(), kind, grant })
    }
}

impl Drop for ConnectionHandle {
    fn drop(&mut self) {
        self.table.remove(self.number);
    }
}

impl fmt::Debug for ConnectionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionHandle")
            .field("number", &self.number)
            .field("close_request", &self.close_request())
            .finish_non_exhaustive()
    }
}

/// A call in flight. Dropping it ends the call.
#[derive(Debug)]
pub(crate) struct CallInFlight(Arc<ConnectionHandle>);

impl Drop for CallInFlight {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
        self.0.notify_reduced();
    }
}

/// Memory that a connection holds. Dropping it releases the memory.
#[derive(Debug)]
pub(crate) struct MemoryReservation {
    handle: Arc<ConnectionHandle>,
    kind: MemoryKind,
    grant: MemoryGrant,
}

impl MemoryReservation {
    /// Protects the memory from eviction.
    ///
    /// # Errors
    /// `QuotaExceeded` if it has been evicted already.
    pub(crate) fn pin(&mut self) -> Result<(), QuotaExceeded> {
        self.handle.table.pin_memory(self.handle.number, self.kind, &mut self.grant)
    }
}

impl Drop for MemoryReservation {
    fn drop(&mut self) {
        self.handle.table.release_memory(self.handle.number, self.kind, self.grant);
        if self.kind == MemoryKind::Response {
            self.handle.unsent.fetch_sub(self.grant.bytes, Ordering::Relaxed);
            self.handle.notify_reduced();
        }
    }
}
