//! The vocabulary that all layers of the runtime share: errors, entities, limits, and the context of a call.
//!
//! It starts no thread, and no task but the report of lines that a log left out. Every crate of the workspace builds on it, except the HTTP server, its plugin and the
//! SDK of plugins. It depends on no crate of the workspace, except for its documentation examples.
//!
//! # Layout
//! - [`error`]: the error type and its kinds
//! - [`text`]: escapes text from outside for terminals and logs
//! - [`entity`]: callers and targets; keys, contracts and link names
//! - [`health`]: the health of actors and providers, and its wire format
//! - [`identity`]: the identifiers of instances and providers in a host
//! - [`limits`]: the limits of guests and hosts
//! - [`line_limiter`]: limits the rate of log lines
//! - [`limited_log`]: the limit of the lines of an actor or provider
//! - [`call`]: a call, its deadline and its chain of callers
//! - [`deadline`]: waits for work until a deadline
//! - [`durations`]: how long things took
//! - [`trace`]: the trace that a call is part of, and identifiers of calls
//! - [`shutdown`]: the signal that work has to end

#![forbid(unsafe_code)]

pub mod call;
pub mod deadline;
pub mod durations;
pub mod entity;
pub mod error;
pub mod health;
pub mod identity;
pub mod limited_log;
pub mod limits;
pub mod line_limiter;
pub mod shutdown;
pub mod text;
pub mod trace;
