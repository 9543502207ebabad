//! `wasmcloud:extras`: unique identifiers, random numbers and sequences, which an actor cannot generate by itself.
//!
//! # Layout
//! - `payloads`: the contract's payloads, in both formats

mod payloads;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use rand::RngExt as _;
use uuid::Uuid;
use wasmcloud_core::error::{BoxedError, Result};
use wasmcloud_plugin::NativeCapability;
use wasmcloud_provider::{AsyncCapabilityProvider, Binding, ProviderCallContext};

use super::link_values::{LinkValues, link_values};
use payloads::{ExtrasOperation, ExtrasRequest, ExtrasResponse};

/// The provider of `wasmcloud:extras`: generates unique identifiers, random numbers and sequences. It is part of every host.
///
/// The host starts it when a link names its public key, [`Extras::PUBLIC_KEY`]. To run it under another link name, start it like any
/// other provider.
///
/// | Operation | Answer |
/// |---|---|
/// | `RequestGuid` | A random UUID (version 4). |
/// | `RequestRandom` | A random 32-bit number that is at least `min` and less than `max`. With an empty payload, any 32-bit number. |
/// | `RequestSequence` | The next number of the actor's sequence, from 0 on. The sequence ends with the link. |
///
/// Two payload formats exist, and the payload of the request determines which one is used. Actors of wasmCloud 0.18 send
/// `{guid, sequence, random, min, max}` and receive `{guid, sequenceNumber, random_number}`. Later actors send an empty payload or
/// `{min, max}`, and receive the bare value. An empty range is an error.
///
/// There are no link values. The provider refuses a link that has any.
///
/// # Example
/// ```
/// use wasmcloud_host::builtin::Extras;
///
/// # fn main() -> wasmcloud_host::Result<()> {
/// let named = Extras::new(Some("dice".to_owned())).capability()?;
/// assert_eq!((named.id().as_str(), named.link_name()), (Extras::PUBLIC_KEY, "dice"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Extras {
    link_name: Option<String>,
    /// The next number of each linked actor's sequence, by public key.
    sequences: Mutex<HashMap<String, u64>>,
}

link_values! { Extras: }

impl Extras {
    /// The provider's public key. It is the same in every host, including the hosts of 2021.
    pub const PUBLIC_KEY: &str = "VDHPKGFKDI34Y4RN4PWWZHRYZ6373HYRSNNEM4UTDLLOGO5B37TSVREP";

    /// The contract that the provider implements.
    pub const CONTRACT: &str = "wasmcloud:extras";

    /// Creates a provider that runs under this link name. Default: `default`.
    pub fn new(link_name: Option<String>) -> Extras {
        Extras { link_name, sequences: Mutex::default() }
    }

    /// Returns the provider for `Host::start_native_capability`.
    ///
    /// # Errors
    /// Never fails in practice.
    pub fn capability(self) -> Result<NativeCapability> {
        let claims = super::claims("Extras", Extras::PUBLIC_KEY, Extras::CONTRACT);
        let link_name = self.link_name.clone();
        NativeCapability::from_async(self, link_name, claims)
    }

    fn execute(&self, actor: &str, operation: ExtrasOperation) -> Result<ExtrasResponse, String> {
        Ok(match operation {
            ExtrasOperation::Guid => ExtrasResponse::Guid(Uuid::new_v4().to_string()),
            ExtrasOperation::AnyRandom => ExtrasResponse::Random(rand::rng().random()),
            ExtrasOperation::Random { min, max } if min < max => {
                ExtrasResponse::Random(rand::rng().random_range(min..max))
            }
            ExtrasOperation::Random { min, max } => {
                return Err(format!("the range from {min} to below {max} is empty: min has to be less than max"));
            }
            ExtrasOperation::Zero => ExtrasResponse::Random(0),
            ExtrasOperation::Sequence => {
                let mut sequences = self.sequences();
                let next = sequences.get_mut(actor).ok_or_else(|| format!("actor {actor} is not linked"))?;
                let number = *next;
                *next = next.wrapping_add(1);
                ExtrasResponse::Sequence(number)
            }
        })
    }

    fn sequences(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        // A panic cannot leave the map inconsistent: each use of it is a single operation.
        self.sequences.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Extras {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        LinkValues::check(&binding.values, Extras::LINK_VALUES)?;
        self.sequences().entry(binding.actor).or_default();
        Ok(())
    }

    async fn unbind(&self, actor: &str) -> Result<(), BoxedError> {
        self.sequences().remove(actor);
        Ok(())
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        let request = ExtrasRequest::decode(&call.operation, &call.message)?;
        let answer = self.execute(&call.actor, request.operation)?;
        Ok(answer.encode(request.format)?)
    }

    async fn stop(&self) {
        self.sequences().clear();
    }
}

/// Decodes a payload and returns it as text, for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(super) fn read_payload(operation: &str, payload: &[u8]) -> Option<String> {
    ExtrasRequest::decode(operation, payload).ok().map(|read| format!("{read:?}"))
}
