//! The connections of a server on all ports, and the limits that they share: their number and the memory that they hold.
//!
//! If all slots are in use and another connection arrives, the connections that have been idle longest are closed.

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

/// Limits of memory for request bodies. A connection may hold the largest possible body.
const REQUEST_BODY_LIMITS: QuotaLimits = QuotaLimits { total: 256 * MIB, client: 128 * MIB, connection: 64 * MIB };

/// Limits of memory for unsent responses. A connection may hold the largest possible response.
const RESPONSE_LIMITS: QuotaLimits = QuotaLimits { total: 256 * MIB, client: 128 * MIB, connection: 64 * MIB };

/// One in this many idle connections is closed at once if all slots are in use. Closing several at once pays for the search,
/// which visits all connections.
const IDLE_SHARE_TO_CLOSE: usize = 64;

/// The purpose of memory that a connection holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemoryKind {
    /// The body of a request, until the request is answered.
    RequestBody,
    /// A response, until it is sent.
    Response,
}

/// The connections of a server.
pub(crate) struct ConnectionTable {
    state: Mutex<State>,
    /// Whether a new connection waits for a slot.
    is_contended: AtomicBool,
    /// Notified when a connection has ended.
    slot_freed: Notify,
    /// The origin of idle times.
    pub(crate) started: Instant,
    pub(crate) max_unsent_bytes: usize,
    ports: AtomicUsize,
}

struct State {
    /// Maximum number of connections.
    capacity: usize,
    open: usize,
    /// Number of open connections that were requested to close at once.
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

    /// Creates a table with these limits.
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

    /// Returns a new number for a port.
    pub(crate) fn new_port(&self) -> usize {
        self.ports.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits for a slot for a connection of a client to a port. Closes idle connections if all slots are in use.
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

    /// Closes the connections that have been idle longest, and then those whose request head arrives slowly. Does nothing if
    /// connections are being closed already.
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
        // Unlocked before the handles are dropped: dropping the last one locks the state.
        drop(state);
    }

    /// Requests a connection to close.
    pub(crate) fn request_close(&self, handle: &ConnectionHandle, request: CloseRequest) {
        self.state().request_close(handle, request);
    }

    /// Closes a connection that has become idle if a new one waits for a slot.
    pub(crate) fn on_idle(&self, handle: &ConnectionHandle) {
        if self.is_contended.load(Ordering::Relaxed) {
            self.request_close(handle, CloseRequest::Graceful);
        }
    }

    /// Requests all connections of a port to close after their requests in flight.
    pub(crate) fn close_port(&self, port: usize) {
        let mut state = self.state();
        let handles: Vec<_> = state.handles.iter().filter_map(|(_, handle)| handle.upgrade()).collect();
        for handle in handles.iter().filter(|handle| handle.port == port) {
            state.request_close(handle, CloseRequest::Graceful);
        }
        drop(state);
    }

    /// Acquires memory for a connection. May evict other connections: the bodies that they receive are rejected, or they are
    /// closed if they do not read their responses.
    ///
    /// # Errors
    /// `QuotaExceeded` if no memory can be freed.
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

    /// Returns the memory that is held. Unit: bytes.
    #[cfg(test)]
    pub(crate) fn held(&self, kind: MemoryKind) -> usize {
        self.state().quota(kind).held()
    }

    /// Removes a connection whose last handle has been dropped.
    pub(crate) fn remove(&self, connection: usize) {
        let mut state = self.state();
        state.handles.try_remove(connection);
        state.request_bodies.close(connection);
        state.responses.close(connection);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave the state inconsistent: no change can panic halfway.
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

/// The slot of a connection. Dropping it frees the slot.
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

/// Registers a connection that waits for a slot.
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
