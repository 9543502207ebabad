//! The supervisor: the actix actor that owns claims, links, call aliases and children.
//!
//! Every change is a message to the supervisor and runs concurrently with other changes, so a slow start delays no other
//! change. After each step the supervisor publishes an immutable snapshot, by which calls are resolved.
//!
//! # Layout
//! - `registry`: the state, and the rules for changing it (pure)
//! - `restart`: restart policies (pure)
//! - `blueprint`: what further instances of a child are created from
//! - `transition`: starts, stops and other changes in progress
//! - `keyed_lock`: one change at a time for one link
//! - `modules`: the modules of actors, compiled once
//! - `placement`: the threads that an actor's instances run on
//! - `actors`, `instances`, `providers`: starts and stops
//! - `links`, `link_batches`: changes of one link, and of all links of a child
//! - `link_reconciliation`: the links of an actor whose claims have changed
//! - `updates`: new revisions, and other numbers of instances
//! - `replacement`: successors on probation, and the way back
//! - `survey`: what manifests are checked against
//! - `recovery`: decisions about crashes
//! - `remote_actors`: actors of other hosts that are linked to providers of this one
//! - `shutdown`: the stop of everything
//! - `trust`: expired tokens, and replaced trust policies
//! - `health`: health checks

mod actors;
mod blueprint;
pub(crate) mod health;
mod instances;
mod keyed_lock;
mod link_batches;
mod link_reconciliation;
mod links;
mod modules;
pub(crate) mod placement;
mod providers;
mod recovery;
mod registry;
mod remote_actors;
pub(crate) mod replacement;
pub(crate) mod restart;
mod shutdown;
pub(crate) mod survey;
#[cfg(test)]
mod tests;
mod transition;
mod trust;
pub(crate) mod updates;

use std::cell::{Cell, OnceCell, RefCell};
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{AsyncContext, Context, Handler, Message, ResponseFuture, WeakAddr};
use tokio::sync::{Mutex, Notify};
use wasmcloud_claims::{Actor, TrustPolicy};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::identity::{Image, ProviderKey};
use wasmcloud_core::shutdown::ShutdownSignal;
use wasmcloud_engine::CompilationConfig;
use wasmcloud_plugin::{NativeCapability, PluginBudgets};

use crate::child::{Child, ChildChanges};
use crate::dispatch::Dispatch;
use crate::event::{EventKind, Subject};
use crate::identity::ActorIdentity;
use crate::link::{LinkDefinition, LinkKey};
use crate::shard::{BatchCounter, ShardNumber, Shards};
use blueprint::ProviderBlueprint;
use health::{CheckPolicy, Checks};
use keyed_lock::KeyedLock;
use modules::Modules;
use placement::ActorOptions;
use registry::Registry;
use restart::RestartPolicy;
use updates::UpdatePolicy;

/// A change that is requested of the supervisor. The answer is its outcome.
#[derive(Message)]
#[rtype(result = "Result<()>")]
pub(crate) enum Command {
    StartActor {
        actor: Actor,
        options: ActorOptions,
        /// The shard of the caller, or the next one in turn.
        near: ShardNumber,
    },
    StopActor {
        key: String,
    },
    UpdateActor {
        key: String,
        actor: Actor,
        /// The image that the module came from.
        image: Option<Arc<Image>>,
    },
    ScaleActor {
        key: String,
        instances: NonZeroUsize,
    },
    StartProvider {
        capability: NativeCapability,
        policy: RestartPolicy,
        near: ShardNumber,
    },
    StopProvider {
        key: ProviderKey,
        contract_id: String,
    },
    SetTrustPolicy(TrustPolicy),
    SetLink(LinkDefinition),
    RemoveLink(LinkKey),
    /// Records an actor of another host, by its verified token.
    #[cfg_attr(not(feature = "lattice"), expect(dead_code, reason = "other hosts are known by a lattice alone"))]
    SetRemoteActor(Arc<ActorIdentity>),
    /// Applies the trust policy to an actor of another host that calls this one.
    #[cfg_attr(not(feature = "lattice"), expect(dead_code, reason = "other hosts are known by a lattice alone"))]
    AssessRemoteActor(Arc<ActorIdentity>),
    #[cfg_attr(not(feature = "lattice"), expect(dead_code, reason = "other hosts are known by a lattice alone"))]
    RemoveRemoteActor {
        key: String,
    },
    /// Stops every child in the reverse order of their starts, then the host's own threads.
    Stop {
        /// When the grace period ends. `None` for the whole period from now on.
        deadline: Option<Instant>,
    },
}

/// The supervising actix actor.
pub(crate) struct Supervisor {
    supervision: Rc<Supervision>,
    /// Counts commands, of which many may arrive at once.
    commands: BatchCounter,
}

/// The state of the supervisor, which the changes in progress share on the supervisor's thread. None of them borrows the
/// registry across an await point.
struct Supervision {
    dispatch: Dispatch,
    shards: Arc<Shards>,
    registry: RefCell<Registry>,
    links: KeyedLock<LinkKey>,
    modules: Modules,
    updates: UpdatePolicy,
    /// The grace period of stops.
    grace: Duration,
    /// Tells the lattice, if the host joins one, of changed children.
    child_changes: Option<Arc<ChildChanges>>,
    /// The bytes that the host may hold for its plugins.
    budgets: PluginBudgets,
    /// The supervisor's own address, from its start on.
    own: OnceCell<WeakAddr<Supervisor>>,
    /// The number of instances so far.
    instances: Cell<usize>,
    /// Notified when a change of a child ends.
    settled: Notify,
    health: CheckPolicy,
    /// The trust policy in force.
    trust: RefCell<TrustPolicy>,
    /// The health checks in progress.
    checks: Checks,
    /// Held during the stop of the host. Further stops wait for the same stop.
    stopping: Mutex<()>,
    /// Ended when the host stops waiting for changes in progress.
    abandoned: Arc<ShutdownSignal>,
}

