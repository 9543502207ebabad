//! The conformance kit: what is asked of each provider that comes with the host, whatever its contract and backend.
//!
//! # Layout
//! - `kit`: the cases of a link's life, for any backend that can leave a mark
//! - `bad_days`: those of backends that are servers
//! - `crash`, `full_disk`: those of backends that are files
//! - `blob_store`, `extras`, `key_value`, `logging`, `messaging`: each contract on each of its backends
//! - `server_process`: a real server that is killed, frozen and started again
//! - `nats_server`, `redis_server`, `s3_server`: those that there are

#[cfg(any(feature = "blobstore", feature = "keyvalue", feature = "messaging"))]
mod bad_days;
#[cfg(feature = "blobstore")]
mod blob_store;
#[cfg(any(feature = "blobstore", feature = "keyvalue"))]
mod crash;
mod extras;
#[cfg(any(feature = "blobstore", feature = "keyvalue"))]
mod full_disk;
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
#[cfg(feature = "blobstore")]
mod s3_server;
#[cfg(any(feature = "blobstore", feature = "keyvalue", feature = "messaging"))]
mod server_process;
