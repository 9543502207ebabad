//! The errors of operations, which are the same for each backend.

use std::fmt;

use wasmcloud_core::text::printable;

/// The error of an operation. Its text is returned to the actor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BlobStoreError {
    /// The contract has no such operation.
    UnknownOperation,
    /// The payload of the operation is invalid.
    Malformed(String),
    /// A limit of the link is exceeded.
    LimitExceeded { what: &'static str, count: u64, limit: u64, link_value: &'static str },
    /// An id is too long.
    IdTooLong { bytes: usize, limit: usize },
    /// A chunk does not belong to the upload, or differs from the same chunk that came before.
    InvalidChunk(String),
    /// The container does not exist.
    ContainerNotFound(String),
    /// The container to remove has blobs.
    ContainerNotEmpty(String),
    /// The blob does not exist.
    BlobNotFound(String),
    /// No upload of this blob was started, or it was aborted.
    UploadNotFound(String),
    /// The list of blobs is too large for an answer.
    ResponseTooLarge,
    /// The blob was replaced while it was read.
    BlobReplaced,
    /// The link has ended.
    LinkEnded,
    /// The backend failed.
    Unavailable(String),
}

impl BlobStoreError {
    /// Returns `Unavailable` with the error of the operating system or a library. Control characters are escaped.
    pub(super) fn unavailable(what: &str, error: impl fmt::Display) -> BlobStoreError {
        BlobStoreError::Unavailable(format!("{what}: {}", printable(error.to_string().as_bytes())))
    }

    /// Returns whether the call itself is invalid, as opposed to what it refers to.
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
                write!(f, "an id has {bytes} bytes: the maximum is {limit}")
            }
            BlobStoreError::InvalidChunk(reason) => write!(f, "the chunk is invalid: {reason}"),
            BlobStoreError::ContainerNotFound(id) => write!(f, "there is no container {id:?}: create it first"),
            BlobStoreError::ContainerNotEmpty(id) => write!(f, "the container {id:?} has blobs: remove them first"),
            BlobStoreError::BlobNotFound(id) => write!(f, "there is no blob {id:?} in the container"),
            BlobStoreError::UploadNotFound(id) => {
                write!(f, "no upload of the blob {id:?} is in progress: start it (again)")
            }
            BlobStoreError::ResponseTooLarge => {
                f.write_str("the list of blobs is too large for an answer: remove blobs, or use more containers")
            }
            BlobStoreError::BlobReplaced => f.write_str("the blob was replaced while it was read: start again"),
            BlobStoreError::LinkEnded => f.write_str("the link to the store has ended"),
            BlobStoreError::Unavailable(reason) => write!(f, "the store is not available: {reason}"),
        }
    }
}

impl std::error::Error for BlobStoreError {}
