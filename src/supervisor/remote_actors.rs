//! Actors of other hosts that are linked to providers of this one. The lattice knows them by their verified tokens.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use wasmcloud_claims::Distrust;

use super::Supervision;
use crate::child::Child;
use crate::identity::ActorIdentity;

impl Supervision {
    /// Records an actor of another host, or its new claims, and brings its links in line with them. An actor that is not
    /// trusted here is recorded as such: its links are refused, for that reason.
    pub(super) async fn set_remote_actor(self: &Rc<Self>, identity: Arc<ActorIdentity>) {
        let child = Child::Actor(identity.key.clone());
        self.assess_remote_actor(&identity);
        let before = self.change(|registry| registry.put_remote_actor(identity.clone()));
        // Its links follow what runs here, as long as it does.
        if self.registry.borrow().runs(&child) {
            return;
        }
        let is_same = before.is_some_and(|before| {
            before.has_same_binding(&identity) && before.trust.lost().is_some() == identity.trust.lost().is_some()
        });
        if is_same {
            self.establish_links_of(&child).await;
        } else {
            self.reconcile_links_of(&child, &[]).await;
        }
    }

    /// Applies the trust policy in force, and the dates of its token, to an actor of another host.
    pub(super) fn assess_remote_actor(&self, identity: &ActorIdentity) {
        identity.trust.set(self.expect_trusted(identity).err().map(Distrust::from));
    }

    /// Forgets an actor of another host. Its links wait, unless it runs on this host too.
    pub(super) async fn remove_remote_actor(&self, key: &str) {
        let child = Child::Actor(key.into());
        let removed = self.change(|registry| registry.remove_remote_actor(key));
        if removed && !self.registry.borrow().runs(&child) {
            self.unbind_links_of(&child).await;
        }
    }

    /// Applies the trust policy in force, and the dates of tokens, to the actors of other hosts.
    pub(super) async fn reassess_remote_actors(&self) {
        let actors: Vec<_> = self.registry.borrow().snapshot().remote_actors.values().cloned().collect();
        for identity in actors {
            let distrust = self.expect_trusted(&identity).err().map(Distrust::from);
            if identity.trust.lost().as_deref() == distrust.as_ref() {
                continue;
            }
            identity.trust.set(distrust);
            self.reconcile_links_of(&Child::Actor(identity.key.clone()), &[]).await;
        }
    }

    /// Returns whether the token of an actor of another host has expired since the last time.
    pub(super) fn has_expired_remotely(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.registry.borrow_mut().take_remote_expiry(now)
    }
}
