//! The one bridge between the shards and code that blocks: a provider of the blocking interface on its own threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use crossbeam_channel::{Sender, TrySendError};
use tokio::sync::oneshot;

use super::dispatcher::{BlockingDispatcher, serving};
use super::traits::{AsyncCapabilityProvider, Binding, CapabilityProvider, ProviderCallContext};
use super::wire::{BIND_ACTOR, CapabilityConfiguration, REMOVE_ACTOR};
use crate::dispatch::CallContext;
use crate::entity::SYSTEM_ACTOR;
use crate::error::{BoxedError, Error, ErrorKind, Result};

/// How many calls a blocking provider serves at once.
const THREADS: usize = 4;

/// How many calls wait for a thread before further ones are refused.
const WAITING: usize = 1024;

type Job = Box<dyn FnOnce() + Send>;

/// A blocking provider, seen from a shard.
pub(super) struct BlockingProvider {
    provider: Arc<dyn CapabilityProvider>,
    jobs: Sender<Job>,
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
        let (jobs, waiting) = crossbeam_channel::bounded::<Job>(WAITING);
        for number in 0..THREADS {
            let waiting = waiting.clone();
            // A thread ends when the provider is dropped: then nobody can send it a job.
            std::thread::Builder::new()
                .name(format!("provider-{number}-{}", identity.contract_id))
                .spawn(move || waiting.iter().for_each(|job| job()))
                .map_err(|error| {
                    Error::new(ErrorKind::Io, format!("cannot start a thread for {identity}")).caused_by(error)
                })?;
        }
        let started = BlockingProvider { provider, jobs };
        let configured = started.run(None, |provider| provider.configure_dispatch(Box::new(dispatcher))).await;
        configured.map_err(|error| {
            Error::new(ErrorKind::ProviderFailed, format!("{identity} could not be started")).caused_by(error)
        })?;
        Ok(started)
    }

    /// Runs a part of the provider on one of its threads.
    async fn run<T: Send + 'static>(
        &self,
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
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => Error::new(ErrorKind::Busy, format!("{WAITING} calls wait for the provider")),
            TrySendError::Disconnected(_) => Error::new(ErrorKind::ProviderNotFound, "the provider was stopped"),
        })?;
        answered.await.map_err(|_| Error::new(ErrorKind::ProviderNotFound, "the provider was stopped"))?
    }

    async fn tell(&self, operation: &'static str, configuration: CapabilityConfiguration) -> Result<(), BoxedError> {
        let message = configuration.encode()?;
        self.run(None, move |provider| provider.handle_call(SYSTEM_ACTOR, operation, &message)).await?;
        Ok(())
    }
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
        self.run(context, move |provider| provider.handle_call(&actor, &operation, &message)).await
    }

    async fn stop(&self) {
        let stopped = self.run(None, |provider| {
            provider.stop();
            Ok(())
        });
        if let Err(error) = stopped.await {
            log::error!("a provider failed while it was stopped: {error}");
        }
    }
}

/// A panic as an error: its text is for the log and for the caller alike.
pub(super) fn panicked(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a text");
    Error::new(ErrorKind::ProviderPanicked, format!("the provider panicked: {text}"))
}
