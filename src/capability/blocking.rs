//! A provider of the blocking interface, seen from a shard: it runs on threads of its own.

use std::sync::Arc;

use async_trait::async_trait;

use super::dispatcher::{BlockingDispatcher, serving};
use super::threads::Threads;
use super::traits::{AsyncCapabilityProvider, Binding, CapabilityProvider, ProviderCallContext};
use super::wire::{BIND_ACTOR, CapabilityConfiguration, HEALTH_REQUEST, REMOVE_ACTOR, health_request, read_health};
use crate::entity::SYSTEM_ACTOR;
use crate::error::{BoxedError, Error, ErrorKind, Result};

/// A blocking provider and its threads.
pub(super) struct BlockingProvider {
    provider: Arc<dyn CapabilityProvider>,
    threads: Threads,
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
        let started = BlockingProvider { provider, threads: Threads::start(&identity)? };
        let configured = started.in_turn(move |provider| provider.configure_dispatch(Box::new(dispatcher))).await;
        configured.map_err(|error| {
            Error::new(ErrorKind::ProviderFailed, format!("{identity} could not be started")).context_of(error)
        })?;
        Ok(started)
    }

    async fn in_turn(
        &self,
        part: impl FnOnce(&dyn CapabilityProvider) -> Result<(), BoxedError> + Send + 'static,
    ) -> Result<(), BoxedError> {
        let provider = self.provider.clone();
        self.threads.in_turn(move || part(&*provider)).await
    }

    async fn tell(&self, operation: &'static str, configuration: CapabilityConfiguration) -> Result<(), BoxedError> {
        let message = configuration.encode()?;
        self.in_turn(move |provider| provider.handle_call(SYSTEM_ACTOR, operation, &message).map(drop)).await
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
        let deadline = context.as_ref().map(|context| context.deadline);
        let provider = self.provider.clone();
        let serve = move || serving(context, || provider.handle_call(&actor, &operation, &message));
        self.threads.call(deadline, serve).await
    }

    async fn health(&self) -> Result<(), BoxedError> {
        let provider = self.provider.clone();
        let ask = move || {
            let answer = provider.handle_call(SYSTEM_ACTOR, HEALTH_REQUEST, &health_request())?;
            Ok(read_health(&answer)?)
        };
        self.threads.check(ask).await
    }

    async fn stop(&self) {
        let stop = |provider: &dyn CapabilityProvider| {
            provider.stop();
            Ok(())
        };
        if let Err(error) = self.in_turn(stop).await {
            log::error!("a provider failed while it was stopped: {error}");
        }
    }
}
