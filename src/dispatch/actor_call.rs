//! Calls of actors to other actors and, over links, to providers. A call may have to wait for its provider.

use std::pin::Pin;
use std::time::Instant;

use actix::MailboxError;
use actix::dev::RecipientRequest;
use futures_util::future::{Either, select};
use tokio::sync::futures::OwnedNotified;
use wasmcloud_core::call::{CallContext, GuestCall, Request};
use wasmcloud_core::deadline::within;
use wasmcloud_core::entity::{link_name, shorten};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::identity::InstanceNumber;

use super::authority::{Approval, PendingDecision};
use super::provider_mailbox::ProviderCall;
use super::resolve::{self, Absence, Name, Target};
use super::snapshot::{RunningProvider, Snapshot};
use super::unserved::Unserved;
use super::{CallingActor, Dispatch, MOST_MOVES};
use crate::authorizer::Origin;
use crate::identity::ActorIdentity;
use crate::middleware::chain::Participants;
use crate::spans;

/// The inputs to the resolution of an actor's call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lookup<'a> {
    pub(super) origin: &'a ActorIdentity,
    pub(super) name: Name<'a>,
}

impl<'a> Lookup<'a> {
    /// Returns the call as one that is not served.
    pub(super) fn unserved(&self, operation: Option<&'a str>) -> Unserved<'a> {
        Unserved { origin: Some(&self.origin.key), name: self.name, operation }
    }
}

/// The next step of an actor's call.
enum Step<'a> {
    Send(Target<'a>),
    Wait(Reason),
}

/// Why an actor's call has to wait before it is sent.
enum Reason {
    /// Its provider is being restarted, or its link is on its way to the restarted one.
    Restart(Absence),
    /// The authorizer has not decided yet.
    Authorizer(PendingDecision),
}

/// A call that this host refuses to send to what runs on it.
pub(super) struct Refused {
    pub(super) refusal: Error,
    pub(super) request: Request,
}

/// The results of a call's waits so far.
#[derive(Default)]
struct WaitState {
    approval: Approval,
    /// Listens for the end of an absence, if there is one.
    change: Option<AbsenceListener>,
}

/// Listens for the end of an absence.
struct AbsenceListener {
    absence: Absence,
    changes: [Pin<Box<OwnedNotified>>; 2],
}

impl AbsenceListener {
    fn new(absence: Absence) -> AbsenceListener {
        let changes = [&absence.link, &absence.provider].map(|change| {
            let mut changed = Box::pin(change.clone().notified_owned());
            changed.as_mut().enable();
            changed
        });
        AbsenceListener { absence, changes }
    }

    async fn changed(self) {
        let [link, provider] = self.changes;
        select(link, provider).await;
    }
}

/// A call that has been sent to an instance of a provider.
struct SentCall {
    to: InstanceNumber,
    answer: Pin<Box<RecipientRequest<ProviderCall>>>,
}

impl SentCall {
    fn new(provider: &RunningProvider, call: ProviderCall) -> SentCall {
        SentCall { to: provider.instance, answer: Box::pin(provider.mailbox.call(call)) }
    }
}

/// Why no instance of a provider has answered a call.
struct Unanswered {
    error: Error,
    /// The operation of the call, if it is known.
    operation: Option<String>,
}

impl From<Error> for Unanswered {
    fn from(error: Error) -> Unanswered {
        Unanswered { error, operation: None }
    }
}

impl Dispatch {
    /// Calls another actor or, over a link, a provider for an actor.
    pub(crate) async fn call_from_actor(
        &self,
        origin: CallingActor<'_>,
        context: CallContext,
        call: GuestCall,
    ) -> Result<Vec<u8>> {
        let GuestCall { binding, namespace, operation, payload } = call;
        let (context, guard) = context.through_actor(&origin.identity.key, origin.instance);
        let entity = &origin.identity.entity;
        let (context, span) = spans::call(self.tracing(), context, entity, &namespace, &operation);
        let request = Request { operation, payload };
        let name = Name { namespace: &namespace, link_name: link_name(Some(&binding)) };
        let answer = self.send_from_actor(&Lookup { origin: origin.identity, name }, request, context).await;
        guard.disarm();
        span.end(&answer);
        answer
    }

