//! The advertisements of 2021, and the answers to requests of the control interface of 2021 that only read.
//!
//! Hosts and control clients of 2021 publish links, removals of links and unsigned claims, in msgpack and without an answer.
//! They ask for hosts, inventories, links and claims in requests without content, which are answered in JSON. Nothing of this is
//! signed. What arrives is checked for its form and size, bounded in its rate, and handed over; the host decides what to believe.
//!
//! Two subjects have no common order. If the host is behind, a link that was removed and set again within moments may end as
//! removed, until it is advertised again. The registry has no such gap.

mod answer;
mod counts;
mod echo;
mod hear;
mod serve;
mod source;
#[cfg(test)]
mod tests;

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use nkeys::{KeyPair, KeyPairType};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use wasmcloud_core::entity::shorten;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::connection::{Connection, Subject, Subscription};
use crate::namespace::Namespace;
use crate::options::LatticeOptions;
use crate::wire::{ActorClaims, LinkDefinition};
use counts::Counters;
use echo::Echoes;

pub use counts::AdvertisementCounts;
pub use source::{AdvertisementSource, HostInventory, InventoryActor, InventoryLabel, InventoryProvider};

/// The delays before subscriptions that failed are made again.
const SOONEST_RETRY: Duration = Duration::from_millis(200);
const LATEST_RETRY: Duration = Duration::from_secs(30);

/// The number of advertisements that are published before the server is asked whether it has read them.
const PACE: usize = 256;

/// The longest time for the server to confirm what was published.
const CONFIRMATION: Duration = Duration::from_secs(10);

/// What another host or a control client has advertised. Nothing proves who it was.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advertised {
    /// The claims of an actor. They are **not signed**.
    Claims(ActorClaims),
    /// A link was set.
    Link(LinkDefinition),
    /// A link was removed. The provider and the values are empty.
    LinkRemoved(LinkDefinition),
}

/// The advertisements of a host. Cheap to clone. Dropping the last one ends its tasks.
#[derive(Clone)]
pub struct Advertisements(Arc<Handle>);

struct Handle {
    inner: Arc<Inner>,
    tasks: Mutex<JoinSet<()>>,
}

/// What the tasks share.
struct Inner {
    namespace: Namespace,
    host: String,
    calls: Connection,
    control: Connection,
    source: Arc<dyn AdvertisementSource>,
    receiver: mpsc::Sender<Advertised>,
    accepts_claims: bool,
    counters: Counters,
    echoes: std::sync::Mutex<Echoes>,
    leaving: watch::Sender<bool>,
}

