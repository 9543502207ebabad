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
use crate::memory_quota::{Full, Grant, Ledger, Limits};
pub(crate) use handle::{Asked, Holding, Peer};

const MIB: usize = 1024 * 1024;

/// How many bytes of requests' bodies may be held. The largest body there can be fits one connection.
const BODIES: Limits = Limits { total: 256 * MIB, client: 128 * MIB, connection: 64 * MIB };

/// How many bytes of answers may be held that have not been sent. The largest answer there can be fits one connection.
const ANSWERS: Limits = Limits { total: 256 * MIB, client: 128 * MIB, connection: 64 * MIB };

/// What of all idle connections is cut at once when there is no room for another one: to look for them costs
/// something for each that there is.
const SHARE_TO_CUT: usize = 64;

/// What bytes are held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The body of a request, until it is answered.
    Body,
    /// An answer, until it is sent.
    Answer,
}

/// The connections of a server.
pub(crate) struct ConnectionTable {
    state: Mutex<State>,
    /// Whether somebody waits for a place.
    pressed: AtomicBool,
    /// Told when a connection has ended.
    freed: Notify,
    /// What idle times are counted from.
    pub(crate) beginning: Instant,
    pub(crate) answers_per_connection: usize,
    ports: AtomicUsize,
}

struct State {
    /// How many connections there may be.
    capacity: usize,
    open: usize,
    /// How many of those have been asked to end at once.
    leaving: usize,
    waiting: usize,
    peers: Slab<Weak<Peer>>,
    bodies: Ledger,
    answers: Ledger,
}

impl ConnectionTable {
    pub(crate) fn new() -> Arc<ConnectionTable> {
        ConnectionTable::with(file_limit::connections(), BODIES, ANSWERS)
    }

    /// A table with limits of one's own.
    pub(crate) fn with(capacity: usize, bodies: Limits, answers: Limits) -> Arc<ConnectionTable> {
        let state = State {
            capacity,
            open: 0,
            leaving: 0,
            waiting: 0,
            peers: Slab::new(),
            bodies: Ledger::new(bodies),
            answers: Ledger::new(answers),
        };
        Arc::new(ConnectionTable {
            state: Mutex::new(state),
            pressed: AtomicBool::default(),
            freed: Notify::new(),
            beginning: Instant::now(),
            answers_per_connection: answers.connection,
            ports: AtomicUsize::default(),
        })
    }

    /// A number for a port that no other one of the server has.
    pub(crate) fn new_port(&self) -> usize {
        self.ports.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes a connection of a client at a port in, as soon as there is a place for it. For that others may be cut.
    pub(crate) async fn admit(self: &Arc<Self>, port: usize, address: IpAddr) -> Admission {
        let mut waiting = None;
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            freed.as_mut().enable();
            if let Some(admission) = self.try_admit(port, address) {
                return admission;
            }
            waiting.get_or_insert_with(|| Waiting::begin(self));
            self.make_room();
            freed.await;
        }
    }

    fn try_admit(self: &Arc<Self>, port: usize, address: IpAddr) -> Option<Admission> {
        let mut state = self.state();
        if state.open >= state.capacity {
            return None;
        }
        state.open += 1;
        let entry = state.peers.vacant_entry();
        let number = entry.key();
        let peer = Arc::new(Peer::new(self.clone(), number, port));
        entry.insert(Arc::downgrade(&peer));
        let client = ClientAddress::of(address);
        state.bodies.open(number, client);
        state.answers.open(number, client);
        Some(Admission(peer))
    }

    /// Has those cut that have been idle longest, unless some are being cut already. After them come those whose requests are
    /// slow to begin.
    pub(crate) fn make_room(&self) {
        let mut state = self.state();
        if state.leaving > 0 {
            return;
        }
        let peers = state.peers.iter().filter_map(|(_, peer)| peer.upgrade());
        let mut idle: Vec<_> = peers.filter_map(|peer| Some((peer.idle_rank()?, peer))).collect();
        let count = (idle.len() / SHARE_TO_CUT).max(1).min(idle.len());
        if (1..idle.len()).contains(&count) {
            idle.select_nth_unstable_by_key(count, |(rank, _)| *rank);
        }
        for (_, peer) in idle.iter().take(count) {
            state.ask(peer, Asked::ToBeCut);
        }
        // Before the peers: the last one to know a peer has the table forget it.
        drop(state);
    }

