//! How the instances of an actor are made, and replaced when they are lost.
//!
//! After a crash the supervisor decides whether and when there is another one. An instance that was lost for what others did
//! is replaced at once, and that counts for nothing. Where it cannot be made for what others do, because its start waits for
//! them beyond its time or the host has no room for it, it is tried again by each message, and after a while without one.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use futures_util::{FutureExt, poll};

use super::guest_actor::Deliver;
use super::role::{Done, Down, Loss, Role, Served};
use crate::call::CallContext;
use crate::engine::{Fault, Guest, HostCalls, Setting};
use crate::error::{Result, panic_text};
use crate::event::EventKind;
use crate::supervisor::recovery::{Crashed, Interrupted, Restarted};
use crate::supervisor::restart::Verdict;

/// What a start is named by where it fails.
const START: &str = "its start";

impl Role {
    /// The instance that an actor starts with.
    pub(super) async fn first_instance(self: &Rc<Self>) -> Result<Guest> {
        let context = self.in_time(self.dispatch.begin(), Instant::now());
        self.instantiate(context).await.map_err(|fault| self.explain(START, &fault))
    }

    /// Replaces a lost instance, when and if the supervisor wants it to be.
    ///
    /// # Errors
    /// Why it is not replaced now.
    pub(super) async fn recover(self: &Rc<Self>, loss: Loss) -> Result<Guest, Down> {
        self.try_to_recover(loss).await.map_err(|(down, _)| down)
    }

    /// Replaces an instance that could not be made before, and has it serve a message.
    pub(super) async fn revive_and_serve(self: Rc<Self>, call: Deliver) -> Done {
        let (operation, now) = (call.message.operation.clone(), Instant::now());
        let refusal = self.refusal(&operation, &call.message.payload, now, &call.context);
        if let Some(fault) = refusal {
            return (Err(Loss::Down(Down::Interrupted)), Err(self.explain(&operation, &fault)));
        }
        match self.try_to_recover(Loss::Down(Down::Interrupted)).await {
            Ok(guest) => match self.serve(guest, call) {
                Served::Now(done) => done,
                Served::Later(done) => done.await,
                #[cfg(feature = "experiments")]
                Served::Lost(guest, answer) => (Ok(guest), answer.await),
            },
            Err((down, fault)) => {
                let error = match (&down, fault) {
                    (_, Some(fault)) => self.explain(START, &fault),
                    (Down::GivenUp(reason), None) => self.is_down(reason),
                    (Down::Interrupted, None) => self.explain(START, &Fault::Ended),
                };
                (Err(Loss::Down(down)), Err(error))
            }
        }
    }

    /// Replaces an instance. Where that fails for what others do, the fault is told too.
    async fn try_to_recover(self: &Rc<Self>, mut loss: Loss) -> Result<Guest, (Down, Option<Fault>)> {
        loop {
            if self.ending.is_ended() {
                return Err((Down::GivenUp("it was stopped".to_owned()), None));
            }
            let (restart, remains) = match loss {
                Loss::Ended => (None, None),
                Loss::Crash(cause, remains) => {
                    (Some(self.ask_for_restart(cause).await.map_err(|reason| (Down::GivenUp(reason), None))?), remains)
                }
                Loss::Interrupted(cause, remains) => {
                    self.tell_of_interruption(cause);
                    (Some(self.restarted(0, Duration::ZERO)), Some(remains))
                }
                Loss::Down(Down::Interrupted) => (Some(self.restarted(0, Duration::ZERO)), None),
                Loss::Down(given_up) => return Err((given_up, None)),
            };
            let fault = match self.replace(remains).await {
                Ok(guest) => {
                    if let (Some(restart), Some(supervisor)) = (restart, self.supervisor.upgrade()) {
                        supervisor.do_send(restart);
                    }
                    return Ok(guest);
                }
                Err(fault) => fault,
            };
            let excuse = match &fault {
                Fault::NoRoom(reason) => Some(reason.clone()),
                fault => self.clock.excuse(fault),
            };
            let Some(excuse) = excuse.filter(|_| fault.is_crash()) else {
                loss = Loss::Crash(format!("the new instance {fault}"), None);
                continue;
            };
            self.tell_of_interruption(format!("the new instance could not be made: {excuse}"));
            if let Some(supervisor) = self.supervisor.upgrade() {
                supervisor.do_send(Interrupted { actor: self.identity.key.clone(), instance: self.number });
            }
            return Err((Down::Interrupted, Some(fault)));
        }
    }

    fn tell_of_interruption(&self, cause: String) {
        log::warn!("{} was interrupted: {cause}", self.identity);
        self.dispatch.events().tell(self.identity.subject(), EventKind::Interrupted { cause });
    }

    fn restarted(&self, attempt: u32, delay: Duration) -> Restarted {
        Restarted { actor: self.identity.key.clone(), instance: self.number, attempt, delay }
    }

    /// Reports a crash, and waits until the time of the restart.
    async fn ask_for_restart(&self, cause: String) -> Result<Restarted, String> {
        let gone = || "its host has ended".to_owned();
        let supervisor = self.supervisor.upgrade().ok_or_else(gone)?;
        let in_a_row = self.crashes_in_a_row.get().saturating_add(1);
        self.crashes_in_a_row.set(in_a_row);
        let crashed = Crashed { actor: self.identity.key.clone(), instance: self.number, cause, in_a_row };
        let (attempt, delay) = match supervisor.send(crashed).await.map_err(|_| gone())? {
            Verdict::Restart { attempt, delay } => (attempt, delay),
            Verdict::GiveUp(reason) => return Err(reason),
        };
        if !delay.is_zero() {
            // What waits is to be served before the end, which is not put off for this.
            let _ = tokio::time::timeout(delay, self.ending.closing()).await;
        }
        Ok(self.restarted(attempt, delay))
    }

    /// A fresh instance, made when the remains of the last one are freed.
    async fn replace(self: &Rc<Self>, remains: Option<Box<Guest>>) -> Result<Guest, Fault> {
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

    /// Makes an instance, unless the actor is ended meanwhile.
    async fn instantiate(self: &Rc<Self>, context: CallContext) -> Result<Guest, Fault> {
        self.clock.begin(Instant::now(), context.deadline, self.allotted());
        let name = self.identity.to_string();
        let setting =
            Setting { actor: &name, host: self.host_calls(), ending: self.ending.clone(), limits: &self.limits };
        let make = async {
            #[cfg(feature = "experiments")]
            self.delay_start(context.deadline).await?;
            Guest::start(&self.module, setting, context).await
        };
        let (made, ended) = (pin!(self.clock.count(make)), pin!(self.ending.ended()));
        match select(made, ended).await {
            Either::Left((made, _)) => made,
            Either::Right(_) => Err(Fault::Ended),
        }
    }

    /// What becomes of a guest's calls: they are dispatched, as part of the call that the guest serves.
    fn host_calls(self: &Rc<Self>) -> HostCalls {
        let role = self.clone();
        Box::new(move |context, call| {
            let role = role.clone();
            Box::pin(async move {
                let _waiting = role.clock.wait();
                role.dispatch.call_from_actor((&role.identity, role.number), context, call).await
            })
        })
    }
}
