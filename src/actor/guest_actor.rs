//! An actor as it runs: an actix actor whose mailbox feeds one waPC guest, a message at a time.

use std::rc::Rc;
use std::time::Duration;

use actix::dev::{MessageResponse, OneshotSender};
use actix::fut::wrap_future;
use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message};
use futures_util::future::LocalBoxFuture;

use super::check::Check;
use super::role::{Done, Down, Loss, Role, Served};
use super::room::Place;
use crate::call::{self, CallContext};
use crate::engine::Guest;
use crate::error::Result;
use crate::shard::Efforts;

/// One message for an actor.
#[derive(Message)]
#[rtype(result = "Result<Vec<u8>>")]
pub(crate) struct Deliver {
    pub(super) message: call::Message,
    pub(super) context: CallContext,
    /// Held until the message has been answered. A health check has none: it is no call, and takes no call's place.
    pub(super) places: Option<[Place; 2]>,
}

/// Answered once the messages before this one have been served.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Pass;

/// Ends the actor once the messages before this one have been served.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Stop;

/// The actix actor of one guest. It is made on its shard, complete, and never leaves it.
pub(crate) struct GuestActor {
    role: Rc<Role>,
    /// The instance. It is away while it serves a call, and gone when a fault has retired it, until it is replaced.
    guest: Option<Guest>,
    /// Why it is not there, where that is more than a moment.
    down: Option<Down>,
    /// Whether it will be tried to make it again.
    is_to_be_tried: bool,
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

/// How a message is answered.
pub(crate) enum Answering {
    /// The guest has served it without waiting for anything.
    Now(Result<Vec<u8>>),
    /// The guest serves it when it has the turn for that; no other message is looked at until then.
    InTurn(Deliver, Efforts),
    /// The guest is at it; no other message is looked at until it is done.
    Later(LocalBoxFuture<'static, Done>),
    /// The message was lost on its way; the guest goes on with the next one.
    #[cfg(feature = "experiments")]
    Lost(LocalBoxFuture<'static, Result<Vec<u8>>>),
}

/// How long an instance that could not be made is left alone, unless there is a message for it.
const PAUSE: Duration = Duration::from_secs(1);

impl GuestActor {
    /// Instantiates the module on this thread, which must be a shard.
    ///
    /// # Errors
    /// Where the module cannot be instantiated or its start functions fail; then there is no actor.
    pub(crate) async fn make(role: Role) -> Result<GuestActor> {
        let role = Rc::new(role);
        let guest = role.first_instance().await?;
        Ok(GuestActor { role, guest: Some(guest), down: None, is_to_be_tried: false, rest: Rest::Resting })
    }

    /// Has the guest serve a message, if there is one. One that rests, or has crashed
    /// lately, may have to wait for its turn.
    fn serve(&mut self, call: Deliver, context: &mut Context<Self>) -> Answering {
        if !self.guest.as_ref().is_some_and(|guest| self.role.is_effort(guest)) {
            return self.serve_now(call, context);
        }
        let efforts = &self.role.efforts;
        let Some(effort) = efforts.begin_at_once() else { return Answering::InTurn(call, efforts.clone()) };
        let answering = self.serve_now(call, context);
        effort.end();
        answering
    }

    fn serve_now(&mut self, call: Deliver, context: &mut Context<Self>) -> Answering {
        let Some(guest) = self.guest.take() else {
            return match &self.down {
                Some(Down::Interrupted) => Answering::Later(Box::pin(self.role.clone().revive_and_serve(call))),
                Some(Down::GivenUp(reason)) => Answering::Now(Err(self.role.is_down(reason))),
                None => Answering::Now(Err(self.role.is_down("it has no instance"))),
            };
        };
        match self.role.serve(guest, call) {
            Served::Now((guest, answer)) => {
                self.take_back(guest, context);
                Answering::Now(answer)
            }
            Served::Later(done) => Answering::Later(done),
            #[cfg(feature = "experiments")]
            Served::Lost(guest, answer) => {
                self.guest = Some(guest);
                Answering::Lost(answer)
            }
        }
    }

    /// Replaces a lost instance. Messages wait for that where they are.
    fn recover(&self, loss: Loss, context: &mut Context<Self>) {
        let role = self.role.clone();
        context.wait(wrap_future(async move { role.recover(loss).await }).map(
            |recovered, actor: &mut Self, context| match recovered {
                Ok(guest) => actor.guest = Some(guest),
                Err(down) => actor.stay_down(down, context),
            },
        ));
    }

    /// Takes note that there is no instance for now. One that was interrupted is tried again after a while, if no message
    /// has had it tried before.
    fn stay_down(&mut self, down: Down, context: &mut Context<Self>) {
        let is_interrupted = matches!(down, Down::Interrupted);
        self.down = Some(down);
        if !is_interrupted || std::mem::replace(&mut self.is_to_be_tried, true) {
            return;
        }
        context.run_later(PAUSE, |actor, context| {
            actor.is_to_be_tried = false;
            if actor.guest.is_none() && matches!(actor.down, Some(Down::Interrupted)) {
                actor.recover(Loss::Down(Down::Interrupted), context);
            }
        });
    }

    /// Takes back what a message has left of the instance.
    fn take_back(&mut self, guest: Result<Guest, Loss>, context: &mut Context<Self>) {
        match guest {
            Ok(mut guest) => {
                // A health check does not end its rest: a host that asks all its actors must not hold the stacks of all.
                if self.rest == Rest::Resting {
                    guest.rest();
                }
                self.guest = Some(guest);
            }
            Err(Loss::Down(down)) => self.stay_down(down, context),
            Err(loss) => self.recover(loss, context),
        }
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
            if let Some(guest) = &mut actor.guest {
                guest.rest();
            }
        });
    }
}

impl actix::Actor for GuestActor {
    type Context = Context<Self>;
}

impl Handler<Deliver> for GuestActor {
    type Result = Answering;

