//! The ways a call into a guest can fail.

use std::fmt;

use wasmer::RuntimeError;

use crate::deadline::Elapsed;

/// A message to the guest, as opposed to one from it: it is refused before the guest is entered.
pub(crate) const REQUEST: &str = "request";

/// Why a guest did not answer.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The guest ran to its end and answered with an error of its own.
    Failed(String),
    /// The guest's code trapped.
    Trapped(String),
    /// The guest broke the waPC protocol.
    Protocol(String),
    /// A message to or from the guest is larger than it may be.
    TooLarge { what: &'static str, bytes: usize, limit: usize },
    /// The guest could not be instantiated.
    Instantiation(String),
    /// The guest was still at it when the call's time was up.
    Deadline,
    /// The guest was still at it when nobody waited for its answer any more.
    GivenUp,
    /// The guest was still at it when its host ended it.
    Ended,
    /// The engine itself gave up, with a panic.
    Panicked(String),
}

impl Fault {
    pub(super) fn instantiation(error: impl fmt::Display) -> Fault {
        Fault::Instantiation(error.to_string())
    }

    /// Whether the instance is in a known state and can serve another call.
    pub(crate) fn leaves_instance_usable(&self) -> bool {
        matches!(self, Fault::Failed(_)) || matches!(self, Fault::TooLarge { what: REQUEST, .. })
    }
}

impl From<RuntimeError> for Fault {
    fn from(error: RuntimeError) -> Fault {
        match error.downcast::<Fault>() {
            Ok(fault) => fault,
            Err(error) => Fault::Trapped(error.message()),
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
            Fault::Trapped(reason) => write!(f, "trapped: {reason}"),
            Fault::Protocol(reason) => write!(f, "broke the waPC protocol: {reason}"),
            Fault::TooLarge { what, bytes, limit } => {
                write!(f, "met a message that is too large: the {what} has {bytes} bytes, {limit} are allowed")
            }
            Fault::Instantiation(reason) => write!(f, "could not be instantiated: {reason}"),
            Fault::Deadline => f.write_str("did not answer in time"),
            Fault::GivenUp => f.write_str("was still at work when its caller gave up"),
            Fault::Ended => f.write_str("was still at work when it was ended"),
            Fault::Panicked(reason) => write!(f, "met a panic of the engine: {reason}"),
        }
    }
}

impl std::error::Error for Fault {}
