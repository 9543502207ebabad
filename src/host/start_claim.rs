//! The exclusive right to start a host.

use std::sync::atomic::Ordering;

use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::{Inner, Running};

/// The exclusive right to start a host. It is given back by a failed start, and kept by a successful one.
pub(super) struct StartClaim<'a>(&'a Inner);

impl<'a> StartClaim<'a> {
    /// Takes the right.
    ///
    /// # Errors
    /// `HostAlreadyStarted`.
    pub(super) fn take(host: &'a Inner) -> Result<StartClaim<'a>> {
        if host.start_claimed.swap(true, Ordering::SeqCst) {
            let message = format!("host {} was started before: build another one", host.key.public_key());
            return Err(Error::new(ErrorKind::HostAlreadyStarted, message));
        }
        Ok(StartClaim(host))
    }

    /// Records that the start succeeded.
    pub(super) fn keep(self, running: Running) {
        // Only the holder of the claim sets it.
        let _ = self.0.running.set(running);
    }
}

impl Drop for StartClaim<'_> {
    fn drop(&mut self) {
        if self.0.running.get().is_none() {
            self.0.start_claimed.store(false, Ordering::SeqCst);
        }
    }
}
