//! The supervisor: the one actor that owns claims, links, call aliases and children.
//!
//! Every change passes through its mailbox and is carried out beside other changes, so a slow start holds up nobody.
//! After each step it publishes an immutable snapshot that calls are resolved by.
//!
//! # Layout
//! - `registry`: what is known, and the rules for changing it (pure)
//! - `snapshot`: what of it is published
//! - `link`: links and their states (pure)
//! - `child`: what is started, stopped and restarted
//! - `restart`: how often and how soon (pure)
//! - `transition`: starts, stops and other changes under way
//! - `lanes`: one change at a time for one link
//! - `modules`: what actors are made of, compiled once
//! - `placement`: where an actor lives
//! - `actors`, `instances`, `providers`, `links`: how each is started, joined and stopped
//! - `many_links`: what is done with all links of a child
//! - `review`: the links of an actor whose claims are others than before
//! - `updates`: other revisions, other numbers of instances
//! - `recovery`: what happens after a crash
//! - `shutdown`: how everything is stopped, and what hangs given up
//! - `trust`: whether what runs is still trusted
//! - `health`: whether what runs answers

mod actors;
pub(crate) mod child;
pub(crate) mod health;
mod instances;
mod lanes;
pub(crate) mod link;
mod links;
mod many_links;
mod modules;
pub(crate) mod placement;
mod providers;
pub(crate) mod recovery;
mod registry;
pub(crate) mod restart;
mod review;
mod shutdown;
pub(crate) mod snapshot;
#[cfg(test)]
mod tests;
mod transition;
mod trust;
pub(crate) mod updates;

use std::cell::{Cell, OnceCell, RefCell};
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{AsyncContext, Context, Handler, Message, ResponseFuture, WeakAddr};
use tokio::sync::{Mutex, Notify};

use crate::actor::Actor;
use crate::auth::TrustPolicy;
use crate::capability::NativeCapability;
use crate::dispatch::Dispatch;
use crate::ending::Ending;
use crate::engine::Compilation;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{EventKind, Subject};
use crate::shard::{ShardNumber, Shards, Taken};
use child::Child;
use health::{CheckPolicy, Checks};
use lanes::Lanes;
use link::{LinkDefinition, LinkKey};
use modules::Modules;
use placement::ActorOptions;
use registry::Registry;
use restart::RestartPolicy;
use snapshot::{ProviderBlueprint, ProviderKey};
use updates::UpdatePolicy;

/// A change that somebody asks for. The answer is its real outcome.
#[derive(Message)]
#[rtype(result = "Result<()>")]
pub(crate) enum Command {
    StartActor {
        actor: Actor,
        options: ActorOptions,
        /// The shard of whoever asks, or one in turn.
        near: ShardNumber,
    },
    StopActor {
        key: String,
    },
    UpdateActor {
        key: String,
        actor: Actor,
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
    /// Stop every child in the reverse order of their starts, then the host's own threads.
    Stop,
}

/// The supervising actix actor.
pub(crate) struct Supervisor {
    supervision: Rc<Supervision>,
    /// The commands, of which there may be many at once.
    taken: Taken,
}

/// What the supervisor works with. It is shared by the changes under way, which all run on the supervisor's thread; the
/// registry is never borrowed while one of them waits.
struct Supervision {
    dispatch: Dispatch,
    shards: Arc<Shards>,
    registry: RefCell<Registry>,
    lanes: Lanes<LinkKey>,
    modules: Modules,
    updates: UpdatePolicy,
    /// How long a stop waits for what is under way.
    grace: Duration,
    /// The supervisor's own address, from its start on.
    own: OnceCell<WeakAddr<Supervisor>>,
    /// How many instances there have been.
    instances: Cell<usize>,
    /// Told of each change of a child that ends.
    settled: Notify,
    health: CheckPolicy,
    /// Whose signature counts.
    trust: RefCell<TrustPolicy>,
    /// The health checks under way.
    checks: Checks,
    /// Held by whoever stops the host: everybody else who wants to waits for the same stop.
    stopping: Mutex<()>,
    /// Ended when the host waits no more for the changes under way.
    given_up: Arc<Ending>,
}

/// What a supervisor is made of.
pub(crate) struct Settings {
    pub(crate) compilation: Compilation,
    pub(crate) updates: UpdatePolicy,
    pub(crate) grace: Duration,
    pub(crate) health: CheckPolicy,
    pub(crate) trust: TrustPolicy,
}

impl Supervisor {
    pub(crate) fn new(dispatch: Dispatch, shards: Arc<Shards>, settings: Settings) -> Supervisor {
        let Settings { compilation, updates, grace, health, trust } = settings;
        let trust = RefCell::new(trust);
        let (lanes, own, instances, settled, checks, stopping, given_up) = Default::default();
        let modules = Modules::new(compilation, dispatch.limits());
        let registry = RefCell::new(Registry::open());
        let supervision = Supervision {
            dispatch,
            shards,
            registry,
            lanes,
            modules,
            updates,
            grace,
            own,
            instances,
            settled,
            health,
            trust,
            checks,
            stopping,
            given_up,
        };
        supervision.change(|_| ());
        Supervisor { supervision: Rc::new(supervision), taken: Taken::default() }
    }
}

impl Supervision {
    /// Changes the registry and publishes the result.
    fn change<T>(&self, change: impl FnOnce(&mut Registry) -> T) -> T {
        let mut registry = self.registry.borrow_mut();
        let changed = change(&mut registry);
        self.dispatch.publish(registry.snapshot().clone());
        let waiting = registry.take_changed();
        drop(registry);
        waiting.iter().for_each(|waiting| waiting.notify_waiters());
        changed
    }

    /// Tells that something happened to a child.
    fn tell(&self, child: &Child, kind: EventKind) {
        let subject = self.subject(child);
        self.dispatch.events().tell(subject, kind);
    }

    /// What events and log lines about a child name.
    fn subject(&self, child: &Child) -> Subject {
        self.registry.borrow().subject(child)
    }

    /// Where children report to.
    fn address(&self) -> Result<WeakAddr<Supervisor>> {
        let gone = || Error::new(ErrorKind::Internal, "the supervisor was asked before it was started");
        self.own.get().cloned().ok_or_else(gone)
    }

    async fn carry_out(self: &Rc<Self>, command: Command) -> Result<()> {
        match command {
            Command::StartActor { actor, options, near } => self.start_actor(actor, options, near).await,
            Command::StopActor { key } => self.stop_actor(&key).await,
            Command::UpdateActor { key, actor } => self.update_actor(&key, actor).await,
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
            Command::Stop => {
                self.stop().await;
                Ok(())
            }
        }
    }
}

impl actix::Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // An actor is started once.
        let _ = self.supervision.own.set(context.address().downgrade());
        actix_rt::spawn(trust::watch(Rc::downgrade(&self.supervision)));
        if let Some(interval) = self.supervision.health.interval {
            actix_rt::spawn(health::check_regularly(Rc::downgrade(&self.supervision), interval));
        }
    }
}

impl Handler<Command> for Supervisor {
    type Result = ResponseFuture<Result<()>>;

    fn handle(&mut self, command: Command, context: &mut Self::Context) -> Self::Result {
        if self.taken.fills_a_portion() {
            context.wait(wrap_future(tokio::task::yield_now()));
        }
        let supervision = self.supervision.clone();
        Box::pin(async move { supervision.carry_out_in_time(command).await })
    }
}
