//! The errors of operations, which are the same for each backend.

use std::fmt;

/// The error of an operation. Its text is returned to the actor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyValueError {
    /// The contract has no such operation.
    UnknownOperation,
    /// The payload of the operation is invalid.
    Malformed(String),
    /// A key or value exceeds a limit of the link.
    TooLarge { what: &'static str, bytes: usize, limit: usize, link_value: &'static str },
    /// The response is too large for an answer.
    ResponseTooLarge,
    /// The key holds a value of another type than the operation is for.
    WrongType,
    /// `Add` to a text that is not a number.
    NotANumber,
    /// `Add` with a sum that does not fit 32 bits.
    Overflow,
    /// Too many operations wait for the store.
    Busy,
    /// The backend failed.
    Unavailable(String),
}

impl fmt::Display for KeyValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyValueError::UnknownOperation => f.write_str("wasmcloud:keyvalue has no such operation"),
            KeyValueError::Malformed(reason) => write!(f, "the message is not what the operation takes: {reason}"),
            KeyValueError::TooLarge { what, bytes, limit, link_value } => {
                write!(f, "the {what} has {bytes} bytes, and the link's {link_value} allows {limit}")
            }
            KeyValueError::ResponseTooLarge => f.write_str("the response is too large for an answer: request less"),
            KeyValueError::WrongType => f.write_str("the key holds a value of another type than the operation is for"),
            KeyValueError::NotANumber => f.write_str("the value is not an integer of 64 bits: nothing was added"),
            KeyValueError::Overflow => f.write_str("the sum does not fit 32 bits: nothing was added"),
            KeyValueError::Busy => f.write_str("too many operations wait for the store: try again later"),
            KeyValueError::Unavailable(reason) => write!(f, "the store is not available: {reason}"),
        }
    }
}

impl std::error::Error for KeyValueError {}
