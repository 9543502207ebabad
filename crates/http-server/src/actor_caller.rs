//! The interface for calling an actor, which the embedder implements.

use std::fmt;
use std::future::Future;

/// Calls one actor.
pub trait ActorCaller {
    /// Calls an operation of the actor with a msgpack payload, and returns the payload of its answer. Dropping the future
    /// cancels the call.
    fn call(&self, operation: &str, payload: Vec<u8>) -> impl Future<Output = Result<Vec<u8>, CallError>>;
}

/// The error of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// Determines the status of the HTTP response.
    pub kind: CallErrorKind,
    /// The text for the log. It is not part of the HTTP response.
    pub text: String,
}

/// The kind of a failed call. It determines the status of the HTTP response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallErrorKind {
    /// The actor missed its deadline. Status: 504.
    TimedOut,
    /// The actor does not run or is overloaded. Status: 503.
    Unavailable,
    /// Any other failure. Status: 500.
    Failed,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for CallError {}