/// The configuration of a supervisor.
#[derive(Debug)]
pub(crate) struct SupervisorConfig {
    pub(crate) compilation: CompilationConfig,
    pub(crate) updates: UpdatePolicy,
    pub(crate) grace: Duration,
    pub(crate) health: CheckPolicy,
    pub(crate) trust: TrustPolicy,
    pub(crate) child_changes: Option<Arc<ChildChanges>>,
}

impl Supervisor {
    pub(crate) fn new(dispatch: Dispatch, shards: Arc<Shards>, config: SupervisorConfig) -> Supervisor {
        let SupervisorConfig { compilation, updates, grace, health, trust, child_changes } = config;
        let supervision = Supervision {
            modules: Modules::new(compilation, dispatch.limits(), dispatch.instruments().compilation()),
            budgets: PluginBudgets::of_host(dispatch.limits().message_bytes),
            dispatch,
            shards,
            registry: RefCell::new(Registry::open()),
            links: KeyedLock::default(),
            updates,
            grace,
            child_changes,
            own: OnceCell::new(),
            instances: Cell::new(0),
            settled: Notify::new(),
            health,
            trust: RefCell::new(trust),
            checks: Checks::default(),
            stopping: Mutex::new(()),
            abandoned: Arc::default(),
        };
        supervision.change(|_| ());
        Supervisor { supervision: Rc::new(supervision), commands: BatchCounter::default() }
    }
}

impl Supervision {
    /// Changes the registry, publishes the new snapshot, and notifies those who wait for a change.
    fn change<T>(&self, change: impl FnOnce(&mut Registry) -> T) -> T {
        let mut registry = self.registry.borrow_mut();
        let changed = change(&mut registry);
        self.dispatch.publish(registry.snapshot().clone());
        let waiting = registry.take_changed();
        let changed_children = registry.take_changed_children();
        drop(registry);
        if let Some(changes) = &self.child_changes {
            changes.add(changed_children);
        }
        waiting.iter().for_each(|waiting| waiting.notify_waiters());
        changed
    }

    /// Emits an event about a child.
    fn emit(&self, child: &Child, kind: EventKind) {
        let subject = self.subject(child);
        self.dispatch.events().emit(subject, kind);
    }

    /// Returns the subject of events and log lines about a child.
    fn subject(&self, child: &Child) -> Subject {
        self.registry.borrow().subject(child)
    }

    /// Returns the address that children report to.
    fn address(&self) -> Result<WeakAddr<Supervisor>> {
        let gone = || Error::new(ErrorKind::Internal, "the supervisor was asked before it was started");
        self.own.get().cloned().ok_or_else(gone)
    }

    async fn execute(self: &Rc<Self>, command: Command) -> Result<()> {
        match command {
            Command::StartActor { actor, options, near } => self.start_actor(actor, options, near).await,
            Command::StopActor { key } => self.stop_actor(&key).await,
            Command::UpdateActor { key, actor, image } => self.update_actor(&key, actor, image).await,
            Command::ScaleActor { key, instances } => self.scale_actor(&key, instances).await,
            Command::StartProvider { capability, policy, near } => {
                self.start_provider(ProviderBlueprint { capability, policy, near }).await
            }
            Command::StopProvider { key, contract_id } => self.stop_provider(&key, &contract_id).await,
            Command::SetTrustPolicy(policy) => {
                self.set_trust_policy(policy).await;
                Ok(())
            }
            Command::SetLink(definition) => self.set_link(definition).await,
            Command::RemoveLink(key) => self.remove_link(&key).await,
            Command::SetRemoteActor(identity) => {
                self.set_remote_actor(identity).await;
                Ok(())
            }
            Command::AssessRemoteActor(identity) => {
                self.assess_remote_actor(&identity);
                Ok(())
            }
            Command::RemoveRemoteActor { key } => {
                self.remove_remote_actor(&key).await;
                Ok(())
            }
            Command::Stop { deadline } => {
                self.stop(deadline).await;
                Ok(())
            }
        }
    }
}

impl actix::Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // The error means that the address is set already. actix starts an actor once.
        let _ = self.supervision.own.set(context.address().downgrade());
        actix_rt::spawn(trust::watch_expiry(Rc::downgrade(&self.supervision)));
        if let Some(interval) = self.supervision.health.interval {
            actix_rt::spawn(health::check_regularly(Rc::downgrade(&self.supervision), interval));
        }
    }
}

impl Handler<Command> for Supervisor {
    type Result = ResponseFuture<Result<()>>;

    fn handle(&mut self, command: Command, context: &mut Self::Context) -> Self::Result {
        if self.commands.completes_batch() {
            context.wait(wrap_future(tokio::task::yield_now()));
        }
        let supervision = self.supervision.clone();
        Box::pin(async move { supervision.execute_until_abandoned(command).await })
    }
}
