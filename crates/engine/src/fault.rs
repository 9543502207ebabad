//! The ways a call into a guest can fail.

use std::fmt;

use wasmcloud_core::deadline::Elapsed;
use wasmcloud_core::error::printable;
use wasmer::sys::vm::TrapCode;
use wasmer::{InstantiationError, LinkError};

use super::last_words::LastWords;
use super::turns::Broken;

/// The name of a payload for the guest that is too large. The guest is not entered for it.
pub const REQUEST: &str = "request";

/// Why a guest did not answer.
#[derive(Debug)]
pub enum Fault {
    /// The guest ran to its end and answered with an error of its own.
    Failed(String),
    /// The guest's code trapped.
    Trapped {
        /// The reason of the trap.
        reason: String,
        /// What the guest said before.
        words: LastWords,
        /// The functions that it was in, the innermost first; nothing where that is not known.
        functions: Vec<String>,
    },
    /// The guest's calls are nested deeper than its stack allows.
    StackExhausted {
        /// The size of the stack, in bytes.
        limit: usize,
        /// What the guest said before.
        words: LastWords,
    },
    /// The guest broke the waPC protocol.
    Protocol(String),
    /// A message to or from the guest is larger than it may be.
    TooLarge {
        /// The name of the payload.
        what: &'static str,
        /// The size of the payload, in bytes.
        bytes: usize,
        /// The largest size that is allowed, in bytes.
        limit: usize,
    },
    /// The guest could not be instantiated.
    Instantiation(String),
    /// The guests of the host hold as much of the process as they may.
    NoRoom(String),
    /// The guest was still at it when the call's time was up.
    Deadline,
    /// The guest was still at it when nobody waited for its answer any more.
    Cancelled,
    /// The guest was still at it when its host ended it.
    Ended,
    /// The engine itself gave up, with a panic.
    Panicked(String),
}

impl Fault {
    pub(super) fn instantiation(error: impl fmt::Display) -> Fault {
        // It may name what the module imports.
        Fault::Instantiation(printable(error.to_string().as_bytes()))
    }

    /// A trap of which no more is known.
    pub fn trapped(reason: impl Into<String>) -> Fault {
        Fault::Trapped { reason: reason.into(), words: LastWords::default(), functions: Vec::new() }
    }

    /// What became of a guest that has stacks of so many bytes, and what it said before.
    pub(super) fn of(Broken { error, functions }: Broken, stack_bytes: usize, words: LastWords) -> Fault {
        let error = match error.downcast::<Fault>() {
            Ok(fault) => return fault,
            Err(error) => error,
        };
        let reason = error.message();
        match error.to_trap() {
            Some(TrapCode::StackOverflow) => Fault::StackExhausted { limit: stack_bytes, words },
            _ => Fault::Trapped { reason, words, functions },
        }
    }

    /// Whether the guest is to blame for it, as opposed to those who ended it.
    pub fn is_crash(&self) -> bool {
        !matches!(self, Fault::Cancelled | Fault::Ended)
    }

    /// Whether the instance is in a known state and can serve another call.
    pub fn leaves_instance_usable(&self) -> bool {
        // There was no room to enter it, so it is as it was.
        matches!(self, Fault::Failed(_) | Fault::NoRoom(_) | Fault::TooLarge { what: REQUEST, .. })
    }
}

impl From<InstantiationError> for Fault {
    fn from(error: InstantiationError) -> Fault {
        match error {
            InstantiationError::Link(LinkError::Resource(reason)) => {
                Fault::NoRoom(format!("there is no room for its memory: {reason}"))
            }
            other => Fault::instantiation(other),
        }
    }
}

impl From<Elapsed> for Fault {
    fn from(_: Elapsed) -> Fault {
        Fault::Deadline
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Failed(reason) => write!(f, "answered with an error: {reason}"),
            Fault::Trapped { reason, words, functions } => {
                write!(f, "trapped: {reason}{words}")?;
                if functions.is_empty() { Ok(()) } else { write!(f, "; it was in {}", functions.join(" <- ")) }
            }
            Fault::StackExhausted { limit, words } => {
                write!(f, "used up its stack of {limit} bytes: it calls too deeply{words}")
            }
            Fault::Protocol(reason) => write!(f, "broke the waPC protocol: {reason}"),
            Fault::TooLarge { what, bytes, limit } => {
                write!(f, "met a message that is too large: the {what} has {bytes} bytes, {limit} are allowed")
            }
            Fault::Instantiation(reason) => write!(f, "could not be instantiated: {reason}"),
            Fault::NoRoom(reason) => write!(f, "was not run: {reason}"),
            Fault::Deadline => f.write_str("did not answer in time"),
            Fault::Cancelled => f.write_str("was still at work when its caller gave up"),
            Fault::Ended => f.write_str("was still at work when it was ended"),
            Fault::Panicked(reason) => write!(f, "met a panic of the engine: {reason}"),
        }
    }
}

impl std::error::Error for Fault {}
