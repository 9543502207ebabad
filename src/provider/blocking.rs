//! The adapter for providers of the blocking interface, which run on threads of their own.

use std::cell::RefCell;
use std::sync::Arc;

use async_trait::async_trait;
use wasmcloud_core::call::{CallContext, Request};
use wasmcloud_core::entity::SYSTEM_ACTOR;
use wasmcloud_core::error::{BoxedError, Error, ErrorKind, Result};
use wasmcloud_core::health::{HEALTH_REQUEST, health_request, read_health};
use wasmcloud_provider::threads::Threads;
use wasmcloud_provider::wire::{BIND_ACTOR, CapabilityConfiguration, REMOVE_ACTOR};
use wasmcloud_provider::{
    AsyncCapabilityProvider, Binding, CapabilityProvider, Dispatcher, ProviderCallContext, ProviderDescriptor,
    ProviderFigures,
};

use super::caller::InstanceCaller;
use crate::dispatch::CallingProvider;
use crate::shard::Shards;

thread_local! {
    /// The call that this thread of a blocking provider serves.
    static SERVED: RefCell<Option<CallContext>> = const { RefCell::new(None) };
}

/// Runs part of a blocking provider. The calls that it makes to actors are part of the call that `context` belongs to.
fn with_context<T>(context: Option<CallContext>, work: impl FnOnce() -> T) -> T {
    SERVED.set(context);
    let result = work();
    SERVED.set(None);
    result
}

/// Calls actors for a blocking provider: the call runs on a shard, and the provider's thread waits for it.
pub(super) struct BlockingDispatcher {
    pub(super) caller: Arc<InstanceCaller>,
    pub(super) shards: Arc<Shards>,
}

impl Dispatcher for BlockingDispatcher {
    fn dispatch(&self, actor: &str, operation: &str, message: &[u8]) -> Result<Vec<u8>, BoxedError> {
        if self.shards.current().is_some() {
            let message =
                "a blocking dispatch on a shard's thread would stall every actor there: dispatch from another thread";
            return Err(Error::new(ErrorKind::InvalidArgument, message).into());
        }
        let caller = self.caller.clone();
        let context = SERVED.with_borrow(Clone::clone).unwrap_or_else(|| caller.dispatch.begin());
        let deadline = context.deadline;
        let (answer, answered) = crossbeam_channel::bounded(1);
        let actor = actor.to_owned();
        let request = Request { operation: operation.to_owned(), payload: message.to_vec() };
        self.shards.spawn(async move {
            let origin = CallingProvider { identity: &caller.identity, instance: caller.instance };
            let called = caller.dispatch.call_from_provider(origin, context, &actor, request).await;
            // The provider's thread stops waiting at the deadline.
            let _ = answer.send(called);
        })?;
        match answered.recv_deadline(deadline) {
            Ok(answer) => Ok(answer?),
            Err(crossbeam_channel::RecvTimeoutError::Timeout) => {
                Err(Error::new(ErrorKind::DeadlineExceeded, "the actor did not answer in time").into())
            }
            Err(crossbeam_channel::RecvTimeoutError::Disconnected) => {
                Err(Error::new(ErrorKind::HostNotRunning, "the host was stopped before the actor answered").into())
            }
        }
    }
}

/// A blocking provider and its threads.
pub(super) struct BlockingProvider {
    provider: Arc<dyn CapabilityProvider>,
    threads: Threads,
}

impl BlockingProvider {
    /// Starts the provider's threads, and gives the provider its dispatcher.
    ///
    /// # Errors
    /// No thread can be started, or the provider refuses to start.
    pub(super) async fn start(
        provider: Arc<dyn CapabilityProvider>,
        descriptor: &ProviderDescriptor,
        dispatcher: BlockingDispatcher,
    ) -> Result<BlockingProvider> {
        let started = BlockingProvider { provider, threads: Threads::start(descriptor)? };
        let configured = started.in_turn(move |provider| provider.configure_dispatch(Box::new(dispatcher))).await;
        configured.map_err(|error| {
            Error::new(ErrorKind::ProviderFailed, format!("{descriptor} could not be started")).context_of(error)
        })?;
        Ok(started)
    }

    async fn in_turn(
        &self,
        part: impl FnOnce(&dyn CapabilityProvider) -> Result<(), BoxedError> + Send + 'static,
    ) -> Result<(), BoxedError> {
        let provider = self.provider.clone();
        self.threads.run_in_order(move || part(&*provider)).await
    }

    async fn send_link_change(
        &self,
        operation: &'static str,
        configuration: CapabilityConfiguration,
    ) -> Result<(), BoxedError> {
        let message = configuration.encode()?;
        self.in_turn(move |provider| provider.handle_call(SYSTEM_ACTOR, operation, &message).map(drop)).await
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for BlockingProvider {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        self.send_link_change(BIND_ACTOR, CapabilityConfiguration::bind(binding)).await
    }

    async fn unbind(&self, actor: &str) -> Result<(), BoxedError> {
        self.send_link_change(REMOVE_ACTOR, CapabilityConfiguration::remove(actor)).await
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        let ProviderCallContext { actor, operation, message, dispatcher, .. } = call;
        let context = dispatcher.into_context();
        let deadline = context.as_ref().map(|context| context.deadline);
        let provider = self.provider.clone();
        let serve = move || with_context(context, || provider.handle_call(&actor, &operation, &message));
        self.threads.run_call(deadline, serve).await
    }

    async fn health(&self) -> Result<(), BoxedError> {
        let provider = self.provider.clone();
        let ask = move || {
            let answer = provider.handle_call(SYSTEM_ACTOR, HEALTH_REQUEST, &health_request())?;
            Ok(read_health(&answer)?)
        };
        self.threads.run_health_check(ask).await
    }

    fn figures(&self) -> ProviderFigures {
        self.provider.figures()
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