    /// Asks one connection for something.
    pub(crate) fn ask(&self, peer: &Peer, asked: Asked) {
        self.state().ask(peer, asked);
    }

    /// A connection has become idle. Where somebody waits for its place, it is asked to end.
    pub(crate) fn is_idle(&self, peer: &Peer) {
        if self.pressed.load(Ordering::Relaxed) {
            self.ask(peer, Asked::ToEnd);
        }
    }

    /// Asks all connections of a port to end.
    pub(crate) fn close_port(&self, port: usize) {
        let mut state = self.state();
        let peers: Vec<_> = state.peers.iter().filter_map(|(_, peer)| peer.upgrade()).collect();
        for peer in peers.iter().filter(|peer| peer.port == port) {
            state.ask(peer, Asked::ToEnd);
        }
        drop(state);
    }

    /// Grants bytes to a connection. Others may have to let go of theirs: what they receive is refused, what they do not
    /// take is cut off with them.
    ///
    /// # Errors
    /// There is no room for them.
    pub(crate) fn hold(&self, connection: usize, kind: Kind, bytes: usize) -> Result<Grant, Full> {
        let mut evicted = Vec::new();
        let mut state = self.state();
        let granted = state.ledger(kind).hold(connection, bytes, &mut evicted);
        if evicted.is_empty() {
            return granted;
        }
        let peers: Vec<_> = evicted.iter().filter_map(|&number| state.peers.get(number)?.upgrade()).collect();
        for peer in &peers {
            match kind {
                Kind::Body => peer.refuse_bodies(),
                Kind::Answer => state.ask(peer, Asked::ToBeCut),
            }
        }
        drop(state);
        granted
    }

    pub(crate) fn keep(&self, connection: usize, kind: Kind, grant: &mut Grant) -> Result<(), Full> {
        self.state().ledger(kind).keep(connection, grant)
    }

    pub(crate) fn release(&self, connection: usize, kind: Kind, grant: Grant) {
        self.state().ledger(kind).release(connection, grant);
    }

    /// How many bytes are held.
    #[cfg(test)]
    pub(crate) fn held(&self, kind: Kind) -> usize {
        self.state().ledger(kind).held()
    }

    /// Forgets a connection that nothing belongs to any more.
    pub(crate) fn forget(&self, connection: usize) {
        let mut state = self.state();
        state.peers.try_remove(connection);
        state.bodies.close(connection);
        state.answers.close(connection);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // It is whole after any panic: nothing that can panic happens in the middle of a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn ask(&mut self, peer: &Peer, asked: Asked) {
        let changed = peer.ask(asked);
        self.leaving += usize::from(changed && asked == Asked::ToBeCut);
    }

    fn ledger(&mut self, kind: Kind) -> &mut Ledger {
        match kind {
            Kind::Body => &mut self.bodies,
            Kind::Answer => &mut self.answers,
        }
    }
}

impl fmt::Debug for ConnectionTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionTable").finish_non_exhaustive()
    }
}

/// A connection that was taken in, until it ends.
pub(crate) struct Admission(pub(crate) Arc<Peer>);

impl Drop for Admission {
    fn drop(&mut self) {
        let table = &self.0.table;
        let mut state = table.state();
        state.open -= 1;
        state.leaving -= usize::from(self.0.asked() == Asked::ToBeCut);
        self.0.set_ended();
        drop(state);
        table.freed.notify_waiters();
    }
}

/// Somebody who waits for a place.
struct Waiting<'a>(&'a ConnectionTable);

impl Waiting<'_> {
    fn begin(table: &ConnectionTable) -> Waiting<'_> {
        table.state().waiting += 1;
        table.pressed.store(true, Ordering::Relaxed);
        Waiting(table)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting -= 1;
        self.0.pressed.store(state.waiting > 0, Ordering::Relaxed);
    }
}
