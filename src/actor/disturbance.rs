//! How experiments disturb an actor: its calls, and the making of its instances.

use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};

use super::guest_actor::Deliver;
use super::role::{Role, Served};
use crate::call::Message;
use crate::deadline::within;
use crate::engine::{Fault, Guest};
use crate::event::EventKind;
use crate::experiment::InjectedFault;
use crate::supervisor::child::Child;

impl Role {
    fn child(&self) -> Child {
        Child::Actor(self.identity.key.clone())
    }

    fn tell(&self, fault: &InjectedFault) {
        self.dispatch.events().tell(self.identity.subject(), EventKind::Injected { fault: fault.clone() });
    }

    /// What happens to the call that the actor takes now, if anything does.
    pub(super) fn next_disturbance(&self) -> Option<InjectedFault> {
        self.dispatch.laboratory().call(|| self.child()).inspect(|fault| self.tell(fault))
    }

    /// Has an instance serve a message that something happens to.
    pub(super) fn serve_disturbed(self: &Rc<Self>, guest: Guest, call: Deliver, fault: InjectedFault) -> Served {
        let Deliver { message: Message { operation, payload }, context, places } = call;
        let deadline = context.deadline;
        match fault {
            InjectedFault::Drop { .. } => {
                // Nobody waits for it to be served, the end of this actor least of all.
                drop(places);
                let role = self.clone();
                Served::Lost(
                    guest,
                    Box::pin(async move {
                        tokio::time::sleep_until(deadline.into()).await;
                        Err(role.explain(&operation, &Fault::Deadline))
                    }),
                )
            }
            InjectedFault::Crash { .. } => {
                guest.begin(operation, payload, context, Instant::now());
                Served::Now(self.conclude(guest, Err(Fault::trapped(fault.to_string())), deadline))
            }
            InjectedFault::Delay { delay, .. } | InjectedFault::SlowStart { delay } => {
                guest.begin(operation, payload, context, Instant::now());
                let role = self.clone();
                Served::Later(Box::pin(async move {
                    match within(deadline, role.pause(delay)).await {
                        Ok(()) => role.go_on(guest, deadline, places).await,
                        Err(elapsed) => role.conclude(guest, Err(elapsed.into()), deadline),
                    }
                }))
            }
        }
    }

    /// Has the making of an instance take longer, if an experiment wants it to.
    ///
    /// # Errors
    /// `Deadline` where its time is up before that.
    pub(super) async fn delay_start(&self, deadline: Instant) -> Result<(), Fault> {
        let fault = self.dispatch.laboratory().start(|| self.child()).inspect(|fault| self.tell(fault));
        if let Some(InjectedFault::SlowStart { delay }) = fault {
            within(deadline, self.pause(delay)).await?;
        }
        Ok(())
    }

    /// Waits, but not beyond the end of the actor.
    async fn pause(&self, time: Duration) {
        let (slept, ended) = (std::pin::pin!(tokio::time::sleep(time)), std::pin::pin!(self.ending.ended()));
        let (Either::Left(_) | Either::Right(_)) = select(slept, ended).await;
    }
}
