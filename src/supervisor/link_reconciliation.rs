//! Brings the links of an actor in line with changed claims.

use std::collections::HashSet;

use super::Supervision;
use super::links::unbind_or_log;
use crate::child::Child;
use crate::link::{LinkKey, LinkState};
use crate::shard::for_each_in_batches;

impl Supervision {
    /// Returns the links of an actor that are neither established nor being established.
    pub(super) fn waiting_links_of(&self, child: &Child) -> Vec<LinkKey> {
        let registry = self.registry.borrow();
        let waits = |key: &LinkKey| {
            let link = registry.link(key);
            link.is_some_and(|link| matches!(link.state, LinkState::Pending | LinkState::Refused(_)))
        };
        registry.links_of(child).iter().filter(|key| waits(key)).cloned().collect()
    }

    /// Brings the links of an actor in line with its claims. Links that the claims no longer allow are released and
    /// refused, refused links are tried again, and the providers of established links receive the new claims. Links in
    /// `excluded` are left as they are.
    pub(super) async fn reconcile_links_of(&self, child: &Child, excluded: &[LinkKey]) {
        let keys = self.registry.borrow().links_of(child);
        let excluded: HashSet<&LinkKey> = excluded.iter().collect();
        let reconcile = async |key: LinkKey| {
            self.release_if_disallowed(&key).await;
            if !self.rebind(&key).await {
                self.establish_link(&key).await;
            }
        };
        for_each_in_batches(keys.iter().filter(|key| !excluded.contains(key)).cloned(), reconcile).await;
    }

    async fn release_if_disallowed(&self, key: &LinkKey) {
        let _lock = self.links.lock(key).await;
        let link = self.registry.borrow().link(key);
        let Some(link) = link else { return };
        let is_disallowed = self.registry.borrow().ends(&link.definition).is_err();
        if is_disallowed {
            self.suspend_link(&link).await;
        }
    }

    /// Binds an established link again, with the new claims, while calls pass. A link that the provider refuses is
    /// released. Returns whether the link was established.
    async fn rebind(&self, key: &LinkKey) -> bool {
        let _lock = self.links.lock(key).await;
        let link = self.registry.borrow().link(key);
        let Some((link, provider)) = link.and_then(|link| self.established_provider(&link).map(|found| (link, found)))
        else {
            return false;
        };
        let ends = self.registry.borrow().ends(&link.definition);
        // A provider that is being stopped or restarted is not bound again: its next instance will be.
        let Ok(Some(ends)) = ends else { return true };
        let bound = self.bind(&ends, &link.definition).await;
        if let Err(refusal) = &bound {
            log::error!(actor = &*key.actor; "the {key} is refused after an update of its actor: {refusal}");
            self.change(|registry| registry.put_link(link.definition.clone(), LinkState::Releasing));
            // The provider still holds the previous binding.
            unbind_or_log(&provider, &link.definition).await;
            self.change(|registry| {
                let state = LinkState::Refused(refusal.to_string());
                registry.conclude_link(link.definition.clone(), provider.instance, state);
            });
            self.emit_link(&link.definition, &bound);
        }
        true
    }
}
