//! A provider as it runs: an actix actor that serves calls and links side by side, and is stopped after the last.
//!
//! # Layout
//! - `lifecycle`: what the supervisor asks of it
//! - `making`: how it is started, whatever its interface
//! - `reports`: what the supervisor is told of it

mod lifecycle;
mod making;
mod reports;

use std::cell::Cell;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Context, Handler, Message, ResponseFuture};
use futures_util::FutureExt;
use tokio::sync::{Notify, RwLock};

use super::dispatcher::ActorDispatcher;
#[cfg(feature = "experiments")]
use super::disturbance;
use super::threads::panicked;
use super::traits::{AsyncCapabilityProvider, ProviderCallContext};
use super::wire::HEALTH_REQUEST;
use crate::call::{self, CallContext};
use crate::deadline::within;
use crate::dispatch::Dispatch;
use crate::ending::Ending;
use crate::entity::shorten;
use crate::error::{BoxedError, Error, ErrorKind, Result};
use crate::shard::Taken;
use crate::supervisor::health::Health;
use crate::supervisor::snapshot::ProviderIdentity;
pub(crate) use lifecycle::{LAST_MOMENTS, Lifecycle};
pub(crate) use making::Making;
use reports::Reports;

/// How long a provider may take to start, and to take or let go of a link.
const LIFECYCLE_TIMEOUT: Duration = Duration::from_secs(60);

/// A call from an actor. It comes back from a provider that has been stopped, and may be sent to the one in its place.
#[derive(Message)]
#[rtype(result = "Result<Result<Vec<u8>>, ProviderCall>")]
pub(crate) struct ProviderCall {
    pub(crate) actor: Arc<str>,
    pub(crate) message: call::Message,
    pub(crate) context: CallContext,
}

/// Tell how you are, within a time.
#[derive(Message)]
#[rtype(result = "Health")]
pub(crate) struct ProviderCheck {
    pub(crate) time: Duration,
}

/// The actix actor of one provider under one link name.
pub(crate) struct ProviderActor {
    running: Rc<Running>,
    /// Changes of links, of which there may be many at once.
    taken: Taken,
}

struct Running {
    identity: Arc<ProviderIdentity>,
    provider: Arc<dyn AsyncCapabilityProvider>,
    dispatch: Dispatch,
    reports: Reports,
    /// Once closing, it takes no calls but those that its own wait for; once ended, changes of links are given up.
    ending: Ending,
    /// Whether it has released everything, and serves nothing at all.
    is_gone: Cell<bool>,
    /// Shared by what concerns single links, owned by the stop. It holds whether the provider has been stopped.
    lifecycle: RwLock<bool>,
    /// How many calls are being served.
    calls: Cell<usize>,
    /// Told when the last of them has ended.
    idle: Notify,
}

impl ProviderActor {
    fn new(
        identity: Arc<ProviderIdentity>,
        provider: Arc<dyn AsyncCapabilityProvider>,
        dispatch: Dispatch,
        reports: Reports,
    ) -> ProviderActor {
        let (ending, is_gone, lifecycle, calls, idle) = Default::default();
        let running = Running { identity, provider, dispatch, reports, ending, is_gone, lifecycle, calls, idle };
        ProviderActor { running: Rc::new(running), taken: Taken::default() }
    }
}

impl Running {
    async fn serve(&self, call: ProviderCall) -> Result<Result<Vec<u8>>, ProviderCall> {
        let instance = self.reports.instance();
        let is_own = || !self.is_gone.get() && call.context.is_awaited_by(instance);
        if self.ending.is_closing() && !is_own() {
            return Err(call);
        }
        let _counted = Counted::new(self);
        let ProviderCall { actor, message, context } = call;
        let call::Message { operation, payload: message } = message;
        let (deadline, asked) = (context.deadline, operation.clone());
        let dispatcher = self.dispatcher(Some(context));
        let call = ProviderCallContext { actor: actor.to_string(), operation, message, dispatcher };
        let work = self.provider.handle_call(call);
        #[cfg(feature = "experiments")]
        let work = disturbance::call(&self.dispatch, &self.identity, work);
        let answer = self.ask(&asked, deadline, work).await;
        if answer.as_ref().map_or_else(|error| error.kind() == ErrorKind::ProviderFailed, |_| true) {
            self.reports.note_answer();
        }
        Ok(answer)
    }

