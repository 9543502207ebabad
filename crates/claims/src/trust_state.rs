//! Records whether a running actor or provider is still trusted. Trust ends when a token expires or a policy is replaced.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use wasmcloud_core::error::{Error, ErrorKind, Result};

/// Whether a running actor or provider is still trusted. The supervisor writes it and every call reads it, so that no call
/// has to check a clock, a token or a policy.
#[derive(Debug, Default)]
pub struct TrustState(ArcSwapOption<Distrust>);

/// Why an actor or provider has lost trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distrust {
    /// The kind of the errors of its calls.
    pub kind: ErrorKind,
    /// The rule that it violates.
    pub reason: String,
}

impl TrustState {
    /// Checks that trust has not been lost.
    ///
    /// # Errors
    /// The reason, as `TokenExpired`, `Untrusted` or `Revoked`, if trust has been lost.
    pub fn expect_trusted(&self) -> Result<()> {
        match &*self.0.load() {
            None => Ok(()),
            Some(distrust) => Err(Error::new(distrust.kind, distrust.reason.clone())),
        }
    }

    /// Returns why trust has been lost, if it has.
    pub fn lost(&self) -> Option<Arc<Distrust>> {
        self.0.load_full()
    }

    /// Returns whether the token has expired. No policy can restore trust then.
    pub fn has_expired(&self) -> bool {
        self.0.load().as_ref().is_some_and(|distrust| distrust.is_expiry())
    }

    /// Withdraws or restores trust.
    pub fn set(&self, distrust: Option<Distrust>) {
        self.0.store(distrust.map(Arc::new));
    }
}

impl Distrust {
    /// Returns whether the reason is an expired token.
    pub fn is_expiry(&self) -> bool {
        self.kind == ErrorKind::TokenExpired
    }
}

impl From<Error> for Distrust {
    fn from(error: Error) -> Distrust {
        Distrust { kind: error.kind(), reason: error.to_string() }
    }
}
