//! [`Host`], the handle that embedders hold, and its configuration.
//!
//! # Layout
//! - `builder`: configuration
//! - `lifecycle`, `start_claim`, `own_thread`: the start and the stop of a host
//! - `actors`, `providers`, `links`: changes of what runs in a host
//! - `registries`: actors and providers from OCI registries
//! - `references`: the keys that references stand for
//! - `manifest`: plans and applications of manifests
//! - `metrics`: the metrics of a host
//! - `observation`, `inventory`: events, health, and what runs
//! - `labels`: the labels of a host
//! - `lattice`: the lattice that a host joins
//! - `control`: what operators request from afar
//! - `telemetry`: the port, and the state that it tells

mod actors;
mod builder;
#[cfg(feature = "lattice")]
mod control;
mod inventory;
mod labels;
#[cfg(feature = "lattice")]
mod lattice;
mod lifecycle;
mod links;
mod manifest;
#[cfg(feature = "telemetry")]
mod metrics;
mod observation;
mod own_thread;
mod providers;
mod references;
mod registries;
mod start_claim;
#[cfg(feature = "telemetry")]
mod telemetry;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
#[cfg(feature = "telemetry")]
use std::time::Instant;

use actix::{Addr, Handler, Message};
use nkeys::KeyPair;
use wasmcloud_claims::TrustPolicy;
#[cfg(feature = "experiments")]
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::trace::Tracing;

pub use builder::HostBuilder;
pub use inventory::{ActorInventory, Inventory, LinkInventory, ProviderInventory};
pub use observation::ProviderDescription;

use crate::dispatch::authority::Authority;
use crate::dispatch::{Dispatch, DispatchConfig};
use crate::event::EventBus;
#[cfg(feature = "lattice")]
use crate::lattice::Lattice;
use crate::manifest::applications::Applications;
use crate::middleware::chain::MiddlewareChain;
use crate::shard::Shards;
use crate::supervisor::{Command, Supervisor};
use builder::Configuration;
use labels::Labels;
use own_thread::OwnThread;
use references::KnownReferences;
use registries::Registries;

/// A secure runtime for actors, capability providers and the links between them.
///
/// A host is a cheap handle. Clones refer to the same host, and any thread may use them. [`HostBuilder`] builds it; it runs
/// from [`Host::start`] to [`Host::stop`] and cannot be started again. A host also stops when its last handle is dropped,
/// in the background. Hosts of one process share no state.
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
    key: Arc<KeyPair>,
    configuration: Configuration,
    dispatch: Dispatch,
    labels: Labels,
    registries: Registries,
    references: KnownReferences,
    /// What the manifests that were applied have started. Holding it serializes their applications.
    manifests: tokio::sync::Mutex<Applications>,
    start_claimed: AtomicBool,
    running: OnceLock<Running>,
}

/// The parts of a host that exist from its start on.
struct Running {
    supervisor: Addr<Supervisor>,
    shards: Arc<Shards>,
    /// The thread that was created for the host, if it was not started on the embedder's.
    own_thread: Option<OwnThread>,
    /// When it was started.
    #[cfg(feature = "telemetry")]
    since: Instant,
    #[cfg(feature = "lattice")]
    lattice: Option<Lattice>,
    #[cfg(feature = "telemetry")]
    telemetry: Option<telemetry::Telemetry>,
    /// Whether the log tells that the host has stopped.
    end_is_logged: AtomicBool,
}

impl Drop for Inner {
    /// Stops the host: without a handle, nothing else can.
    fn drop(&mut self) {
        if let Some(running) = self.running.get() {
            running.supervisor.do_send(Command::Stop { deadline: None });
        }
    }
}

impl Host {
    fn new(configuration: Configuration) -> Host {
        let key = configuration.key.clone().unwrap_or_else(|| Arc::new(KeyPair::new_server()));
        let dispatch = Dispatch::new(DispatchConfig {
            limits: configuration.limits,
            authority: Authority::new(configuration.authorizer.clone()),
            middlewares: MiddlewareChain::new(configuration.middlewares.clone()),
            events: EventBus::new(configuration.event_buffer),
            instruments: configuration.instruments(),
            tracing: Tracing::new(&key.public_key(), configuration.trace_sampling),
        });
        #[cfg(feature = "experiments")]
        for (entity, experiment) in &configuration.experiments {
            let begun = dispatch.experiments().begin(entity, experiment.clone());
            begun.unwrap_or_else(|error| log::warn!("an experiment is ignored: {error}"));
        }
        let labels = Labels::new(configuration.labels.clone());
        let registries = Registries::new(&configuration.registries);
        Host(Arc::new(Inner {
            key,
            configuration,
            dispatch,
            labels,
            registries,
            references: KnownReferences::default(),
            manifests: tokio::sync::Mutex::default(),
            start_claimed: AtomicBool::new(false),
            running: OnceLock::new(),
        }))
    }

    /// Returns the host's public key: 56 characters beginning with `N`. Default: a new key for
    /// each host; see [`HostBuilder::with_host_key`].
    pub fn id(&self) -> String {
        self.0.key.public_key()
    }

    /// Returns the host's labels: those of its builder, those of the applied manifests, and `hostcore.os`, `hostcore.arch`
    /// and `hostcore.osfamily`.
    pub async fn labels(&self) -> HashMap<String, String> {
        self.0.labels.all()
    }

    /// Replaces the trust policy and applies it to everything that runs. Actors and providers that lose trust keep running,
    /// but calls to and from them are rejected once this returns. Calls in progress are finished. A distrusted actor or
    /// provider can be stopped or updated. One that is trusted again can be called again, unless its token has expired.
    ///
    /// [`EventKind::Distrusted`](crate::EventKind::Distrusted) and [`EventKind::Trusted`](crate::EventKind::Trusted) report
    /// the changes.
    ///
    /// # Errors
    /// `HostNotRunning`.
    pub async fn set_trust_policy(&self, policy: TrustPolicy) -> Result<()> {
        self.send(Command::SetTrustPolicy(policy)).await?;
        #[cfg(feature = "lattice")]
        if let Some(lattice) = self.joined_lattice() {
            lattice.trust_changed();
        }
        Ok(())
    }

    /// Begins an experiment with an actor or provider: injects faults by plan, beginning with its next call and its next
    /// start. The actor or provider need not run yet. The experiment replaces the previous one with the same entity. A plan
    /// without faults ends an experiment.
    ///
    /// # Errors
    /// `InvalidArgument` if the entity is neither an actor nor a provider, or its key is malformed.
    #[cfg(feature = "experiments")]
    pub fn experiment(&self, entity: &WasmCloudEntity, experiment: crate::Experiment) -> Result<()> {
        self.0.dispatch.experiments().begin(entity, experiment)
    }

    /// Sends a message to the supervisor and returns its answer.
    async fn send<M, T>(&self, message: M) -> Result<T>
    where
        M: Message<Result = Result<T>> + Send + 'static,
        T: Send + 'static,
        Supervisor: Handler<M>,
    {
        self.running()?.supervisor.send(message).await.map_err(|error| {
            let message = format!("the actix System that host {} was started on has ended", self.id());
            Error::new(ErrorKind::HostNotRunning, message).caused_by(error)
        })?
    }

    /// Returns the running parts of the host.
    ///
    /// # Errors
    /// `HostNotRunning`.
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
