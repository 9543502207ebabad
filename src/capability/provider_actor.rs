//! A provider as it runs: an actix actor that serves calls and links side by side, and is stopped after the last.

use std::cell::Cell;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Context, Handler, Message, ResponseFuture, WeakAddr};
use futures_util::FutureExt;
use tokio::sync::{Notify, RwLock};

use super::blocking::BlockingProvider;
use super::descriptor::{Code, NativeCapability};
use super::dispatcher::{ActorDispatcher, BlockingDispatcher};
#[cfg(feature = "experiments")]
use super::disturbance;
use super::plugin::Surroundings;
use super::threads::panicked;
use super::traits::{AsyncCapabilityProvider, Binding, ProviderCallContext};
use super::wire::HEALTH_REQUEST;
use crate::actor::mailbox::InstanceNumber;
use crate::call::{self, CallContext};
use crate::deadline::within;
use crate::dispatch::Dispatch;
use crate::ending::Ending;
use crate::entity::shorten;
use crate::error::{BoxedError, Error, ErrorKind, Result};
use crate::shard::Shards;
use crate::supervisor::Supervisor;
use crate::supervisor::health::Health;
use crate::supervisor::link::LinkDefinition;
use crate::supervisor::recovery::ProviderCrashed;
use crate::supervisor::snapshot::{ActorIdentity, ProviderIdentity};

/// How long a provider may take to start, to take or let go of a link, and to stop.
const LIFECYCLE_TIMEOUT: Duration = Duration::from_secs(60);

/// A call from an actor. It comes back from a provider that has been stopped, and may be sent to the one in its place.
#[derive(Message)]
#[rtype(result = "Result<Result<Vec<u8>>, ProviderCall>")]
pub(crate) struct ProviderCall {
    pub(crate) actor: Arc<str>,
    pub(crate) message: call::Message,
    pub(crate) context: CallContext,
}

/// What the supervisor asks of a provider.
#[derive(Message)]
#[rtype(result = "Result<()>")]
pub(crate) enum Lifecycle {
    /// Take a link.
    Bind { actor: Arc<ActorIdentity>, definition: Arc<LinkDefinition> },
    /// Bring no new work to this actor, and finish what is under way.
    Drain { actor: Arc<str> },
    /// Let go of the link of this actor.
    Unbind { actor: Arc<str> },
    /// Finish what is under way, within a time, release everything and end.
    Stop { grace: Duration },
}

/// Tell how you are, within a time.
#[derive(Message)]
#[rtype(result = "Health")]
pub(crate) struct ProviderCheck {
    pub(crate) time: Duration,
}

/// The actix actor of one provider under one link name.
pub(crate) struct ProviderActor(Rc<Running>);

struct Running {
    identity: Arc<ProviderIdentity>,
    instance: InstanceNumber,
    provider: Arc<dyn AsyncCapabilityProvider>,
    dispatch: Dispatch,
    /// Who decides about crashes.
    supervisor: WeakAddr<Supervisor>,
    /// Whether it takes no more calls.
    ending: Ending,
    /// Shared by what concerns single links, owned by the stop. It holds whether the provider has been stopped.
    lifecycle: RwLock<bool>,
    /// How many calls are being served.
    calls: Cell<usize>,
    /// Told when the last of them has ended.
    idle: Notify,
}

impl ProviderActor {
    /// Makes the actor on this thread, which must be a shard.
    ///
    /// # Errors
    /// Where the provider refuses to start; then there is no actor.
    pub(crate) async fn make(
        (capability, instance): (NativeCapability, InstanceNumber),
        dispatch: Dispatch,
        shards: Arc<Shards>,
        supervisor: WeakAddr<Supervisor>,
    ) -> Result<ProviderActor> {
        let identity = capability.identity().clone();
        #[cfg(feature = "experiments")]
        within(lifecycle_deadline(), disturbance::start(&dispatch, &identity))
            .await
            .map_err(|_| too_slow(&identity, "start"))?;
        let provider: Arc<dyn AsyncCapabilityProvider> = match capability.code() {
            Code::Async(provider) => provider,
            Code::Blocking(provider) => {
                let dispatcher = BlockingDispatcher { dispatch: dispatch.clone(), provider: identity.clone(), shards };
                let start = BlockingProvider::start(provider, dispatcher);
                Arc::new(within(lifecycle_deadline(), start).await.map_err(|_| too_slow(&identity, "start"))??)
            }
            Code::Plugin(plugin) => {
                let (of, supervisor) = (identity.clone(), supervisor.clone());
                let lost = Box::new(move |cause| report(&supervisor, (&of, instance), cause));
                let surroundings = Surroundings { identity: identity.clone(), dispatch: dispatch.clone(), lost };
                let start = plugin.start(surroundings);
                within(lifecycle_deadline(), start).await.map_err(|_| too_slow(&identity, "start"))??
            }
        };
        let (ending, lifecycle, calls, idle) = Default::default();
        let running = Running { identity, instance, provider, dispatch, supervisor, ending, lifecycle, calls, idle };
        Ok(ProviderActor(Rc::new(running)))
    }
}

impl Running {
    async fn serve(&self, call: ProviderCall) -> Result<Result<Vec<u8>>, ProviderCall> {
        if self.ending.is_closing() {
            return Err(call);
        }
        let _counted = Counted::new(self);
        let ProviderCall { actor, message, context } = call;
        let call::Message { operation, payload: message } = message;
        let (deadline, asked) = (context.deadline, operation.clone());
        let dispatcher = ActorDispatcher::new(self.dispatch.clone(), self.identity.clone(), Some(context));
        let call = ProviderCallContext { actor: actor.to_string(), operation, message, dispatcher };
        let work = self.provider.handle_call(call);
        #[cfg(feature = "experiments")]
        let work = disturbance::call(&self.dispatch, &self.identity, work);
        Ok(self.ask(&asked, deadline, work).await)
    }

