//! The HTTP server behind `wasmcloud:httpserver`, apart from any host: a listener of its own for each linked actor, whose
//! requests become calls.
//!
//! Whoever embeds it says with a [`Caller`] how an actor is called. It runs on one thread: its methods are called, and its
//! connections served, inside a `LocalSet` of tokio (an actix arbiter is one).
//!
//! # Layout
//! - `server`: the open ports of all links
//! - `actor_caller`: the way to an actor
//! - `config`, `link_value_names`: what a link's values mean, and which there are
//! - `tls`, `cors`: the parts of them that have rules of their own
//! - `listener`: one open port, and how it is closed
//! - `connection`: one connection, in either version of HTTP
//! - `activity`: what a connection is about, and how long it may be
//! - `connection_table`, `handle`: all connections, and one as the others know it
//! - `memory_quota`, `client`: who may hold how much memory
//! - `file_limit`: how many connections there are file descriptors for
//! - `request_handler`: from a request to a call and back
//! - `normalise`, `response_framing`: what a request and a response are, by the rules of HTTP
//! - `request_body`, `response_body`: the bytes of them
//! - `request_id`: what joins the lines of several logs
//! - `payloads`: the contract's payloads
//!
//! # Features
//! - `fuzzing`: what the fuzz targets reach the inside by; it may change at any time

#![cfg_attr(docsrs, feature(doc_cfg))]

mod activity;
mod actor_caller;
mod client;
mod config;
mod connection;
mod connection_table;
mod cors;
mod file_limit;
mod link_value_names;
mod listener;
mod memory_quota;
mod normalise;
mod payloads;
mod request_body;
mod request_handler;
mod request_id;
mod response_body;
mod response_framing;
mod server;
mod tls;

pub use actor_caller::{ActorCaller, CallError, CallErrorKind};
pub use server::Server;

/// The contract that this server serves.
pub const CONTRACT: &str = "wasmcloud:httpserver";

/// What the answer of an actor says, as text for comparing: for the fuzz targets.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn read_response(answer: &[u8]) -> Option<String> {
    payloads::ResponsePayload::decode(answer).ok().map(|response| format!("{response:?}"))
}

/// A failure of any type, whose text says what happened and what to do.
pub type BoxedError = Box<dyn std::error::Error + Send + Sync>;
