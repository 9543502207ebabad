//! What a capability provider implements, and what the host gives it.
//!
//! # Layout
//! - `traits`: the two interfaces of providers
//! - `dispatcher`: how providers call actors
//! - [`ProviderDescriptor`]: the identity of a provider
//! - [`threads`]: the bridge to code that blocks
//! - [`wire`]: what all contracts of 2021 have in common

#![forbid(unsafe_code)]

mod descriptor;
mod dispatcher;
pub mod threads;
mod traits;
pub mod wire;

pub use descriptor::ProviderDescriptor;
pub use dispatcher::{ActorAnswer, ActorCaller, ActorDispatcher};
pub use traits::{
    AsyncCapabilityProvider, Binding, CapabilityProvider, Dispatcher, NullDispatcher, ProviderCallContext,
};