    async fn check(&self, time: Duration) -> Health {
        if self.ending.is_closing() {
            return Health::Busy;
        }
        match self.ask(HEALTH_REQUEST, Instant::now() + time, self.provider.health()).await {
            Ok(()) => Health::Healthy,
            Err(error) => Health::of_failure(&error),
        }
    }

    /// Has the provider do something within a time, and explains what goes wrong.
    async fn ask<T>(
        &self,
        what: &str,
        deadline: Instant,
        work: impl Future<Output = Result<T, BoxedError>>,
    ) -> Result<T> {
        // A panic ends what was asked for, and has the provider restarted.
        match AssertUnwindSafe(within(deadline, work)).catch_unwind().await {
            Ok(Ok(Ok(done))) => Ok(done),
            Ok(Ok(Err(error))) => Err(self.explain(what, error)),
            Ok(Err(_)) => Err(too_slow(&self.identity, what)),
            Err(panic) => Err(self.explain(what, panicked(&*panic).into())),
        }
        .inspect_err(|error| self.report(error))
    }

    /// Reports a crash.
    fn report(&self, error: &Error) {
        if error.kind() == ErrorKind::ProviderPanicked {
            self.reports.tell_of_crash(error.to_string());
        }
    }

    /// The way to call actors, as part of a call or not.
    fn dispatcher(&self, within: Option<CallContext>) -> ActorDispatcher {
        let provider = (self.identity.clone(), self.reports.instance());
        ActorDispatcher::new(self.dispatch.clone(), provider, within)
    }

    /// A provider's failure as an error that names the provider and what it was asked for. Errors of this crate that a
    /// provider passes on (a full queue, a call back that was refused) keep their kind.
    fn explain(&self, asked: &str, error: BoxedError) -> Error {
        let kind = error.downcast_ref::<Error>().map_or(ErrorKind::ProviderFailed, Error::kind);
        Error::new(kind, format!("{} failed in {:?}", self.identity, shorten(asked))).context_of(error)
    }
}

/// A call that is being served, for as long as it is.
struct Counted<'a>(&'a Running);

impl Counted<'_> {
    fn new(running: &Running) -> Counted<'_> {
        running.calls.set(running.calls.get() + 1);
        Counted(running)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.calls.set(self.0.calls.get() - 1);
        if self.0.calls.get() == 0 {
            self.0.idle.notify_one();
        }
    }
}

fn lifecycle_deadline() -> Instant {
    Instant::now() + LIFECYCLE_TIMEOUT
}

fn too_slow(provider: &ProviderIdentity, asked: &str) -> Error {
    let message = format!("{provider} was not done in time with {:?}", shorten(asked));
    Error::new(ErrorKind::DeadlineExceeded, message)
}

impl actix::Actor for ProviderActor {
    type Context = Context<Self>;
}

impl Handler<ProviderCall> for ProviderActor {
    type Result = ResponseFuture<Result<Result<Vec<u8>>, ProviderCall>>;

    fn handle(&mut self, call: ProviderCall, _: &mut Self::Context) -> Self::Result {
        let running = self.running.clone();
        Box::pin(async move { running.serve(call).await })
    }
}

impl Handler<ProviderCheck> for ProviderActor {
    type Result = ResponseFuture<Health>;

    fn handle(&mut self, ProviderCheck { time }: ProviderCheck, _: &mut Self::Context) -> Self::Result {
        let running = self.running.clone();
        Box::pin(async move { running.check(time).await })
    }
}
