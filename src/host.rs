//! The handle that embedders hold.

mod builder;
mod inventory;
mod labels;
mod manifest;
mod own_thread;
mod start_claim;
mod watch;

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::{Actor as _, Addr, Handler, Message};
use nkeys::KeyPair;
use wasmcloud_claims::Actor;
use wasmcloud_claims::TrustPolicy;
use wasmcloud_core::entity::{WasmCloudEntity, link_name};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::identity::ProviderKey;
use wasmcloud_plugin::NativeCapability;
use wasmcloud_providers::Extras;

pub use builder::HostBuilder;
pub use inventory::{ActorInventory, Inventory, LinkInventory, ProviderInventory};
pub use watch::ProviderDescription;

use crate::dispatch::Dispatch;
use crate::dispatch::authority::Authority;
use crate::event::{EventBus, EventKind};
use crate::link::{LinkDefinition, LinkKey};
use crate::middleware::chain::MiddlewareChain;
use crate::shard::Shards;
use crate::supervisor::placement::ActorOptions;
use crate::supervisor::restart::RestartPolicy;
use crate::supervisor::{Command, Supervisor, SupervisorConfig};
use builder::Configuration;
use labels::Labels;
use own_thread::OwnThread;
use start_claim::StartClaim;

/// The longest period of grace: no clock ends before.
const LONGEST_GRACE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

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

    /// Starts the host. It lives on the arbiter of this thread, beside whatever else runs there, and ends with it; for
    /// each further shard it makes a thread of its own.
    ///
    /// # Errors
    /// `NoActixSystem` where no actix `System` runs on this thread: see [`Host::start_on_own_thread`].
    /// `HostAlreadyStarted` at a second start, `Io` where a thread cannot be made.
    pub async fn start(&self) -> Result<()> {
        self.start_here(None).await
    }

    /// Starts the host on a thread of its own, with an actix `System` made for it. It is the start for programs without a
    /// `System`, such as those under `#[tokio::main]`, and for those with no runtime at all.
    ///
    /// The handle is used as after [`Host::start`], from any thread. The thread ends when the host has stopped, which
    /// [`Host::stop`] waits for.
    ///
    /// ```
    /// use wasmcloud_host::HostBuilder;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> wasmcloud_host::Result<()> {
    /// let host = HostBuilder::new().build();
    /// host.start_on_own_thread().await?;
    /// assert!(host.actors().await?.is_empty());
    /// host.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `HostAlreadyStarted` at a second start, `Io` where a thread cannot be made.
    pub async fn start_on_own_thread(&self) -> Result<()> {
        OwnThread::start(self.clone()).await
    }

    /// Starts the host on the arbiter of this thread, which is the given one where that was made for the host.
    async fn start_here(&self, own_thread: Option<OwnThread>) -> Result<()> {
        let claim = StartClaim::take(&self.0)?;
        let shards = Arc::new(Shards::start(self.0.configuration.shards).await?);
        self.0.dispatch.authority().work_on(&shards);
        let Configuration { compilation, updates, grace, limits, health, trust, .. } = self.0.configuration.clone();
        let grace = grace.unwrap_or(limits.call_deadline).min(LONGEST_GRACE);
        let trust = trust.unwrap_or_else(|| {
            log::warn!("host {} trusts whoever signs: see HostBuilder::with_trust_policy", self.id());
            TrustPolicy::default()
        });
        let config = SupervisorConfig { compilation, updates, grace, health, trust };
        let supervisor = Supervisor::new(self.0.dispatch.clone(), shards.clone(), config).start();
        claim.keep(Running { supervisor, shards, own_thread });
        self.0.dispatch.events().emit(WasmCloudEntity::Host, EventKind::HostStarted);
        log::info!("host {} runs with {} shard(s)", self.id(), self.0.configuration.shards);
        Ok(())
    }

    /// Stops the host: providers bring no new work and finish what is under way, then every actor and provider is
    /// stopped in the reverse order of their starts, then the host's own threads. All of them share one period of grace
    /// ([`HostBuilder::with_stop_grace`]); what takes longer is ended, and starts and other changes that are still under way
    /// then fail with `HostNotRunning`. The actix `System` that it was started on goes on, unless it was made by
    /// [`Host::start_on_own_thread`]. When this returns, that has been done, whoever asked for it first. What could not be stopped
    /// in time is on the log.
    pub async fn stop(&self) {
        let Some(running) = self.0.running.get() else { return };
        let stopped = running.supervisor.send(Command::Stop).await.is_ok();
        if let Some(thread) = &running.own_thread {
            thread.end().await;
        }
        if stopped {
            log::info!("host {} has stopped", self.id());
        }
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

    /// Starts an actor. When this answers `Ok`, it can be called, and the links that waited for it have been
    /// established or refused (see [`Host::link_state`]).
    ///
    /// # Errors
    /// `TokenExpired` or `TokenNotYetValid`; `Untrusted` or `Revoked` by the [`TrustPolicy`]; `Unauthorized`, or
    /// `DeadlineExceeded` where the authorizer takes too long; `ActorAlreadyRunning`; `AliasTaken`; `InvalidModule` where the module
    /// does not compile, is no waPC guest, or asks for more than its limits allow; `Busy` where the host has no room for
    /// another actor; `ActorTrapped`, `StackExhausted`, `ProtocolViolation` or `DeadlineExceeded` where its start functions
    /// fail; `HostNotRunning`.
    pub async fn start_actor(&self, actor: Actor) -> Result<()> {
        self.start_actor_with(actor, ActorOptions::default()).await
    }

    /// Starts an actor with options.
    ///
    /// # Errors
    /// Those of [`Host::start_actor`].
    pub async fn start_actor_with(&self, actor: Actor, options: ActorOptions) -> Result<()> {
        let near = self.running()?.shards.current_or_next();
        let options = options.with_default_restart(self.0.configuration.restart);
        self.ask(Command::StartActor { actor, options, near }).await
    }

    /// Has an actor run another revision of its code, while it is called: calls that have reached the old one are finished
    /// there, later ones go to the new one, and none fails for the update. What takes longer than the period of grace is
    /// ended. New calls by and to the actor are judged by the new claims at once. The module must be signed for the same actor
    /// by the same account, with a higher revision and, unless
    /// [`HostBuilder::disable_strict_update_check`] says otherwise, the same capabilities. `new_reference` is where the module came from,
    /// if it came from a registry.
    ///
    /// # Errors
    /// Whatever it is, the actor runs on as before. Those of [`Actor::from_slice`]; `UpdateRefused` where the module does not
    /// fit or updates are not enabled; `ActorNotFound`, `ActorStopped`; `Busy` where it is just being changed;
    /// `AliasTaken`; and those of [`Host::start_actor`] where the new one cannot be made.
    pub async fn update_actor(&self, actor: &str, _new_reference: Option<String>, module: &[u8]) -> Result<()> {
        let actor_module = Actor::from_slice(module)?;
        self.ask(Command::UpdateActor { key: actor.to_owned(), actor: actor_module }).await
    }

    /// Gives an actor another number of instances, at least one. No call is lost: instances that are too many finish what
    /// has reached them. What takes longer than the period of grace ([`HostBuilder::with_stop_grace`]) is ended. The actor
    /// keeps its call alias, or goes on without one.
    ///
    /// # Errors
    /// `ActorNotFound`, `ActorStopped`; `Busy` where it is just being changed, where the host has no room for more, or where
    /// it would have more than an actor may ([`ActorOptions::instances`]); and those of [`Host::start_actor`] where an instance cannot be made. After an error the number is as before.
    pub async fn scale_actor(&self, actor: &str, instances: usize) -> Result<()> {
        let instances = NonZeroUsize::new(instances).unwrap_or(NonZeroUsize::MIN);
        self.ask(Command::ScaleActor { key: actor.to_owned(), instances }).await
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

    /// Stops an actor, by its public key. From now on it takes no new calls; its providers finish what they are working
    /// on for it, and it serves what has reached it; then its links are released. They remain known, for its next
    /// start. What takes longer than the period of grace ([`HostBuilder::with_stop_grace`]) is ended, and its callers are
    /// told so. An update, scaling or restart that is under way is waited for.
    ///
    /// # Errors
    /// `ActorNotFound`, `ActorStopped`, `HostNotRunning`; `Busy` where it is just being started; `DeadlineExceeded` where it
    /// could not be ended: it is gone for everybody, but an instance is left behind.
    pub async fn stop_actor(&self, actor: &str) -> Result<()> {
        self.ask(Command::StopActor { key: actor.to_owned() }).await
    }

    /// Starts a capability provider. When this answers `Ok`, it runs, and the links that waited for it have been
    /// established or refused (see [`Host::link_state`]). A link that the provider has not taken within 5 seconds is
    /// [`Establishing`](crate::LinkState::Establishing) until it has; it holds up no other link.
    ///
    /// # Errors
    /// For a signed provider, `TokenExpired`, `TokenNotYetValid`, `Untrusted` or `Revoked`; `Unauthorized`;
    /// `ProviderAlreadyRunning`; `ProviderFailed` where it refuses to start; `HostNotRunning`.
    pub async fn start_native_capability(&self, capability: NativeCapability) -> Result<()> {
        self.start_native_capability_with(capability, self.0.configuration.restart).await
    }

    /// Starts a capability provider with a restart policy of its own.
    ///
    /// # Errors
    /// Those of [`Host::start_native_capability`].
    pub async fn start_native_capability_with(
        &self,
        capability: NativeCapability,
        policy: RestartPolicy,
    ) -> Result<()> {
        let near = self.running()?.shards.current_or_next();
        self.ask(Command::StartProvider { capability, policy, near }).await
    }

    /// Stops a capability provider. It brings no new work and finishes what is under way while it can still be called, then
    /// releases everything. Its links remain known, for its next start. What takes longer than the period of grace
    /// ([`HostBuilder::with_stop_grace`]) is ended, and the provider has 5 seconds more to release what it holds.
    ///
    /// # Errors
    /// `ProviderNotFound`; `InvalidArgument` where it serves another contract; `HostNotRunning`; `DeadlineExceeded` where it
    /// does not stop; and what the provider itself fails with. It is gone then too.
    pub async fn stop_provider(&self, provider_ref: &str, contract_id: &str, link: Option<String>) -> Result<()> {
        let key = ProviderKey::new(provider_ref, link_name(link.as_deref()));
        self.ask(Command::StopProvider { key, contract_id: contract_id.to_owned() }).await
    }

    /// Links an actor to a provider, or changes the values of such a link.
    ///
    /// Where both run, the answer is the provider's own. Where one does not run yet, the link is kept and established
    /// when it starts. [`Extras`] are part of every host, and started by the first link to them.
    ///
    /// # Errors
    /// `InvalidArgument` for malformed keys and contracts, and for a provider of another contract; `CapabilityDenied`
    /// where the actor's claims do not include the contract; `Unauthorized`; `TokenExpired`, `Untrusted` or `Revoked` where
    /// an end that runs is not trusted any more; `LinkRefused` with the provider's reason;
    /// `HostNotRunning`. After an error, what was in effect before still is.
    pub async fn set_link(
        &self,
        actor: &str,
        contract_id: &str,
        link: Option<String>,
        provider_id: String,
        values: HashMap<String, String>,
    ) -> Result<()> {
        if provider_id == Extras::PUBLIC_KEY && contract_id == Extras::CONTRACT {
            self.provide_extras(link_name(link.as_deref())).await?;
        }
        self.ask(Command::SetLink(LinkDefinition {
            actor_id: actor.to_owned(),
            provider_id,
            link_name: link_name(link.as_deref()).to_owned(),
            contract_id: contract_id.to_owned(),
            values,
        }))
        .await
    }

    /// Removes a link. When this answers, what the provider held for it has been released.
    ///
    /// # Errors
    /// `NotLinked` where there is no such link; `HostNotRunning`; and what the provider itself fails with, though the
    /// link is gone then too.
    pub async fn remove_link(&self, actor: &str, contract_id: &str, link: Option<String>) -> Result<()> {
        self.ask(Command::RemoveLink(LinkKey::new(actor, contract_id, link_name(link.as_deref())))).await
    }

    /// Calls an actor, by public key or call alias, and waits for its answer. May be called from any thread; on the
    /// actor's own shard it is fastest.
    ///
    /// # Errors
    /// `ActorNotFound`, `ActorStopped`, `HostNotRunning`; `TokenExpired`, `Untrusted` or `Revoked` where the actor is not
    /// trusted any more; `Unauthorized`; `UnknownOperation` or `ActorFailed` where the actor answers
    /// with an error; `ActorTrapped`, `StackExhausted`, `ProtocolViolation`, `DeadlineExceeded`; `Busy` where the actor or
    /// the host has too much to do, `MessageTooLarge` where a message exceeds its limit; `ChildFailed` where the actor crashed
    /// more often than its policy allows; `MiddlewareRefused`, `MiddlewarePanicked`.
    pub async fn call_actor(&self, actor: &str, operation: &str, message: &[u8]) -> Result<Vec<u8>> {
        self.0.dispatch.call_from_host(actor, operation, message).await
    }

    /// Starts the provider of extras under this link name, unless it runs.
    async fn provide_extras(&self, link_name: &str) -> Result<()> {
        let key = ProviderKey::new(Extras::PUBLIC_KEY, link_name);
        if self.0.dispatch.snapshot().providers.contains_key(&key) {
            return Ok(());
        }
        let extras = Extras::new(Some(link_name.to_owned())).capability()?;
        match self.start_native_capability(extras).await {
            // Another link has had it started in the meantime.
            Err(error) if error.kind() == ErrorKind::ProviderAlreadyRunning => Ok(()),
            started => started,
        }
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
