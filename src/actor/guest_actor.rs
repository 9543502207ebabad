//! The actix actor of one instance: its mailbox feeds one waPC guest, one call at a time.

use std::rc::Rc;
use std::time::Duration;

use actix::dev::{MessageResponse, OneshotSender};
use actix::fut::wrap_future;
use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message};
use futures_util::future::LocalBoxFuture;
use wasmcloud_core::error::Result;
use wasmcloud_engine::Guest;

use super::instance_context::{Completion, Down, InstanceContext, Loss, Progress};
use crate::dispatch::health_check::HealthCheck;
use crate::dispatch::messages::{Deliver, Flush, Stop};
use crate::shard::SlowPathQueue;

/// The actix actor of one instance. It is created complete on its shard, and never leaves it.
pub(crate) struct GuestActor {
    instance: Rc<InstanceContext>,
    /// The guest. `None` while it serves a call, and from its loss until its replacement.
    guest: Option<Guest>,
    /// Why there is no guest, unless its replacement is in progress.
    down: Option<Down>,
    /// Whether a timer will try to replace the guest.
    has_retry_timer: bool,
    activity: Activity,
}

/// Whether the actor has been called lately. An idle guest has released its stacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activity {
    /// It has been called since the last look.
    Called,
    /// It has not been called since the last look, and another look will follow.
    Quiet,
    /// The stacks are released, and no look will follow.
    Idle,
}

/// The reply to a message.
pub(crate) enum Reply {
    /// The guest has answered without waiting for anything.
    Ready(Result<Vec<u8>>),
    /// The guest serves the call when its turn on the slow path comes. Other messages wait until then.
    Queued(Deliver, SlowPathQueue),
    /// The guest is serving the call. Other messages wait until it is done.
    Pending(LocalBoxFuture<'static, Completion>),
    /// An experiment dropped the call. The guest goes on with the next one.
    #[cfg(feature = "experiments")]
    Lost(LocalBoxFuture<'static, Result<Vec<u8>>>),
}

/// The time after a failed replacement until the next attempt, unless a call tries before.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl GuestActor {
    /// Creates the actor and its guest on this thread, which must be a shard.
    ///
    /// # Errors
    /// The module cannot be instantiated, or its start functions fail.
    pub(crate) async fn create(instance: InstanceContext) -> Result<GuestActor> {
        let instance = Rc::new(instance);
        let guest = instance.first_guest().await?;
        Ok(GuestActor { instance, guest: Some(guest), down: None, has_retry_timer: false, activity: Activity::Idle })
    }

    /// Serves a call with the guest, if there is one. A guest that has to be entered or has crashed lately may have to wait
    /// for its turn on the slow path.
    fn serve(&mut self, call: Deliver, context: &mut Context<Self>) -> Reply {
        if !self.guest.as_ref().is_some_and(|guest| self.instance.is_slow_path(guest)) {
            return self.serve_now(call, context);
        }
        let slow_path = &self.instance.slow_path;
        let Some(turn) = slow_path.try_begin() else { return Reply::Queued(call, slow_path.clone()) };
        let reply = self.serve_now(call, context);
        turn.end();
        reply
    }

    fn serve_now(&mut self, call: Deliver, context: &mut Context<Self>) -> Reply {
        let Some(guest) = self.guest.take() else {
            return match &self.down {
                Some(Down::Interrupted) => Reply::Pending(Box::pin(self.instance.clone().revive_and_serve(call))),
                Some(Down::Failed(reason)) => Reply::Ready(Err(self.instance.refuse_down(&call, reason))),
                None => Reply::Ready(Err(self.instance.refuse_down(&call, "it has no instance"))),
            };
        };
        match self.instance.serve_call(guest, call) {
            Progress::Done(Completion { guest, answer }) => {
                self.take_back(guest, context);
                Reply::Ready(answer)
            }
            Progress::Pending(done) => Reply::Pending(done),
            #[cfg(feature = "experiments")]
            Progress::Lost(guest, answer) => {
                self.guest = Some(guest);
                Reply::Lost(answer)
            }
        }
    }

    /// Replaces a lost guest. Messages wait in the mailbox until then.
    fn recover(&self, loss: Loss, context: &mut Context<Self>) {
        let instance = self.instance.clone();
        context.wait(wrap_future(async move { instance.recover(loss).await }).map(
            |recovered, actor: &mut Self, context| match recovered {
                Ok(guest) => actor.guest = Some(guest),
                Err(down) => actor.stay_down(down, context),
            },
        ));
    }

    /// Records that there is no guest. After an interruption a timer tries to replace it, unless a call tries before.
    fn stay_down(&mut self, down: Down, context: &mut Context<Self>) {
        let is_interrupted = matches!(down, Down::Interrupted);
        self.down = Some(down);
        if !is_interrupted || std::mem::replace(&mut self.has_retry_timer, true) {
            return;
        }
        context.run_later(RETRY_AFTER, |actor, context| {
            actor.has_retry_timer = false;
            if actor.guest.is_none() && matches!(actor.down, Some(Down::Interrupted)) {
                actor.recover(Loss::Down(Down::Interrupted), context);
            }
        });
    }

    /// Takes the guest back after a call, or replaces it.
    fn take_back(&mut self, guest: Result<Guest, Loss>, context: &mut Context<Self>) {
        match guest {
            Ok(mut guest) => {
                // A health check is no activity: a host that checks all its actors must not hold the stacks of all.
                if self.activity == Activity::Idle {
                    guest.release_stacks();
                }
                self.guest = Some(guest);
            }
            Err(Loss::Down(down)) => self.stay_down(down, context),
            Err(loss) => self.recover(loss, context),
        }
    }

    /// Checks after a while whether the actor has been idle, and then releases its guest's stacks.
    fn watch_activity(&self, context: &mut Context<Self>) {
        context.run_later(self.instance.limits.idle_after / 2, |actor, context| {
            actor.activity = match actor.activity {
                Activity::Called => Activity::Quiet,
                Activity::Quiet | Activity::Idle => Activity::Idle,
            };
            if actor.activity == Activity::Quiet {
                return actor.watch_activity(context);
            }
            if let Some(guest) = &mut actor.guest {
                guest.release_stacks();
            }
        });
    }
}

impl actix::Actor for GuestActor {
    type Context = Context<Self>;
}

impl Handler<Deliver> for GuestActor {
    type Result = Reply;