    async fn tend(&self, task: Lifecycle) -> Result<()> {
        if let Lifecycle::Stop { grace } = task {
            self.ending.close();
            return self.stop(grace).await;
        }
        let stopped = self.lifecycle.read().await;
        if *stopped {
            if matches!(task, Lifecycle::Drain { .. } | Lifecycle::Unbind { .. }) {
                // It let go of everything when it was stopped.
                return Ok(());
            }
            return Err(Error::new(ErrorKind::ProviderNotFound, format!("{} has been stopped", self.identity)));
        }
        let (name, deadline) = (task.to_string(), lifecycle_deadline());
        match task {
            Lifecycle::Bind { actor, definition } => {
                let bound = self.ask(&name, deadline, self.provider.bind(self.binding(&actor, &definition))).await;
                if bound.as_ref().is_err_and(|error| error.kind() == ErrorKind::DeadlineExceeded) {
                    // It may still come about. Nobody counts on it, so it must not stay.
                    let undone = self.ask(&name, lifecycle_deadline(), self.provider.unbind(&actor.key)).await;
                    undone.unwrap_or_else(|error| log::error!("a link that took too long stays behind: {error}"));
                }
                bound
            }
            Lifecycle::Drain { actor } => self.ask(&name, deadline, self.provider.drain(&actor)).await,
            Lifecycle::Unbind { actor } => self.ask(&name, deadline, self.provider.unbind(&actor)).await,
            Lifecycle::Stop { .. } => Ok(()),
        }
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

    /// Stops the provider, once what concerns single links is done and the calls have ended.
    async fn stop(&self, grace: Duration) -> Result<()> {
        let mut stopped = self.lifecycle.write().await;
        if std::mem::replace(&mut *stopped, true) {
            return Ok(());
        }
        let idle = async {
            while self.calls.get() > 0 {
                self.idle.notified().await;
            }
        };
        if within(Instant::now() + grace, idle).await.is_err() {
            log::warn!("{} is stopped while it serves {} call(s)", self.identity, self.calls.get());
        }
        let stop = async {
            self.provider.stop().await;
            Ok(())
        };
        self.ask("stop", lifecycle_deadline(), stop).await
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
            report(&self.supervisor, (&self.identity, self.instance), error.to_string());
        }
    }

    fn binding(&self, actor: &ActorIdentity, definition: &LinkDefinition) -> Binding {
        let metadata = actor.claims.metadata.as_ref();
        Binding {
            actor: actor.key.to_string(),
            actor_name: actor.name.clone(),
            issuer: actor.claims.issuer.clone(),
            capabilities: metadata.and_then(|metadata| metadata.caps.clone()).unwrap_or_default(),
            tags: metadata.and_then(|metadata| metadata.tags.clone()).unwrap_or_default(),
            expires: actor.claims.expires,
            values: definition.values.clone(),
            dispatcher: ActorDispatcher::new(self.dispatch.clone(), self.identity.clone(), None),
        }
    }

    /// A provider's failure as an error that names the provider and what it was asked for. Errors of this crate that a
    /// provider passes on (a full queue, a call back that was refused) keep their kind.
    fn explain(&self, asked: &str, error: BoxedError) -> Error {
        let kind = error.downcast_ref::<Error>().map_or(ErrorKind::ProviderFailed, Error::kind);
        Error::new(kind, format!("{} failed in {:?}", self.identity, shorten(asked))).caused_by(error)
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

/// Tells the supervisor that a provider has crashed.
fn report(supervisor: &WeakAddr<Supervisor>, (provider, instance): (&ProviderIdentity, InstanceNumber), cause: String) {
    if let Some(supervisor) = supervisor.upgrade() {
        supervisor.do_send(ProviderCrashed { provider: provider.key.clone(), instance, cause });
    }
}

fn lifecycle_deadline() -> Instant {
    Instant::now() + LIFECYCLE_TIMEOUT
}

fn too_slow(provider: &ProviderIdentity, asked: &str) -> Error {
    let message = format!("{provider} was not done in time with {:?}", shorten(asked));
    Error::new(ErrorKind::DeadlineExceeded, message)
}

impl std::fmt::Display for Lifecycle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Lifecycle::Bind { actor, .. } => write!(f, "take the link of {actor}"),
            Lifecycle::Drain { actor } => write!(f, "drain the link of actor {actor}"),
            Lifecycle::Unbind { actor } => write!(f, "let go of the link of actor {actor}"),
            Lifecycle::Stop { .. } => f.write_str("stop"),
        }
    }
}

impl actix::Actor for ProviderActor {
    type Context = Context<Self>;
}

impl Handler<ProviderCall> for ProviderActor {
    type Result = ResponseFuture<Result<Result<Vec<u8>>, ProviderCall>>;

    fn handle(&mut self, call: ProviderCall, _: &mut Self::Context) -> Self::Result {
        let running = self.0.clone();
        Box::pin(async move { running.serve(call).await })
    }
}

impl Handler<ProviderCheck> for ProviderActor {
    type Result = ResponseFuture<Health>;

    fn handle(&mut self, ProviderCheck { time }: ProviderCheck, _: &mut Self::Context) -> Self::Result {
        let running = self.0.clone();
        Box::pin(async move { running.check(time).await })
    }
}

impl Handler<Lifecycle> for ProviderActor {
    type Result = ResponseFuture<Result<()>>;

    fn handle(&mut self, task: Lifecycle, _: &mut Self::Context) -> Self::Result {
        // The actor itself ends when nobody has its address any more.
        let running = self.0.clone();
        Box::pin(async move { running.tend(task).await })
    }
}
