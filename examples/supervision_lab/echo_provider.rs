//! A provider that answers each call with its payload, after a little work.

use std::time::Duration;

use async_trait::async_trait;
use wasmcloud_host::jwt::CapabilityProvider;
use wasmcloud_host::signing::KeyPair;
use wasmcloud_host::{AsyncCapabilityProvider, Binding, BoxedError, NativeCapability, ProviderCallContext, Result};

/// The contract of the provider.
pub(crate) const CONTRACT: &str = "lab:echo";

/// The duration of its work on a call.
const WORK: Duration = Duration::from_millis(2);

struct EchoProvider;

#[async_trait(?Send)]
impl AsyncCapabilityProvider for EchoProvider {
    async fn bind(&self, _: Binding) -> Result<(), BoxedError> {
        Ok(())
    }

    async fn unbind(&self, _actor: &str) -> Result<(), BoxedError> {
        Ok(())
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        tokio::time::sleep(WORK).await;
        Ok(call.message)
    }

    async fn stop(&self) {}
}

/// Returns the provider, with a key created for this run.
pub(crate) fn capability() -> Result<NativeCapability> {
    let metadata = CapabilityProvider { capid: CONTRACT.to_owned(), ..CapabilityProvider::default() };
    let claims = metadata.claims(KeyPair::new_account().public_key(), KeyPair::new_service().public_key());
    NativeCapability::from_async(EchoProvider, None, claims)
}