    async fn send_from_actor(&self, lookup: &Lookup<'_>, request: Request, context: CallContext) -> Result<Vec<u8>> {
        self.expect_chain_depth(&context)
            .inspect_err(|refusal| self.count_unserved(lookup.unserved(Some(&request.operation)), refusal))?;
        match self.call_here_from_actor(lookup, request, &context).await {
            Ok(answer) => answer,
            Err(Refused { refusal, request }) => {
                self.call_elsewhere_from_actor(lookup, refusal, request, context).await
            }
        }
    }

    /// Calls what an actor names, if it runs on this host. The actor may run on another one.
    ///
    /// # Errors
    /// The call has not been sent, and is not counted yet.
    pub(super) async fn call_here_from_actor(
        &self,
        lookup: &Lookup<'_>,
        request: Request,
        context: &CallContext,
    ) -> Result<Result<Vec<u8>>, Refused> {
        let mut middlewares = self.0.middlewares.begin_call();
        let mut waiting = WaitState::default();
        let mut sent = loop {
            let step = {
                let snapshot = self.0.snapshot.load();
                match self.next_step(&snapshot, lookup, &waiting.approval, context, &request.operation) {
                    Ok(Step::Send(target)) => {
                        let participants =
                            || Participants { origin: lookup.origin.entity.clone(), target: target.entity().clone() };
                        let context = context.clone();
                        let entered = middlewares
                            .enter(participants, request)
                            .inspect_err(|refusal| target.instruments().count_unserved(None, refusal.kind()));
                        break entered.and_then(|request| match target {
                            Target::Actor(actor) => self.deliver(request, context, actor).map(Either::Left),
                            Target::Provider(provider, _) => {
                                let call = ProviderCall { actor: lookup.origin.key.clone(), request, context };
                                Ok(Either::Right(SentCall::new(provider, call)))
                            }
                        });
                    }
                    Ok(Step::Wait(reason)) => reason,
                    Err(refusal) => return Err(Refused { refusal, request }),
                }
            };
            let waited = Box::pin(self.wait_for(step, &mut waiting, lookup.name.namespace, context.deadline)).await;
            if let Err(refusal) = waited {
                self.count_unserved(lookup.unserved(Some(&request.operation)), &refusal);
                return Ok(Err(refusal));
            }
        };
        let answer = match sent {
            Ok(Either::Left(sent)) => self.await_answer(Ok(sent)).await,
            Ok(Either::Right(ref mut sent)) => self.await_provider(lookup, &mut waiting, sent).await,
            Err(error) => Err(error),
        };
        Ok(middlewares.leave(answer))
    }

    /// Waits for a provider's answer, and counts the call if there is none.
    async fn await_provider(
        &self,
        lookup: &Lookup<'_>,
        waiting: &mut WaitState,
        sent: &mut SentCall,
    ) -> Result<Vec<u8>> {
        self.await_provider_answer(lookup, waiting, sent).await.unwrap_or_else(|Unanswered { error, operation }| {
            self.count_unserved(lookup.unserved(operation.as_deref()), &error);
            Err(error)
        })
    }

