//! The HTTP server of the contract `wasmcloud:httpserver`, independent of a host. It serves each linked actor on a port of its
//! own, and turns requests into calls.
//!
//! The embedder implements [`ActorCaller`] to call an actor. The server runs on one thread: its methods must be called inside a
//! tokio `LocalSet`, which serves its connections. An actix arbiter is one.
//!
//! # Layout
//! - `server`: the server, with the open ports of all links
//! - `actor_caller`: the interface for calling an actor
//! - `config`, `link_value_names`: the configuration of a link, parsed from its values
//! - `tls`, `cors`: the parts of the configuration that have rules of their own
//! - `listener`: an open port
//! - `connection`: a connection, in either version of HTTP
//! - `activity`: the phase of a connection, and its timeouts
//! - `connection_table`: the connections of a server, and the limits that they share
//! - `memory_quota`, `client`: the memory that connections and clients may hold
//! - `file_limit`: the number of connections that the limit of open files allows
//! - `request_handler`: turns a request into a call, and its answer into a response
//! - `normalise`, `response_framing`: the rules of HTTP for requests and responses
//! - `request_body`, `response_body`: the bodies of requests and responses
//! - `request_id`: the identities of requests
//! - `request_failure`: why a request fails
//! - `payloads`: the contract's payloads
//!
//! # Features
//! - `fuzzing`: the functions that the fuzz targets call. They may change at any time.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod activity;
mod actor_caller;
mod client;
mod config;
mod connection;
mod connection_table;
mod cors;
mod figures;
mod file_limit;
mod link_value_names;
mod listener;
mod memory_quota;
mod normalise;
mod payloads;
mod request_body;
mod request_failure;
mod request_handler;
mod request_id;
mod response_body;
mod response_framing;
mod server;
mod tls;

pub use actor_caller::{ActorCaller, CallError, CallErrorKind, RequestHead, ServedRequest};
pub use figures::Figures;
pub use link_value_names::LINK_VALUE_NAMES;
pub use server::Server;

/// The contract that this server implements.
pub const CONTRACT: &str = "wasmcloud:httpserver";

/// Decodes the response of an actor and returns it as text, for the fuzz targets.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn read_response(answer: &[u8]) -> Option<String> {
    payloads::ResponsePayload::decode(answer).ok().map(|response| format!("{response:?}"))
}

/// An error of any type. Its text says what happened and what to do.
pub type BoxedError = Box<dyn std::error::Error + Send + Sync>;
