//! The conformance kit: what is asked of each provider that comes with the host, whatever its contract and backend.
//!
//! # Layout
//! - `kit`: the cases of a link's life, for any backend that can leave a mark
//! - `bad_days`: what is asked of each backend on them
//! - `crash`, `disks`: how files come to have them
//! - `blob_store`, `extras`, `key_value`, `logging`, `messaging`: each contract on each of its backends
//! - `server_process`: a real server that is killed, frozen and started again
//! - `nats_server`, `redis_server`, `s3_server`: those that there are

#[cfg(any(feature = "blobstore", feature = "keyvalue", feature = "messaging"))]
mod bad_days;
#[cfg(feature = "blobstore")]
mod blob_store;
#[cfg(any(feature = "blobstore", feature = "keyvalue"))]
mod crash;
#[cfg(any(feature = "blobstore", feature = "keyvalue", feature = "messaging"))]
mod disks;
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
#[cfg(any(feature = "blobstore", feature = "httpclient", feature = "keyvalue", feature = "messaging"))]
pub(crate) mod server_process;
