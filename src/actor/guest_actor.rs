//! An actor as it runs: an actix actor whose mailbox feeds one waPC guest, a message at a time.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix::{ActorFutureExt, AsyncContext, AtomicResponse, Context, Handler, Message, WrapFuture};
use futures_util::FutureExt;
use send_wrapper::SendWrapper;
use wapc::HostCallbackAsync;

use super::mailbox::Place;
use crate::dispatch::{ActorCall, CallContext, Dispatch};
use crate::engine::{CompiledModule, Fault, Guest};
use crate::entity::shorten;
use crate::error::{Error, ErrorKind, Result, panic_text};
use crate::limits::Limits;
use crate::supervisor::snapshot::ActorIdentity;

/// How wapc-guest and the SDKs built on it refuse an operation that has no handler.
const NO_HANDLER: &str = "No handler registered for function";

/// One message for an actor.
#[derive(Message)]
#[rtype(result = "Result<Vec<u8>>")]
pub(crate) struct Deliver {
    pub(super) operation: String,
    pub(super) message: Vec<u8>,
    pub(super) context: CallContext,
    /// Held until the message has been answered.
    pub(super) places: [Place; 2],
}

/// Ends the actor once the messages before this one have been served.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Stop;

/// The actix actor of one guest. It is made on its shard, complete, and never leaves it.
pub(crate) struct GuestActor {
    role: Rc<Role>,
    /// The instance. It is away while it serves a call, and gone when a fault has retired it: the next call gets a
    /// fresh one.
    guest: Option<Guest>,
    rest: Rest,
}

/// How near the actor is to giving its stacks back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// It has been called since somebody looked.
    Called,
    /// It was not called since, and somebody will look again.
    Waiting,
    /// Its stacks are given back, and nobody looks.
    Resting,
}

/// What an actor is while its instances come and go.
struct Role {
    identity: Arc<ActorIdentity>,
    module: CompiledModule,
    dispatch: Dispatch,
    limits: Limits,
    /// The context of the call being served, which the guest's own calls continue.
    context: Rc<RefCell<CallContext>>,
}

impl GuestActor {
    /// Instantiates the module on this thread, which must be a shard.
    ///
    /// # Errors
    /// Where the module cannot be instantiated or its start functions fail; then there is no actor.
    pub(crate) async fn make(
        identity: Arc<ActorIdentity>,
        module: CompiledModule,
        dispatch: Dispatch,
        limits: Limits,
    ) -> Result<GuestActor> {
        let context = dispatch.begin();
        let deadline = context.deadline_within(limits.call_deadline, Instant::now());
        let role = Rc::new(Role { identity, module, dispatch, limits, context: Rc::new(RefCell::new(context)) });
        let guest = role.instantiate(deadline).await.map_err(|fault| role.explain("its start", &fault))?;
        Ok(GuestActor { role, guest: Some(guest), rest: Rest::Resting })
    }

    /// Looks after a while whether the actor has been idle.
    fn look_later(&self, context: &mut Context<Self>) {
        context.run_later(self.role.limits.idle_after / 2, |actor, context| {
            actor.rest = match actor.rest {
                Rest::Called => Rest::Waiting,
                Rest::Waiting | Rest::Resting => Rest::Resting,
            };
            if actor.rest == Rest::Waiting {
                return actor.look_later(context);
            }
            if let Some(guest) = &actor.guest {
                guest.rest();
            }
        });
    }
}

impl Role {
    async fn instantiate(&self, deadline: Instant) -> Result<Guest, Fault> {
        Guest::start(&self.module, &self.identity.key, self.host_callback(), &self.limits, deadline).await
    }

    /// What waPC does with a guest's call: dispatch it as part of the call that the guest serves.
    fn host_callback(&self) -> Box<HostCallbackAsync> {
        let (dispatch, identity) = (self.dispatch.clone(), self.identity.clone());
        let context = SendWrapper::new(self.context.clone());
        Box::new(move |_, binding, namespace, operation, message| {
            let (dispatch, identity) = (dispatch.clone(), identity.clone());
            let context = context.borrow().clone();
            Box::pin(async move {
                let call = ActorCall { binding, namespace, operation, message };
                Ok(dispatch.call_from_actor(&identity, context, call).await?)
            })
        })
    }

