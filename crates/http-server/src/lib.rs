//! The HTTP server behind `wasmcloud:httpserver`, apart from any host: a listener of its own for each linked actor, whose
//! requests become calls.
//!
//! Whoever embeds it says with a [`Caller`] how an actor is called. It runs on one thread: its methods are called, and its
//! connections served, inside a `LocalSet` of tokio (an actix arbiter is one).
//!
//! # Layout
//! - `server`: the open ports of all links
//! - `caller`: the way to an actor
//! - `settings`, `names`: what a link's values mean, and which there are
//! - `tls`, `cors`: the parts of them that have rules of their own
//! - `listener`: one open port, and how it is closed
//! - `connection`: one connection, in either version of HTTP
//! - `activity`: what a connection is about, and how long it may be
//! - `table`, `peer`: all connections, and one as the others know it
//! - `ledger`, `client`: who may hold how much memory
//! - `files`: how many connections there are file descriptors for
//! - `site`: from a request to a call and back
//! - `normalise`, `framing`: what a request and a response are, by the rules of HTTP
//! - `body`, `answer`: the bytes of them
//! - `request_id`: what joins the lines of several logs
//! - `messages`: the contract's payloads
//!
//! # Features
//! - `fuzzing`: what the fuzz targets reach the inside by; it may change at any time

#![cfg_attr(docsrs, feature(doc_cfg))]

mod activity;
mod answer;
mod body;
mod caller;
mod client;
mod connection;
mod cors;
mod files;
mod framing;
mod ledger;
mod listener;
mod messages;
mod names;
mod normalise;
mod request_id;
mod server;
mod settings;
mod site;
mod table;
mod tls;

pub use caller::{CallError, CallErrorKind, Caller};
pub use server::Server;

/// The contract that this server serves.
pub const CONTRACT: &str = "wasmcloud:httpserver";

/// What the answer of an actor says, as text for comparing: for the fuzz targets.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn read_response(answer: &[u8]) -> Option<String> {
    messages::Response::decode(answer).ok().map(|response| format!("{response:?}"))
}

/// A failure of any type, whose text says what happened and what to do.
pub type BoxedError = Box<dyn std::error::Error + Send + Sync>;
