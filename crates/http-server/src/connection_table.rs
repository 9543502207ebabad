//! All connections of a server, at whatever port: how many there may be, and what they may have it hold.
//!
//! When there are as many as there may be and another one comes, those that have been idle longest are cut.

mod handle;

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use slab::Slab;
use tokio::sync::Notify;

use crate::client::ClientAddress;
use crate::file_limit;
use crate::memory_quota::{MemoryGrant, MemoryQuota, QuotaExceeded, QuotaLimits};
pub(crate) use handle::{CloseRequest, ConnectionHandle, MemoryReservation};

const MIB: usize = 1024 * 1024;

/// How many bytes of requests' bodies may be held. The largest body there can be fits one connection.
const REQUEST_BODY_LIMITS: QuotaLimits = QuotaLimits { total: 256 * MIB, client: 128 * MIB, connection: 64 * MIB };

/// How many bytes of answers may be held that have not been sent. The largest answer there can be fits one connection.
const RESPONSE_LIMITS: QuotaLimits = QuotaLimits { total: 256 * MIB, client: 128 * MIB, connection: 64 * MIB };

/// What of all idle connections is cut at once when there is no room for another one: to look for them costs
/// something for each that there is.
const IDLE_SHARE_TO_CLOSE: usize = 64;

/// What bytes are held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemoryKind {
    /// The body of a request, until it is answered.
    RequestBody,
    /// A response, until it is sent.
    Response,
}

/// The connections of a server.
pub(crate) struct ConnectionTable {
    state: Mutex<State>,
    /// Whether somebody waits for a place.
    is_contended: AtomicBool,
    /// Told when a connection has ended.
    slot_freed: Notify,
    /// What idle times are counted from.
    pub(crate) started: Instant,
    pub(crate) max_unsent_bytes: usize,
    ports: AtomicUsize,
}

struct State {
    /// How many connections there may be.
    capacity: usize,
    open: usize,
    /// How many of those have been asked to end at once.
    closing: usize,
    waiting: usize,
    handles: Slab<Weak<ConnectionHandle>>,
    request_bodies: MemoryQuota,
    responses: MemoryQuota,
}

impl ConnectionTable {
    pub(crate) fn new() -> Arc<ConnectionTable> {
        ConnectionTable::with(file_limit::max_connections(), REQUEST_BODY_LIMITS, RESPONSE_LIMITS)
    }

    /// A table with limits of one's own.
    pub(crate) fn with(capacity: usize, request_bodies: QuotaLimits, responses: QuotaLimits) -> Arc<ConnectionTable> {
        let state = State {
            capacity,
            open: 0,
            closing: 0,
            waiting: 0,
            handles: Slab::new(),
            request_bodies: MemoryQuota::new(request_bodies),
            responses: MemoryQuota::new(responses),
        };
        Arc::new(ConnectionTable {
            state: Mutex::new(state),
            is_contended: AtomicBool::default(),
            slot_freed: Notify::new(),
            started: Instant::now(),
            max_unsent_bytes: responses.connection,
            ports: AtomicUsize::default(),
        })
    }

