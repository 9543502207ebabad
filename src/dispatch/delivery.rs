//! The delivery of requests to the instances of actors, and the wait for their answers.

use std::sync::Arc;

use actix::MailboxError;
use wasmcloud_core::call::{CallContext, Request};
use wasmcloud_core::entity::shorten;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::instances::Unavailable;
use super::mailbox::Delivery;
use super::snapshot::RunningActor;
use super::unserved::Unserved;
use super::{Dispatch, MOST_MOVES, resolve};

/// A request that has been sent to an instance of an actor.
pub(super) struct SentRequest {
    actor: Arc<str>,
    delivery: Delivery,
}

impl Dispatch {
    /// Sends a request to the instance of an actor that is expected to serve it first.
    ///
    /// # Errors
    /// `Busy`; `CallCycle` if all instances wait for this very call.
    pub(super) fn deliver(&self, request: Request, context: CallContext, target: &RunningActor) -> Result<SentRequest> {
        let key = &target.identity.key;
        let reserved = target.instances.reserve(|instance| !context.is_awaited_by_actor(key, instance));
        let delivery = match reserved {
            Ok(reservation) => {
                let actor = reservation.mailbox().actor().clone();
                let sent = reservation.send(request, context);
                sent.inspect_err(|refusal| target.instruments.count_unserved(None, refusal.kind()))
                    .map(|delivery| SentRequest { actor, delivery })
            }
            Err(why) => {
                let refusal = unavailable(target, &context, why);
                target.instruments.count_unserved(Some(&request.operation), refusal.kind());
                Err(refusal)
            }
        };
        delivery.inspect_err(|refusal| {
            if refusal.kind() == ErrorKind::Busy {
                self.0.events.emit_breach(key, || Some(target.identity.name.clone()), refusal);
            }
        })
    }

    /// Waits for an actor's answer. If an update or a scaling replaced the actor's instances during the delivery, the request
    /// goes to the new instances.
    pub(super) async fn await_answer(&self, sent: Result<SentRequest>) -> Result<Vec<u8>> {
        let SentRequest { actor: key, mut delivery } = sent?;
        let mut moves = 0;
        let answer = loop {
            match delivery {
                Delivery::Sent(answer) => {
                    break answer.await.unwrap_or_else(|error| Err(self.count_gone(&key, &error)));
                }
                Delivery::Closed(..) if moves == MOST_MOVES => break Err(self.count_gone(&key, &MailboxError::Closed)),
                Delivery::Closed(request, context) => {
                    moves += 1;
                    tokio::task::yield_now().await;
                    let snapshot = self.0.snapshot.load();
                    let actor = resolve::running_actor(&snapshot, &key).inspect_err(|refusal| {
                        self.count_unserved(Unserved::to_actor(&key, Some(&request.operation)), refusal);
                    })?;
                    delivery = self.deliver(request, context, actor)?.delivery;
                }
            }
        };
        if let Err(error) = &answer
            && is_limit(error.kind())
        {
            let name = || self.0.snapshot.load().actors.get(&key).map(|actor| actor.identity.name.clone());
            self.0.events.emit_breach(&key, name, error);
        }
        answer
    }

    /// Counts a call whose mailbox was closed before its answer. Returns its error.
    #[cold]
    fn count_gone(&self, key: &str, error: &MailboxError) -> Error {
        let error = actor_is_gone(key, error);
        self.count_unserved(Unserved::to_actor(key, None), &error);
        error
    }
}

/// Returns the error of a call that no instance of its target takes.
fn unavailable(target: &RunningActor, context: &CallContext, why: Unavailable) -> Error {
    let identity = &target.identity;
    match why {
        Unavailable::NoneEligible => {
            let path = context.cycle_through(&identity.key).unwrap_or_default();
            Error::new(ErrorKind::CallCycle, format!("{identity} waits for this call already: {path}"))
        }
        Unavailable::AllFull => {
            let limit = target.instances.mailbox_length();
            let message = format!("{identity} is busy: all its mailboxes are full, each with {limit} calls");
            Error::new(ErrorKind::Busy, message)
        }
    }
}

/// Returns whether an error of this kind is a breach of a limit.
fn is_limit(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::DeadlineExceeded | ErrorKind::MessageTooLarge | ErrorKind::StackExhausted)
}

/// Returns the error of a call whose mailbox was closed between its resolution and its answer.
fn actor_is_gone(name: &str, error: &MailboxError) -> Error {
    let message = format!("actor {:?} was stopped before it answered: {error}", shorten(name));
    Error::new(ErrorKind::ActorStopped, message)
}
