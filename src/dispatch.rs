//! The dispatch of calls: resolve the target, authorize, show to the middlewares, send to the mailbox.
//!
//! Every call in a host is dispatched here, whatever its origin. Each reads the supervisor's snapshot once, without a lock, and its
//! cost does not depend on the number of actors, links or claims.
//!
//! # Layout
//! - `snapshot`: what runs and what is linked, as the supervisor published it
//! - `resolve`: the target of a name, and the rules by which the caller may use it
//! - `authority`: decisions of the embedder's authorizer
//! - `actor_call`: calls of actors
//! - `mailbox`, `messages`, `provider_mailbox`: the mailboxes of actors and providers
//! - `instances`, `latency`: the choice of an actor's instance for a request
//! - `delivery`: the way of a request to an instance of an actor, and of its answer
//! - `remote`, `from_lattice`: calls to and from other hosts
//! - `unserved`: counts of calls that no instance serves
//! - `call_limiter`: the limit of calls in flight
//! - `health_check`: checks that give way to calls

mod actor_call;
pub(crate) mod authority;
pub(crate) mod call_limiter;
mod delivery;
#[cfg(feature = "lattice")]
mod from_lattice;
pub(crate) mod health_check;
pub(crate) mod instances;
pub(crate) mod latency;
pub(crate) mod mailbox;
pub(crate) mod messages;
pub(crate) mod provider_mailbox;
pub(crate) mod remote;
pub(crate) mod resolve;
pub(crate) mod snapshot;
mod unserved;

use std::fmt;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use wasmcloud_core::call::{CallContext, Request};
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::Result;
use wasmcloud_core::identity::InstanceNumber;
use wasmcloud_core::limits::Limits;
use wasmcloud_core::trace::Tracing;
use wasmcloud_engine::MappingBudget;

use crate::authorizer::Origin;
use crate::event::EventBus;
#[cfg(feature = "experiments")]
use crate::experiment::running::RunningExperiments;
use crate::identity::{ActorIdentity, ProviderIdentity};
use crate::instruments::Instruments;
use crate::middleware::chain::{MiddlewareChain, Participants};
use crate::spans;
use authority::{Approval, Authority};
use call_limiter::HostLimiter;
#[cfg(feature = "lattice")]
pub(crate) use from_lattice::{RemoteOrigin, RemoteOutcome, RemoteRequest};
use remote::RemoteHosts;
use snapshot::Snapshot;
use unserved::Unserved;

/// The maximum number of times that a request is sent again because the target's instances were replaced.
const MOST_MOVES: usize = 16;

/// Dispatches the calls of a host. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Dispatch(Arc<Shared>);

/// What a dispatch is made of.
pub(crate) struct DispatchConfig {
    pub(crate) limits: Limits,
    pub(crate) authority: Authority,
    pub(crate) middlewares: MiddlewareChain,
    pub(crate) events: EventBus,
    pub(crate) instruments: Instruments,
    pub(crate) tracing: Tracing,
}

struct Shared {
    /// The last snapshot that the supervisor published.
    snapshot: ArcSwap<Snapshot>,
    limits: Limits,
    authority: Authority,
    middlewares: MiddlewareChain,
    /// Limits the calls to actors that are in flight.
    limiter: HostLimiter,
    mappings: MappingBudget,
    events: EventBus,
    instruments: Instruments,
    tracing: Tracing,
    /// The other hosts of the lattice, if this host has joined one.
    remote_hosts: OnceLock<Arc<dyn RemoteHosts>>,
    #[cfg(feature = "experiments")]
    experiments: RunningExperiments,
}

impl Dispatch {
    pub(crate) fn new(config: DispatchConfig) -> Dispatch {
        let DispatchConfig { limits, authority, middlewares, events, instruments, tracing } = config;
        Dispatch(Arc::new(Shared {
            snapshot: ArcSwap::default(),
            limits,
            authority,
            middlewares,
            limiter: HostLimiter::new(limits.calls_in_flight),
            mappings: MappingBudget::new(limits.mappings),
            events,
            instruments,
            tracing,
            remote_hosts: OnceLock::new(),
            #[cfg(feature = "experiments")]
            experiments: RunningExperiments::default(),
        }))
    }

    /// Returns the limits of guests and calls, unless an actor has limits of its own.
    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Returns the authorizer, which decides whether calls may be made.
    pub(crate) fn authority(&self) -> &Authority {
        &self.0.authority
    }

    /// Returns the limiter of calls in flight, for the mailboxes of actors.
    pub(crate) fn limiter(&self) -> &HostLimiter {
        &self.0.limiter
    }

    /// Returns the budget of memory mappings for the host's guests.
    pub(crate) fn mappings(&self) -> MappingBudget {
        self.0.mappings.clone()
    }

    /// Returns the bus that events are emitted on.
    pub(crate) fn events(&self) -> &EventBus {
        &self.0.events
    }

    /// Returns the instruments of the host.
    pub(crate) fn instruments(&self) -> &Instruments {
        &self.0.instruments
    }

    /// Returns how calls are traced.
    pub(crate) fn tracing(&self) -> &Tracing {
        &self.0.tracing
    }

    /// Sets the other hosts of the lattice. A host joins one lattice at most.
    #[cfg(feature = "lattice")]
    pub(crate) fn join(&self, hosts: Arc<dyn RemoteHosts>) {
        // A host is started once.
        let _ = self.0.remote_hosts.set(hosts);
    }

    /// Returns the experiments that are running in this host.
    #[cfg(feature = "experiments")]
    pub(crate) fn experiments(&self) -> &RunningExperiments {
        &self.0.experiments
    }

