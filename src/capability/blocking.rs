//! The one bridge between the shards and code that blocks: a provider of the blocking interface on its own threads.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use crossbeam_channel::{Receiver, Sender, TrySendError};
use tokio::sync::oneshot;

use super::dispatcher::{BlockingDispatcher, serving};
use super::traits::{AsyncCapabilityProvider, Binding, CapabilityProvider, ProviderCallContext};
use super::wire::{BIND_ACTOR, CapabilityConfiguration, HEALTH_REQUEST, REMOVE_ACTOR, health_request, read_health};
use crate::call::CallContext;
use crate::entity::SYSTEM_ACTOR;
use crate::error::{BoxedError, Error, ErrorKind, Result, panic_text};

/// How many calls a blocking provider serves at once.
const CALL_THREADS: usize = 4;

/// How many calls wait for a thread before further ones are refused.
const WAITING: usize = 1024;

type Job = Box<dyn FnOnce() + Send>;

/// A blocking provider, seen from a shard.
pub(super) struct BlockingProvider {
    provider: Arc<dyn CapabilityProvider>,
    calls: Sender<Job>,
    /// Links, start and stop have a thread of their own: calls that hang cannot hold them up.
    lifecycle: Sender<Job>,
    /// So have health checks: neither can calls that hang hold them up, nor they the calls.
    health: Sender<Job>,
    /// Held once more by each call that is served or waits for a thread.
    at_work: Arc<()>,
}

impl BlockingProvider {
    /// Starts the provider's threads and hands it the way to call actors.
    ///
    /// # Errors
    /// Where no thread can be started, or the provider refuses.
    pub(super) async fn start(
        provider: Arc<dyn CapabilityProvider>,
        dispatcher: BlockingDispatcher,
    ) -> Result<BlockingProvider> {
        let identity = dispatcher.provider.clone();
        let thread_error = |error: std::io::Error| {
            Error::new(ErrorKind::Io, format!("cannot start a thread for {identity}")).caused_by(error)
        };
        let (calls, waiting_calls) = crossbeam_channel::bounded(WAITING);
        for number in 0..CALL_THREADS {
            work_off(format!("provider-{number}-{}", identity.contract_id), &waiting_calls).map_err(thread_error)?;
        }
        let (lifecycle, waiting_lifecycle) = crossbeam_channel::unbounded();
        work_off(format!("provider-{}", identity.contract_id), &waiting_lifecycle).map_err(thread_error)?;
        let (health, waiting_health) = crossbeam_channel::bounded(1);
        work_off(format!("provider-health-{}", identity.contract_id), &waiting_health).map_err(thread_error)?;
        let started = BlockingProvider { provider, calls, lifecycle, health, at_work: Arc::default() };
        let configure = move |provider: &dyn CapabilityProvider| provider.configure_dispatch(Box::new(dispatcher));
        started.run(&started.lifecycle, None, configure).await.map_err(|error| {
            Error::new(ErrorKind::ProviderFailed, format!("{identity} could not be started")).caused_by(error)
        })?;
        Ok(started)
    }

    /// Runs a part of the provider on one of its threads.
    async fn run<T: Send + 'static>(
        &self,
        threads: &Sender<Job>,
        context: Option<CallContext>,
        part: impl FnOnce(&dyn CapabilityProvider) -> Result<T, BoxedError> + Send + 'static,
    ) -> Result<T, BoxedError> {
        let provider = self.provider.clone();
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move || {
            let done = catch_unwind(AssertUnwindSafe(|| serving(context, || part(&*provider))));
            // Nobody listens any more where the caller's time was up.
            let _ = answer.send(done.unwrap_or_else(|panic| Err(panicked(&*panic).into())));
        });
        threads.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => Error::new(ErrorKind::Busy, format!("{WAITING} calls wait for the provider")),
            TrySendError::Disconnected(_) => Error::new(ErrorKind::ProviderNotFound, "the provider was stopped"),
        })?;
        answered.await.map_err(|_| Error::new(ErrorKind::ProviderNotFound, "the provider was stopped"))?
    }

    async fn tell(&self, operation: &'static str, configuration: CapabilityConfiguration) -> Result<(), BoxedError> {
        let message = configuration.encode()?;
        let tell = move |provider: &dyn CapabilityProvider| provider.handle_call(SYSTEM_ACTOR, operation, &message);
        self.run(&self.lifecycle, None, tell).await?;
        Ok(())
    }
}

/// Starts a thread that works off jobs until nobody can send one any more.
fn work_off(name: String, jobs: &Receiver<Job>) -> std::io::Result<()> {
    let jobs = jobs.clone();
    std::thread::Builder::new().name(name).spawn(move || jobs.iter().for_each(|job| job()))?;
    Ok(())
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for BlockingProvider {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        self.tell(BIND_ACTOR, CapabilityConfiguration::bind(binding)).await
    }

    async fn unbind(&self, actor: &str) -> Result<(), BoxedError> {
        self.tell(REMOVE_ACTOR, CapabilityConfiguration::remove(actor)).await
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        let ProviderCallContext { actor, operation, message, dispatcher } = call;
        let context = dispatcher.into_context();
        let deadline = context.as_ref().map(|context| context.deadline);
        let at_work = self.at_work.clone();
        let serve = move |provider: &dyn CapabilityProvider| {
            let _at_work = at_work;
            // A call whose time ran out while it waited for a thread is nobody's any more.
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err("the call's time was up before a thread was free for it".into());
            }
            provider.handle_call(&actor, &operation, &message)
        };
        self.run(&self.calls, context, serve).await
    }

    async fn health(&self) -> Result<(), BoxedError> {
        // This provider holds it, too.
        if Arc::strong_count(&self.at_work) > CALL_THREADS {
            return Err(Error::new(ErrorKind::Busy, "all of its threads have calls").into());
        }
        if self.health.is_full() {
            return Err(
                Error::new(ErrorKind::DeadlineExceeded, "it has not answered the last health checks yet").into()
            );
        }
        let ask = |provider: &dyn CapabilityProvider| {
            let answer = provider.handle_call(SYSTEM_ACTOR, HEALTH_REQUEST, &health_request())?;
            Ok(read_health(&answer)?)
        };
        self.run(&self.health, None, ask).await
    }

    async fn stop(&self) {
        let stop = |provider: &dyn CapabilityProvider| {
            provider.stop();
            Ok(())
        };
        if let Err(error) = self.run(&self.lifecycle, None, stop).await {
            log::error!("a provider failed while it was stopped: {error}");
        }
    }
}

/// A panic as an error.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Error {
    Error::new(ErrorKind::ProviderPanicked, format!("the provider panicked: {}", panic_text(panic)))
}
