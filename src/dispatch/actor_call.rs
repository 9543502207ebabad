//! An actor's call: to another actor or, over a link, to a provider, which it may have to wait for.

use std::pin::Pin;
use std::time::Instant;

use actix::MailboxError;
use actix::prelude::Request;
use futures_util::future::{Either, select};
use tokio::sync::futures::OwnedNotified;

use super::authority::{Permit, Question};
use super::resolve::{self, Absence, Target};
use super::{Dispatch, MOST_MOVES};
use crate::actor::mailbox::InstanceNumber;
use crate::auth::Origin;
use crate::call::{ActorCall, CallContext, Message};
use crate::capability::provider_actor::{ProviderActor, ProviderCall};
use crate::deadline::within;
use crate::entity::{link_name, shorten};
use crate::error::{Error, ErrorKind, Result};
use crate::supervisor::snapshot::{ActorIdentity, RunningProvider, Snapshot};

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
    /// Its provider is being restarted, or its link is on its way to the restarted one.
    Restart(Absence),
    /// The authorizer takes its time.
    Authorizer(Question),
}

/// What a call has waited for so far.
#[derive(Default)]
struct Waiting {
    permit: Permit,
    /// The next change of what is absent, where it is being listened for.
    change: Option<Listening>,
}

/// Listens for the end of an absence.
struct Listening {
    absence: Absence,
    told: [Pin<Box<OwnedNotified>>; 2],
}

impl Listening {
    fn new(absence: Absence) -> Listening {
        let told = [&absence.link, &absence.provider].map(|change| {
            let mut told = Box::pin(change.clone().notified_owned());
            told.as_mut().enable();
            told
        });
        Listening { absence, told }
    }

    async fn change(self) {
        let [link, provider] = self.told;
        select(link, provider).await;
    }
}

/// A call to a provider that has been sent.
struct Sent {
    to: InstanceNumber,
    answer: Request<ProviderActor, ProviderCall>,
}

impl Sent {
    fn new(provider: &RunningProvider, call: ProviderCall) -> Sent {
        Sent { to: provider.instance, answer: provider.address.send(call) }
    }
}

impl Dispatch {
    /// A call from an actor: to another actor or, over a link, to a provider.
    pub(crate) async fn call_from_actor(
        &self,
        (origin, instance): (&ActorIdentity, InstanceNumber),
        context: CallContext,
        call: ActorCall,
    ) -> Result<Vec<u8>> {
        let ActorCall { binding, namespace, operation, message } = call;
        let (context, attendance) = context.through(&origin.key, instance);
        self.refuse_depth(&context)?;
        let message = Message { operation, payload: message };
        let mut passage = self.0.middlewares.passage();
        let way = Way { origin, namespace: &namespace, link_name: link_name(Some(&binding)) };
        let mut waiting = Waiting::default();
        let sent = loop {
            let step = {
                let snapshot = self.0.snapshot.load();
                match self.next_step(&snapshot, &way, (&waiting.permit, &context), &message.operation)? {
                    Step::Send(target) => {
                        let ends = || (origin.entity(), target.entity().clone());
                        break passage.enter(ends, message).and_then(|message| match target {
                            Target::Actor(actor) => self.deliver(message, context, actor).map(Either::Left),
                            Target::Provider(provider, _) => {
                                let call = ProviderCall { actor: origin.key.clone(), message, context };
                                Ok(Either::Right(Sent::new(provider, call)))
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
                Either::Right(sent) => self.provider_answer(&way, waiting, sent).await,
            }
        };
        let answer = answer.await;
        attendance.end();
        passage.leave(answer)
    }

    /// Waits for a provider's answer. Where the provider is being replaced after a crash, the call goes to the one in its
    /// place.
    async fn provider_answer(&self, way: &Way<'_>, mut waiting: Waiting, mut sent: Sent) -> Result<Vec<u8>> {
        let contract = way.namespace;
        for _ in 0..MOST_MOVES {
            let call = match sent.answer.await.map_err(|error| provider_is_gone(contract, &error))? {
                Ok(answer) => return answer,
                Err(call) => call,
            };
            sent = loop {
                let step = {
                    let snapshot = self.0.snapshot.load();
                    let known = (&waiting.permit, &call.context);
                    match self.next_step(&snapshot, way, known, &call.message.operation)? {
                        // It takes no more calls, and this is not known everywhere so far.
                        Step::Send(Target::Provider(provider, link)) if provider.instance == sent.to => {
                            Reason::Restart(Absence::of(provider, link))
                        }
                        Step::Send(Target::Provider(provider, _)) => break Sent::new(provider, call),
                        Step::Send(Target::Actor(_)) => return Err(provider_is_gone(contract, &MailboxError::Closed)),
                        Step::Wait(reason) => reason,
                    }
                };
                self.wait_for(step, &mut waiting, contract, call.context.deadline).await?;
            };
        }
        Err(provider_is_gone(contract, &MailboxError::Closed))
    }

    /// Where an actor's call goes now, if it may.
    fn next_step<'s>(
        &self,
        snapshot: &'s Snapshot,
        way: &Way<'_>,
        (permit, context): (&Permit, &CallContext),
        operation: &str,
    ) -> Result<Step<'s>> {
        way.origin.standing.expect_good()?;
        let name = (way.namespace, way.link_name);
        let target = resolve::target_of(snapshot, way.origin, name, context)?;
        let current = resolve::current_revision(snapshot, way.origin);
        if let Some(current) = current {
            // This one was updated while it serves a call: it may use what both revisions may.
            current.standing.expect_good()?;
            resolve::target_of(snapshot, current, name, context)?.ok();
        }
        let target = match target {
            Ok(target) => target,
            Err(absence) => return Ok(Step::Wait(Reason::Restart(absence))),
        };
        let caller = Origin::Actor(&current.unwrap_or(way.origin).claims);
        Ok(match self.0.authority.ask(permit, caller, target.entity(), operation)? {
            Some(question) => Step::Wait(Reason::Authorizer(question)),
            None => Step::Send(target),
        })
    }

    /// Waits for what keeps an actor's call from being sent.
    async fn wait_for(&self, reason: Reason, waiting: &mut Waiting, contract: &str, deadline: Instant) -> Result<()> {
        match reason {
            Reason::Restart(absence) => wait_for_change(&mut waiting.change, absence, contract, deadline).await,
            Reason::Authorizer(question) => {
                waiting.permit = self.0.authority.wait(question, deadline).await?;
                Ok(())
            }
        }
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

/// Waits until what is absent has changed, from the second time on: the first time, it only begins to listen, so that
/// whoever looks again afterwards misses nothing.
async fn wait_for_change(
    listening: &mut Option<Listening>,
    absence: Absence,
    contract: &str,
    deadline: Instant,
) -> Result<()> {
    if let Some(listening) = listening.take().filter(|listening| listening.absence.is_same(&absence)) {
        within(deadline, listening.change()).await.map_err(|_| {
            let message = format!("the provider for {:?} was not back in time after a crash", shorten(contract));
            Error::new(ErrorKind::DeadlineExceeded, message)
        })?;
    }
    *listening = Some(Listening::new(absence));
    Ok(())
}

fn provider_is_gone(contract: &str, error: &MailboxError) -> Error {
    let message = format!("the provider for {:?} was stopped before it answered: {error}", shorten(contract));
    Error::new(ErrorKind::ProviderNotFound, message)
}
