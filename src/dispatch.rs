//! How a call gets to its target: resolve, authorize, show to the middlewares, send to the mailbox.
//!
//! Every call in a host passes here, whoever makes it. Each reads the supervisor's snapshot once, without a lock,
//! and its cost does not depend on how many actors, links or claims there are.

pub(crate) mod authority;
pub(crate) mod resolve;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use actix::MailboxError;
use actix::prelude::Request;
use arc_swap::ArcSwap;
use futures_util::future::Either;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::actor::mailbox::{Delivery, InstanceNumber};
use crate::actor::room::HostRoom;
use crate::auth::Origin;
use crate::call::{ActorCall, CallContext, Message};
use crate::capability::provider_actor::{ProviderActor, ProviderCall};
use crate::deadline::within;
use crate::engine::Mappings;
use crate::entity::{WasmCloudEntity, link_name, shorten};
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventBus;
#[cfg(feature = "experiments")]
use crate::experiment::laboratory::Laboratory;
use crate::limits::Limits;
use crate::middleware::chain::Chain;
use crate::supervisor::snapshot::{ActorIdentity, ProviderIdentity, RunningActor, Snapshot};
use authority::{Authority, Permit, Question};
use resolve::Target;

/// How often a message follows an actor whose instances are replaced.
const MOST_MOVES: usize = 16;

/// The way into every mailbox of a host. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Dispatch(Arc<Shared>);

struct Shared {
    /// What the supervisor published last.
    snapshot: ArcSwap<Snapshot>,
    /// Told of each snapshot that is published.
    published: Notify,
    limits: Limits,
    authority: Authority,
    middlewares: Chain,
    /// The room for calls to actors that are under way.
    room: HostRoom,
    mappings: Mappings,
    events: EventBus,
    #[cfg(feature = "experiments")]
    laboratory: Laboratory,
}

impl Dispatch {
    pub(crate) fn new(limits: Limits, authority: Authority, middlewares: Chain, events: EventBus) -> Dispatch {
        let (snapshot, published) = Default::default();
        let room = HostRoom::new(limits.calls_in_flight);
        let mappings = Mappings::new(limits.mappings);
        Dispatch(Arc::new(Shared {
            snapshot,
            published,
            limits,
            authority,
            middlewares,
            room,
            mappings,
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
        self.0.published.notify_waiters();
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

    /// A call from an actor: to another actor or, over a link, to a provider.
    pub(crate) async fn call_from_actor(
        &self,
        (origin, instance): (&ActorIdentity, InstanceNumber),
        context: CallContext,
        call: ActorCall,
    ) -> Result<Vec<u8>> {
        let ActorCall { binding, namespace, operation, message } = call;
        let context = context.through(&origin.key, instance);
        self.refuse_depth(&context)?;
        let message = Message { operation, payload: message };
        let mut passage = self.0.middlewares.passage();
        let way = Way { origin, namespace: &namespace, link_name: link_name(Some(&binding)) };
        let mut waiting = Waiting::default();
        let sent = loop {
            let step = {
                let snapshot = self.0.snapshot.load();
                match self.next_step(&snapshot, &way, &waiting.permit, &message.operation)? {
                    Step::Send(target) => {
                        let ends = || (origin.entity(), target.entity().clone());
                        break passage.enter(ends, message).and_then(|message| match target {
                            Target::Actor(actor) => self.deliver(message, context, actor).map(Either::Left),
                            Target::Provider(provider) => {
                                let call = ProviderCall { actor: origin.key.clone(), message, context };
                                Ok(Either::Right(provider.address.send(call)))
                            }
                        });
                    }
                    Step::Wait(reason) => reason,
                }
            };
            self.wait_for(step, &mut waiting, &namespace, context.deadline).await?;
        };
        let answer = async {
            match sent? {
                Either::Left(delivery) => self.answer(delivery).await,
                Either::Right(answer) => self.provider_answer(&way, waiting, answer).await,
            }
        };
        passage.leave(answer.await)
    }

    /// A call from a provider to an actor that is linked to it.
    pub(crate) async fn call_from_provider(
        &self,
        origin: &ProviderIdentity,
        context: CallContext,
        actor: &str,
        message: Message,
    ) -> Result<Vec<u8>> {
        let (context, attendance) = context.attended();
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

/// What an actor's call is resolved by.
struct Way<'a> {
    origin: &'a ActorIdentity,
    namespace: &'a str,
    link_name: &'a str,
}

/// What becomes of an actor's call next.
enum Step<'a> {
    Send(Target<'a>),
    Wait(Reason),
}

/// Why an actor's call has to wait before it is sent.
enum Reason {
    /// Its provider is being restarted.
    Restart,
    /// The authorizer takes its time.
    Authorizer(Question),
}

/// What a call has waited for so far.
#[derive(Default)]
struct Waiting<'a> {
    permit: Permit,
    /// The next snapshot, where it is being listened for.
    change: Option<Pin<Box<Notified<'a>>>>,
}

impl Dispatch {
    /// Sends a message to the instance of an actor that it is to go to.
    ///
    /// # Errors
    /// `Busy`; `CallCycle` where all instances wait for this very call: it could never be answered.
    fn deliver(&self, message: Message, context: CallContext, target: &RunningActor) -> Result<(Arc<str>, Delivery)> {
        let key = &target.identity.key;
        let Some(mailbox) = target.instances.choose(|instance| !context.waits(key, instance)) else {
            let way = context.cycle_through(key).unwrap_or_default();
            let message = format!("{} waits for this call already: {way}", target.identity);
            return Err(Error::new(ErrorKind::CallCycle, message));
        };
        let delivery = mailbox.deliver(message, context);
        let delivery = delivery.inspect_err(|refusal| self.0.events.tell_of_breach(key, refusal))?;
        Ok((mailbox.actor().clone(), delivery))
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
            self.0.events.tell_of_breach(&key, error);
        }
        answer
    }

    /// Waits for a provider's answer. Where the provider is being replaced after a crash, the call goes to the one in its
    /// place.
    async fn provider_answer<'a>(
        &'a self,
        way: &Way<'_>,
        mut waiting: Waiting<'a>,
        mut answer: Request<ProviderActor, ProviderCall>,
    ) -> Result<Vec<u8>> {
        let contract = way.namespace;
        for _ in 0..MOST_MOVES {
            let call = match answer.await.map_err(|error| provider_is_gone(contract, &error))? {
                Ok(answer) => return answer,
                Err(call) => call,
            };
            let mut step = Reason::Restart;
            answer = loop {
                self.wait_for(step, &mut waiting, contract, call.context.deadline).await?;
                let snapshot = self.0.snapshot.load();
                step = match self.next_step(&snapshot, way, &waiting.permit, &call.message.operation)? {
                    Step::Send(Target::Provider(provider)) => break provider.address.send(call),
                    Step::Send(Target::Actor(_)) => Reason::Restart,
                    Step::Wait(reason) => reason,
                };
            };
        }
        Err(provider_is_gone(contract, &MailboxError::Closed))
    }

    /// Where an actor's call goes now, if it may.
    fn next_step<'s>(
        &self,
        snapshot: &'s Snapshot,
        way: &Way<'_>,
        permit: &Permit,
        operation: &str,
    ) -> Result<Step<'s>> {
        way.origin.standing.expect_good()?;
        let Some(target) = resolve::target_of(snapshot, way.origin, way.namespace, way.link_name)? else {
            return Ok(Step::Wait(Reason::Restart));
        };
        let caller = Origin::Actor(&way.origin.claims);
        Ok(match self.0.authority.ask(permit, caller, target.entity(), operation)? {
            Some(question) => Step::Wait(Reason::Authorizer(question)),
            None => Step::Send(target),
        })
    }

