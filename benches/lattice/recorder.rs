//! A provider that records which calls were executed, and the calls of an actor that reach it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use nkeys::KeyPair;
use wasmcloud_host::jwt::CapabilityProvider;
use wasmcloud_host::{
    Actor, AsyncCapabilityProvider, Binding, BoxedError, Host, NativeCapability, ProviderCallContext,
};

use crate::signing;

pub(crate) const CONTRACT: &str = "bench:recorder";

/// A provider that counts how often each number came.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<HashMap<u64, u32>>>);

impl Recorder {
    /// Starts the provider on a host. Returns its public key.
    pub(crate) async fn start_on(&self, host: &Host) -> String {
        let capability = capability(self.clone(), None);
        let id = capability.id();
        host.start_native_capability(capability).await.expect("the provider starts");
        id
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<u64, u32>> {
        self.0.lock().expect("no holder panics")
    }

    /// Returns how many numbers came more than once.
    pub(crate) fn duplicates(&self) -> usize {
        self.counts().values().filter(|count| **count > 1).count()
    }

    /// Returns how many of these numbers never came.
    pub(crate) fn missing(&self, numbers: &[u64]) -> usize {
        let counts = self.counts();
        numbers.iter().filter(|number| !counts.contains_key(number)).count()
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Recorder {
    async fn bind(&self, _: Binding) -> Result<(), BoxedError> {
        Ok(())
    }

    async fn unbind(&self, _: &str) -> Result<(), BoxedError> {
        Ok(())
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        let number = String::from_utf8(call.message)?.parse()?;
        *self.counts().entry(number).or_default() += 1;
        Ok(Vec::new())
    }

    async fn stop(&self) {}
}

/// Returns a provider of the contract of the recorder.
pub(crate) fn capability(
    provider: impl AsyncCapabilityProvider + 'static,
    link_name: Option<String>,
) -> NativeCapability {
    let metadata = CapabilityProvider { capid: CONTRACT.to_owned(), ..CapabilityProvider::default() };
    let claims = metadata.claims(KeyPair::new_account().public_key(), KeyPair::new_service().public_key());
    NativeCapability::from_async(provider, link_name, claims).expect("the claims are well-formed")
}

/// Returns the signed bytes of an actor that makes the calls that its payload describes.
pub(crate) fn calling_actor() -> Vec<u8> {
    signing::sign("host_call").capability(CONTRACT).bytes()
}

/// Returns the payload by which the actor calls the recorder with a number.
pub(crate) fn payload(number: u64) -> Vec<u8> {
    let number = number.to_string();
    // Binding, namespace, operation and message, each preceded by its length.
    let parts = ["default", CONTRACT, "Record", &number].map(str::as_bytes);
    let lengths = parts.iter().flat_map(|part| u32::try_from(part.len()).expect("it is short").to_le_bytes());
    lengths.chain(parts.concat()).collect()
}

/// Calls the actor, and has it call the recorder with a number.
///
/// # Errors
/// The reason if the number may not have been recorded.
pub(crate) async fn record(host: &Host, actor: &str, number: u64) -> Result<(), String> {
    match host.call_actor(actor, "Call", &payload(number)).await {
        Ok(answer) if answer.first() == Some(&1) => Ok(()),
        Ok(answer) => Err(format!("the actor's own call: {}", String::from_utf8_lossy(&answer[1..]))),
        Err(error) => Err(format!("{:?}: {error}", error.kind())),
    }
}

/// Returns the public key of the actor of these bytes.
pub(crate) fn key_of(actor: &[u8]) -> String {
    Actor::from_slice(actor).expect("it is signed").public_key()
}