    /// Serves one message, and gives back the instance that can serve the next.
    async fn serve(&self, guest: Option<Guest>, call: Deliver) -> (Option<Guest>, Result<Vec<u8>>) {
        let Deliver { operation, message, context, places } = call;
        let now = Instant::now();
        let deadline = context.deadline_within(self.limits.call_deadline, now);
        if now >= deadline {
            return (guest, Err(self.explain(&operation, &Fault::Deadline)));
        }
        self.context.replace(context.until(deadline));
        let entered = AssertUnwindSafe(self.enter(guest, &operation, &message, deadline)).catch_unwind().await;
        drop(places);
        let (guest, fault) = match entered {
            Ok((guest, Ok(answer))) => return (guest, Ok(answer)),
            Ok((guest, Err(fault))) => (guest, fault),
            Err(panic) => (None, Fault::Panicked(panic_text(&*panic))),
        };
        if guest.is_none() {
            log::warn!("{} lost its instance in {:?}: {fault}", self.identity, shorten(&operation));
        }
        // A guest whose own call ran out of time may fail for that before the host ends it: it is the same to the
        // caller.
        let fault = if Instant::now() >= deadline { Fault::Deadline } else { fault };
        (guest, Err(self.explain(&operation, &fault)))
    }

    /// Calls the instance, or a fresh one where there is none. The instance comes back unless it was retired.
    async fn enter(
        &self,
        guest: Option<Guest>,
        operation: &str,
        message: &[u8],
        deadline: Instant,
    ) -> (Option<Guest>, Result<Vec<u8>, Fault>) {
        let guest = match guest {
            Some(guest) => guest,
            None => {
                // A guest that loses one instance after the other must not keep its shard busy with that.
                tokio::task::yield_now().await;
                match self.instantiate(deadline).await {
                    Ok(guest) => guest,
                    Err(fault) => return (None, Err(fault)),
                }
            }
        };
        match guest.call(operation, message, deadline).await {
            Err(fault) if !fault.leaves_instance_usable() => (None, Err(fault)),
            answer => (Some(guest), answer),
        }
    }

    /// A fault as an error that names the actor and the operation.
    fn explain(&self, operation: &str, fault: &Fault) -> Error {
        let kind = match fault {
            Fault::Failed(reason) if reason.starts_with(NO_HANDLER) => ErrorKind::UnknownOperation,
            Fault::Failed(_) => ErrorKind::ActorFailed,
            Fault::Trapped(_) => ErrorKind::ActorTrapped,
            Fault::StackExhausted { .. } => ErrorKind::StackExhausted,
            Fault::Protocol(_) => ErrorKind::ProtocolViolation,
            Fault::TooLarge { .. } => ErrorKind::MessageTooLarge,
            Fault::Instantiation(_) => ErrorKind::InvalidModule,
            Fault::NoRoom(_) => ErrorKind::Busy,
            Fault::Deadline => ErrorKind::DeadlineExceeded,
            Fault::Panicked(_) => ErrorKind::Internal,
        };
        Error::new(kind, format!("{}, in {:?}, {fault}", self.identity, shorten(operation)))
    }
}

impl actix::Actor for GuestActor {
    type Context = Context<Self>;
}

impl Handler<Deliver> for GuestActor {
    type Result = AtomicResponse<Self, Result<Vec<u8>>>;

    fn handle(&mut self, call: Deliver, context: &mut Self::Context) -> Self::Result {
        if std::mem::replace(&mut self.rest, Rest::Called) == Rest::Resting {
            self.look_later(context);
        }
        let (role, guest) = (self.role.clone(), self.guest.take());
        let served = async move { role.serve(guest, call).await };
        AtomicResponse::new(Box::pin(served.into_actor(self).map(|(guest, answer), actor, _| {
            actor.guest = guest;
            answer
        })))
    }
}

impl Handler<Stop> for GuestActor {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        actix::ActorContext::stop(context);
    }
}
