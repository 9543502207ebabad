//! What an actor is while its instances come and go, and how an instance serves a message.
//! How instances are made, and replaced, is in `recovery`.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use actix::WeakAddr;
use futures_util::future::{Either, LocalBoxFuture, poll_fn, select};

use super::clock::Clock;
use super::guest_actor::Deliver;
use super::mailbox::InstanceNumber;
use super::pace::Pace;
use super::room::Place;
use super::unknown_operation::is_refusal_of;
use crate::call::{CallContext, Message};
use crate::dispatch::Dispatch;
use crate::ending::Ending;
use crate::engine::{CompiledModule, Fault, Guest, REQUEST};
use crate::entity::shorten;
use crate::error::{Error, ErrorKind, Result, panic_text};
use crate::limits::Limits;
use crate::shard::Efforts;
use crate::supervisor::Supervisor;
use crate::supervisor::snapshot::ActorIdentity;

/// What an instance of an actor is made of, however often it is replaced.
pub(crate) struct Role {
    pub(crate) identity: Arc<ActorIdentity>,
    pub(crate) number: InstanceNumber,
    pub(crate) module: CompiledModule,
    pub(crate) dispatch: Dispatch,
    pub(crate) limits: Limits,
    pub(crate) ending: Arc<Ending>,
    pub(crate) pace: Pace,
    /// What the guest does with the time of the call that it serves.
    pub(crate) clock: Clock,
    /// How often it has crashed since it last answered.
    pub(crate) crashes_in_a_row: Cell<u32>,
    /// How many messages it has to answer until it is trusted not to crash: none, before it has crashed.
    pub(crate) probation: Cell<u32>,
    /// The turns to replace an instance, or to enter one that rests, on this shard.
    pub(crate) efforts: Efforts,
    /// Who decides about crashes.
    pub(crate) supervisor: WeakAddr<Supervisor>,
}

/// How many messages an actor that has crashed answers before it is trusted again.
const PROBATION: u32 = 16;

/// The instance that can serve the next message, or how it was lost, and the answer to the last one.
pub(crate) type Done = (Result<Guest, Loss>, Result<Vec<u8>>);

/// How an instance was lost.
pub(crate) enum Loss {
    /// It crashed: how, and what is left of it, which takes its time to be freed.
    Crash(String, Option<Box<Guest>>),
    /// Its call's time was up, which is not its fault: why, and what is left of it.
    Interrupted(String, Box<Guest>),
    /// It was ended, which is not its fault.
    Ended,
    /// It could not be made.
    Down(Down),
}

/// Why an actor has no instance.
#[derive(Debug)]
pub(crate) enum Down {
    /// It is not replaced any more, for this reason.
    GivenUp(String),
    /// It could not be made, which is not its fault: it is tried again with the next message, or after a while.
    Interrupted,
}

