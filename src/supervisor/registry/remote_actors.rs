//! The actors of other hosts that are linked to providers of this one.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Registry;
use crate::identity::ActorIdentity;

/// The expiries of the tokens of actors on other hosts. Unit: seconds since 1970.
pub(super) type RemoteExpiries = BTreeSet<(u64, Arc<str>)>;

impl Registry {
    /// Records an actor, and returns what was known of it before.
    pub(in crate::supervisor) fn put_remote_actor(
        &mut self,
        identity: Arc<ActorIdentity>,
    ) -> Option<Arc<ActorIdentity>> {
        let key = identity.key.clone();
        self.remove_remote_expiry(&key);
        if let Some(at) = identity.claims.expires {
            self.remote_expiries.insert((at, key.clone()));
        }
        self.snapshot.remote_actors.insert(key, identity)
    }

    /// Removes an actor. Returns whether it was known.
    pub(in crate::supervisor) fn remove_remote_actor(&mut self, key: &str) -> bool {
        self.remove_remote_expiry(key);
        self.snapshot.remote_actors.remove(key).is_some()
    }

    /// Returns whether tokens have expired by now. Each is reported once.
    pub(in crate::supervisor) fn take_remote_expiry(&mut self, now: u64) -> bool {
        let mut any = false;
        while self.remote_expiries.first().is_some_and(|(at, _)| *at <= now) {
            self.remote_expiries.pop_first();
            any = true;
        }
        any
    }

    fn remove_remote_expiry(&mut self, key: &str) {
        let expiry =
            self.snapshot.remote_actors.get(key).and_then(|before| Some((before.claims.expires?, before.key.clone())));
        if let Some(expiry) = expiry {
            self.remote_expiries.remove(&expiry);
        }
    }
}
