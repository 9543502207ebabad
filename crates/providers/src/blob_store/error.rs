//! Why a store did not do what it was asked for: the same reasons with each backend.

use std::fmt;

use wasmcloud_core::text::printable;

/// A reason, as the actor is told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BlobStoreError {
    /// The contract has no such operation.
    UnknownOperation,
    /// The message is not what the operation takes.
    Malformed(String),
    /// Something is more than the link allows.
    LimitExceeded { what: &'static str, count: u64, limit: u64, link_value: &'static str },
    /// An id is longer than a store takes.
    IdTooLong { bytes: usize, limit: usize },
    /// A chunk is not what the upload still needs.
    InvalidChunk(String),
    /// There is no such container.
    ContainerNotFound(String),
    /// The container that is to be removed has blobs.
    ContainerNotEmpty(String),
    /// There is no such blob.
    BlobNotFound(String),
    /// No upload of this blob has been started, or it was given up.
    UploadNotFound(String),
    /// The list of blobs is longer than an actor can be given.
    ResponseTooLarge,
    /// The blob was replaced while it was read.
    BlobReplaced,
    /// The link has ended.
    LinkEnded,
    /// The store itself could not do it.
    Unavailable(String),
}

impl BlobStoreError {
    /// What the operating system or a library said, made fit to be told.
    pub(super) fn unavailable(what: &str, error: impl fmt::Display) -> BlobStoreError {
        BlobStoreError::Unavailable(format!("{what}: {}", printable(error.to_string().as_bytes())))
    }

    /// Whether the call itself was at fault, and not what it was about.
    pub(super) fn is_invalid_call(&self) -> bool {
        matches!(self, BlobStoreError::UnknownOperation | BlobStoreError::Malformed(_))
    }
}

impl fmt::Display for BlobStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BlobStoreError::UnknownOperation => f.write_str("wasmcloud:blobstore has no such operation"),
            BlobStoreError::Malformed(reason) => write!(f, "the message is not what the operation takes: {reason}"),
            BlobStoreError::LimitExceeded { what, count, limit, link_value } => {
                write!(f, "{what}: {count}, and the link's {link_value} allows {limit}")
            }
            BlobStoreError::IdTooLong { bytes, limit } => {
                write!(f, "an id has {bytes} bytes, and at most {limit} are taken")
            }
            BlobStoreError::InvalidChunk(reason) => write!(f, "the chunk is not what the upload needs: {reason}"),
            BlobStoreError::ContainerNotFound(id) => write!(f, "there is no container {id:?}: create it first"),
            BlobStoreError::ContainerNotEmpty(id) => write!(f, "the container {id:?} has blobs: remove them first"),
            BlobStoreError::BlobNotFound(id) => write!(f, "there is no blob {id:?} in the container"),
            BlobStoreError::UploadNotFound(id) => {
                write!(f, "no upload of the blob {id:?} is under way: start it (again)")
            }
            BlobStoreError::ResponseTooLarge => {
                f.write_str("the container has more blobs than an actor can be told of at once")
            }
            BlobStoreError::BlobReplaced => f.write_str("the blob was replaced while it was read"),
            BlobStoreError::LinkEnded => f.write_str("the link to the store has ended"),
            BlobStoreError::Unavailable(reason) => write!(f, "the store is not available: {reason}"),
        }
    }
}

impl std::error::Error for BlobStoreError {}
