//! The expiries of the tokens of running children.

use std::collections::BTreeSet;

use wasmcloud_claims::{Distrust, TrustState};
use wasmcloud_core::error::ErrorKind;

use super::Registry;
use crate::child::Child;

/// The expiries, in order. The search for expired tokens does not depend on the number of children.
pub(super) type Expiries = BTreeSet<Expiry>;

/// The expiry of a child's token.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Expiry {
    /// Unit: seconds since 1970.
    at: u64,
    child: Child,
}

impl Registry {
    /// Returns the trust in a running child.
    pub(in crate::supervisor) fn trust(&self, child: &Child) -> Option<&TrustState> {
        match child {
            Child::Actor(key) => self.snapshot.actors.get(key).map(|actor| &actor.identity.trust),
            Child::Provider(key) => self.snapshot.providers.get(key).map(|provider| &provider.identity.trust),
        }
    }

    /// Records the expiry of a child that has started.
    pub(super) fn record_expiry(&mut self, child: Child) {
        if let Some(at) = self.expiry(&child) {
            self.expiries.insert(Expiry { at, child });
        }
    }

    /// Removes the expiry of a child, before it is removed or gets another token.
    pub(super) fn remove_expiry(&mut self, child: Child) {
        if let Some(at) = self.expiry(&child) {
            self.expiries.remove(&Expiry { at, child });
        }
    }

    fn expiry(&self, child: &Child) -> Option<u64> {
        match child {
            Child::Actor(key) => self.snapshot.actors.get(key)?.identity.claims.expires,
            Child::Provider(key) => {
                let identity = &self.snapshot.providers.get(key)?.identity;
                identity.claims.expires.filter(|_| identity.signed)
            }
        }
    }

    /// Returns the next expiry, in seconds since 1970.
    pub(in crate::supervisor) fn next_expiry(&self) -> Option<u64> {
        self.expiries.first().map(|expiry| expiry.at)
    }

    /// Marks children whose token has expired as distrusted. Returns each of them once.
    pub(in crate::supervisor) fn take_expired(&mut self, now: u64) -> Vec<Child> {
        let mut expired = Vec::new();
        while let Some(Expiry { child, .. }) = self.expiries.first().filter(|expiry| expiry.at <= now).cloned() {
            self.expiries.pop_first();
            let running = self.trust(&child);
            // A child that was scaled since is recorded again, but was reported before.
            if let Some(trust) = running.filter(|trust| !trust.has_expired()) {
                let reason =
                    format!("the token of {child} has expired: update it, or start it again, with another one");
                trust.set(Some(Distrust { kind: ErrorKind::TokenExpired, reason }));
                expired.push(child);
            }
        }
        expired
    }
}