/// How far the serving of a message has come at once.
pub(super) enum Served {
    /// The guest has answered without waiting for anything.
    Now(Done),
    /// The guest is at it.
    Later(LocalBoxFuture<'static, Done>),
    /// The message was lost on its way to the guest, and this is what comes of that.
    #[cfg(feature = "experiments")]
    Lost(Guest, LocalBoxFuture<'static, Result<Vec<u8>>>),
}

impl Role {
    /// Has an instance serve a message. If it computes without waiting for anything, it has answered when this returns.
    pub(super) fn serve(self: &Rc<Self>, mut guest: Guest, call: Deliver) -> Served {
        let Deliver { message, context, places } = call;
        let Message { operation, payload } = message;
        let now = Instant::now();
        let context = self.in_time(context, now);
        if let Some(fault) = self.refusal(&operation, &payload, now, &context) {
            return Served::Now((Ok(guest), Err(self.explain(&operation, &fault))));
        }
        let deadline = context.deadline;
        let timed = self.pace.begin(now);
        // A health check has all of its time before it.
        let most = if places.is_some() { Duration::MAX } else { deadline.saturating_duration_since(now) };
        self.clock.begin(now, deadline, self.allotted().min(most));
        // A health check takes no places, and is no call to experiment with.
        #[cfg(feature = "experiments")]
        if let Some(fault) = places.is_some().then(|| self.next_disturbance()).flatten() {
            let call = Deliver { message: Message { operation, payload }, context, places };
            return self.serve_disturbed(guest, call, fault);
        }
        guest.begin(operation, payload, context, now);
        // If it has to wait, its actor polls it again at once, to be woken.
        match self.step(&mut guest, &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => {
                self.pace.end(timed);
                Served::Now(self.conclude(guest, answer, deadline))
            }
            Poll::Pending => {
                let role = self.clone();
                Served::Later(Box::pin(async move {
                    let done = role.clone().go_on(guest, deadline, places).await;
                    role.pace.end(timed);
                    done
                }))
            }
        }
    }

    /// Whether to have this guest serve a message may well be an effort: to enter it, or to end it when it traps.
    pub(super) fn is_effort(&self, guest: &Guest) -> bool {
        !guest.is_entered() || self.probation.get() > 0
    }

    /// Why an actor without an instance serves nothing.
    pub(super) fn is_down(&self, reason: &str) -> Error {
        if self.ending.is_ended() {
            return Error::new(ErrorKind::ActorStopped, format!("{} was stopped", self.identity));
        }
        failed(&self.identity, reason)
    }

    /// How long the guest may take for a call that reaches it at once.
    pub(super) fn allotted(&self) -> Duration {
        self.limits.call_deadline.min(self.dispatch.limits().call_deadline)
    }

    /// The context of a call that the actor takes now.
    pub(super) fn in_time(&self, context: CallContext, now: Instant) -> CallContext {
        let deadline = context.deadline_within(self.limits.call_deadline, now);
        context.until(deadline)
    }

    /// Why the guest is not even entered, if it is not.
    pub(super) fn refusal(
        &self,
        operation: &str,
        message: &[u8],
        now: Instant,
        context: &CallContext,
    ) -> Option<Fault> {
        let (bytes, limit) = (operation.len().max(message.len()), self.limits.message_bytes);
        if bytes > limit {
            return Some(Fault::TooLarge { what: REQUEST, bytes, limit });
        }
        if self.ending.is_ended() {
            return Some(Fault::Ended);
        }
        (now >= context.deadline).then_some(Fault::Deadline)
    }

    /// Has the guest go on with its call until it has answered, or its time is up.
    pub(super) async fn go_on(self: Rc<Self>, mut guest: Guest, deadline: Instant, places: Option<[Place; 2]>) -> Done {
        let answer = {
            let answered = pin!(poll_fn(|context| {
                self.clock.resume();
                self.step(&mut guest, context)
            }));
            let ended = pin!(self.ending.ended());
            match tokio::time::timeout_at(deadline.into(), select(answered, ended)).await {
                Ok(Either::Left((answer, _))) => answer,
                Ok(Either::Right(_)) => Err(Fault::Ended),
                Err(_) => Err(Fault::Deadline),
            }
        };
        drop(places);
        self.conclude(guest, answer, deadline)
    }

    /// Has a guest go on with its call. A panic of the engine is a fault of this call.
    fn step(&self, guest: &mut Guest, context: &mut Context<'_>) -> Poll<Result<Vec<u8>, Fault>> {
        let polled = catch_unwind(AssertUnwindSafe(|| guest.poll_answer(context)))
            .unwrap_or_else(|panic| Poll::Ready(Err(Fault::Panicked(panic_text(&*panic)))));
        if !matches!(polled, Poll::Ready(Ok(_))) {
            self.clock.pause();
        }
        polled
    }

    /// Keeps or retires the instance, and puts what went wrong in words.
    pub(super) fn conclude(&self, guest: Guest, answer: Result<Vec<u8>, Fault>, deadline: Instant) -> Done {
        let fault = match answer {
            Ok(answer) => {
                self.crashes_in_a_row.set(0);
                self.probation.set(self.probation.get().saturating_sub(1));
                return (Ok(guest), Ok(answer));
            }
            Err(fault) => fault,
        };
        let operation = guest.operation();
        let guest = if fault.leaves_instance_usable() {
            self.crashes_in_a_row.set(0);
            Ok(guest)
        } else if !fault.is_crash() {
            Err(Loss::Ended)
        } else if let Some(excuse) = self.clock.excuse(&fault) {
            Err(Loss::Interrupted(format!("in {:?}, {excuse}", shorten(&operation)), Box::new(guest)))
        } else {
            self.probation.set(PROBATION);
            Err(Loss::Crash(format!("in {:?}, it {fault}", shorten(&operation)), Some(Box::new(guest))))
        };
        // A guest whose own call ran out of time may fail for that before the host ends it: it is the same to the
        // caller.
        let fault = if Instant::now() >= deadline { Fault::Deadline } else { fault };
        (guest, Err(self.explain(&operation, &fault)))
    }

    /// A fault as an error that names the actor and the operation.
    pub(super) fn explain(&self, operation: &str, fault: &Fault) -> Error {
        let kind = match fault {
            Fault::Failed(reason) if is_refusal_of(operation, reason) => ErrorKind::UnknownOperation,
            Fault::Failed(_) => ErrorKind::ActorFailed,
            Fault::Trapped { .. } => ErrorKind::ActorTrapped,
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

/// The error of whoever calls an actor that is not restarted any more.
pub(crate) fn failed(identity: &ActorIdentity, reason: &str) -> Error {
    Error::new(ErrorKind::ChildFailed, format!("{identity} has failed: {reason}; start it again to revive it"))
}
