//! A provider that freezes: it accepts no link, serves no call and answers no health check until it is thawed.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;
use wasmcloud_host::{AsyncCapabilityProvider, Binding, BoxedError, NativeCapability, ProviderCallContext};

use crate::support::provider_claims;

/// What the provider serves.
pub(super) const FREEZER: &str = "stress:freezer";

#[derive(Clone)]
pub(super) struct Freezer(Arc<watch::Sender<Frozen>>);

/// What of the provider stands still.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Frozen {
    pub(super) links: bool,
    pub(super) calls: bool,
}

impl Freezer {
    pub(super) fn new() -> Freezer {
        Freezer(Arc::new(watch::Sender::new(Frozen::default())))
    }

    pub(super) fn capability(&self) -> NativeCapability {
        NativeCapability::from_async(self.clone(), None, provider_claims(FREEZER)).unwrap()
    }

    pub(super) fn set(&self, frozen: Frozen) {
        self.0.send_replace(frozen);
    }

    async fn until(&self, thawed: impl FnMut(&Frozen) -> bool) {
        // The sender is kept by this very provider.
        let _ = self.0.subscribe().wait_for(thawed).await;
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Freezer {
    async fn bind(&self, _: Binding) -> Result<(), BoxedError> {
        self.until(|frozen| !frozen.links).await;
        Ok(())
    }

    async fn drain(&self, _: &str) -> Result<(), BoxedError> {
        self.until(|frozen| !frozen.links).await;
        Ok(())
    }

    async fn unbind(&self, _: &str) -> Result<(), BoxedError> {
        self.until(|frozen| !frozen.links).await;
        Ok(())
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        assert_ne!(call.operation, "Panic", "deliberate panic");
        self.until(|frozen| !frozen.calls).await;
        if call.operation == "CallBack" {
            return Ok(call.dispatcher.dispatch(&call.actor, "Ping", call.message).await?);
        }
        Ok(call.message)
    }

    async fn health(&self) -> Result<(), BoxedError> {
        self.until(|frozen| !frozen.calls).await;
        Ok(())
    }

    async fn stop(&self) {}
}
