//! Errors of requests and files, with what to do next.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use wasmcloud_core::error::{Error, ErrorKind};

/// The cause of a connection that was not made, because the name leads to a private network.
#[derive(Debug)]
pub(crate) struct PrivateAddress(pub(crate) String);

impl fmt::Display for PrivateAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is an address of a private network", self.0)
    }
}

impl StdError for PrivateAddress {}

/// Returns the error of a request that got no answer, or of a body that ended early.
pub(crate) fn request(authority: &str, error: reqwest::Error) -> Error {
    // The address of a request may hold the signature of a storage service.
    let error = error.without_url();
    if let Some(private) = cause_of::<PrivateAddress>(&error) {
        return private_network(&private.0);
    }
    let what = match () {
        () if error.is_timeout() => "did not answer in time: try again, or raise the time limits",
        () if error.is_connect() => {
            "cannot be reached: check its address and the network, and whether it is one without TLS"
        }
        () => "broke off its answer: try again",
    };
    Error::new(ErrorKind::OciUnavailable, format!("the registry {authority} {what}")).caused_by(error)
}

/// Returns the error of an operation that took too long as a whole.
pub(crate) fn overdue(authority: &str, limit: Duration) -> Error {
    let limit = limit.as_secs_f32();
    Error::new(
        ErrorKind::OciUnavailable,
        format!("the registry {authority} took longer than {limit} s: try again, or raise the time limit of transfers"),
    )
}

/// Returns the error of a redirect to an address inside of the network.
pub(crate) fn private_network(host: &str) -> Error {
    Error::new(
        ErrorKind::OciRefused,
        format!(
            "the registry leads to '{host}', which is in a private network: if that is meant, add '{host}' with its port to \
             the insecure registries"
        ),
    )
}

/// Returns the error of an answer that is not accepted.
pub(crate) fn refused(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::OciRefused, text)
}

/// Returns the error of a file of the cache. A full disk is told apart.
pub(crate) fn file(folder: &Path, doing: &str, error: io::Error) -> Error {
    let folder = folder.display();
    let text = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("the disk under '{folder}' is full: free space there, or set another folder for the cache")
        }
        io::ErrorKind::FileTooLarge => {
            format!("a file in '{folder}' would exceed the largest size that this process may write: raise that limit")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            format!("cannot {doing} in '{folder}': make it writable, or set another folder for the cache")
        }
        _ => format!("cannot {doing} in '{folder}'"),
    };
    Error::new(ErrorKind::Io, text).caused_by(error)
}

/// Finds the first cause of a type.
fn cause_of<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_names_the_folder() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = file(Path::new("/var/cache/oci"), "write a blob", full);
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("'/var/cache/oci' is full: free space"), "{error}");
    }
}
