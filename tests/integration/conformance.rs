//! The conformance kit: what is asked of each provider that comes with the host, whatever its contract and backend.
//!
//! # Layout
//! - `kit`: the cases of a link's life, for any backend that can leave a mark
//! - `redis_server`: real Redis servers
//! - `s3_server`: real servers that speak the language of S3
//! - `blob_store`: `wasmcloud:blobstore` on each of its backends
//! - `nats_server`: real NATS servers
//! - `extras`: `wasmcloud:extras`
//! - `key_value`: `wasmcloud:keyvalue` on each of its backends
//! - `logging`: `wasmcloud:logging`
//! - `messaging`: `wasmcloud:messaging` on each of its backends

#[cfg(feature = "blobstore")]
mod blob_store;
mod extras;
#[cfg(feature = "keyvalue")]
mod key_value;
mod kit;
mod logging;
#[cfg(feature = "messaging")]
mod messaging;
#[cfg(feature = "messaging")]
pub(crate) mod nats_server;
#[cfg(feature = "keyvalue")]
mod redis_server;
#[cfg(feature = "blobstore")]
mod s3_server;