    fn handle(&mut self, call: Deliver, context: &mut Self::Context) -> Reply {
        if std::mem::replace(&mut self.activity, Activity::Called) == Activity::Idle {
            self.watch_activity(context);
        }
        self.serve(call, context)
    }
}

impl Handler<HealthCheck> for GuestActor {
    type Result = Reply;

    fn handle(&mut self, check: HealthCheck, context: &mut Self::Context) -> Reply {
        match check.begin() {
            Ok(call) => self.serve(call, context),
            Err(busy) => Reply::Ready(Err(busy)),
        }
    }
}

impl<M: Message<Result = Result<Vec<u8>>>> MessageResponse<GuestActor, M> for Reply {
    fn handle(self, context: &mut Context<GuestActor>, caller: Option<OneshotSender<Result<Vec<u8>>>>) {
        self.send(context, caller);
    }
}

impl Reply {
    fn send(self, context: &mut Context<GuestActor>, caller: Option<OneshotSender<Result<Vec<u8>>>>) {
        let send = |caller: Option<OneshotSender<_>>, answer| {
            if let Some(caller) = caller {
                // A caller that has cancelled the call receives nothing.
                let _ = caller.send(answer);
            }
        };
        match self {
            Reply::Ready(answer) => send(caller, answer),
            Reply::Queued(call, slow_path) => {
                let turn = wrap_future(async move { slow_path.begin().await });
                context.wait(turn.map(move |turn, actor: &mut GuestActor, context| {
                    actor.serve_now(call, context).send(context, caller);
                    turn.end();
                }));
            }
            Reply::Pending(done) => {
                context.wait(wrap_future(done).map(
                    move |Completion { guest, answer }, actor: &mut GuestActor, context| {
                        send(caller, answer);
                        actor.take_back(guest, context);
                    },
                ));
            }
            #[cfg(feature = "experiments")]
            Reply::Lost(answer) => {
                context.spawn(wrap_future(answer).map(move |answer, _: &mut GuestActor, _| send(caller, answer)));
            }
        }
    }
}

impl Handler<Flush> for GuestActor {
    type Result = ();

    fn handle(&mut self, _: Flush, _: &mut Self::Context) {}
}

impl Handler<Stop> for GuestActor {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        actix::ActorContext::stop(context);
    }
}
