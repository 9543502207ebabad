//! Capability providers: native code that does what actors cannot.
//!
//! A provider is written against one of two traits. [`AsyncCapabilityProvider`] is for code that waits without
//! blocking; it runs on a shard, beside the actors. [`CapabilityProvider`] is the blocking interface of the
//! wasmCloud 0.18 era; each such provider gets threads of its own. Native plugins, from provider archives, are written
//! against the crate `wasmcloud-provider-sdk`, or in C.

mod blocking;
pub mod builtin;
mod descriptor;
mod dispatcher;
#[cfg(feature = "experiments")]
mod disturbance;
pub(crate) mod plugin;
pub(crate) mod provider_actor;
mod threads;
mod traits;
pub(crate) mod wire;

pub use descriptor::NativeCapability;
pub use dispatcher::ActorDispatcher;
pub use plugin::{Isolation, PluginProcess, serve_plugin};
pub use traits::{
    AsyncCapabilityProvider, Binding, CapabilityProvider, Dispatcher, NullDispatcher, ProviderCallContext,
};
