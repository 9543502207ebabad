//! The faults that experiments inject into an actor: into its calls, and into the starts of its guests.

use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use wasmcloud_core::call::Request;
use wasmcloud_core::deadline::within;
use wasmcloud_engine::{Fault, Guest};

use super::instance_context::{InstanceContext, Progress};
use crate::child::Child;
use crate::dispatch::messages::Deliver;
use crate::event::EventKind;
use crate::experiment::InjectedFault;
use crate::instruments::BegunCall;

impl InstanceContext {
    fn child(&self) -> Child {
        Child::Actor(self.identity.key.clone())
    }

    fn report_fault(&self, fault: &InjectedFault) {
        self.dispatch.events().emit(self.identity.subject(), EventKind::Injected { fault: fault.clone() });
    }

    /// Returns the fault to inject into the call that the actor takes now, if any.
    pub(super) fn next_fault(&self) -> Option<InjectedFault> {
        self.dispatch.experiments().fault_of_call(|| self.child()).inspect(|fault| self.report_fault(fault))
    }

    /// Serves a call with a fault injected into it.
    pub(super) fn serve_with_fault(self: &Rc<Self>, guest: Guest, call: Deliver, fault: InjectedFault) -> Progress {
        let Deliver { request: Request { operation, payload }, context, permits } = call;
        let deadline = context.deadline;
        match fault {
            InjectedFault::Drop { .. } => {
                // A dropped call is not in flight any more: closing the mailbox does not wait for it.
                drop(permits);
                let instance = self.clone();
                Progress::Lost(
                    guest,
                    Box::pin(async move {
                        tokio::time::sleep_until(deadline.into()).await;
                        Err(instance.explain(&operation, &Fault::Deadline))
                    }),
                )
            }
            InjectedFault::Crash { .. } => {
                guest.begin(operation, payload, context, Instant::now());
                Progress::Done(self.conclude(guest, Err(Fault::trapped(fault.to_string())), deadline))
            }
            InjectedFault::Delay { delay, .. } | InjectedFault::SlowStart { delay } => {
                guest.begin(operation, payload, context, Instant::now());
                let instance = self.clone();
                Progress::Pending(Box::pin(async move {
                    match within(deadline, instance.pause(delay)).await {
                        Ok(()) => instance.resume_call(guest, deadline, permits).await,
                        Err(elapsed) => instance.conclude(guest, Err(elapsed.into()), deadline),
                    }
                }))
            }
        }
    }

    /// Counts a call with a fault when it ends.
    pub(super) fn count_at_end(self: &Rc<Self>, progress: Progress, begun: BegunCall) -> Progress {
        let instance = self.clone();
        match progress {
            Progress::Done(done) => {
                self.instruments.end(begun, &done.answer, || done.operation(), Instant::now);
                Progress::Done(done)
            }
            Progress::Pending(done) => Progress::Pending(Box::pin(async move {
                let done = done.await;
                instance.instruments.end(begun, &done.answer, || done.operation(), Instant::now);
                done
            })),
            Progress::Lost(guest, answer) => Progress::Lost(
                guest,
                Box::pin(async move {
                    let answer = answer.await;
                    instance.instruments.end(begun, &answer, || None, Instant::now);
                    answer
                }),
            ),
        }
    }

    /// Delays the start of a guest, if an experiment says so.
    ///
    /// # Errors
    /// `Deadline` if the deadline passes first.
    pub(super) async fn delay_start(&self, deadline: Instant) -> Result<(), Fault> {
        let fault =
            self.dispatch.experiments().fault_of_start(|| self.child()).inspect(|fault| self.report_fault(fault));
        if let Some(InjectedFault::SlowStart { delay }) = fault {
            within(deadline, self.pause(delay)).await?;
        }
        Ok(())
    }

    /// Waits for a time, or until the instance is ended.
    async fn pause(&self, time: Duration) {
        let (slept, ended) = (std::pin::pin!(tokio::time::sleep(time)), std::pin::pin!(self.shutdown.ended()));
        let (Either::Left(_) | Either::Right(_)) = select(slept, ended).await;
    }
}
