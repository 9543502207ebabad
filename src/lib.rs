//! A secure, distributed WebAssembly actor runtime.
//!
//! A [`Host`] runs [actors](Actor), which are signed, freestanding WebAssembly modules speaking waPC, and
//! [capability providers](NativeCapability), which are native code. Links connect them: an actor can only compute
//! until its signed claims and a link allow more. The README is a tour, and `ARCHITECTURE.md` describes the design.
//!
//! # Layout
//! - [`Host`], [`HostBuilder`]: the handle that embedders hold
//! - [`Actor`]: a signed module, verified
//! - [`ProviderArchive`], [`ArchiveBuilder`], [`ArchiveLimits`]: signed libraries of a provider, verified
//! - [`jwt`]: the claims of tokens
//! - [`signing`]: keys and signatures of modules; [`samples`]: a sample module
//! - [`NativeCapability`], [`CapabilityProvider`], [`AsyncCapabilityProvider`], [`builtin`]: providers
//! - [`Isolation`], [`PluginProcess`], [`serve_plugin`]: the processes of native plugins
//! - [`LinkDefinition`], [`LinkState`]: links between actors and providers
//! - [`HostManifest`]: a file with the actors, providers and links of a host; [`ManifestPlan`], [`ManifestOutcome`]: what it
//!   changes
//! - [`Limits`], [`ActorOptions`], [`Placement`]: the resources and threads of an actor
//! - [`RestartPolicy`]: restarts after crashes
//! - [`Event`], [`Events`], [`Inventory`], [`Health`]: observation of a host
//! - [`Compiler`], [`ArtifactCache`]: the compilation of modules, and the cache of its results
//! - [`TrustPolicy`]: trusted signers; [`Authorizer`], [`Decision`], [`Origin`]: decisions about starts, calls and links
//! - [`LatticeOptions`], [`ConnectionOptions`], [`LatticeView`], [`LatticeState`]: the lattice that a host joins
//! - [`RegistryOptions`], [`oci`]: OCI registries, from which actors and providers are pulled
//! - [`Trace`], [`TraceContext`], [`TraceState`], [`CallId`]: the trace that a call is part of
//! - `TelemetryOptions`: the port of the dashboard, metrics and health (feature `telemetry`)
//! - [`Middleware`], [`Invocation`], [`InvocationResponse`], [`WasmCloudEntity`]: code that sees calls and their answers
//! - `telemetry`: metrics of a host (feature `telemetry`)
//! - [`Error`], [`ErrorKind`], [`Result`]: errors; [`escaped`]: escapes text from outside for a terminal
//!
//! # Features
//! - `default`: `cranelift` and `httpserver`
//! - `cranelift`, `singlepass`: the compilers of guests. At least one is needed; see [`Compiler`]. The licence of Wasmer's
//!   Singlepass (BUSL-1.1) does not allow production use without an agreement with its makers
//! - `providers`: all [providers that come with the host](builtin)
//! - `blobstore`: [`builtin::BlobStore`], on folders and S3
//! - `httpclient`: [`builtin::HttpClient`]
//! - `httpserver`: [`builtin::HttpServer`]
//! - `keyvalue`: [`builtin::KeyValue`], in files and on Redis
//! - `messaging`: [`builtin::Messaging`], on NATS
//! - `lattice`: hosts that share actors, links and calls over NATS, with [`HostBuilder::with_lattice`]
//! - `oci`: actors and provider archives from OCI registries, with [`Host::start_actor_from_registry`]
//! - `otlp`: the export of spans to a collector, with `otlp::OtlpExport`
//! - `experiments`: planned faults for tests, with `Experiment` and `Host::experiment`. Without it, the host contains no code
//!   for them
//! - `telemetry`: metrics for Prometheus, with `HostBuilder::with_metrics`, and the dashboard, metrics, health and readiness on an
//!   HTTP port, with `HostBuilder::with_telemetry`
//! - `fuzzing`: internals for the fuzz targets. They may change at any time

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
#[cfg_attr(not(feature = "telemetry"), expect(dead_code, reason = "only telemetry reads what is counted"))]
mod instruments;
mod labels;
#[cfg(feature = "lattice")]
mod lattice;
mod lifecycle;
mod link;
mod manifest;
mod middleware;
mod provider;
pub mod samples;
mod shard;
mod spans;
mod supervisor;
#[cfg(feature = "telemetry")]
pub mod telemetry;

pub use authorizer::{Authorizer, Decision, Origin};
pub use child::ChildState;
pub use event::{Event, EventKind, Events};
#[cfg(feature = "experiments")]
pub use experiment::{Experiment, InjectedFault};
pub use host::{ActorInventory, Host, HostBuilder, Inventory, LinkInventory, ProviderDescription, ProviderInventory};
#[cfg(feature = "lattice")]
pub use lattice::{LatticeCounts, LatticeEntity, LatticePeer, LatticeView};
pub use link::{LinkDefinition, LinkState};
pub use manifest::{
    ApplyOptions, EntryFailure, HostManifest, ManifestActor, ManifestCapability, ManifestFailures, ManifestIsolation,
    ManifestLimits, ManifestLink, ManifestOutcome, ManifestPlan, ManifestRestart, ManifestSecret, PlanAction, PlanStep,
    PlannedImage, StepOutcome, StepResult,
};
pub use middleware::{Invocation, InvocationResponse, Middleware};
#[cfg(feature = "telemetry")]
pub use prometheus_client;
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
pub use wasmcloud_core::trace::{CallId, Trace, TraceContext, TraceState};
#[doc(hidden)]
pub use wasmcloud_engine::metered;
pub use wasmcloud_engine::{ArtifactCache, Compiler};
#[cfg(feature = "lattice")]
pub use wasmcloud_lattice::{ConnectionOptions, LatticeOptions, LatticeState};
#[cfg(feature = "oci")]
pub use wasmcloud_oci as oci;
#[cfg(feature = "oci")]
pub use wasmcloud_oci::RegistryOptions;
pub use wasmcloud_plugin::{Isolation, NativeCapability, PluginProcess, serve_plugin};
pub use wasmcloud_provider::{
    ActorDispatcher, AsyncCapabilityProvider, Binding, CapabilityProvider, Dispatcher, HttpFigures, NullDispatcher,
    ProviderCallContext, ProviderFigures,
};
pub use wasmcloud_providers as builtin;
#[cfg(feature = "telemetry")]
pub use wasmcloud_telemetry::TelemetryOptions;
#[cfg(feature = "otlp")]
pub use wasmcloud_telemetry::otlp;

/// Runs the programs of the documents as tests.
#[cfg(doctest)]
mod documents {
    #[cfg(feature = "lattice")]
    #[doc = include_str!("../docs/control.md")]
    struct Control;
    #[doc = include_str!("../docs/embed.md")]
    struct Embed;
    #[cfg(feature = "experiments")]
    #[doc = include_str!("../docs/experiment.md")]
    struct Experiment;
    #[cfg(feature = "lattice")]
    #[doc = include_str!("../docs/lattice.md")]
    struct Lattice;
    #[doc = include_str!("../docs/manifests.md")]
    struct Manifests;
    #[doc = include_str!("../docs/operate.md")]
    struct Operate;
    #[cfg(feature = "otlp")]
    #[doc = include_str!("../docs/traces.md")]
    struct Traces;
    #[doc = include_str!("../docs/trust.md")]
    struct Trust;
    #[doc = include_str!("../docs/write-a-provider.md")]
    struct WriteAProvider;
}
