//! What the parts of a connection share: its client, its state, its events.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::SystemTime;

use async_nats::connection::State;
use async_nats::{Client, Event, Statistics};
use tokio::sync::{Notify, broadcast, watch};

use super::event::{ConnectionEvent, Counters, Traffic};
use super::state::{ConnectionStatus, LatticeState};
use super::subscription::Interest;

/// How many events a receiver may lag behind.
const EVENTS: usize = 256;

/// The shared part of a connection.
#[derive(Debug)]
pub(super) struct Shared {
    role: &'static str,
    client: OnceLock<Live>,
    status: watch::Sender<ConnectionStatus>,
    events: broadcast::Sender<ConnectionEvent>,
    pub(super) counters: Counters,
    /// Wakes the task that observes the client.
    pub(super) changed: Notify,
    closing: watch::Sender<bool>,
    closed: watch::Sender<bool>,
    /// The subscriptions that exist, so that a refusal of the server finds its subscription.
    interests: Mutex<Vec<Weak<Interest>>>,
}

#[derive(Debug)]
struct Live {
    client: Client,
    statistics: Arc<Statistics>,
}

impl Shared {
    pub(super) fn new(role: &'static str) -> Shared {
        Shared {
            role,
            client: OnceLock::new(),
            status: watch::Sender::new(ConnectionStatus { state: LatticeState::Joining, epoch: 0 }),
            events: broadcast::Sender::new(EVENTS),
            counters: Counters::default(),
            changed: Notify::new(),
            closing: watch::Sender::new(false),
            closed: watch::Sender::new(false),
            interests: Mutex::default(),
        }
    }

    pub(super) fn role(&self) -> &'static str {
        self.role
    }

    pub(super) fn client(&self) -> Option<&Client> {
        self.client.get().map(|live| &live.client)
    }

    pub(super) fn set_client(&self, client: Client) {
        let statistics = client.statistics();
        // It is set once: the client connects again by itself.
        let _ = self.client.set(Live { client, statistics });
    }

    pub(super) fn status(&self) -> watch::Receiver<ConnectionStatus> {
        self.status.subscribe()
    }

    pub(super) fn events(&self) -> broadcast::Receiver<ConnectionEvent> {
        self.events.subscribe()
    }

    pub(super) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    pub(super) fn closed(&self) -> watch::Receiver<bool> {
        self.closed.subscribe()
    }

    /// Returns the number of connections that the client has made.
    pub(super) fn connects(&self) -> u64 {
        self.client.get().map_or(0, |live| live.statistics.connects.load(Ordering::Acquire))
    }

    /// Returns what came and went.
    pub(super) fn traffic(&self) -> Traffic {
        let Some(Live { statistics, .. }) = self.client.get() else { return Traffic::default() };
        Traffic {
            messages_in: statistics.in_messages.load(Ordering::Relaxed),
            messages_out: statistics.out_messages.load(Ordering::Relaxed),
            bytes_in: statistics.in_bytes.load(Ordering::Relaxed),
            bytes_out: statistics.out_bytes.load(Ordering::Relaxed),
        }
    }

    /// Returns whether the client is connected.
    pub(super) fn is_connected(&self) -> bool {
        let client = self.client().is_some_and(|client| client.connection_state() == State::Connected);
        client && !*self.closed.borrow() && !*self.closing.borrow()
    }

    /// Counts an event and tells it.
    pub(super) fn emit(&self, event: ConnectionEvent) {
        self.counters.count(&event);
        // Without receivers the count alone remains.
        let _ = self.events.send(event);
    }

    /// Takes note of an event of the client.
    pub(super) fn hear(&self, event: Event) {
        if let Some(event) = ConnectionEvent::of_client(event) {
            match &event {
                ConnectionEvent::AttemptFailed { reason } => self.set_reason(reason),
                ConnectionEvent::ServerError { text } => self.set_reason(text),
                ConnectionEvent::PermissionDenied { is_subscription: true, subject } => self.deny(subject),
                ConnectionEvent::Closed => drop(self.closed.send_replace(true)),
                _ => {}
            }
            self.emit(event);
        }
        self.changed.notify_one();
    }

    /// Takes note of a failed attempt to make the first connection.
    pub(super) fn attempt_failed(&self, reason: String) {
        log::warn!("the lattice cannot be reached, the host works alone and tries again ({}): {reason}", self.role);
        let state = LatticeState::Alone { reason: Some(reason.clone()) };
        self.status.send_modify(|status| status.state = state);
        self.emit(ConnectionEvent::AttemptFailed { reason });
    }

    /// Replaces the reason of a disconnection by a later one.
    fn set_reason(&self, new: &str) {
        self.status.send_if_modified(|status| match &mut status.state {
            LatticeState::Disconnected { reason, .. } if reason != new => {
                new.clone_into(reason);
                true
            }
            _ => false,
        });
    }

    /// Compares the state with that of the client. No change of the client is missed, however short it was, since the client
    /// counts its connections.
    pub(super) fn observe(&self) {
        let connects = self.connects();
        let is_connected = self.is_connected();
        let known = self.status.borrow().clone();
        if known.state.is_joined() && (!is_connected || connects != known.epoch) {
            self.lose("the connection was lost");
        }
        let is_joined = self.status.borrow().state.is_joined();
        if is_connected && !is_joined {
            log::info!("connected with the lattice ({})", self.role);
            self.status.send_replace(ConnectionStatus { state: LatticeState::Joined, epoch: connects });
            self.emit(ConnectionEvent::Connected { epoch: connects });
        }
    }

    fn lose(&self, reason: &str) {
        log::warn!("the connection with the lattice was lost ({})", self.role);
        let state = LatticeState::Disconnected { since: SystemTime::now(), reason: reason.to_owned() };
        self.status.send_modify(|status| status.state = state);
        self.emit(ConnectionEvent::Disconnected);
    }

    /// Takes note of the end of a client that the embedder closed.
    pub(super) fn client_is_gone(&self) {
        if !self.closed.send_replace(true) {
            self.emit(ConnectionEvent::Closed);
        }
        self.observe();
        self.set_reason("the client was closed");
    }

    /// Ends all tasks of the connection.
    pub(super) fn close(&self) {
        self.closing.send_replace(true);
        let reason = Some("the connection is closed".to_owned());
        self.status.send_modify(|status| status.state = LatticeState::Alone { reason });
    }

    /// Remembers a subscription, so that it hears when the server refuses it.
    pub(super) fn register(&self, interest: &Arc<Interest>) {
        let mut interests = self.interests.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that are gone are removed when the list would grow.
        if interests.len() == interests.capacity() {
            interests.retain(|interest| interest.strong_count() > 0);
        }
        interests.push(Arc::downgrade(interest));
    }

    /// Tells the subscriptions to a subject that the server refuses them.
    fn deny(&self, subject: &str) {
        let interests = self.interests.lock().unwrap_or_else(PoisonError::into_inner);
        for interest in interests.iter().filter_map(Weak::upgrade).filter(|interest| interest.subject() == subject) {
            interest.deny();
        }
    }
}