    /// Waits for what keeps an actor's call from being sent.
    async fn wait_for<'a>(
        &'a self,
        reason: Reason,
        waiting: &mut Waiting<'a>,
        contract: &str,
        deadline: Instant,
    ) -> Result<()> {
        match reason {
            Reason::Restart => self.wait_for_change(&mut waiting.change, contract, deadline).await,
            Reason::Authorizer(question) => {
                waiting.permit = self.0.authority.wait(question, deadline).await?;
                Ok(())
            }
        }
    }

    /// Waits until another snapshot is published, from the second time on: the first time, it only begins to listen, so
    /// that whoever looks again afterwards misses nothing.
    async fn wait_for_change<'a>(
        &'a self,
        change: &mut Option<Pin<Box<Notified<'a>>>>,
        contract: &str,
        deadline: Instant,
    ) -> Result<()> {
        if let Some(change) = change.take() {
            within(deadline, change).await.map_err(|_| {
                let message = format!("the provider for {:?} was not back in time after a crash", shorten(contract));
                Error::new(ErrorKind::DeadlineExceeded, message)
            })?;
        }
        let mut next = Box::pin(self.0.published.notified());
        next.as_mut().enable();
        *change = Some(next);
        Ok(())
    }

    /// Refuses a call that has passed through too many actors.
    fn refuse_depth(&self, context: &CallContext) -> Result<()> {
        let limit = self.0.limits.chain_depth;
        if context.depth() <= limit {
            return Ok(());
        }
        let message = format!("the call has passed through {} actors, {limit} are allowed", context.depth());
        Err(Error::new(ErrorKind::ChainTooDeep, message))
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

fn provider_is_gone(contract: &str, error: &MailboxError) -> Error {
    let message = format!("the provider for {:?} was stopped before it answered: {error}", shorten(contract));
    Error::new(ErrorKind::ProviderNotFound, message)
}
