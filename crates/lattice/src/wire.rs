//! The wire format: the messages of 2021 in msgpack, with an optional extension that hosts of 2021 ignore.
//!
//! Structs are written as maps with field names, and read as maps or arrays. Variants are written as maps with the index
//! as the key, and read by index or name. A payload is written as an array of integers or as binary, and read in both
//! forms. Unknown fields are ignored. Every length is checked against a bound and against the bytes that are left before
//! anything is allocated.

mod advertisement;
mod digest;
mod entity;
mod extension;
mod invocation;
mod reader;
mod response;
#[cfg(test)]
mod tests;
mod transfer;
mod writer;

use std::fmt;

use wasmcloud_core::error::{Error, ErrorKind};

pub use advertisement::{ActorClaims, LinkDefinition, LinkValue};
pub use digest::{Digest, Digester};
pub use extension::{Authenticator, Extension, MAX_AUTHENTICATORS, MAX_CHAIN, TraceContext, WaitingActor};
pub use invocation::Invocation;
pub use response::{Response, ResponseExtension, Retry};
pub use transfer::Transfer;
pub use writer::PayloadForm;

/// The version of the extension that this release writes. Hosts of 2021 have none.
pub const PROTOCOL_VERSION: u32 = 1;

/// The greatest length of keys, contracts, link names, operations and identifiers. Unit: bytes.
pub const MAX_NAME: usize = 1024;

/// The greatest length of the token of an invocation. Unit: bytes.
pub const MAX_TOKEN: usize = 16 * 1024;

/// The greatest length of what surrounds a payload. Unit: bytes.
pub(crate) const MAX_ENVELOPE: usize = 64 * 1024;

/// The reason for which bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireError {
    /// The message or its payload is larger than the limit.
    TooLarge {
        /// The limit. Unit: bytes of payload.
        limit: usize,
    },
    /// The message ends within a value, or a value announces more than the message holds.
    Truncated,
    /// Bytes follow the message.
    TrailingBytes,
    /// Values are nested too deeply.
    TooDeep,
    /// A value has another type or range than its field.
    Unexpected(&'static str),
    /// A text, list or map is longer than its field may be.
    TooLong(&'static str),
    /// A field is missing.
    Missing(&'static str),
    /// A field occurs twice. Readers could disagree about which one counts.
    Repeated(&'static str),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::TooLarge { limit } => write!(f, "the payload is larger than {limit} bytes"),
            WireError::Truncated => f.write_str("the message is truncated"),
            WireError::TrailingBytes => f.write_str("bytes follow the message"),
            WireError::TooDeep => f.write_str("the message is nested too deeply"),
            WireError::Unexpected(field) => write!(f, "`{field}` has another type or range"),
            WireError::TooLong(field) => write!(f, "`{field}` is too long"),
            WireError::Missing(field) => write!(f, "`{field}` is missing"),
            WireError::Repeated(field) => write!(f, "`{field}` occurs twice"),
        }
    }
}

impl std::error::Error for WireError {}

impl From<WireError> for Error {
    fn from(error: WireError) -> Error {
        let kind = match error {
            WireError::TooLarge { .. } => ErrorKind::MessageTooLarge,
            _ => ErrorKind::LatticeRefused,
        };
        Error::new(kind, "a message of the lattice cannot be read").caused_by(error)
    }
}

/// Checks the size of a whole message before anything of it is read. A byte of a payload is two bytes at most in an array
/// of integers.
fn check_size(bytes: &[u8], max_payload: usize) -> Result<(), WireError> {
    let limit = max_payload.saturating_mul(2).saturating_add(MAX_ENVELOPE);
    if bytes.len() > limit { Err(WireError::TooLarge { limit: max_payload }) } else { Ok(()) }
}

/// Returns the captured invocations of 2021, for the tests of other modules.
#[cfg(test)]
pub(crate) fn captured_invocations() -> Vec<Invocation> {
    tests::captured_invocations()
}
