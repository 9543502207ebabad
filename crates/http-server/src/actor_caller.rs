//! The way to an actor, as the embedder knows it.

use std::fmt;
use std::future::Future;

/// The way to call one actor.
pub trait ActorCaller {
    /// Calls an operation of the actor with a payload in msgpack, and waits for its answer. Dropping the future gives the
    /// call up.
    fn call(&self, operation: &str, payload: Vec<u8>) -> impl Future<Output = Result<Vec<u8>, CallError>>;
}

/// Why a call was not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// What the HTTP client is told: see [`CallErrorKind`].
    pub kind: CallErrorKind,
    /// What the log is told.
    pub text: String,
}

/// What went wrong with a call, as far as an HTTP client can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallErrorKind {
    /// The actor did not answer in time: 504.
    TimedOut,
    /// The actor does not run or has too much to do: 503.
    Unavailable,
    /// Anything else: 500.
    Failed,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for CallError {}
