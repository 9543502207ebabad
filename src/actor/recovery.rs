//! The creation of guests, and the replacement of lost ones.
//!
//! After a crash the supervisor decides whether and when the guest is replaced. A guest that was interrupted through no
//! fault of its own is replaced at once, which does not count against its policy. If it cannot be replaced, because its
//! start waits too long for others or the host has no room, each call tries again, and without calls a timer does.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use futures_util::{FutureExt, poll};
use wasmcloud_core::call::CallContext;
use wasmcloud_core::error::{Result, panic_text};
use wasmcloud_core::trace::CallId;
use wasmcloud_engine::{Fault, Guest, GuestConfig, HostCallHandler};

use super::instance_context::{Completion, Down, InstanceContext, Loss, Progress};
use crate::dispatch::CallingActor;
use crate::dispatch::messages::Deliver;
use crate::event::EventKind;
use crate::lifecycle::{Crashed, Interrupted, Restarted, Verdict};

/// The operation that errors of a start name.
const START: &str = "its start";

impl InstanceContext {
    /// Creates the guest that an instance starts with.
    pub(super) async fn first_guest(self: &Rc<Self>) -> Result<Guest> {
        let context = self.in_time(self.dispatch.begin(), Instant::now());
        self.instantiate(context).await.map_err(|fault| self.explain(START, &fault))
    }

    /// Replaces a lost guest, if and when the supervisor decides so.
    ///
    /// # Errors
    /// The reason why it is not replaced now.
    pub(super) async fn recover(self: &Rc<Self>, loss: Loss) -> Result<Guest, Down> {
        self.try_to_recover(loss).await.map_err(|(down, _)| down)
    }

    /// Replaces a guest that could not be replaced before, and serves a call with it.
    pub(super) async fn revive_and_serve(self: Rc<Self>, call: Deliver) -> Completion {
        let operation = call.request.operation.clone();
        let is_counted = call.permits.is_some();
        let now = Instant::now();
        let refusal = self.refusal(&operation, &call.request.payload, now, &call.context);
        if let Some(fault) = refusal {
            let refusal = self.explain(&operation, &fault);
            if is_counted {
                self.instruments.refuse(&operation, &refusal);
            }
            let answer = Err(refusal);
            return Completion { guest: Err(Loss::Down(Down::Interrupted)), answer };
        }
        match self.try_to_recover(Loss::Down(Down::Interrupted)).await {
            Ok(guest) => match self.serve_call(guest, call) {
                Progress::Done(completion) => completion,
                Progress::Pending(completion) => completion.await,
                #[cfg(feature = "experiments")]
                Progress::Lost(guest, answer) => Completion { guest: Ok(guest), answer: answer.await },
            },
            Err((down, fault)) => {
                let error = match (&down, fault) {
                    (_, Some(fault)) => self.explain(START, &fault),
                    (Down::Failed(reason), None) => self.is_down(reason),
                    (Down::Interrupted, None) => self.explain(START, &Fault::Ended),
                };
                if is_counted {
                    self.instruments.refuse(&operation, &error);
                }
                Completion { guest: Err(Loss::Down(down)), answer: Err(error) }
            }
        }
    }

    /// Replaces a guest. If that fails through no fault of its own, the fault is returned as well.
    async fn try_to_recover(self: &Rc<Self>, mut loss: Loss) -> Result<Guest, (Down, Option<Fault>)> {
        loop {
            if self.shutdown.is_ended() {
                return Err((Down::Failed("it was stopped".to_owned()), None));
            }
            let (restart, remains) = match loss {
                Loss::Ended => (None, None),
                Loss::Crash(cause, remains) => {
                    let call = remains.as_ref().map(|guest| guest.call_id());
                    (
                        Some(self.request_restart(cause, call).await.map_err(|reason| (Down::Failed(reason), None))?),
                        remains,
                    )
                }
                Loss::Interrupted(cause, remains) => {
                    self.report_interruption(cause, Some(remains.call_id()));
                    (Some(self.restarted(0, Duration::ZERO)), Some(remains))
                }
                Loss::Down(Down::Interrupted) => (Some(self.restarted(0, Duration::ZERO)), None),
                Loss::Down(failed) => return Err((failed, None)),
            };
            let fault = match self.replace(remains).await {
                Ok(guest) => {
                    if let Some(restart) = restart {
                        self.supervisor.restarted(restart);
                    }
                    return Ok(guest);
                }
                Err(fault) => fault,
            };
            let interruption = match &fault {
                Fault::ResourcesExhausted(reason) => Some(reason.clone()),
                fault => self.clock.interruption(fault),
            };
            let Some(cause) = interruption.filter(|_| fault.is_crash()) else {
                loss = Loss::Crash(format!("the new instance {fault}"), None);
                continue;
            };
            self.report_interruption(format!("the new instance could not be created: {cause}"), None);
            self.supervisor.interrupted(Interrupted { actor: self.identity.key.clone(), instance: self.number });
            return Err((Down::Interrupted, Some(fault)));
        }
    }