impl Advertisements {
    /// Starts to hear advertisements and to answer requests, on tasks of the current tokio runtime. They outlive reconnections,
    /// and begin again if the server has refused a subscription.
    ///
    /// `receiver` gets what others advertise. If it is full, advertisements are dropped and counted: they are not repeated, so it
    /// should hold thousands. Claims are handed over only if the options accept unsigned claims.
    ///
    /// # Errors
    /// `InvalidArgument` for an invalid namespace, or a key that is not one of a host.
    pub fn start(
        options: &LatticeOptions,
        host_key: &str,
        calls: Connection,
        control: Connection,
        source: Arc<dyn AdvertisementSource>,
        receiver: mpsc::Sender<Advertised>,
    ) -> Result<Advertisements> {
        let is_host = |key: KeyPair| key.key_pair_type() == KeyPairType::Server;
        if !KeyPair::from_public_key(host_key).is_ok_and(is_host) {
            let message = format!("{:?} is not the public key of a host (N...)", shorten(host_key));
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let inner = Arc::new(Inner {
            namespace: Namespace::new(&options.namespace)?,
            host: host_key.to_owned(),
            calls,
            control,
            source,
            receiver,
            accepts_claims: options.accept_unsigned_claims,
            counters: Counters::default(),
            echoes: std::sync::Mutex::default(),
            leaving: watch::Sender::new(false),
        });
        let mut tasks = JoinSet::new();
        for task in [Task::Claims, Task::Links, Task::Requests] {
            tasks.spawn(run_until_left(Arc::clone(&inner), task));
        }
        Ok(Advertisements(Arc::new(Handle { inner, tasks: Mutex::new(tasks) })))
    }

    /// Publishes that a link is set.
    ///
    /// # Errors
    /// `LatticeUnavailable` while the host is not connected; `MessageTooLarge` beyond the server's limit.
    pub async fn link_set(&self, link: &LinkDefinition) -> Result<()> {
        self.0.inner.publish("links", link.encode().into()).await
    }

    /// Publishes that a link was removed. Only the actor, the contract and the link name are told, as hosts of 2021 expect.
    ///
    /// # Errors
    /// As [`link_set`](Advertisements::link_set).
    pub async fn link_removed(&self, link: &LinkDefinition) -> Result<()> {
        let removal = LinkDefinition { provider_id: String::new(), values: Vec::new(), ..link.clone() };
        self.0.inner.publish("remlinks", removal.encode().into()).await
    }

    /// Publishes the claims of an actor.
    ///
    /// # Errors
    /// As [`link_set`](Advertisements::link_set).
    pub async fn claims(&self, claims: &ActorClaims) -> Result<()> {
        let encoded = claims.encode().map_err(|error| {
            let message = format!("the claims of actor {} cannot be advertised", shorten(&claims.subject));
            Error::new(ErrorKind::InvalidArgument, message).caused_by(error)
        })?;
        self.0.inner.publish("claims", encoded.into()).await
    }

    /// Publishes all claims and links of the source, for a host that has just come or a connection that is back. Returns how many
    /// were published.
    ///
    /// # Errors
    /// `LatticeUnavailable` if the connection is lost meanwhile.
    pub async fn advertise_all(&self) -> Result<usize> {
        let mut published = 0;
        let too_large = |error: &Error| matches!(error.kind(), ErrorKind::MessageTooLarge);
        for claims in self.0.inner.source.claims() {
            match self.claims(&claims).await {
                Err(error) if too_large(&error) => log::warn!("some claims are not advertised: {error}"),
                outcome => outcome?,
            }
            published += 1;
            self.pace(published).await?;
        }
        for link in self.0.inner.source.links() {
            match self.link_set(&link).await {
                Err(error) if too_large(&error) => log::warn!("a link is not advertised: {error}"),
                outcome => outcome?,
            }
            published += 1;
            self.pace(published).await?;
        }
        self.0.inner.calls.round_trip(CONFIRMATION).await?;
        Ok(published)
    }

    /// Returns what has been counted since the start.
    pub fn counts(&self) -> AdvertisementCounts {
        self.0.inner.counters.read()
    }

    /// Ends the subscriptions, and returns when no request is being answered any more. What is published afterwards is still
    /// sent.
    pub async fn leave(&self) {
        self.0.inner.leaving.send_replace(true);
        let mut tasks = self.0.tasks.lock().await;
        while tasks.join_next().await.is_some() {}
    }

    /// Waits for the server now and then, so that many messages do not wait in memory.
    async fn pace(&self, published: usize) -> Result<()> {
        if published.is_multiple_of(PACE) { self.0.inner.calls.round_trip(CONFIRMATION).await } else { Ok(()) }
    }
}

impl std::fmt::Debug for Advertisements {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Advertisements").field("host", &self.0.inner.host).field("counts", &self.counts()).finish()
    }
}

impl Inner {
    async fn publish(&self, kind: &'static str, payload: Bytes) -> Result<()> {
        let mark = self.calls.mark()?;
        // The message may come back before this task goes on.
        self.echoes().expect(mark, kind, &payload);
        let outcome = self.calls.publish(self.namespace.advertisement(kind), payload.clone()).await;
        match &outcome {
            Ok(()) => self.counters.published.add(),
            Err(_) => drop(self.echoes().take(mark, kind, &payload)),
        }
        outcome
    }

    /// Subscribes to some subjects of a connection.
    async fn subscribe<const N: usize>(
        &self,
        connection: &Connection,
        subjects: [String; N],
    ) -> Result<[Subscription; N]> {
        let subjects = subjects.into_iter().map(Subject::new).collect();
        let subscriptions = connection.subscribe_all(subjects).await?;
        <[Subscription; N]>::try_from(subscriptions)
            .map_err(|_| Error::new(ErrorKind::Internal, "some subscriptions were not made: report this"))
    }

    fn echoes(&self) -> MutexGuard<'_, Echoes> {
        self.echoes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tasks of a host. Each has subscriptions of its own, so that the server may refuse some and not all.
#[derive(Debug, Clone, Copy)]
enum Task {
    Claims,
    Links,
    Requests,
}

async fn run_until_left(inner: Arc<Inner>, task: Task) {
    let mut leaving = inner.leaving.subscribe();
    tokio::select! {
        () = run(&inner, task) => {}
        _ = leaving.wait_for(|is_leaving| *is_leaving) => {}
    }
}

/// Runs a task, and starts it again after a failure, until its connection is closed.
async fn run(inner: &Inner, task: Task) {
    let connection = if matches!(task, Task::Requests) { &inner.control } else { &inner.calls };
    let mut delay = SOONEST_RETRY;
    while connection.joined().await {
        let began = Instant::now();
        let outcome = match task {
            Task::Claims => hear::hear_claims(inner).await,
            Task::Links => hear::hear_links(inner).await,
            Task::Requests => serve::serve(inner).await,
        };
        if let Err(error) = outcome {
            log::warn!("the host does not hear some messages of hosts of 2021 and tries again: {error}");
        }
        delay = if began.elapsed() > LATEST_RETRY { SOONEST_RETRY } else { (delay * 2).min(LATEST_RETRY) };
        sleep(delay).await;
    }
}
