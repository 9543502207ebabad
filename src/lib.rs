//! A secure, distributed WebAssembly actor runtime.
//!
//! A [`Host`] runs [actors](Actor), which are signed, freestanding WebAssembly modules speaking waPC, and
//! [capability providers](NativeCapability), which are native code. Links join them; an actor can do nothing but
//! compute until its signed claims and a link let it. See the README for a tour and `ARCHITECTURE.md` for how it is
//! built.
//!
//! # Layout
//! - [`Host`], [`HostBuilder`]: the handle that embedders hold
//! - [`Actor`]: a signed module, verified
//! - [`ProviderArchive`], [`ArchiveBuilder`], [`ArchiveLimits`]: signed libraries of a provider, verified
//! - [`jwt`]: what tokens claim
//! - [`signing`]: keys, and making signed modules; [`samples`]: a module to try it with
//! - [`NativeCapability`], [`CapabilityProvider`], [`AsyncCapabilityProvider`], [`builtin`]: providers
//! - [`Isolation`], [`PluginProcess`], [`serve_plugin`]: where native plugins run
//! - [`LinkDefinition`], [`LinkState`]: what joins them
//! - [`HostManifest`]: a file that says what a host runs
//! - [`Limits`], [`ActorOptions`], [`Placement`]: what an actor may use, and where it lives
//! - [`RestartPolicy`], [`Event`], [`Inventory`], [`Health`]: what becomes of crashes, and how to watch
//! - [`Compiler`], [`ArtifactCache`]: how modules are compiled, and where what that made is kept for the next start
//! - [`TrustPolicy`], [`Authorizer`], [`Decision`], [`Origin`]: whose signature counts, and who may call whom
//! - [`Middleware`], [`Invocation`], [`InvocationResponse`], [`WasmCloudEntity`]: what stands between callers and targets
//! - [`Error`], [`ErrorKind`], [`Result`]: what can go wrong; [`escaped`]: text from outside, fit for a terminal
//!
//! # Features
//! - `default`: `cranelift` and `httpserver`
//! - `cranelift`, `singlepass`: the compilers of guests, of which at least one is needed; see [`Compiler`]. `singlepass`
//!   brings in Wasmer's Singlepass, whose licence (BUSL-1.1) does not allow production use without an agreement with its
//!   makers
//! - `providers`: all [providers that come with the host](builtin)
//! - `blobstore`: [`builtin::BlobStore`], on folders and S3
//! - `httpclient`: [`builtin::HttpClient`]
//! - `httpserver`: [`builtin::HttpServer`]
//! - `keyvalue`: [`builtin::KeyValue`], in files and on Redis
//! - `messaging`: [`builtin::Messaging`], on NATS
//! - `experiments`: faults injected on purpose, by plan, with `Experiment` and `Host::experiment`. Without it, the host has
//!   no code for them
//! - `fuzzing`: what the fuzz targets reach the inside by; it may change at any time

#![cfg_attr(docsrs, feature(doc_cfg))]

mod actor;
mod authorizer;
mod child;
mod dispatch;
mod event;
#[cfg(feature = "experiments")]
mod experiment;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod host;
mod identity;
mod labels;
mod lifecycle;
mod link;
mod manifest;
mod middleware;
mod provider;
pub mod samples;
mod shard;
mod supervisor;

pub use authorizer::{Authorizer, Decision, Origin};
pub use child::ChildState;
pub use event::{Event, EventKind, Events};
#[cfg(feature = "experiments")]
pub use experiment::{Experiment, InjectedFault};
pub use host::{ActorInventory, Host, HostBuilder, Inventory, LinkInventory, ProviderDescription, ProviderInventory};
pub use link::{LinkDefinition, LinkState};
pub use manifest::{
    EntryFailure, HostManifest, ManifestActor, ManifestCapability, ManifestFailures, ManifestIsolation, ManifestLimits,
    ManifestLink, ManifestRestart,
};
pub use middleware::{Invocation, InvocationResponse, Middleware};
pub use supervisor::placement::{ActorOptions, Placement};
pub use supervisor::restart::{Restart, RestartPolicy};
pub use wasmcloud_claims::{
    Actor, ArchiveBuilder, ArchiveLimits, ProviderArchive, TrustPolicy, TrustPolicyBuilder, jwt, signing,
};
pub use wasmcloud_core::entity::{SYSTEM_ACTOR, WasmCloudEntity};
pub use wasmcloud_core::error::{BoxedError, Error, ErrorKind, Result};
pub use wasmcloud_core::health::Health;
pub use wasmcloud_core::limits::Limits;
pub use wasmcloud_core::text::escaped;
#[doc(hidden)]
pub use wasmcloud_engine::metered;
pub use wasmcloud_engine::{ArtifactCache, Compiler};
pub use wasmcloud_plugin::{Isolation, NativeCapability, PluginProcess, serve_plugin};
pub use wasmcloud_provider::{
    ActorDispatcher, AsyncCapabilityProvider, Binding, CapabilityProvider, Dispatcher, NullDispatcher,
    ProviderCallContext,
};
pub use wasmcloud_providers as builtin;

/// The programs of the documents are run as tests.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../docs/embed.md")]
    struct Embed;
    #[cfg(feature = "experiments")]
    #[doc = include_str!("../docs/experiment.md")]
    struct Experiment;
    #[doc = include_str!("../docs/operate.md")]
    struct Operate;
    #[doc = include_str!("../docs/trust.md")]
    struct Trust;
    #[doc = include_str!("../docs/write-a-provider.md")]
    struct WriteAProvider;
}
