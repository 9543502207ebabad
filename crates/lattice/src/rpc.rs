//! Calls between hosts: each is executed once at most, and its caller learns whether it may have been.
//!
//! A call to an entity that a known host runs goes to that host: to the one with the fewest calls of this host in flight. A
//! call to an entity of hosts that are not known, such as those of 2021, goes to the subject of the entity, whose queue group
//! chooses a host. A call is sent again only if the answer says, or the NATS server, that it was not executed.
//!
//! # Layout
//! - `calling`: calls to other hosts
//! - `answers`: the answers to them
//! - `routes`: which host a call goes to
//! - `serving`: calls from other hosts
//! - `subjects`: the shared subjects on which they arrive
//! - `handshakes`: the exchange of session keys
//! - `cancellation`: calls that the caller no longer waits for
//! - `listening`: subscriptions

mod answers;
mod calling;
mod cancellation;
mod handshakes;
mod listening;
mod permits;
mod randomness;
mod routes;
mod serving;
mod subjects;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::connection::Connection;
use crate::edge::{Edge, EdgeCounts};
use crate::membership::Membership;
use crate::namespace::Namespace;
use crate::transfer::{Offer, Transfers};
use crate::wire::{TraceContext, WaitingActor};
use answers::Answers;
use cancellation::Cancellable;
use permits::Permits;
use randomness::Randomness;
use routes::Routes;
use subjects::Served as ServedSubjects;

/// A call to an actor or provider on another host.
#[derive(Debug)]
pub struct OutgoingCall {
    /// The caller.
    pub origin: WasmCloudEntity,
    /// The actor or provider.
    pub target: WasmCloudEntity,
    /// The name of the operation.
    pub operation: String,
    /// The payload, in the encoding of the contract.
    pub payload: Vec<u8>,
    /// When the call fails if it has not been answered.
    pub deadline: Instant,
    /// The actors that wait for the answer, the last one first.
    pub waiting: Vec<WaitingActor>,
    /// The trace that the call is part of.
    pub trace: Option<TraceContext>,
}

/// A call from another host, which has passed the checks of the edge.
#[derive(Debug)]
pub struct IncomingCall {
    /// The public key of the host. It is proven for current hosts.
    pub host: String,
    /// The caller, as that host names it.
    pub origin: WasmCloudEntity,
    /// The actor or provider.
    pub target: WasmCloudEntity,
    /// The name of the operation.
    pub operation: String,
    /// The payload, in the encoding of the contract.
    pub payload: Vec<u8>,
    /// How long the caller still waits. `None` for hosts of 2021, which do not say it.
    pub remaining: Option<Duration>,
    /// The actors that wait for the answer, the last one first.
    pub waiting: Vec<WaitingActor>,
    /// The trace that the call is part of.
    pub trace: Option<TraceContext>,
}

/// The outcome of a call from another host.
#[derive(Debug)]
pub enum Served {
    /// The call was executed, or failed in a way that it would elsewhere.
    Answered(Result<Vec<u8>>),
    /// The target does not run here. The call was not executed.
    NotHere(Error),
}

/// The future of a call that is being served.
pub type Serving = Pin<Box<dyn Future<Output = Served> + Send>>;

/// Serves the calls from other hosts.
pub trait CallHandler: Send + Sync + 'static {
    /// Executes a call. The future is dropped if the caller cancels the call.
    fn serve(self: Arc<Self>, call: IncomingCall) -> Serving;
}

/// What the calls of a host need.
pub struct RpcSettings {
    /// The namespace.
    pub namespace: Namespace,
    /// The connection of the calls.
    pub connection: Connection,
    /// Checks and seals messages.
    pub edge: Edge,
    /// The other hosts.
    pub membership: Membership,
    /// Moves payloads that exceed a message.
    pub transfers: Transfers,
    /// Serves the calls of other hosts.
    pub handler: Arc<dyn CallHandler>,
    /// How many calls of other hosts are served at the same time. Further ones are refused as `Busy`.
    pub calls_at_once: usize,
    /// The runtime of what takes long: signatures, handshakes, large payloads.
    pub background: Handle,
}

/// How many calls went to and came from other hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RpcCounts {
    /// Calls to other hosts.
    pub called: u64,
    /// Calls that were sent again, because the first host did not execute them.
    pub sent_again: u64,
    /// Calls of which it is not known whether they were executed.
    pub unknown: u64,
    /// Calls of other hosts that were served.
    pub served: u64,
    /// Calls of other hosts that were refused, because too many were being served.
    pub busy: u64,
    /// Calls of other hosts that their callers cancelled.
    pub cancelled: u64,
    /// What was admitted and refused at the edge.
    pub edge: EdgeCounts,
}

/// The calls of a host. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Rpc(Arc<Inner>);

