//! The conformance kit: what is asked of each provider that comes with the host, whatever its contract and backend.
//!
//! # Layout
//! - `kit`: the cases of a link's life, for any backend that can leave a mark
//! - `redis_server`: real Redis servers
//! - `nats_server`: real NATS servers
//! - `extras`: `wasmcloud:extras`
//! - `key_value`: `wasmcloud:keyvalue` on each of its backends
//! - `logging`: `wasmcloud:logging`
//! - `messaging`: `wasmcloud:messaging` on each of its backends

mod extras;
#[cfg(feature = "keyvalue")]
mod key_value;
mod kit;
mod logging;
#[cfg(feature = "messaging")]
mod messaging;
#[cfg(feature = "messaging")]
mod nats_server;
#[cfg(feature = "keyvalue")]
mod redis_server;
