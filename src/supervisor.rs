//! The supervisor: the one actor that owns claims, links, call aliases and children.
//!
//! Every change passes through its mailbox and is carried out beside other changes, so a slow start holds up nobody.
//! After each step it publishes an immutable snapshot that calls are resolved by.
//!
//! # Layout
//! - `registry`: what is known, and the rules for changing it (pure)
//! - `snapshot`: what of it is published
//! - `link`: links and their states (pure)
//! - `lanes`: one change at a time for one link
//! - `placement`: where an actor lives
//! - `actors`, `providers`, `links`: how each is started, joined and stopped

mod actors;
mod lanes;
pub(crate) mod link;
mod links;
pub(crate) mod placement;
mod providers;
mod registry;
pub(crate) mod snapshot;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use actix::{Context, Handler, Message, ResponseFuture};

use crate::actor::Actor;
use crate::capability::NativeCapability;
use crate::dispatch::Dispatch;
use crate::error::{Error, ErrorKind, Result};
use crate::shard::{ShardNumber, Shards};
use lanes::Lanes;
use link::{LinkDefinition, LinkKey};
use registry::{Child, Registry};
use snapshot::ProviderKey;

/// A change that somebody asks for. The answer is its real outcome.
#[derive(Message)]
#[rtype(result = "Result<()>")]
pub(crate) enum Command {
    StartActor {
        actor: Actor,
        shard: ShardNumber,
    },
    StopActor {
        key: String,
    },
    StartProvider {
        capability: NativeCapability,
        shard: ShardNumber,
    },
    StopProvider {
        key: ProviderKey,
        contract_id: String,
    },
    SetLink(LinkDefinition),
    RemoveLink(LinkKey),
    /// Stop every child in the reverse order of their starts, then the shards.
    Stop,
}

/// The supervising actix actor.
pub(crate) struct Supervisor(Rc<Supervision>);

/// What the supervisor works with. It is shared by the changes under way, which all run on the supervisor's thread; the
/// registry is never borrowed while one of them waits.
struct Supervision {
    dispatch: Dispatch,
    shards: Arc<Shards>,
    registry: RefCell<Registry>,
    lanes: Lanes<LinkKey>,
}

impl Supervisor {
    pub(crate) fn new(dispatch: Dispatch, shards: Arc<Shards>) -> Supervisor {
        let supervision =
            Supervision { dispatch, shards, registry: RefCell::new(Registry::new()), lanes: Lanes::default() };
        supervision.change(|_| ());
        Supervisor(Rc::new(supervision))
    }
}

impl Supervision {
    /// Changes the registry and publishes the result.
    fn change<T>(&self, change: impl FnOnce(&mut Registry) -> T) -> T {
        let mut registry = self.registry.borrow_mut();
        let changed = change(&mut registry);
        self.dispatch.publish(registry.snapshot().clone());
        changed
    }

    async fn carry_out(&self, command: Command) -> Result<()> {
        match command {
            Command::StartActor { actor, shard } => self.start_actor(actor, shard).await,
            Command::StopActor { key } => self.stop_actor(&key).await,
            Command::StartProvider { capability, shard } => self.start_provider(capability, shard).await,
            Command::StopProvider { key, contract_id } => self.stop_provider(&key, &contract_id).await,
            Command::SetLink(definition) => self.set_link(definition).await,
            Command::RemoveLink(key) => self.remove_link(&key).await,
            Command::Stop => self.stop().await,
        }
    }

    async fn stop(&self) -> Result<()> {
        self.change(Registry::close)?;
        while let Some(child) = self.last_started() {
            let stopped = match &child {
                Child::Actor(key) => self.stop_actor(key).await,
                Child::Provider(key) => self.end_provider(key).await,
            };
            if let Err(error) = stopped {
                log::warn!("{child} did not stop as it should: {error}");
                self.change(|registry| registry.forget(&child));
            }
        }
        self.change(Registry::end);
        let shards = self.shards.clone();
        tokio::task::spawn_blocking(move || shards.stop_own()).await.map_err(|error| {
            Error::new(ErrorKind::Internal, "the host's threads did not end as they should").caused_by(error)
        })
    }

    fn last_started(&self) -> Option<Child> {
        self.registry.borrow().last_started().cloned()
    }
}

impl actix::Actor for Supervisor {
    type Context = Context<Self>;
}

impl Handler<Command> for Supervisor {
    type Result = ResponseFuture<Result<()>>;

    fn handle(&mut self, command: Command, _: &mut Self::Context) -> Self::Result {
        let supervision = self.0.clone();
        Box::pin(async move { supervision.carry_out(command).await })
    }
}
