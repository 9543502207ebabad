//! The SDK for capability providers that run in the wasmCloud host as native plugins.
//!
//! A plugin is a shared library that exports one symbol: a table of functions in the C interface of [`interface`]. In Rust,
//! implement [`Provider`] and [export it](export_provider). In C, C++, Zig or Go, include `wasmcloud_provider.h` from this
//! crate's folder `include`. The host loads plugins from signed provider archives, into its own process or into a child
//! process. This crate has no dependencies.
//!
//! ```
//! use wasmcloud_provider_sdk::{Call, Error, Host, Link, Provider, export_provider};
//!
//! /// Answers each call with its payload.
//! struct Mirror;
//!
//! impl Provider for Mirror {
//!     fn start(_host: Host) -> Result<Self, Error> {
//!         Ok(Mirror)
//!     }
//!     fn bind(&self, _link: Link<'_>) -> Result<(), Error> {
//!         Ok(())
//!     }
//!     fn unbind(&self, _actor: &str) -> Result<(), Error> {
//!         Ok(())
//!     }
//!     fn handle_call(&self, call: Call<'_>) -> Result<Vec<u8>, Error> {
//!         match call.operation {
//!             "Mirror" => Ok(call.message.to_vec()),
//!             other => Err(Error::new(format!("a mirror cannot {other}"))),
//!         }
//!     }
//! }
//!
//! export_provider!(Mirror);
//! ```
//!
//! Set `crate-type = ["cdylib"]` in the `[lib]` section of the plugin's package. Put the built library into an archive:
//!
//! ```text
//! cargo build --release
//! wasmcloud par create --help
//! ```
//!
//! # Layout
//! - [`interface`]: the C interface, the same as in `wasmcloud_provider.h`
//! - [`Provider`], [`Link`], [`Call`], [`Error`]: the trait that providers implement, and the arguments of its methods
//! - [`Host`]: the services of the host
//! - [`export_provider`]: exports a provider through the C interface

mod answer;
mod export;
mod host;
pub mod interface;
mod provider;
#[doc(hidden)]
pub mod sources;

#[doc(hidden)]
pub use export::interface_of;
pub use host::{ActorError, ActorErrorKind, Host, LogLevel};
pub use provider::{Call, Error, Link, Provider};
