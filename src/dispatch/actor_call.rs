//! An actor's call: to another actor or, over a link, to a provider, which it may have to wait for.

use std::pin::Pin;
use std::time::Instant;

use actix::MailboxError;
use actix::prelude::Request;
use futures_util::future::Either;
use tokio::sync::futures::Notified;

use super::authority::{Permit, Question};
use super::resolve::{self, Target};
use super::{Dispatch, MOST_MOVES};
use crate::actor::mailbox::InstanceNumber;
use crate::auth::Origin;
use crate::call::{ActorCall, CallContext, Message};
use crate::capability::provider_actor::{ProviderActor, ProviderCall};
use crate::deadline::within;
use crate::entity::{link_name, shorten};
use crate::error::{Error, ErrorKind, Result};
use crate::supervisor::snapshot::{ActorIdentity, Snapshot};

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
        let answer = answer.await;
        attendance.end();
        passage.leave(answer)
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
        let target = resolve::target_of(snapshot, way.origin, way.namespace, way.link_name)?;
        let current = resolve::current_revision(snapshot, way.origin);
        if let Some(current) = current {
            // This one was updated while it serves a call: it may use what both revisions may.
            current.standing.expect_good()?;
            resolve::target_of(snapshot, current, way.namespace, way.link_name)?;
        }
        let Some(target) = target else { return Ok(Step::Wait(Reason::Restart)) };
        let caller = Origin::Actor(&current.unwrap_or(way.origin).claims);
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

fn provider_is_gone(contract: &str, error: &MailboxError) -> Error {
    let message = format!("the provider for {:?} was stopped before it answered: {error}", shorten(contract));
    Error::new(ErrorKind::ProviderNotFound, message)
}
