//! Writing capability providers for the wasmCloud host as native plugins.
//!
//! A plugin is a shared library with one symbol: a table of functions in the C interface of [`interface`]. In Rust,
//! implement [`Provider`] and [export it](export_provider); in C, C++, Zig or Go, include `wasmcloud_provider.h`, which
//! lies in this crate's folder `include`. The host loads a plugin from a signed provider archive, into its own process or
//! into a child process of its own. This crate depends on nothing.
//!
//! ```
//! use wasmcloud_provider_sdk::{Call, Error, Host, Link, Provider, export_provider};
//!
//! /// Answers each call with what it was given.
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
//! The package of the plugin says `crate-type = ["cdylib"]` in its `[lib]`. What that builds goes into an archive:
//!
//! ```text
//! cargo build --release
//! wasmcloud par create --help
//! ```
//!
//! # Layout
//! - [`interface`]: the C interface, as `wasmcloud_provider.h` has it
//! - [`Provider`], [`Link`], [`Call`], [`Error`]: what a provider is and is given
//! - [`Host`]: what a provider can ask of its host
//! - [`export_provider`]: from the one to the other

mod answer;
mod export;
mod host;
pub mod interface;
mod provider;

#[doc(hidden)]
pub use export::interface_of;
pub use host::{ActorError, ActorErrorKind, Host, LogLevel};
pub use provider::{Call, Error, Link, Provider};
