//! The state of one instance across its guests, and the service of one call. `recovery` replaces lost guests.

use std::cell::{Cell, LazyCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_util::future::{Either, LocalBoxFuture, poll_fn, select};
use wasmcloud_core::call::{CallContext, Request};
use wasmcloud_core::entity::shorten;
use wasmcloud_core::error::{Error, ErrorKind, Result, panic_text};
use wasmcloud_core::identity::InstanceNumber;
use wasmcloud_core::limits::Limits;
use wasmcloud_core::shutdown::ShutdownSignal;
use wasmcloud_core::trace::is_listening;
use wasmcloud_engine::{CompiledModule, Fault, Guest, REQUEST};

use super::clock::Clock;
use super::supervision::SupervisorHandle;
use super::unknown_operation::is_refusal_of;
use crate::dispatch::Dispatch;
use crate::dispatch::call_limiter::CallPermit;
use crate::dispatch::latency::LatencyEstimate;
use crate::dispatch::messages::Deliver;
use crate::dispatch::resolve::failed;
use crate::identity::ActorIdentity;
use crate::instruments::{BegunCall, InstanceInstruments};
use crate::shard::SlowPathQueue;
use crate::spans;

/// The state that an instance of an actor serves its calls with. It outlives the guests that the instance loses.
pub(crate) struct InstanceContext {
    pub(crate) identity: Arc<ActorIdentity>,
    pub(crate) number: InstanceNumber,
    pub(crate) module: CompiledModule,
    pub(crate) dispatch: Dispatch,
    pub(crate) limits: Limits,
    pub(crate) shutdown: Arc<ShutdownSignal>,
    pub(crate) latency: LatencyEstimate,
    pub(crate) instruments: InstanceInstruments,
    /// Measures how much of a call's time the guest itself uses.
    pub(crate) clock: Clock,
    /// Crash count since the last answer.
    pub(crate) crashes_in_a_row: Cell<u32>,
    /// The number of requests to answer until its calls leave the slow path. 0 before the first crash.
    pub(crate) probation: Cell<u32>,
    /// The shard's queue for slow paths: replacing a guest, or entering one whose stacks were released.
    pub(crate) slow_path: SlowPathQueue,
    pub(crate) supervisor: SupervisorHandle,
}

/// The number of requests that an actor answers on the slow path after a crash.
const PROBATION: u32 = 16;

/// The end of a call: its answer, and the guest for the next call or how it was lost.
pub(crate) struct Completion {
    pub(super) guest: Result<Guest, Loss>,
    pub(super) answer: Result<Vec<u8>>,
}

impl Completion {
    /// Returns the operation of the call, if its guest still exists.
    pub(super) fn operation(&self) -> Option<String> {
        match &self.guest {
            Ok(guest) => Some(guest.operation()),
            Err(Loss::Crash(_, Some(guest)) | Loss::Interrupted(_, guest)) => Some(guest.operation()),
            Err(_) => None,
        }
    }
}

/// How a guest was lost.
pub(crate) enum Loss {
    /// It crashed: the cause, and its remains, which take time to be freed.
    Crash(String, Option<Box<Guest>>),
    /// It was interrupted through no fault of its own: the cause, and its remains.
    Interrupted(String, Box<Guest>),
    /// The host ended it.
    Ended,
    /// It could not be created.
    Down(Down),
}

/// The reason why an instance has no guest.
#[derive(Debug)]
pub(crate) enum Down {
    /// The guest is not replaced, for this reason.
    Failed(String),
    /// The guest could not be replaced, through no fault of its own. The next request tries again, and so does a timer.
    Interrupted,
}

/// The progress of a call after its first step.
pub(super) enum Progress {
    /// The guest has answered without waiting for anything.
    Done(Completion),
    /// The guest is serving it.
    Pending(LocalBoxFuture<'static, Completion>),
    /// An experiment dropped the request before the guest; this is the outcome for the caller.
    #[cfg(feature = "experiments")]
    Lost(Guest, LocalBoxFuture<'static, Result<Vec<u8>>>),
}

impl InstanceContext {
    /// Serves a call with a guest. A guest that waits for nothing has answered when this returns.
    pub(super) fn serve_call(self: &Rc<Self>, guest: Guest, call: Deliver) -> Progress {
        // A health check is not a call.
        if !is_listening() || call.permits.is_none() {
            return self.serve_untraced(guest, call);
        }
        let Deliver { request, context, permits } = call;
        let tracing = self.dispatch.tracing();
        let (context, span) = spans::actor(tracing, context, &self.identity, self.number, &request.operation);
        let call = Deliver { request, context, permits };
        match span.in_scope(|| self.serve_untraced(guest, call)) {
            Progress::Done(completion) => {
                span.end(&completion.answer);
                Progress::Done(completion)
            }
            Progress::Pending(serving) => Progress::Pending(Box::pin(async move {
                let completion = span.instrument(serving).await;
                span.end(&completion.answer);
                completion
            })),
            #[cfg(feature = "experiments")]
            Progress::Lost(guest, answer) => Progress::Lost(
                guest,
                Box::pin(async move {
                    let answer = answer.await;
                    span.end(&answer);
                    answer
                }),
            ),
        }
    }

    fn serve_untraced(self: &Rc<Self>, mut guest: Guest, call: Deliver) -> Progress {
        let Deliver { request: Request { operation, payload }, context, permits } = call;
        let now = Instant::now();
        let context = self.in_time(context, now);
        let is_check = permits.is_none();
        if let Some(fault) = self.refusal(&operation, &payload, now, &context) {
            let refusal = self.explain(&operation, &fault);
            if !is_check {
                self.instruments.refuse(&operation, &refusal);
            }
            return Progress::Done(Completion { guest: Ok(guest), answer: Err(refusal) });
        }
        let begun = if is_check { BegunCall::default() } else { self.instruments.begin(&operation, || now) };
        let deadline = context.deadline;
        let timed = self.latency.begin(now);
        // A health check reaches the guest with all of its time left.
        let most = if is_check { deadline.saturating_duration_since(now) } else { Duration::MAX };
        self.clock.begin(now, deadline, self.allotted().min(most));
        // A health check holds no permits, and experiments leave it alone.
        #[cfg(feature = "experiments")]
        if let Some(fault) = (!is_check).then(|| self.next_fault()).flatten() {
            let call = Deliver { request: Request { operation, payload }, context, permits };
            let progress = self.serve_with_fault(guest, call, fault);
            return self.count_at_end(progress, begun);
        }
        guest.begin(operation, payload, context, now);
        // If it has to wait, its actor polls it again at once, to be woken.
        match self.step(&mut guest, &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => {
                let done = self.conclude(guest, answer, deadline);
                self.end_call(timed, begun, &done);
                Progress::Done(done)
            }
            Poll::Pending => {
                self.instruments.suspend();
                let instance = self.clone();
                Progress::Pending(Box::pin(async move {
                    let done = instance.clone().resume_call(guest, deadline, permits).await;
                    instance.instruments.resume();
                    instance.end_call(timed, begun, &done);
                    done
                }))
            }
        }
    }

    /// Returns whether serving a call with this guest may be slow: it has to be entered, or it may trap.
    pub(super) fn is_slow_path(&self, guest: &Guest) -> bool {
        !guest.is_entered() || self.probation.get() > 0
    }

    /// Records the end of a call: for the estimate of later ones, and for metrics.
    fn end_call(&self, timed: Option<Instant>, begun: BegunCall, done: &Completion) {
        // Both may need it, and most calls need none.
        let now = LazyCell::new(Instant::now);
        self.latency.end(timed, || *now);
        self.instruments.end(begun, &done.answer, || done.operation(), || *now);
    }

    /// Refuses a call to an instance without a guest.
    pub(super) fn refuse_down(&self, call: &Deliver, reason: &str) -> Error {
        let refusal = self.is_down(reason);
        if call.permits.is_some() {
            self.instruments.refuse(&call.request.operation, &refusal);
        }
        refusal
    }

    /// Returns the error of calls to an instance without a guest.
    pub(super) fn is_down(&self, reason: &str) -> Error {
        if self.shutdown.is_ended() {
            return Error::new(ErrorKind::ActorStopped, format!("{} was stopped", self.identity));
        }
        failed(&self.identity, reason)
    }

    /// Returns the time that a guest may take for a call that reaches it at once.
    pub(super) fn allotted(&self) -> Duration {
        self.limits.call_deadline.min(self.dispatch.limits().call_deadline)
    }

    /// Returns the context of a call that the actor begins to serve now.
    pub(super) fn in_time(&self, context: CallContext, now: Instant) -> CallContext {
        let deadline = context.deadline_within(self.limits.call_deadline, now);
        context.until(deadline)
    }

    /// Returns the fault by which a request is refused before it reaches the guest, if any.
    pub(super) fn refusal(
        &self,
        operation: &str,
        payload: &[u8],
        now: Instant,
        context: &CallContext,
    ) -> Option<Fault> {
        let bytes = operation.len().max(payload.len());
        let limit = self.limits.message_bytes;
        if bytes > limit {
            return Some(Fault::TooLarge { what: REQUEST, bytes, limit });
        }
        if self.shutdown.is_ended() {
            return Some(Fault::Ended);
        }
        (now >= context.deadline).then_some(Fault::Deadline)
    }

    /// Resumes a call until the guest has answered or the deadline has passed.
    pub(super) async fn resume_call(
        self: Rc<Self>,
        mut guest: Guest,
        deadline: Instant,
        permits: Option<[CallPermit; 2]>,
    ) -> Completion {
        let answer = {
            let answered = pin!(poll_fn(|context| {
                self.clock.resume();
                self.step(&mut guest, context)
            }));
            let ended = pin!(self.shutdown.ended());
            match tokio::time::timeout_at(deadline.into(), select(answered, ended)).await {
                Ok(Either::Left((answer, _))) => answer,
                Ok(Either::Right(_)) => Err(Fault::Ended),
                Err(_) => Err(Fault::Deadline),
            }
        };
        drop(permits);
        self.conclude(guest, answer, deadline)
    }

    /// Resumes a guest once. A panic of the engine is a fault of this call.
    fn step(&self, guest: &mut Guest, context: &mut Context<'_>) -> Poll<Result<Vec<u8>, Fault>> {
        let polled = catch_unwind(AssertUnwindSafe(|| guest.poll_answer(context)))
            .unwrap_or_else(|panic| Poll::Ready(Err(Fault::Panicked(panic_text(&*panic)))));
        if !matches!(polled, Poll::Ready(Ok(_))) {
            self.clock.pause();
        }
        polled
    }

    /// Keeps or retires the guest, and explains a fault.
    pub(super) fn conclude(&self, guest: Guest, answer: Result<Vec<u8>, Fault>, deadline: Instant) -> Completion {
        let fault = match answer {
            Ok(answer) => {
                self.crashes_in_a_row.set(0);
                self.probation.set(self.probation.get().saturating_sub(1));
                return Completion { guest: Ok(guest), answer: Ok(answer) };
            }
            Err(fault) => fault,
        };
        let operation = guest.operation();
        let guest = if fault.leaves_instance_usable() {
            self.crashes_in_a_row.set(0);
            Ok(guest)
        } else if !fault.is_crash() {
            Err(Loss::Ended)
        } else if let Some(cause) = self.clock.interruption(&fault) {
            Err(Loss::Interrupted(format!("in {:?}, {cause}", shorten(&operation)), Box::new(guest)))
        } else {
            self.probation.set(PROBATION);
            Err(Loss::Crash(format!("in {:?}, it {fault}", shorten(&operation)), Some(Box::new(guest))))
        };
        // A guest may fail because its own call has timed out, before the host ends it. The caller sees a timeout either way.
        let fault = if Instant::now() >= deadline { Fault::Deadline } else { fault };
        Completion { guest, answer: Err(self.explain(&operation, &fault)) }
    }

    /// Returns a fault as an error that names the actor and the operation.
    pub(super) fn explain(&self, operation: &str, fault: &Fault) -> Error {
        let kind = match fault {
            Fault::Failed(reason) if is_refusal_of(operation, reason) => ErrorKind::UnknownOperation,
            Fault::Failed(_) => ErrorKind::ActorFailed,
            Fault::Trapped { .. } => ErrorKind::ActorTrapped,
            Fault::StackExhausted { .. } => ErrorKind::StackExhausted,
            Fault::Protocol(_) => ErrorKind::ProtocolViolation,
            Fault::TooLarge { .. } => ErrorKind::MessageTooLarge,
            Fault::Instantiation(_) => ErrorKind::InvalidModule,
            Fault::ResourcesExhausted(_) => ErrorKind::Busy,
            Fault::Deadline => ErrorKind::DeadlineExceeded,
            Fault::Cancelled => ErrorKind::CallerGone,
            Fault::Ended => ErrorKind::ActorStopped,
            Fault::Panicked(_) => ErrorKind::Internal,
        };
        Error::new(kind, format!("{}, in {:?}, {fault}", self.identity, shorten(operation)))
    }
}

impl fmt::Debug for InstanceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceContext").field("identity", &self.identity).finish_non_exhaustive()
    }
}
