//! The entries of a manifest that failed, with their errors.

use std::fmt;

use wasmcloud_core::error::{Error, ErrorKind};

/// An entry of a manifest that failed.
#[derive(Debug)]
#[non_exhaustive]
pub struct EntryFailure {
    /// The entry, such as `actors[0] (echo.wasm)`. Entries are counted from zero.
    pub entry: String,
    /// The error of the entry.
    pub error: Error,
}

/// All entries of a manifest that failed. Errors of [`Host::apply_manifest`](crate::Host::apply_manifest) have it as their
/// [cause](Error::cause):
///
/// ```
/// use std::error::Error as _;
/// use wasmcloud_host::{ErrorKind, HostBuilder, HostManifest, ManifestFailures};
///
/// # #[actix_rt::main]
/// # async fn main() -> wasmcloud_host::Result<()> {
/// let host = HostBuilder::new().build();
/// host.start().await?;
/// let manifest = HostManifest::from_yaml("actors: [nowhere.wasm, fixtures/guests/echo.wasm]")?;
///
/// let refused = host.apply_manifest(manifest).await.unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::InvalidManifest);
/// let failures = refused.cause().and_then(|cause| cause.downcast_ref::<ManifestFailures>()).unwrap();
/// let kinds: Vec<_> = failures.entries().iter().map(|failure| failure.error.kind()).collect();
/// assert_eq!(kinds, [ErrorKind::Io, ErrorKind::Unsigned]);
/// # host.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct ManifestFailures(Vec<EntryFailure>);

impl ManifestFailures {
    /// Returns the entries that failed, in the order in which they were tried.
    pub fn entries(&self) -> &[EntryFailure] {
        &self.0
    }

    pub(crate) fn add(&mut self, entry: impl fmt::Display, error: Error) {
        self.0.push(EntryFailure { entry: entry.to_string(), error });
    }

    /// Returns the value of a success, and records the error of a failure.
    pub(crate) fn record<T>(&mut self, entry: impl fmt::Display, outcome: Result<T, Error>) -> Option<T> {
        outcome.map_err(|error| self.add(entry, error)).ok()
    }

    /// Returns all failures as one error.
    ///
    /// # Errors
    /// An error of this kind if an entry has failed.
    pub(crate) fn into_result(self, manifest: &str, kind: ErrorKind) -> Result<(), Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        let outcome = match kind {
            ErrorKind::InvalidManifest => "cannot be applied; no part of it was applied",
            _ => "was applied in part; its other entries run, and it can be applied again",
        };
        Err(Error::new(kind, format!("{manifest} {outcome}")).caused_by(self))
    }
}

impl fmt::Display for ManifestFailures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, EntryFailure { entry, error }) in self.0.iter().enumerate() {
            write!(f, "{}{entry}: {error}", if number == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for ManifestFailures {}
