//! Providers as the host starts them, and native plugins: providers in shared libraries, in the host's process or in one of
//! their own.
//!
//! A plugin speaks the C interface of `wasmcloud-provider-sdk`. The host opens a private copy of the verified bytes, and checks
//! the version of its interface before it calls anything in it.
//!
//! # Layout
//! - [`NativeCapability`]: a provider that is ready to be started, whatever its interface
//! - [`Plugin`]: the code of a plugin, and where it runs
//! - `isolation`: the embedder's choice
//! - `library`: from verified bytes to a checked table of functions
//! - `instance`: a provider made by a library, safe to call
//! - `host_vtable`: what a plugin can ask of its host, as C functions
//! - `callbacks`: the thread on which functions of a plugin are called with answers
//! - `in_flight`: the calls that a plugin makes and serves
//! - `admission`, `budget`: how many bytes the host takes from plugins and keeps for them
//! - `order`: what a provider is asked for, wherever it runs
//! - `in_process`: a plugin on threads of this process
//! - `process`, `frames`, `child`: a plugin in a process of its own, the messages between the two, and the other end
//!
//! # Features
//! - `fuzzing`: the interface of the fuzz targets

#![cfg_attr(docsrs, feature(doc_cfg))]

mod admission;
mod budget;
mod callbacks;
mod child;
mod context;
mod frames;
#[cfg(feature = "fuzzing")]
mod fuzzed;
mod host_vtable;
mod in_flight;
mod in_process;
mod instance;
mod isolation;
mod library;
mod native_capability;
mod order;
mod plugin;
mod process;

pub use budget::Budgets;
pub use child::serve_plugin;
pub use context::PluginContext;
#[cfg(feature = "fuzzing")]
pub use fuzzed::{fuzzed_frames, read_all_frames};
pub use isolation::{Isolation, PluginProcess};
pub use native_capability::{Code, NativeCapability};
pub use plugin::Plugin;
