//! When the tokens of what runs end.

use std::collections::BTreeSet;

use wasmcloud_claims::{Distrust, TrustState};
use wasmcloud_core::error::ErrorKind;

use super::Registry;
use crate::child::Child;

/// The ends of tokens, in seconds since 1970, the next one first. What runs is found by its token's end, so looking for those
/// that have ended takes no longer with many children.
pub(super) type Expiries = BTreeSet<(u64, Child)>;

impl Registry {
    /// Whether a child that runs is still trusted.
    pub(in crate::supervisor) fn trust(&self, child: &Child) -> Option<&TrustState> {
        match child {
            Child::Actor(key) => self.snapshot.actors.get(key).map(|actor| &actor.identity.trust),
            Child::Provider(key) => self.snapshot.providers.get(key).map(|provider| &provider.identity.trust),
        }
    }

    /// Takes note of when the token of a child ends that runs from now on.
    pub(super) fn note_expiry(&mut self, child: Child) {
        if let Some(expires) = self.expiry(&child) {
            self.expiries.insert((expires, child));
        }
    }

    /// Forgets about the token of a child, before it is gone or has another one.
    pub(super) fn forget_expiry(&mut self, child: Child) {
        if let Some(expires) = self.expiry(&child) {
            self.expiries.remove(&(expires, child));
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

    /// When the next token ends, in seconds since 1970.
    pub(in crate::supervisor) fn next_expiry(&self) -> Option<u64> {
        self.expiries.first().map(|(expires, _)| *expires)
    }

    /// Those whose token has ended now. They are not trusted any more, and each is named once.
    pub(in crate::supervisor) fn take_expired(&mut self, now: u64) -> Vec<Child> {
        let mut expired = Vec::new();
        while let Some((_, child)) = self.expiries.first().filter(|(expires, _)| *expires <= now).cloned() {
            self.expiries.pop_first();
            let running = self.trust(&child);
            // Who was scaled since is noted anew, but not news.
            if let Some(trust) = running.filter(|trust| !trust.has_expired()) {
                let reason = format!("the token of {child} has ended: update it, or start it anew, with another one");
                trust.set(Some(Distrust { kind: ErrorKind::TokenExpired, reason }));
                expired.push(child);
            }
        }
        expired
    }
}
