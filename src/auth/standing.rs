//! Whether who runs may still be called: tokens end, and trust can be withdrawn.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::error::{Error, ErrorKind, Result};

/// Whether an actor or provider that runs is still trusted. The supervisor writes it, and every call reads it, so a call
/// needs no look at a clock, a token or a policy.
#[derive(Debug, Default)]
pub(crate) struct Standing(ArcSwapOption<Distrust>);

/// Why who runs is not trusted any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Distrust {
    pub(crate) kind: ErrorKind,
    pub(crate) reason: String,
}

impl Standing {
    /// Refuses who is not trusted any more.
    pub(crate) fn expect_good(&self) -> Result<()> {
        match &*self.0.load() {
            None => Ok(()),
            Some(distrust) => Err(Error::new(distrust.kind, distrust.reason.clone())),
        }
    }

    /// Why it is not trusted any more, if so.
    pub(crate) fn lost(&self) -> Option<Arc<Distrust>> {
        self.0.load_full()
    }

    /// Whether its token has ended, which no policy can mend.
    pub(crate) fn has_expired(&self) -> bool {
        self.0.load().as_ref().is_some_and(|distrust| distrust.is_expiry())
    }

    /// From now on it is trusted, or is not.
    pub(crate) fn set(&self, distrust: Option<Distrust>) {
        self.0.store(distrust.map(Arc::new));
    }
}

impl Distrust {
    /// Whether it is that the token has ended.
    pub(crate) fn is_expiry(&self) -> bool {
        self.kind == ErrorKind::TokenExpired
    }
}

impl From<Error> for Distrust {
    fn from(error: Error) -> Distrust {
        Distrust { kind: error.kind(), reason: error.to_string() }
    }
}
