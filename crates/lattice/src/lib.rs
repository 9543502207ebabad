//! The lattice: hosts that share a NATS server and a namespace, and with them claims, links and calls.
//!
//! This crate speaks with NATS and knows neither actors nor their mailboxes. The crate `wasmcloud-host` connects it with what
//! runs in a host. The subjects and payloads are those of the hosts of 2021 (wasmCloud 0.18 and 0.19), with fields added that
//! they ignore.
//!
//! # Layout
//! - [`Namespace`]: the namespace of a lattice, and its subjects
//! - [`wire`]: the format of messages
//! - [`token`]: the token of an invocation
//! - [`replay`]: which calls have been admitted
//! - [`registry`]: links, claims, aliases and image references, in a key-value bucket

#![forbid(unsafe_code)]

mod namespace;
pub mod registry;
pub mod replay;
pub mod token;
pub mod wire;

pub use namespace::Namespace;