    /// A number for a port that no other one of the server has.
    pub(crate) fn new_port(&self) -> usize {
        self.ports.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes a connection of a client at a port in, as soon as there is a place for it. For that others may be cut.
    pub(crate) async fn acquire_slot(self: &Arc<Self>, port: usize, address: IpAddr) -> ConnectionSlot {
        let mut waiting = None;
        loop {
            let mut slot_freed = std::pin::pin!(self.slot_freed.notified());
            slot_freed.as_mut().enable();
            if let Some(slot) = self.try_acquire_slot(port, address) {
                return slot;
            }
            waiting.get_or_insert_with(|| SlotWaiter::begin(self));
            self.make_room();
            slot_freed.await;
        }
    }

    fn try_acquire_slot(self: &Arc<Self>, port: usize, address: IpAddr) -> Option<ConnectionSlot> {
        let mut state = self.state();
        if state.open >= state.capacity {
            return None;
        }
        state.open += 1;
        let entry = state.handles.vacant_entry();
        let number = entry.key();
        let handle = Arc::new(ConnectionHandle::new(self.clone(), number, port));
        entry.insert(Arc::downgrade(&handle));
        let client = ClientAddress::of(address);
        state.request_bodies.open(number, client);
        state.responses.open(number, client);
        Some(ConnectionSlot(handle))
    }

    /// Has those cut that have been idle longest, unless some are being cut already. After them come those whose requests are
    /// slow to begin.
    pub(crate) fn make_room(&self) {
        let mut state = self.state();
        if state.closing > 0 {
            return;
        }
        let handles = state.handles.iter().filter_map(|(_, handle)| handle.upgrade());
        let mut idle: Vec<_> = handles.filter_map(|handle| Some((handle.idle_rank()?, handle))).collect();
        let count = (idle.len() / IDLE_SHARE_TO_CLOSE).max(1).min(idle.len());
        if (1..idle.len()).contains(&count) {
            idle.select_nth_unstable_by_key(count, |(rank, _)| *rank);
        }
        for (_, handle) in idle.iter().take(count) {
            state.request_close(handle, CloseRequest::Immediate);
        }
        // Before the peers: the last one to know a peer has the table forget it.
        drop(state);
    }

    /// Asks one connection for something.
    pub(crate) fn request_close(&self, handle: &ConnectionHandle, request: CloseRequest) {
        self.state().request_close(handle, request);
    }

    /// A connection has become idle. Where somebody waits for its place, it is asked to end.
    pub(crate) fn on_idle(&self, handle: &ConnectionHandle) {
        if self.is_contended.load(Ordering::Relaxed) {
            self.request_close(handle, CloseRequest::Graceful);
        }
    }

    /// Asks all connections of a port to end.
    pub(crate) fn close_port(&self, port: usize) {
        let mut state = self.state();
        let handles: Vec<_> = state.handles.iter().filter_map(|(_, handle)| handle.upgrade()).collect();
        for handle in handles.iter().filter(|handle| handle.port == port) {
            state.request_close(handle, CloseRequest::Graceful);
        }
        drop(state);
    }

    /// Grants bytes to a connection. Others may have to let go of theirs: what they receive is refused, what they do not
    /// take is cut off with them.
    ///
    /// # Errors
    /// There is no room for them.
    pub(crate) fn acquire_memory(
        &self,
        connection: usize,
        kind: MemoryKind,
        bytes: usize,
    ) -> Result<MemoryGrant, QuotaExceeded> {
        let mut evicted = Vec::new();
        let mut state = self.state();
        let granted = state.quota(kind).acquire(connection, bytes, &mut evicted);
        if evicted.is_empty() {
            return granted;
        }
        let handles: Vec<_> = evicted.iter().filter_map(|&number| state.handles.get(number)?.upgrade()).collect();
        for handle in &handles {
            match kind {
                MemoryKind::RequestBody => handle.reject_bodies(),
                MemoryKind::Response => state.request_close(handle, CloseRequest::Immediate),
            }
        }
        drop(state);
        granted
    }

    pub(crate) fn pin_memory(
        &self,
        connection: usize,
        kind: MemoryKind,
        grant: &mut MemoryGrant,
    ) -> Result<(), QuotaExceeded> {
        self.state().quota(kind).pin(connection, grant)
    }

    pub(crate) fn release_memory(&self, connection: usize, kind: MemoryKind, grant: MemoryGrant) {
        self.state().quota(kind).release(connection, grant);
    }

    /// How many bytes are held.
    #[cfg(test)]
    pub(crate) fn held(&self, kind: MemoryKind) -> usize {
        self.state().quota(kind).held()
    }

    /// Forgets a connection that nothing belongs to any more.
    pub(crate) fn remove(&self, connection: usize) {
        let mut state = self.state();
        state.handles.try_remove(connection);
        state.request_bodies.close(connection);
        state.responses.close(connection);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // It is whole after any panic: nothing that can panic happens in the middle of a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn request_close(&mut self, handle: &ConnectionHandle, request: CloseRequest) {
        let changed = handle.request_close(request);
        self.closing += usize::from(changed && request == CloseRequest::Immediate);
    }

    fn quota(&mut self, kind: MemoryKind) -> &mut MemoryQuota {
        match kind {
            MemoryKind::RequestBody => &mut self.request_bodies,
            MemoryKind::Response => &mut self.responses,
        }
    }
}

impl fmt::Debug for ConnectionTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionTable").finish_non_exhaustive()
    }
}

/// A connection that was taken in, until it ends.
pub(crate) struct ConnectionSlot(pub(crate) Arc<ConnectionHandle>);

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let table = &self.0.table;
        let mut state = table.state();
        state.open -= 1;
        state.closing -= usize::from(self.0.close_request() == CloseRequest::Immediate);
        self.0.set_ended();
        drop(state);
        table.slot_freed.notify_waiters();
    }
}

/// Somebody who waits for a place.
struct SlotWaiter<'a>(&'a ConnectionTable);

impl SlotWaiter<'_> {
    fn begin(table: &ConnectionTable) -> SlotWaiter<'_> {
        table.state().waiting += 1;
        table.is_contended.store(true, Ordering::Relaxed);
        SlotWaiter(table)
    }
}

impl Drop for SlotWaiter<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting -= 1;
        self.0.is_contended.store(state.waiting > 0, Ordering::Relaxed);
    }
}