    fn handle(&mut self, call: Deliver, context: &mut Self::Context) -> Answering {
        if std::mem::replace(&mut self.rest, Rest::Called) == Rest::Resting {
            self.look_later(context);
        }
        self.serve(call, context)
    }
}

impl Handler<Check> for GuestActor {
    type Result = Answering;

    fn handle(&mut self, check: Check, context: &mut Self::Context) -> Answering {
        match check.begin() {
            Ok(call) => self.serve(call, context),
            Err(not_now) => Answering::Now(Err(not_now)),
        }
    }
}

impl<M: Message<Result = Result<Vec<u8>>>> MessageResponse<GuestActor, M> for Answering {
    fn handle(self, context: &mut Context<GuestActor>, caller: Option<OneshotSender<Result<Vec<u8>>>>) {
        self.answer(context, caller);
    }
}

impl Answering {
    fn answer(self, context: &mut Context<GuestActor>, caller: Option<OneshotSender<Result<Vec<u8>>>>) {
        let send = |caller: Option<OneshotSender<_>>, answer| {
            if let Some(caller) = caller {
                // A caller that has given up is not there to be told.
                let _ = caller.send(answer);
            }
        };
        match self {
            Answering::Now(answer) => send(caller, answer),
            Answering::InTurn(call, efforts) => {
                let turn = wrap_future(async move { efforts.begin().await });
                context.wait(turn.map(move |effort, actor: &mut GuestActor, context| {
                    actor.serve_now(call, context).answer(context, caller);
                    effort.end();
                }));
            }
            Answering::Later(done) => {
                context.wait(wrap_future(done).map(move |(guest, answer), actor: &mut GuestActor, context| {
                    send(caller, answer);
                    actor.take_back(guest, context);
                }));
            }
            #[cfg(feature = "experiments")]
            Answering::Lost(answer) => {
                context.spawn(wrap_future(answer).map(move |answer, _: &mut GuestActor, _| send(caller, answer)));
            }
        }
    }
}

impl Handler<Pass> for GuestActor {
    type Result = ();

    fn handle(&mut self, _: Pass, _: &mut Self::Context) {}
}

impl Handler<Stop> for GuestActor {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        actix::ActorContext::stop(context);
    }
}
