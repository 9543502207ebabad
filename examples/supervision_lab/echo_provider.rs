//! A provider that answers each call with its message, after a little work.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use wascap::jwt::{self, Claims};
use wascap::prelude::KeyPair;
use wasmcloud_host::{AsyncCapabilityProvider, Binding, BoxedError, NativeCapability, ProviderCallContext, Result};

/// The contract of the provider.
pub(crate) const CONTRACT: &str = "lab:echo";

/// How long it works on a call.
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

/// The provider, with a key made for this run.
pub(crate) fn capability() -> Result<NativeCapability> {
    let claims = Claims::<jwt::CapabilityProvider>::new(
        "echo provider".to_owned(),
        KeyPair::new_account().public_key(),
        KeyPair::new_service().public_key(),
        CONTRACT.to_owned(),
        "lab".to_owned(),
        None,
        None,
        HashMap::new(),
    );
    NativeCapability::from_async(EchoProvider, None, claims)
}
