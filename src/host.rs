//! The handle that embedders hold.

mod actors;
mod builder;
mod inventory;
mod labels;
mod lifecycle;
mod links;
mod manifest;
mod own_thread;
mod providers;
mod start_claim;
mod watch;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use actix::{Addr, Handler, Message};
use nkeys::KeyPair;
use wasmcloud_claims::TrustPolicy;
#[cfg(feature = "experiments")]
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::{Error, ErrorKind, Result};

pub use builder::HostBuilder;
pub use inventory::{ActorInventory, Inventory, LinkInventory, ProviderInventory};
pub use watch::ProviderDescription;

use crate::dispatch::Dispatch;
use crate::dispatch::authority::Authority;
use crate::event::EventBus;
#[cfg(doc)]
use crate::event::EventKind;
use crate::middleware::chain::MiddlewareChain;
use crate::shard::Shards;
use crate::supervisor::{Command, Supervisor};
use builder::Configuration;
use labels::Labels;
use own_thread::OwnThread;

/// A secure runtime for actors, capability providers and the links between them.
///
/// A host is a cheap handle: clones stand for the same host, and may be used from any thread. It is made by a
/// [`HostBuilder`], runs from [`Host::start`] to [`Host::stop`], and is not started again after that. When the last
/// handle is dropped the host stops too, but nobody waits for it. Hosts of one process share nothing.
///
/// ```
/// use wasmcloud_host::HostBuilder;
///
/// # #[actix_rt::main]
/// # async fn main() -> wasmcloud_host::Result<()> {
/// let host = HostBuilder::new().with_label("zone", "cellar").build();
/// host.start().await?;
/// assert!(host.id().starts_with('N'));
/// assert!(host.actors().await?.is_empty());
/// host.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    key: KeyPair,
    configuration: Configuration,
    dispatch: Dispatch,
    labels: Labels,
    /// Held by whoever applies a manifest: one at a time.
    manifests: tokio::sync::Mutex<()>,
    start_claimed: AtomicBool,
    running: OnceLock<Running>,
}

/// What there is from the start on.
struct Running {
    supervisor: Addr<Supervisor>,
    shards: Arc<Shards>,
    /// The thread that was made for the host, if it did not start on its embedder's.
    own_thread: Option<OwnThread>,
}

impl Drop for Inner {
    /// The last handle is gone, so nobody can stop the host any more but this.
    fn drop(&mut self) {
        if let Some(running) = self.running.get() {
            running.supervisor.do_send(Command::Stop);
        }
    }
}

impl Host {
    fn new(configuration: Configuration, key: KeyPair) -> Host {
        let middlewares = MiddlewareChain::new(configuration.middlewares.clone());
        let events = EventBus::new(configuration.event_buffer);
        let authority = Authority::new(configuration.authorizer.clone());
        let dispatch = Dispatch::new(configuration.limits, authority, middlewares, events);
        #[cfg(feature = "experiments")]
        for (entity, experiment) in &configuration.experiments {
            let begun = dispatch.experiments().begin(entity, experiment.clone());
            begun.unwrap_or_else(|error| log::warn!("an experiment is ignored: {error}"));
        }
        let labels = Labels::new(configuration.labels.clone());
        Host(Arc::new(Inner {
            key,
            configuration,
            dispatch,
            labels,
            manifests: tokio::sync::Mutex::default(),
            start_claimed: AtomicBool::new(false),
            running: OnceLock::new(),
        }))
    }

    /// The host's public key: 56 characters beginning with `N`. It is made anew for each host.
    pub fn id(&self) -> String {
        self.0.key.public_key()
    }

    /// The host's labels: those it was built with, those of the manifests that were applied, and `hostcore.os`,
    /// `hostcore.arch`, `hostcore.osfamily`.
    pub async fn labels(&self) -> HashMap<String, String> {
        self.0.labels.all()
    }

    /// Replaces the policy that says whose signature counts, and judges what runs by the new one. What is not trusted any
    /// more runs on, but cannot be called and cannot call anybody, from the time this answers on; calls that have reached it
    /// are finished. It can be stopped or updated. What is trusted again can be called again, unless its token has
    /// ended. Both are told ([`EventKind::Distrusted`], [`EventKind::Trusted`]).
    ///
    /// # Errors
    /// `HostNotRunning`.
    pub async fn set_trust_policy(&self, policy: TrustPolicy) -> Result<()> {
        self.ask(Command::SetTrustPolicy(policy)).await
    }

    /// Makes an experiment with an actor or provider: faults happen to it by plan, from its next call and its next start on.
    /// It may be there or be started later. The experiment that was made with it before ends; one without faults does
    /// nothing but that.
    ///
    /// # Errors
    /// `InvalidArgument` for an entity that is neither an actor nor a provider, or whose key is malformed.
    #[cfg(feature = "experiments")]
    pub fn experiment(&self, entity: &WasmCloudEntity, experiment: crate::Experiment) -> Result<()> {
        self.0.dispatch.experiments().begin(entity, experiment)
    }

    async fn ask<Q, T>(&self, question: Q) -> Result<T>
    where
        Q: Message<Result = Result<T>> + Send + 'static,
        T: Send + 'static,
        Supervisor: Handler<Q>,
    {
        self.running()?.supervisor.send(question).await.map_err(|error| {
            let message = format!("the actix System that host {} was started on has ended", self.id());
            Error::new(ErrorKind::HostNotRunning, message).caused_by(error)
        })?
    }

    fn running(&self) -> Result<&Running> {
        let running = self.0.running.get().filter(|_| self.0.dispatch.snapshot().running);
        running.ok_or_else(|| {
            let message = format!("host {} does not run: it was not started, or has been stopped", self.id());
            Error::new(ErrorKind::HostNotRunning, message)
        })
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("id", &self.id()).field("running", &self.running().is_ok()).finish_non_exhaustive()
    }
}
