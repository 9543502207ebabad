//! How a call gets to its target: resolve, authorize, show to the middlewares, send to the mailbox.
//!
//! Every call in a host passes here, whoever makes it. Each reads the supervisor's snapshot once, without a lock,
//! and its cost does not depend on how many actors, links or claims there are.

mod actor_call;
pub(crate) mod authority;
pub(crate) mod resolve;

use std::sync::Arc;

use actix::MailboxError;
use arc_swap::ArcSwap;

use crate::actor::instances::Unavailable;
use crate::actor::mailbox::{Delivery, InstanceNumber};
use crate::actor::room::HostRoom;
use crate::auth::Origin;
use crate::call::{CallContext, Message};
use crate::capability::plugin::Budgets;
use crate::engine::Mappings;
use crate::entity::{WasmCloudEntity, shorten};
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventBus;
#[cfg(feature = "experiments")]
use crate::experiment::laboratory::Laboratory;
use crate::limits::Limits;
use crate::middleware::chain::Chain;
use crate::supervisor::snapshot::{ProviderIdentity, RunningActor, Snapshot};
use authority::{Authority, Permit};

/// How often a message follows an actor whose instances are replaced.
const MOST_MOVES: usize = 16;

/// The way into every mailbox of a host. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Dispatch(Arc<Shared>);

struct Shared {
    /// What the supervisor published last.
    snapshot: ArcSwap<Snapshot>,
    limits: Limits,
    authority: Authority,
    middlewares: Chain,
    /// The room for calls to actors that are under way.
    room: HostRoom,
    mappings: Mappings,
    plugins: Budgets,
    events: EventBus,
    #[cfg(feature = "experiments")]
    laboratory: Laboratory,
}

impl Dispatch {
    pub(crate) fn new(limits: Limits, authority: Authority, middlewares: Chain, events: EventBus) -> Dispatch {
        let snapshot = ArcSwap::default();
        let room = HostRoom::new(limits.calls_in_flight);
        let mappings = Mappings::new(limits.mappings);
        let plugins = Budgets::of_host(limits.message_bytes);
        Dispatch(Arc::new(Shared {
            snapshot,
            limits,
            authority,
            middlewares,
            room,
            mappings,
            plugins,
            events,
            #[cfg(feature = "experiments")]
            laboratory: Laboratory::default(),
        }))
    }

    /// What guests and calls may use, unless an actor has limits of its own.
    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Who is asked whether calls may be made.
    pub(crate) fn authority(&self) -> &Authority {
        &self.0.authority
    }

    /// The room for calls that are under way in the host, for the mailboxes of its actors.
    pub(crate) fn room(&self) -> &HostRoom {
        &self.0.room
    }

    /// The mappings of the process that the host's guests may hold.
    pub(crate) fn mappings(&self) -> Mappings {
        self.0.mappings.clone()
    }

    /// The bytes that the host may hold for its plugins.
    pub(crate) fn plugins(&self) -> &Budgets {
        &self.0.plugins
    }

    /// Where it is told what happens.
    pub(crate) fn events(&self) -> &EventBus {
        &self.0.events
    }

    /// The experiments that are made in this host.
    #[cfg(feature = "experiments")]
    pub(crate) fn laboratory(&self) -> &Laboratory {
        &self.0.laboratory
    }

    /// Puts a snapshot in force, for calls that begin from now on.
    pub(crate) fn publish(&self, snapshot: Snapshot) {
        self.0.snapshot.store(Arc::new(snapshot));
    }

