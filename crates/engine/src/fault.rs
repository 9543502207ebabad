//! The ways in which a call into a guest fails.

use std::fmt;

use wasmcloud_core::deadline::Elapsed;
use wasmcloud_core::error::printable;
use wasmer::sys::vm::TrapCode;
use wasmer::{InstantiationError, LinkError};

use super::last_output::LastOutput;
use super::trap_guard::CallError;

/// The name of the request payload in [`Fault::TooLarge`]. The guest is not entered if it is too large.
pub const REQUEST: &str = "request";

/// The reason why a guest did not answer.
#[derive(Debug)]
pub enum Fault {
    /// The guest returned an error.
    Failed(String),
    /// The guest's code trapped.
    Trapped {
        /// The reason of the trap.
        reason: String,
        /// The last error and log line of the guest.
        output: LastOutput,
        /// The names of the functions on its stack, innermost first. Empty if unknown.
        backtrace: Vec<String>,
    },
    /// The guest's calls nested deeper than its stack allows.
    StackExhausted {
        /// The size of the stack. Unit: bytes.
        limit: usize,
        /// The last error and log line of the guest.
        output: LastOutput,
    },
    /// The guest violated the waPC protocol.
    Protocol(String),
    /// A payload to or from the guest exceeds the limit.
    TooLarge {
        /// The name of the payload.
        what: &'static str,
        /// The size of the payload. Unit: bytes.
        bytes: usize,
        /// The largest allowed size. Unit: bytes.
        limit: usize,
    },
    /// The guest could not be instantiated.
    Instantiation(String),
    /// The mapping budget of the host or the memory of the process is exhausted.
    ResourcesExhausted(String),
    /// The deadline of the call passed while the guest ran.
    Deadline,
    /// The call was cancelled while the guest ran.
    Cancelled,
    /// The host ended the guest while it ran.
    Ended,
    /// The engine panicked.
    Panicked(String),
}

impl Fault {
    pub(super) fn instantiation(error: impl fmt::Display) -> Fault {
        // The text may contain names from the module.
        Fault::Instantiation(printable(error.to_string().as_bytes()))
    }

    /// Returns a trap without a backtrace and without output of the guest.
    pub fn trapped(reason: impl Into<String>) -> Fault {
        Fault::Trapped { reason: reason.into(), output: LastOutput::default(), backtrace: Vec::new() }
    }

    /// Returns the fault that a failed call of a guest means.
    pub(super) fn from_call_error(
        CallError { error, backtrace }: CallError,
        stack_bytes: usize,
        output: LastOutput,
    ) -> Fault {
        let error = match error.downcast::<Fault>() {
            Ok(fault) => return fault,
            Err(error) => error,
        };
        let reason = error.message();
        match error.to_trap() {
            Some(TrapCode::StackOverflow) => Fault::StackExhausted { limit: stack_bytes, output },
            _ => Fault::Trapped { reason, output, backtrace },
        }
    }

    /// Returns whether the guest caused the fault, as opposed to its caller or host.
    pub fn is_crash(&self) -> bool {
        !matches!(self, Fault::Cancelled | Fault::Ended)
    }

    /// Returns whether the instance is in a known state and can serve another call.
    pub fn leaves_instance_usable(&self) -> bool {
        // In the last two cases the guest was not entered.
        matches!(self, Fault::Failed(_) | Fault::ResourcesExhausted(_) | Fault::TooLarge { what: REQUEST, .. })
    }
}

impl From<InstantiationError> for Fault {
    fn from(error: InstantiationError) -> Fault {
        match error {
            InstantiationError::Link(LinkError::Resource(reason)) => {
                Fault::ResourcesExhausted(format!("there is no room for its memory: {reason}"))
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
            Fault::Trapped { reason, output, backtrace } => {
                write!(f, "trapped: {reason}{output}")?;
                if backtrace.is_empty() { Ok(()) } else { write!(f, "; it was in {}", backtrace.join(" <- ")) }
            }
            Fault::StackExhausted { limit, output } => {
                write!(f, "used up its stack of {limit} bytes: it calls too deeply{output}")
            }
            Fault::Protocol(reason) => write!(f, "broke the waPC protocol: {reason}"),
            Fault::TooLarge { what, bytes, limit } => {
                write!(f, "exceeded the limit on payloads: the {what} has {bytes} bytes, {limit} are allowed")
            }
            Fault::Instantiation(reason) => write!(f, "could not be instantiated: {reason}"),
            Fault::ResourcesExhausted(reason) => write!(f, "was not run: {reason}"),
            Fault::Deadline => f.write_str("did not answer in time"),
            Fault::Cancelled => f.write_str("was still running when the call was cancelled"),
            Fault::Ended => f.write_str("was still running when the host ended it"),
            Fault::Panicked(reason) => write!(f, "met a panic of the engine: {reason}"),
        }
    }
}

impl std::error::Error for Fault {}
