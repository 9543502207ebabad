//! Why a store did not do what it was asked for: the same reasons with each backend.

use std::fmt;

use wasmcloud_core::text::printable;

/// A reason, as the actor is told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The contract has no such operation.
    UnknownOperation,
    /// The message is not what the operation takes.
    Malformed(String),
    /// Something is more than the link allows.
    TooMuch { what: &'static str, count: u64, limit: u64, link_value: &'static str },
    /// An id is longer than a store takes.
    IdTooLong { bytes: usize, limit: usize },
    /// A chunk is not what the upload still needs.
    WrongChunk(String),
    /// There is no such container.
    NoContainer(String),
    /// The container that is to be removed has blobs.
    NotEmpty(String),
    /// There is no such blob.
    NoBlob(String),
    /// No upload of this blob has been started, or it was given up.
    NoUpload(String),
    /// The list of blobs is longer than an actor can be given.
    AnswerTooLarge,
    /// The blob was replaced while it was read.
    Replaced,
    /// The link has ended.
    Ended,
    /// The store itself could not do it.
    Unavailable(String),
}

impl Refusal {
    /// What the operating system or a library said, made fit to be told.
    pub(super) fn unavailable(what: &str, error: impl fmt::Display) -> Refusal {
        Refusal::Unavailable(format!("{what}: {}", printable(error.to_string().as_bytes())))
    }

    /// Whether the call itself was at fault, and not what it was about.
    pub(super) fn is_about_the_call(&self) -> bool {
        matches!(self, Refusal::UnknownOperation | Refusal::Malformed(_))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::UnknownOperation => f.write_str("wasmcloud:blobstore has no such operation"),
            Refusal::Malformed(reason) => write!(f, "the message is not what the operation takes: {reason}"),
            Refusal::TooMuch { what, count, limit, link_value } => {
                write!(f, "{what}: {count}, and the link's {link_value} allows {limit}")
            }
            Refusal::IdTooLong { bytes, limit } => write!(f, "an id has {bytes} bytes, and at most {limit} are taken"),
            Refusal::WrongChunk(reason) => write!(f, "the chunk is not what the upload needs: {reason}"),
            Refusal::NoContainer(id) => write!(f, "there is no container {id:?}: create it first"),
            Refusal::NotEmpty(id) => write!(f, "the container {id:?} has blobs: remove them first"),
            Refusal::NoBlob(id) => write!(f, "there is no blob {id:?} in the container"),
            Refusal::NoUpload(id) => write!(f, "no upload of the blob {id:?} is under way: start it (again)"),
            Refusal::AnswerTooLarge => f.write_str("the container has more blobs than an actor can be told of at once"),
            Refusal::Replaced => f.write_str("the blob was replaced while it was read"),
            Refusal::Ended => f.write_str("the link to the store has ended"),
            Refusal::Unavailable(reason) => write!(f, "the store is not available: {reason}"),
        }
    }
}

impl std::error::Error for Refusal {}