    /// What is in force now.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot.load_full()
    }

    /// The context of a call that begins a chain now.
    pub(crate) fn begin(&self) -> CallContext {
        CallContext::begin(self.0.limits.call_deadline)
    }

    /// A call from the embedder to an actor, by public key or call alias.
    pub(crate) async fn call_from_host(&self, target: &str, operation: &str, payload: &[u8]) -> Result<Vec<u8>> {
        // In all three kinds of call the snapshot is let go before the answer is awaited.
        let (context, attendance) = self.begin().attended();
        let mut passage = self.0.middlewares.passage();
        let mut permit = Permit::default();
        let sent = loop {
            let question = {
                let snapshot = self.0.snapshot.load();
                let actor = resolve::open_actor(&snapshot, target)?;
                match self.0.authority.ask(&permit, Origin::Host, &actor.identity.entity, operation)? {
                    Some(question) => question,
                    None => {
                        let ends = || (WasmCloudEntity::Host, actor.identity.entity());
                        break passage
                            .enter(ends, Message { operation: operation.to_owned(), payload: payload.to_vec() })
                            .and_then(|message| self.deliver(message, context, actor));
                    }
                }
            };
            permit = self.0.authority.wait(question, context.deadline).await?;
        };
        let answer = async { self.answer(sent?).await }.await;
        attendance.end();
        passage.leave(answer)
    }

    /// A call from a provider to an actor that is linked to it.
    pub(crate) async fn call_from_provider(
        &self,
        (origin, instance): (&ProviderIdentity, InstanceNumber),
        context: CallContext,
        actor: &str,
        message: Message,
    ) -> Result<Vec<u8>> {
        let (context, attendance) = context.through_provider(instance);
        let mut passage = self.0.middlewares.passage();
        let mut permit = Permit::default();
        let sent = loop {
            origin.standing.expect_good()?;
            let question = {
                let snapshot = self.0.snapshot.load();
                let target = resolve::bound_actor(&snapshot, origin, actor)?;
                let (caller, entity) = (Origin::Provider(&origin.claims), &target.identity.entity);
                match self.0.authority.ask(&permit, caller, entity, &message.operation)? {
                    Some(question) => question,
                    None => {
                        let ends = || (origin.entity(), target.identity.entity());
                        break passage.enter(ends, message).and_then(|message| self.deliver(message, context, target));
                    }
                }
            };
            permit = self.0.authority.wait(question, context.deadline).await?;
        };
        let answer = async { self.answer(sent?).await }.await;
        attendance.end();
        passage.leave(answer)
    }
}

impl Dispatch {
    /// Sends a message to the instance of an actor that it is to go to.
    ///
    /// # Errors
    /// `Busy`; `CallCycle` where all instances wait for this very call: it could never be answered.
    fn deliver(&self, message: Message, context: CallContext, target: &RunningActor) -> Result<(Arc<str>, Delivery)> {
        let key = &target.identity.key;
        let reserved = target.instances.reserve(|instance| !context.waits(key, instance));
        let delivery = reserved.map_err(|why| unavailable(target, &context, why)).and_then(|reservation| {
            let actor = reservation.mailbox().actor().clone();
            Ok((actor, reservation.send(message, context)?))
        });
        delivery.inspect_err(|refusal| {
            if refusal.kind() == ErrorKind::Busy {
                self.0.events.tell_of_breach(key, Some(target.identity.name.clone()), refusal);
            }
        })
    }

    /// Waits for an actor's answer. Where its instances were replaced in the very moment of the delivery, by an update or
    /// another number of them, the message goes to those that are there now.
    async fn answer(&self, (key, mut delivery): (Arc<str>, Delivery)) -> Result<Vec<u8>> {
        let mut moves = 0;
        let answer = loop {
            match delivery {
                Delivery::Sent(answer) => break answer.await.unwrap_or_else(|error| Err(actor_is_gone(&key, &error))),
                Delivery::Closed(..) if moves == MOST_MOVES => break Err(actor_is_gone(&key, &MailboxError::Closed)),
                Delivery::Closed(message, context) => {
                    moves += 1;
                    tokio::task::yield_now().await;
                    let snapshot = self.0.snapshot.load();
                    (_, delivery) = self.deliver(message, context, resolve::running_actor(&snapshot, &key)?)?;
                }
            }
        };
        if let Err(error) = &answer
            && is_limit(error.kind())
        {
            let name = self.0.snapshot.load().actors.get(&key).map(|actor| actor.identity.name.clone());
            self.0.events.tell_of_breach(&key, name, error);
        }
        answer
    }
}

/// Why a call is refused that no instance of its target takes.
fn unavailable(target: &RunningActor, context: &CallContext, why: Unavailable) -> Error {
    let identity = &target.identity;
    match why {
        Unavailable::NoneCanBeChosen => {
            let way = context.cycle_through(&identity.key).unwrap_or_default();
            Error::new(ErrorKind::CallCycle, format!("{identity} waits for this call already: {way}"))
        }
        Unavailable::AllFull => {
            let limit = target.blueprint.limits.mailbox_length;
            let message = format!("{identity} is busy: every mailbox is full: it has room for {limit} calls");
            Error::new(ErrorKind::Busy, message)
        }
    }
}

/// Whether a failure of this kind is that a limit was breached.
fn is_limit(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::DeadlineExceeded | ErrorKind::MessageTooLarge | ErrorKind::StackExhausted)
}

/// The mailbox was there when the call was resolved and closed before it was answered.
fn actor_is_gone(name: &str, error: &MailboxError) -> Error {
    let message = format!("actor {:?} was stopped before it answered: {error}", shorten(name));
    Error::new(ErrorKind::ActorStopped, message)
}
