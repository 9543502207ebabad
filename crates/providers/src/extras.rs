//! `wasmcloud:extras`: unique identities, random numbers and sequences, which an actor cannot make by itself.
//!
//! # Layout
//! - `payloads`: the contract's payloads, in both shapes

mod payloads;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use rand::RngExt as _;
use uuid::Uuid;
use wasmcloud_core::error::{BoxedError, Result};
use wasmcloud_plugin::NativeCapability;
use wasmcloud_provider::{AsyncCapabilityProvider, Binding, ProviderCallContext};

use super::link_values::{LinkValueNames, LinkValues};
use payloads::{ExtrasOperation, ExtrasRequest, ExtrasResponse};

const LINK_VALUE_NAMES: LinkValueNames = LinkValueNames { known: &[], without_effect: &[] };

/// The provider of unique identities, random numbers and sequences, which is part of every host.
///
/// Nobody has to start it: the host does when a link names its public key, [`Extras::PUBLIC_KEY`], and it does not run. To
/// have it under a link name of its own, start it as any other provider.
///
/// | operation | answer |
/// |---|---|
/// | `RequestGuid` | a random UUID (version 4) |
/// | `RequestRandom` | a random number of 32 bits from `min` to below `max`; any of 32 bits where the message is empty |
/// | `RequestSequence` | 0 at first, then one more at each call; each actor has a sequence of its own, which ends with its link |
///
/// Both shapes of messages that are in the field are spoken, told apart by the message: actors of wasmCloud 0.18 send
/// `{guid, sequence, random, min, max}` and read `{guid, sequenceNumber, random_number}`; later ones send nothing or
/// `{min, max}`, and read the bare value. A range without a number in it is an error. Links have no values: one that has any is refused.
///
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
    /// The next number of each linked actor.
    sequences: Mutex<HashMap<String, u64>>,
}

impl Extras {
    /// The public key that the provider has in every host, in those of the era too.
    pub const PUBLIC_KEY: &str = "VDHPKGFKDI34Y4RN4PWWZHRYZ6373HYRSNNEM4UTDLLOGO5B37TSVREP";

    /// The contract that it serves.
    pub const CONTRACT: &str = "wasmcloud:extras";

    /// A provider to be run under this link name, `default` if not given.
    pub fn new(link_name: Option<String>) -> Extras {
        Extras { link_name, sequences: Mutex::default() }
    }

    /// It as a provider to start.
    ///
    /// # Errors
    /// None that a caller could cause.
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
                return Err(format!("no number is at least {min} and below {max}: min has to be less than max"));
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
        // The map is whole after any panic: each use of it is a single operation.
        self.sequences.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Extras {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        LinkValues::check(&binding.values, LINK_VALUE_NAMES)?;
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

/// What the payload of an operation says, for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(super) fn read_payload(operation: &str, payload: &[u8]) -> Option<String> {
    ExtrasRequest::decode(operation, payload).ok().map(|read| format!("{read:?}"))
}
