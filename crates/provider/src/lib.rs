//! The interfaces of capability providers, and the types that the host passes to them.
//!
//! # Layout
//! - `traits`: the two interfaces of providers
//! - `dispatcher`: calls actors on behalf of providers
//! - [`ProviderDescriptor`]: the identity of a provider
//! - [`threads`]: runs the blocking code of a provider
//! - [`wire`]: the payloads that all contracts of wasmCloud 0.18 have in common

#![forbid(unsafe_code)]

mod descriptor;
mod dispatcher;
mod figures;
pub mod threads;
mod traits;
pub mod wire;

pub use descriptor::ProviderDescriptor;
pub use dispatcher::{ActorAnswer, ActorCaller, ActorDispatcher};
pub use figures::{HttpFigures, ProviderFigures};
pub use traits::{
    AsyncCapabilityProvider, Binding, CapabilityProvider, Dispatcher, NullDispatcher, ProviderCallContext,
};
