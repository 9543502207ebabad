//! What an actor is while its instances come and go, and how an instance serves a message.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use actix::WeakAddr;
use futures_util::future::{Either, LocalBoxFuture, poll_fn, select};
use futures_util::{FutureExt, poll};

use super::guest_actor::Deliver;
use super::mailbox::InstanceNumber;
use super::pace::Pace;
use super::room::Place;
use crate::call::{CallContext, Message};
use crate::dispatch::Dispatch;
use crate::ending::Ending;
use crate::engine::{CompiledModule, Fault, Guest, HostCalls, REQUEST, Setting};
use crate::entity::shorten;
use crate::error::{Error, ErrorKind, Result, panic_text};
use crate::limits::Limits;
use crate::shard::Efforts;
use crate::supervisor::Supervisor;
use crate::supervisor::recovery::{Crashed, Restarted};
use crate::supervisor::restart::Verdict;
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
    pub(crate) ending: Arc<Ending>,
    pub(crate) pace: Pace,
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
    /// It was ended, which is not its fault.
    Ended,
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
    /// The instance that an actor starts with.
    pub(super) async fn first_instance(&self) -> Result<Guest> {
        let context = self.in_time(self.dispatch.begin(), Instant::now());
        self.instantiate(context).await.map_err(|fault| self.explain("its start", &fault))
    }

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
        // A health check takes no places, and is no call to experiment with.
        #[cfg(feature = "experiments")]
        if let Some(fault) = places.is_some().then(|| self.next_disturbance()).flatten() {
            let call = Deliver { message: Message { operation, payload }, context, places };
            return self.serve_disturbed(guest, call, fault);
        }
        guest.begin(operation, payload, context);
        // If it has to wait, its actor polls it again at once, to be woken.
        match step(&mut guest, &mut Context::from_waker(Waker::noop())) {
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

    /// Replaces a lost instance, when and if the supervisor wants it to be.
    ///
    /// # Errors
    /// Why it is not replaced.
    pub(super) async fn recover(&self, mut loss: Loss) -> Result<Guest, String> {
        loop {
            if self.ending.is_ended() {
                return Err("it was stopped".to_owned());
            }
            let (restart, remains) = match loss {
                Loss::Ended => (None, None),
                Loss::Crash(cause, remains) => (Some(self.ask_for_restart(cause).await?), remains),
            };
            match self.replace(remains).await {
                Ok(guest) => {
                    if let (Some(restart), Some(supervisor)) = (restart, self.supervisor.upgrade()) {
                        supervisor.do_send(restart);
                    }
                    return Ok(guest);
                }
                Err(fault) => loss = Loss::Crash(format!("the new instance {fault}"), None),
            }
        }
    }

    /// Reports a crash, and waits until the time of the restart.
    async fn ask_for_restart(&self, cause: String) -> Result<Restarted, String> {
        let (actor, instance) = (self.identity.key.clone(), self.number);
        let gone = || "its host has ended".to_owned();
        let supervisor = self.supervisor.upgrade().ok_or_else(gone)?;
        let in_a_row = self.crashes_in_a_row.get().saturating_add(1);
        self.crashes_in_a_row.set(in_a_row);
        let crashed = Crashed { actor: actor.clone(), instance, cause, in_a_row };
        let (attempt, delay) = match supervisor.send(crashed).await.map_err(|_| gone())? {
            Verdict::Restart { attempt, delay } => (attempt, delay),
            Verdict::GiveUp(reason) => return Err(reason),
        };
        if !delay.is_zero() {
            // What waits is to be served before the end, which is not put off for this.
            let _ = tokio::time::timeout(delay, self.ending.closing()).await;
        }
        Ok(Restarted { actor, instance, attempt, delay })
    }

    /// A fresh instance, made when the remains of the last one are freed.
    async fn replace(&self, remains: Option<Box<Guest>>) -> Result<Guest, Fault> {
        let mut turn = self.efforts.begin().await;
        drop(remains);
        // A guest that loses one instance after the other must not keep its shard busy with that.
        turn.look_up().await;
        let context = self.in_time(self.dispatch.begin(), Instant::now());
        let mut making = pin!(AssertUnwindSafe(self.instantiate(context)).catch_unwind());
        let made = poll!(making.as_mut());
        // What takes longer than a step, as start functions may, holds up nobody else.
        turn.end();
        let made = match made {
            Poll::Ready(made) => made,
            Poll::Pending => making.await,
        };
        made.unwrap_or_else(|panic| Err(Fault::Panicked(panic_text(&*panic))))
    }

    /// Whether to have this guest serve a message may well be an effort: to enter it, or to end it when it traps.
    pub(super) fn is_effort(&self, guest: &Guest) -> bool {
        !guest.is_entered() || self.probation.get() > 0
    }

    /// Why an actor without an instance serves nothing.
    pub(super) fn is_down(&self, reason: Option<&str>) -> Error {
        if self.ending.is_ended() {
            return Error::new(ErrorKind::ActorStopped, format!("{} was stopped", self.identity));
        }
        failed(&self.identity, reason.unwrap_or("it has no instance"))
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
        if self.ending.is_ended() {
            return Some(Fault::Ended);
        }
        (now >= context.deadline).then_some(Fault::Deadline)
    }

    /// Has the guest go on with its call until it has answered, or its time is up.
    pub(super) async fn go_on(self: Rc<Self>, mut guest: Guest, deadline: Instant, places: Option<[Place; 2]>) -> Done {
        let answer = {
            let answered = pin!(poll_fn(|context| step(&mut guest, context)));
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
        } else if fault.is_crash() {
            self.probation.set(PROBATION);
            Err(Loss::Crash(format!("in {:?}, it {fault}", shorten(&operation)), Some(Box::new(guest))))
        } else {
            Err(Loss::Ended)
        };
        // A guest whose own call ran out of time may fail for that before the host ends it: it is the same to the
        // caller.
        let fault = if Instant::now() >= deadline { Fault::Deadline } else { fault };
        (guest, Err(self.explain(&operation, &fault)))
    }

    async fn instantiate(&self, context: CallContext) -> Result<Guest, Fault> {
        let setting = Setting {
            actor: &self.identity.key,
            host: self.host_calls(),
            ending: self.ending.clone(),
            limits: &self.limits,
        };
        #[cfg(feature = "experiments")]
        self.delay_start(context.deadline).await?;
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
    pub(super) fn explain(&self, operation: &str, fault: &Fault) -> Error {
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

/// The error of whoever calls an actor that is not restarted any more.
pub(crate) fn failed(identity: &ActorIdentity, reason: &str) -> Error {
    Error::new(ErrorKind::ChildFailed, format!("{identity} has failed: {reason}; start it again to revive it"))
}

/// Has a guest go on with its call. A panic of the engine is a fault of this call.
fn step(guest: &mut Guest, context: &mut Context<'_>) -> Poll<Result<Vec<u8>, Fault>> {
    catch_unwind(AssertUnwindSafe(|| guest.poll_answer(context)))
        .unwrap_or_else(|panic| Poll::Ready(Err(Fault::Panicked(panic_text(&*panic)))))
}