    /// Publishes a snapshot, which applies to calls that begin from now on.
    pub(crate) fn publish(&self, snapshot: Snapshot) {
        self.0.snapshot.store(Arc::new(snapshot));
    }

    /// Returns the published snapshot.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot.load_full()
    }

    /// Returns the context of a call that begins a chain now.
    pub(crate) fn begin(&self) -> CallContext {
        CallContext::begin(self.0.limits.call_deadline)
    }

    /// Calls an actor for the embedder, by public key or call alias.
    pub(crate) async fn call_from_host(&self, target: &str, operation: &str, payload: &[u8]) -> Result<Vec<u8>> {
        let (context, guard) = self.begin().cancellable();
        let (context, span) = spans::call(self.tracing(), context, &WasmCloudEntity::Host, target, operation);
        let answer = self.send_from_host(context, target, operation, payload).await;
        guard.disarm();
        span.end(&answer);
        answer
    }

    async fn send_from_host(
        &self,
        context: CallContext,
        target: &str,
        operation: &str,
        payload: &[u8],
    ) -> Result<Vec<u8>> {
        // In all three kinds of call the snapshot is dropped before the answer is awaited.
        let refusal = 'elsewhere: {
            let mut middlewares = self.0.middlewares.begin_call();
            let mut approval = Approval::default();
            let sent = loop {
                let pending = {
                    let snapshot = self.0.snapshot.load();
                    let actor = match resolve::open_actor(&snapshot, target) {
                        Ok(actor) => actor,
                        Err(refusal) => break 'elsewhere refusal,
                    };
                    let entity = &actor.identity.entity;
                    let decided = self.0.authority.decide_call(&approval, Origin::Host, entity, operation);
                    match decided
                        .inspect_err(|refusal| actor.instruments.count_unserved(Some(operation), refusal.kind()))?
                    {
                        Some(decision) => decision,
                        None => {
                            let participants =
                                || Participants { origin: WasmCloudEntity::Host, target: entity.clone() };
                            break middlewares
                                .enter(participants, Request::new(operation, payload))
                                .inspect_err(|refusal| {
                                    actor.instruments.count_unserved(Some(operation), refusal.kind())
                                })
                                .and_then(|request| self.deliver(request, context, actor));
                        }
                    }
                };
                let decided = Box::pin(self.0.authority.wait(pending, context.deadline)).await;
                approval = decided
                    .inspect_err(|refusal| self.count_unserved(Unserved::to_actor(target, Some(operation)), refusal))?;
            };
            let answer = self.await_answer(sent).await;
            return middlewares.leave(answer);
        };
        self.call_elsewhere_from_host(target, refusal, Request::new(operation, payload), context).await
    }

    /// Calls an actor for a provider that is linked to it.
    pub(crate) async fn call_from_provider(
        &self,
        origin: CallingProvider<'_>,
        context: CallContext,
        actor: &str,
        request: Request,
    ) -> Result<Vec<u8>> {
        let (context, guard) = context.through_provider(origin.instance);
        let entity = &origin.identity.entity;
        let (context, span) = spans::call(self.tracing(), context, entity, actor, &request.operation);
        let answer = self.send_from_provider(origin, context, actor, request).await;
        guard.disarm();
        span.end(&answer);
        answer
    }

    async fn send_from_provider(
        &self,
        origin: CallingProvider<'_>,
        context: CallContext,
        actor: &str,
        request: Request,
    ) -> Result<Vec<u8>> {
        let refusal = 'elsewhere: {
            let mut middlewares = self.0.middlewares.begin_call();
            let mut approval = Approval::default();
            let sent = loop {
                origin.identity.trust.expect_trusted().inspect_err(|refusal| {
                    self.count_unserved(Unserved::to_actor(actor, Some(&request.operation)), refusal);
                })?;
                let pending = {
                    let snapshot = self.0.snapshot.load();
                    let target = match resolve::bound_actor(&snapshot, origin.identity, actor) {
                        Ok(target) => target,
                        Err(refusal) => break 'elsewhere refusal,
                    };
                    let (caller, entity) = (Origin::Provider(&origin.identity.claims), &target.identity.entity);
                    let operation = &request.operation;
                    let decided = self.0.authority.decide_call(&approval, caller, entity, operation);
                    match decided
                        .inspect_err(|refusal| target.instruments.count_unserved(Some(operation), refusal.kind()))?
                    {
                        Some(decision) => decision,
                        None => {
                            let participants = || Participants {
                                origin: origin.identity.entity.clone(),
                                target: target.identity.entity.clone(),
                            };
                            break middlewares
                                .enter(participants, request)
                                .inspect_err(|refusal| target.instruments.count_unserved(None, refusal.kind()))
                                .and_then(|request| self.deliver(request, context, target));
                        }
                    }
                };
                let decided = Box::pin(self.0.authority.wait(pending, context.deadline)).await;
                approval = decided.inspect_err(|refusal| {
                    self.count_unserved(Unserved::to_actor(actor, Some(&request.operation)), refusal);
                })?;
            };
            let answer = self.await_answer(sent).await;
            return middlewares.leave(answer);
        };
        self.call_elsewhere_from_provider(origin, actor, refusal, request, context).await
    }
}

/// The instance of an actor that makes a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallingActor<'a> {
    pub(crate) identity: &'a ActorIdentity,
    pub(crate) instance: InstanceNumber,
}

/// The instance of a provider that makes a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallingProvider<'a> {
    pub(crate) identity: &'a ProviderIdentity,
    pub(crate) instance: InstanceNumber,
}

impl fmt::Debug for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatch").finish_non_exhaustive()
    }
}
