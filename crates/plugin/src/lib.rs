//! Providers that are ready to be started, and native plugins: providers in shared libraries that run in the host's process
//! or in a child process.
//!
//! A plugin implements the C interface of `wasmcloud-provider-sdk`. The host opens a private copy of the verified bytes, and
//! checks the version of the interface before it calls a function of the plugin.
//!
//! # Layout
//! - [`NativeCapability`]: a provider that is ready to be started, in any interface
//! - [`Plugin`]: the code of a plugin and its isolation
//! - `isolation`: the settings of embedders for where a plugin runs
//! - `library`: opens verified bytes and checks the table of functions
//! - `instance`: a safe wrapper of a provider in a library
//! - `host_vtable`: the C functions of the host that plugins call
//! - `callback_thread`: the thread that calls functions of a plugin with the answers of actors
//! - `in_flight`: the calls that a plugin makes and serves
//! - `admission`, `budget`: limits on the bytes that the host holds for plugins
//! - `request`: the requests between host and provider, in either process
//! - `in_process`: a plugin on threads of the host's process
//! - `plugin_log`: the lines that plugins write to the host's log
//! - `process`: the host's side of a plugin in a child process
//! - `child`: the child's side
//! - `frames`: the frames between the two processes
//!
//! # Features
//! - `fuzzing`: the interface of the fuzz targets

#![cfg_attr(docsrs, feature(doc_cfg))]

mod admission;
mod budget;
mod callback_thread;
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
mod plugin;
mod plugin_log;
mod process;
mod request;

pub use budget::PluginBudgets;
pub use child::serve_plugin;
pub use context::PluginContext;
#[cfg(feature = "fuzzing")]
pub use fuzzed::{fuzzed_frames, read_all_frames};
pub use isolation::{Isolation, PluginProcess};
pub use native_capability::{Code, NativeCapability};
pub use plugin::Plugin;