    /// Waits for a provider's answer. If the provider is being restarted after a crash, the call goes to its next instance.
    ///
    /// # Errors
    /// No instance has answered the call or counted it.
    async fn await_provider_answer(
        &self,
        lookup: &Lookup<'_>,
        waiting: &mut WaitState,
        sent: &mut SentCall,
    ) -> Result<Result<Vec<u8>>, Unanswered> {
        let contract = lookup.name.namespace;
        for _ in 0..MOST_MOVES {
            let call = match (&mut sent.answer).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(call)) => call,
                Err(gone) => return Err(provider_is_gone(contract, &gone).into()),
            };
            *sent = self.send_to_next(lookup, waiting, sent.to, call).await?;
        }
        Err(provider_is_gone(contract, &MailboxError::Closed).into())
    }

    /// Sends a call to the instance of a provider that follows one which has returned it.
    async fn send_to_next(
        &self,
        lookup: &Lookup<'_>,
        waiting: &mut WaitState,
        last: InstanceNumber,
        call: ProviderCall,
    ) -> Result<SentCall, Unanswered> {
        let contract = lookup.name.namespace;
        let ProviderCall { request: Request { operation, .. }, context, .. } = &call;
        let failed = |error| Unanswered { error, operation: Some(operation.clone()) };
        loop {
            let step = {
                let snapshot = self.0.snapshot.load();
                let step = self.next_step(&snapshot, lookup, &waiting.approval, context, operation).map_err(failed)?;
                match step {
                    // It accepts no more calls, and the snapshot does not show that yet.
                    Step::Send(Target::Provider(provider, link)) if provider.instance == last => {
                        Reason::Restart(Absence::of(provider, link))
                    }
                    Step::Send(Target::Provider(provider, _)) => return Ok(SentCall::new(provider, call)),
                    Step::Send(Target::Actor(_)) => {
                        return Err(failed(provider_is_gone(contract, &MailboxError::Closed)));
                    }
                    Step::Wait(reason) => reason,
                }
            };
            Box::pin(self.wait_for(step, waiting, contract, context.deadline)).await.map_err(failed)?;
        }
    }

    /// Returns the target of an actor's call, or the reason why the call has to wait.
    fn next_step<'s>(
        &self,
        snapshot: &'s Snapshot,
        lookup: &Lookup<'_>,
        approval: &Approval,
        context: &CallContext,
        operation: &str,
    ) -> Result<Step<'s>> {
        let &Lookup { origin, name } = lookup;
        origin.trust.expect_trusted()?;
        let target = resolve::target_of(snapshot, origin, name, context)?;
        let current = resolve::current_revision(snapshot, origin);
        if let Some(current) = current {
            // The actor was updated while this revision serves a call. It may use what both revisions may use.
            current.trust.expect_trusted()?;
            resolve::target_of(snapshot, current, name, context)?.ok();
        }
        let target = match target {
            Ok(target) => target,
            Err(absence) => return Ok(Step::Wait(Reason::Restart(absence))),
        };
        let caller = Origin::Actor(&current.unwrap_or(origin).claims);
        Ok(match self.0.authority.decide_call(approval, caller, target.entity(), operation)? {
            Some(decision) => Step::Wait(Reason::Authorizer(decision)),
            None => Step::Send(target),
        })
    }

    /// Waits until the reason for a wait has ended.
    async fn wait_for(&self, reason: Reason, waiting: &mut WaitState, contract: &str, deadline: Instant) -> Result<()> {
        match reason {
            Reason::Restart(absence) => wait_for_change(&mut waiting.change, absence, contract, deadline).await,
            Reason::Authorizer(decision) => {
                waiting.approval = self.0.authority.wait(decision, deadline).await?;
                Ok(())
            }
        }
    }

    /// Checks the number of actors that a call has passed through.
    ///
    /// # Errors
    /// `ChainTooDeep`.
    fn expect_chain_depth(&self, context: &CallContext) -> Result<()> {
        let limit = self.0.limits.chain_depth;
        if context.depth() <= limit {
            return Ok(());
        }
        let message = format!("the call has passed through {} actors: the limit is {limit}", context.depth());
        Err(Error::new(ErrorKind::ChainTooDeep, message))
    }
}

/// Begins to listen for the end of an absence at the first call, and waits for it from the second call on. A caller that
/// reads the snapshot in between misses no change.
async fn wait_for_change(
    listener: &mut Option<AbsenceListener>,
    absence: Absence,
    contract: &str,
    deadline: Instant,
) -> Result<()> {
    if let Some(listener) = listener.take().filter(|listener| listener.absence.is_same(&absence)) {
        within(deadline, listener.changed()).await.map_err(|_| {
            let message = format!("the provider for {:?} was not restarted in time after a crash", shorten(contract));
            Error::new(ErrorKind::DeadlineExceeded, message)
        })?;
    }
    *listener = Some(AbsenceListener::new(absence));
    Ok(())
}

fn provider_is_gone(contract: &str, error: &MailboxError) -> Error {
    let message = format!("the provider for {:?} was stopped before it answered: {error}", shorten(contract));
    Error::new(ErrorKind::ProviderNotFound, message)
}
