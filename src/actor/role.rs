//! What an actor is while its instances come and go, and how an instance serves a message.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, poll_fn};

use super::guest_actor::Deliver;
use super::mailbox::{InstanceNumber, Place};
use crate::call::CallContext;
use crate::dispatch::Dispatch;
use crate::engine::{CompiledModule, Fault, Guest, HostCalls, REQUEST, Setting};
use crate::entity::shorten;
use crate::error::{Error, ErrorKind, Result, panic_text};
use crate::limits::Limits;
use crate::supervisor::snapshot::ActorIdentity;

/// How wapc-guest and the SDKs built on it refuse an operation that has no handler.
const NO_HANDLER: &str = "No handler registered for function";

/// What an instance of an actor is made of, however often it is replaced.
pub(crate) struct Role {
    pub(crate) identity: Arc<ActorIdentity>,
    pub(crate) number: InstanceNumber,
    pub(crate) module: CompiledModule,
    pub(crate) dispatch: Dispatch,
    pub(crate) limits: Limits,
    /// Set when the actor is to end, whatever it is at.
    pub(crate) ended: Arc<AtomicBool>,
}

/// The instance that can serve the next message, if it is not retired, and the answer to the last one.
pub(super) type Done = (Option<Guest>, Result<Vec<u8>>);

/// How far the serving of a message has come at once.
pub(super) enum Served {
    /// The guest has answered without waiting for anything.
    Now(Done),
    /// The guest is at it.
    Later(LocalBoxFuture<'static, Done>),
}

impl Role {
    /// The instance that an actor starts with.
    pub(super) async fn first_instance(&self) -> Result<Guest> {
        let context = self.in_time(self.dispatch.begin(), Instant::now());
        self.instantiate(context).await.map_err(|fault| self.explain("its start", &fault))
    }

    /// Has an instance serve a message: the one that is there, or a fresh one where the last one is gone.
    ///
    /// A guest that computes without waiting for anything has answered when this returns.
    pub(super) fn serve(self: &Rc<Self>, guest: Option<Guest>, call: Deliver) -> Served {
        let Deliver { operation, message, context, places } = call;
        let now = Instant::now();
        let context = self.in_time(context, now);
        if let Some(fault) = self.refusal(&operation, &message, now, &context) {
            return Served::Now((guest, Err(self.explain(&operation, &fault))));
        }
        let Some(mut guest) = guest else {
            return Served::Later(Box::pin(self.clone().renew(operation, message, context, places)));
        };
        let deadline = context.deadline;
        guest.begin(operation, message, context);
        // If it has to wait, its actor polls it again at once, to be woken.
        match step(&mut guest, &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Served::Now(self.conclude(guest, answer, deadline)),
            Poll::Pending => Served::Later(Box::pin(self.clone().go_on(guest, deadline, places))),
        }
    }

    /// The context of a call that the actor takes now.
    fn in_time(&self, context: CallContext, now: Instant) -> CallContext {
        let deadline = context.deadline_within(self.limits.call_deadline, now);
        context.until(deadline)
    }

    /// Why the guest is not even entered, if it is not.
    fn refusal(&self, operation: &str, message: &[u8], now: Instant, context: &CallContext) -> Option<Fault> {
        let (bytes, limit) = (operation.len().max(message.len()), self.limits.message_bytes);
        if bytes > limit {
            return Some(Fault::TooLarge { what: REQUEST, bytes, limit });
        }
        (now >= context.deadline).then_some(Fault::Deadline)
    }

    /// Serves a message with a fresh instance.
    async fn renew(
        self: Rc<Self>,
        operation: String,
        message: Vec<u8>,
        context: CallContext,
        places: [Place; 2],
    ) -> Done {
        // A guest that loses one instance after the other must not keep its shard busy with that.
        tokio::task::yield_now().await;
        let made = AssertUnwindSafe(self.instantiate(context.clone())).catch_unwind().await;
        match made.unwrap_or_else(|panic| Err(Fault::Panicked(panic_text(&*panic)))) {
            Ok(guest) => {
                let deadline = context.deadline;
                guest.begin(operation, message, context);
                self.go_on(guest, deadline, places).await
            }
            Err(fault) => {
                log::warn!("{} got no new instance for {:?}: {fault}", self.identity, shorten(&operation));
                (None, Err(self.explain(&operation, &fault)))
            }
        }
    }

    /// Has the guest go on with its call until it has answered, or its time is up.
    async fn go_on(self: Rc<Self>, mut guest: Guest, deadline: Instant, places: [Place; 2]) -> Done {
        let answered = poll_fn(|context| step(&mut guest, context));
        let answer = tokio::time::timeout_at(deadline.into(), answered).await.unwrap_or(Err(Fault::Deadline));
        drop(places);
        self.conclude(guest, answer, deadline)
    }

    /// Keeps or retires the instance, and puts what went wrong in words.
    fn conclude(&self, guest: Guest, answer: Result<Vec<u8>, Fault>, deadline: Instant) -> Done {
        let fault = match answer {
            Ok(answer) => return (Some(guest), Ok(answer)),
            Err(fault) => fault,
        };
        let operation = guest.operation();
        let guest = fault.leaves_instance_usable().then_some(guest);
        if guest.is_none() {
            log::warn!("{} lost its instance in {:?}: {fault}", self.identity, shorten(&operation));
        }
        // A guest whose own call ran out of time may fail for that before the host ends it: it is the same to the
        // caller.
        let fault = if Instant::now() >= deadline { Fault::Deadline } else { fault };
        (guest, Err(self.explain(&operation, &fault)))
    }

    async fn instantiate(&self, context: CallContext) -> Result<Guest, Fault> {
        let setting = Setting {
            actor: &self.identity.key,
            host: self.host_calls(),
            ended: self.ended.clone(),
            limits: &self.limits,
        };
        Guest::start(&self.module, setting, context).await
    }

    /// What becomes of a guest's calls: they are dispatched, as part of the call that the guest serves.
    fn host_calls(&self) -> HostCalls {
        let (dispatch, identity, number) = (self.dispatch.clone(), self.identity.clone(), self.number);
        Box::new(move |context, call| {
            let (dispatch, identity) = (dispatch.clone(), identity.clone());
            Box::pin(async move { dispatch.call_from_actor((&identity, number), context, call).await })
        })
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
            Fault::GivenUp => ErrorKind::CallerGone,
            Fault::Ended => ErrorKind::ActorStopped,
            Fault::Panicked(_) => ErrorKind::Internal,
        };
        Error::new(kind, format!("{}, in {:?}, {fault}", self.identity, shorten(operation)))
    }
}

/// Has a guest go on with its call. A panic of the engine is a fault of this call.
fn step(guest: &mut Guest, context: &mut Context<'_>) -> Poll<Result<Vec<u8>, Fault>> {
    catch_unwind(AssertUnwindSafe(|| guest.poll_answer(context)))
        .unwrap_or_else(|panic| Poll::Ready(Err(Fault::Panicked(panic_text(&*panic)))))
}