    fn report_interruption(&self, cause: String, call: Option<CallId>) {
        log::warn!(actor = &*self.identity.key, call; "{} was interrupted: {cause}", self.identity);
        self.dispatch.events().emit(self.identity.subject(), EventKind::Interrupted { cause });
    }

    fn restarted(&self, attempt: u32, delay: Duration) -> Restarted {
        Restarted { actor: self.identity.key.clone(), instance: self.number, attempt, delay }
    }

    /// Reports a crash, and waits for the decision and the delay of the restart.
    async fn request_restart(&self, cause: String, call: Option<CallId>) -> Result<Restarted, String> {
        let in_a_row = self.crashes_in_a_row.get().saturating_add(1);
        self.crashes_in_a_row.set(in_a_row);
        let crashed = Crashed { actor: self.identity.key.clone(), instance: self.number, cause, call, in_a_row };
        let verdict = self.supervisor.crashed(crashed).await.ok_or_else(|| "its host has ended".to_owned())?;
        let (attempt, delay) = match verdict {
            Verdict::Restart { attempt, delay } => (attempt, delay),
            Verdict::Fail(reason) => return Err(reason),
        };
        if !delay.is_zero() {
            // A stop does not wait for the delay: the calls in the mailbox are to be served before it.
            let _ = tokio::time::timeout(delay, self.shutdown.closing()).await;
        }
        Ok(self.restarted(attempt, delay))
    }

    /// Creates a guest after the remains of the last one are freed.
    async fn replace(self: &Rc<Self>, remains: Option<Box<Guest>>) -> Result<Guest, Fault> {
        let mut turn = self.slow_path.begin().await;
        drop(remains);
        // An actor that loses one guest after another must not keep its shard busy.
        turn.yield_if_due().await;
        let context = self.in_time(self.dispatch.begin(), Instant::now());
        let mut creation = pin!(AssertUnwindSafe(self.instantiate(context)).catch_unwind());
        let polled = poll!(creation.as_mut());
        // A start that takes longer than one step does not hold up the queue.
        turn.end();
        let created = match polled {
            Poll::Ready(created) => created,
            Poll::Pending => creation.await,
        };
        created.unwrap_or_else(|panic| Err(Fault::Panicked(panic_text(&*panic))))
    }

    /// Creates a guest, unless the instance is ended in the meantime.
    async fn instantiate(self: &Rc<Self>, context: CallContext) -> Result<Guest, Fault> {
        self.clock.begin(Instant::now(), context.deadline, self.allotted());
        let config = GuestConfig {
            log: self.identity.log.clone(),
            host: self.host_calls(),
            shutdown: self.shutdown.clone(),
            limits: &self.limits,
            usage: self.instruments.usage(),
        };
        let start = async {
            #[cfg(feature = "experiments")]
            self.delay_start(context.deadline).await?;
            Guest::start(&self.module, config, context).await
        };
        let started = pin!(self.clock.measure(start));
        let ended = pin!(self.shutdown.ended());
        match select(started, ended).await {
            Either::Left((started, _)) => started,
            Either::Right(_) => Err(Fault::Ended),
        }
    }

    /// Returns the function that carries out a guest's calls, as part of the call that the guest serves.
    fn host_calls(self: &Rc<Self>) -> HostCallHandler {
        let instance = self.clone();
        Box::new(move |context, call| {
            let instance = instance.clone();
            Box::pin(async move {
                let _waiting = instance.clock.wait();
                let origin = CallingActor { identity: &instance.identity, instance: instance.number };
                instance.dispatch.call_from_actor(origin, context, call).await
            })
        })
    }
}
