//! The conformance kit: what is asked of each provider that comes with the host, whatever its contract and backend.
//!
//! # Layout
//! - `kit`: the cases of a link's life, for any backend that can leave a mark
//! - `server_failures`: what is asked of each backend on them
//! - `crash`, `disks`: how files come to have them
//! - `blob_store`, `extras`, `key_value`, `logging`, `messaging`: each contract on each of its backends
//! - `server_process`: a real server that is killed, frozen and started again
//! - `nats_server`, `redis_server`, `s3_server`: those that there are

mod blob_store;
mod crash;
mod disks;
mod extras;
mod key_value;
mod kit;
mod logging;
mod messaging;
pub(crate) mod nats_server;
mod redis_server;
mod s3_server;
mod server_failures;
pub(crate) mod server_process;