struct Inner {
    namespace: Namespace,
    connection: Connection,
    edge: Edge,
    membership: Membership,
    transfers: Transfers,
    handler: Arc<dyn CallHandler>,
    background: Handle,
    routes: Routes,
    /// The shared subjects that this host serves.
    served: Mutex<HashMap<String, ServedSubjects>>,
    cancellable: Cancellable,
    permits: Arc<Permits>,
    answers: Answers,
    randomness: Randomness,
    /// The task that takes calls on the subject of this host.
    own: Mutex<Option<JoinHandle<()>>>,
    /// Whether calls are sent on to other hosts.
    is_cordoned: AtomicBool,
    /// Whether this host takes calls.
    is_open: watch::Sender<bool>,
    /// Whether the connection is closed.
    is_over: watch::Sender<bool>,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    called: AtomicU64,
    sent_again: AtomicU64,
    unknown: AtomicU64,
    served: AtomicU64,
    busy: AtomicU64,
    cancelled: AtomicU64,
}

impl Rpc {
    /// Starts to take calls on the subject of this host, whenever it is connected. Calls of sessions are served on the current
    /// tokio runtime, where the connection should be too. The tasks end when the connection is closed.
    pub fn start(settings: RpcSettings) -> Rpc {
        let RpcSettings { namespace, connection, edge, membership, transfers, handler, calls_at_once, background } =
            settings;
        let rpc = Rpc(Arc::new(Inner {
            namespace,
            connection,
            edge,
            membership,
            transfers,
            handler,
            background: background.clone(),
            routes: Routes::default(),
            served: Mutex::default(),
            cancellable: Cancellable::default(),
            permits: Permits::new(calls_at_once),
            answers: Answers::default(),
            randomness: Randomness::new(),
            own: Mutex::default(),
            is_cordoned: AtomicBool::new(false),
            is_open: watch::Sender::new(true),
            is_over: watch::Sender::new(false),
            counters: Counters::default(),
        }));
        let own = tokio::spawn(serving::serve_host(rpc.0.clone()));
        *rpc.0.own.lock().unwrap_or_else(PoisonError::into_inner) = Some(own);
        tokio::spawn(answers::serve(rpc.0.clone()));
        tokio::spawn(answers::follow_connection(rpc.0.clone()));
        background.spawn(handshakes::serve(rpc.0.clone()));
        background.spawn(cancellation::serve(rpc.0.clone()));
        background.spawn(routes::follow(rpc.0.clone()));
        rpc
    }

    /// Calls an actor or provider on another host.
    ///
    /// # Errors
    /// `ActorNotFound` or `ProviderNotFound` if no host runs the target; `LatticeUnavailable` if the call was not sent;
    /// `OutcomeUnknown` if it was sent and no answer came; `LatticeRefused` if the host refused it; the error of the call.
    pub fn call(&self, call: OutgoingCall) -> impl Future<Output = Result<Vec<u8>>> + Send + use<> {
        self.0.clone().call(self.0.prepare(call))
    }

    /// Takes calls on the subject of an entity, with all other hosts that run it. The contract of a provider plays no part.
    ///
    /// # Errors
    /// `LatticeUnavailable` if the server does not confirm it.
    pub async fn open(&self, entity: &WasmCloudEntity) -> Result<()> {
        subjects::open(&self.0, entity).await
    }

    /// Takes no more calls on the subject of an entity. Calls that the server has sent before are served.
    pub async fn close(&self, entity: &WasmCloudEntity) {
        subjects::close(&self.0, entity).await;
    }

    /// Takes no more calls at all, and waits until those in progress are answered. This host can still call others.
    pub async fn close_all(&self) {
        subjects::close_all(&self.0).await;
    }

    /// Sets whether calls on the subject of this host are sent on to others. It serves those in progress.
    pub fn set_cordoned(&self, is_cordoned: bool) {
        self.0.is_cordoned.store(is_cordoned, Ordering::Relaxed);
    }

    /// Waits until all calls of other hosts are answered.
    pub async fn idle(&self) {
        self.0.permits.all_free().await;
    }

    /// Returns how many calls of other hosts are being served.
    pub fn in_progress(&self) -> usize {
        self.0.permits.taken()
    }

    /// Returns how many calls went to and came from other hosts.
    pub fn counts(&self) -> RpcCounts {
        let Counters { called, sent_again, unknown, served, busy, cancelled } = &self.0.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RpcCounts {
            called: read(called),
            sent_again: read(sent_again),
            unknown: read(unknown),
            served: read(served),
            busy: read(busy),
            cancelled: read(cancelled),
            edge: self.0.edge.counts(),
        }
    }
}

impl Inner {
    /// Offers a payload to other hosts. Its hash is computed in the background.
    async fn offer(&self, payload: Bytes) -> Result<Offer> {
        let transfers = self.transfers.clone();
        let offered = self.background.spawn_blocking(move || transfers.offer(payload)).await;
        offered.unwrap_or_else(|error| {
            let message = "the host leaves the lattice before a payload is offered";
            Err(Error::new(ErrorKind::LatticeUnavailable, message).caused_by(error))
        })
    }

    /// Returns a subject of another host.
    fn host_subject(&self, host: &str, purpose: &str) -> String {
        self.namespace.peer(&format!("host.{host}.{purpose}"))
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rpc").field("host", self.edge.host()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for RpcSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RpcSettings").field("host", self.edge.host()).finish_non_exhaustive()
    }
}
