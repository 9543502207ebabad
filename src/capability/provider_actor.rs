//! A provider as it runs: an actix actor that serves calls side by side and links one after the other.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use actix::{Context, Handler, Message, ResponseFuture};
use futures_util::FutureExt;

use super::blocking::{BlockingProvider, panicked};
use super::descriptor::{Code, NativeCapability};
use super::dispatcher::{ActorDispatcher, BlockingDispatcher};
use super::traits::{AsyncCapabilityProvider, Binding, ProviderCallContext};
use crate::deadline::within;
use crate::dispatch::{CallContext, Dispatch};
use crate::entity::shorten;
use crate::error::{BoxedError, Error, ErrorKind, Result};
use crate::shard::Shards;
use crate::supervisor::link::LinkDefinition;
use crate::supervisor::snapshot::{ActorIdentity, ProviderIdentity};

/// How many messages wait in the mailbox before senders have to wait themselves.
const MAILBOX_CAPACITY: usize = 1024;

/// A call from an actor.
#[derive(Message)]
#[rtype(result = "Result<Vec<u8>>")]
pub(crate) struct ProviderCall {
    pub(crate) actor: Arc<str>,
    pub(crate) operation: String,
    pub(crate) message: Vec<u8>,
    pub(crate) context: CallContext,
}

/// What the supervisor asks of a provider. Each is done before the next is begun, in the order of asking.
#[derive(Message)]
#[rtype(result = "Result<()>")]
pub(crate) enum Lifecycle {
    /// Take a link.
    Bind { actor: Arc<ActorIdentity>, definition: Arc<LinkDefinition> },
    /// Let go of the link of this actor.
    Unbind { actor: Arc<str> },
    /// Release everything and end.
    Stop,
}

/// The actix actor of one provider under one link name.
pub(crate) struct ProviderActor(Arc<Running>);

struct Running {
    identity: Arc<ProviderIdentity>,
    provider: Arc<dyn AsyncCapabilityProvider>,
    dispatch: Dispatch,
    /// Held by the lifecycle message that is being worked on. Calls never take it.
    lifecycle: tokio::sync::Mutex<()>,
}

impl ProviderActor {
    /// Makes the actor on this thread, which must be a shard.
    ///
    /// # Errors
    /// Where the provider refuses to start; then there is no actor.
    pub(crate) async fn make(
        capability: NativeCapability,
        dispatch: Dispatch,
        shards: Arc<Shards>,
    ) -> Result<ProviderActor> {
        let identity = capability.identity().clone();
        let provider: Arc<dyn AsyncCapabilityProvider> = match capability.code() {
            Code::Async(provider) => provider,
            Code::Blocking(provider) => {
                let dispatcher = BlockingDispatcher { dispatch: dispatch.clone(), provider: identity.clone(), shards };
                Arc::new(BlockingProvider::start(provider, dispatcher).await?)
            }
        };
        let lifecycle = tokio::sync::Mutex::new(());
        Ok(ProviderActor(Arc::new(Running { identity, provider, dispatch, lifecycle })))
    }
}

impl Running {
    async fn serve(&self, call: ProviderCall) -> Result<Vec<u8>> {
        let ProviderCall { actor, operation, message, context } = call;
        let (deadline, asked) = (context.deadline, operation.clone());
        let dispatcher = ActorDispatcher::new(self.dispatch.clone(), self.identity.clone(), Some(context));
        let call = ProviderCallContext { actor: actor.to_string(), operation, message, dispatcher };
        let served = guarded(within(deadline, self.provider.handle_call(call))).await;
        match served {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(error))) => Err(self.explain(ErrorKind::ProviderFailed, &asked, error)),
            Ok(Err(_)) => {
                let message = format!("{} did not answer {:?} in time", self.identity, shorten(&asked));
                Err(Error::new(ErrorKind::DeadlineExceeded, message))
            }
            Err(panicked) => Err(self.explain(ErrorKind::ProviderPanicked, &asked, panicked.into())),
        }
    }

    async fn tend(&self, task: Lifecycle) -> Result<()> {
        let _one_at_a_time = self.lifecycle.lock().await;
        let deadline = self.dispatch.begin().deadline;
        let task_name = task.to_string();
        let work = async {
            match task {
                Lifecycle::Bind { actor, definition } => self.provider.bind(self.binding(&actor, &definition)).await,
                Lifecycle::Unbind { actor } => self.provider.unbind(&actor).await,
                Lifecycle::Stop => {
                    self.provider.stop().await;
                    Ok(())
                }
            }
        };
        match guarded(within(deadline, work)).await {
            Ok(Ok(done)) => done.map_err(|error| self.explain(ErrorKind::ProviderFailed, &task_name, error)),
            Ok(Err(_)) => {
                let message = format!("{} did not {task_name} in time", self.identity);
                Err(Error::new(ErrorKind::DeadlineExceeded, message))
            }
            Err(panicked) => Err(self.explain(ErrorKind::ProviderPanicked, &task_name, panicked.into())),
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

    /// A provider's failure as an error that names the provider and what it was asked for. A failure of the host's
    /// own in between (a panic, a full queue) keeps its kind.
    fn explain(&self, kind: ErrorKind, asked: &str, error: BoxedError) -> Error {
        let kind = error.downcast_ref::<Error>().map_or(kind, Error::kind);
        Error::new(kind, format!("{} failed in {:?}", self.identity, shorten(asked))).caused_by(error)
    }
}

/// Turns a panic of a provider's future into an error, so that it ends one call and not the provider.
async fn guarded<T>(work: impl Future<Output = T>) -> Result<T> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| panicked(&*panic))
}

impl std::fmt::Display for Lifecycle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Lifecycle::Bind { actor, .. } => write!(f, "take the link of {actor}"),
            Lifecycle::Unbind { actor } => write!(f, "let go of the link of actor {actor}"),
            Lifecycle::Stop => f.write_str("stop"),
        }
    }
}

impl actix::Actor for ProviderActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX_CAPACITY);
    }
}

impl Handler<ProviderCall> for ProviderActor {
    type Result = ResponseFuture<Result<Vec<u8>>>;

    fn handle(&mut self, call: ProviderCall, _: &mut Self::Context) -> Self::Result {
        let running = self.0.clone();
        Box::pin(async move { running.serve(call).await })
    }
}

impl Handler<Lifecycle> for ProviderActor {
    type Result = ResponseFuture<Result<()>>;

    fn handle(&mut self, task: Lifecycle, context: &mut Self::Context) -> Self::Result {
        let running = self.0.clone();
        if matches!(task, Lifecycle::Stop) {
            actix::ActorContext::stop(context);
        }
        Box::pin(async move { running.tend(task).await })
    }
}
