//! Why the bucket was not written or read, as the answers of the server tell.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::{self, DirectGetErrorKind, LastRawMessageErrorKind};
use async_nats::{RequestErrorKind, StatusCode};
use wasmcloud_core::error::{Error, ErrorKind};

/// Why a write has no acknowledgement.
#[derive(Debug)]
pub(in crate::registry) enum WriteFailure {
    /// Another write came first. Nothing was written.
    Conflict,
    /// The stream does not exist. Nothing was written.
    Missing,
    /// The server refused the write. Nothing was written.
    Refused(Error),
    /// No acknowledgement came. The write may have been stored.
    Unknown(Error),
}

/// Why an entry was not read.
#[derive(Debug)]
pub(in crate::registry) enum ReadFailure {
    /// The stream does not exist, or JetStream is not there.
    Missing,
    Failed(Error),
}

impl From<Error> for ReadFailure {
    fn from(error: Error) -> ReadFailure {
        ReadFailure::Failed(error)
    }
}

/// Returns the failure of a read, or `None` if there is no entry.
pub(in crate::registry) fn failure_of_direct_read(error: stream::DirectGetError) -> Option<ReadFailure> {
    match error.kind() {
        DirectGetErrorKind::NotFound => None,
        DirectGetErrorKind::ErrorResponse(StatusCode::NO_RESPONDERS, _) => Some(ReadFailure::Missing),
        _ => Some(ReadFailure::Failed(unavailable("an entry cannot be read").caused_by(error))),
    }
}

/// Returns the failure of a read, or `None` if there is no entry.
pub(in crate::registry) fn failure_of_read(error: stream::LastRawMessageError) -> Option<ReadFailure> {
    match error.kind() {
        LastRawMessageErrorKind::NoMessageFound => None,
        LastRawMessageErrorKind::JetStream(cause) if cause.error_code() == ErrorCode::STREAM_NOT_FOUND => {
            Some(ReadFailure::Missing)
        }
        _ => Some(ReadFailure::Failed(unavailable("an entry cannot be read").caused_by(error))),
    }
}

pub(in crate::registry) fn failure_of(error: async_nats::RequestError) -> WriteFailure {
    match error.kind() {
        RequestErrorKind::NoResponders => WriteFailure::Missing,
        RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded => {
            let message = "the server does not accept an entry of the registry";
            WriteFailure::Refused(Error::new(ErrorKind::MessageTooLarge, message).caused_by(error))
        }
        _ => WriteFailure::Unknown(unknown("no acknowledgement came").caused_by(error)),
    }
}

pub(in crate::registry) fn unavailable(what: &str) -> Error {
    Error::new(ErrorKind::LatticeUnavailable, format!("the lattice's registry is not available: {what}"))
}

pub(in crate::registry) fn unknown(what: &str) -> Error {
    let message = format!("whether the registry stored the change is not known: {what}; read it before trying again");
    Error::new(ErrorKind::OutcomeUnknown, message)
}

pub(in crate::registry) fn refusal(what: &str, error: &async_nats::jetstream::Error) -> Error {
    unavailable(what).caused_by(error.to_string())
}
