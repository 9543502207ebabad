//! Why a store did not do what it was asked for: the same reasons with each backend.

use std::fmt;

/// A reason, as the actor is told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyValueError {
    /// The contract has no such operation.
    UnknownOperation,
    /// The message is not what the operation takes.
    Malformed(String),
    /// Keys or values are longer than the link allows.
    TooLarge { what: &'static str, bytes: usize, limit: usize, link_value: &'static str },
    /// The answer is longer than an actor can be given.
    ResponseTooLarge,
    /// The key holds text, a list or a set, and the operation is for another of these.
    WrongType,
    /// `Add` to a text that is no number.
    NotANumber,
    /// `Add` beyond what the contract can tell.
    Overflow,
    /// More calls wait for the store than it takes.
    Busy,
    /// The store itself could not do it.
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
            KeyValueError::ResponseTooLarge => {
                f.write_str("the answer is larger than an actor can be given: ask for less")
            }
            KeyValueError::WrongType => f.write_str("the key holds another kind of value than the operation is for"),
            KeyValueError::NotANumber => {
                f.write_str("the value is not an integer of 64 bits, so nothing can be added to it")
            }
            KeyValueError::Overflow => f.write_str("the sum would not fit 32 bits; nothing was added"),
            KeyValueError::Busy => f.write_str("too many calls wait for the store: try again later"),
            KeyValueError::Unavailable(reason) => write!(f, "the store is not available: {reason}"),
        }
    }
}

impl std::error::Error for KeyValueError {}
