//! Why a store did not do what it was asked for: the same reasons with each backend.

use std::fmt;

/// A reason, as the actor is told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The contract has no such operation.
    UnknownOperation,
    /// The message is not what the operation takes.
    Malformed(String),
    /// Keys or values are longer than the link allows.
    TooLarge { what: &'static str, bytes: usize, limit: usize, link_value: &'static str },
    /// The answer is longer than an actor can be given.
    AnswerTooLarge,
    /// The key holds text, a list or a set, and the operation is for another of these.
    WrongKind,
    /// `Add` to a text that is no number.
    NotANumber,
    /// `Add` beyond what the contract can tell.
    Overflow,
    /// More calls wait for the store than it takes.
    Busy,
    /// The store itself could not do it.
    Unavailable(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::UnknownOperation => f.write_str("wasmcloud:keyvalue has no such operation"),
            Refusal::Malformed(reason) => write!(f, "the message is not what the operation takes: {reason}"),
            Refusal::TooLarge { what, bytes, limit, link_value } => {
                write!(f, "the {what} has {bytes} bytes, and the link's {link_value} allows {limit}")
            }
            Refusal::AnswerTooLarge => f.write_str("the answer is larger than an actor can be given: ask for less"),
            Refusal::WrongKind => f.write_str("the key holds another kind of value than the operation is for"),
            Refusal::NotANumber => f.write_str("the value is not an integer of 64 bits, so nothing can be added to it"),
            Refusal::Overflow => f.write_str("the sum would not fit 32 bits; nothing was added"),
            Refusal::Busy => f.write_str("too many calls wait for the store: try again later"),
            Refusal::Unavailable(reason) => write!(f, "the store is not available: {reason}"),
        }
    }
}

impl std::error::Error for Refusal {}
