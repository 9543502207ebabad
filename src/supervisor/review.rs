//! How the links of an actor are brought up to date when its signed claims are others than before.

use std::collections::HashSet;

use super::Supervision;
use super::links::unbind_or_log;
use crate::child::Child;
use crate::link::{LinkKey, LinkState};
use crate::shard::for_each_in_batches;

impl Supervision {
    /// Those links of an actor that are not established, and not about to be.
    pub(super) fn links_that_wait(&self, child: &Child) -> Vec<LinkKey> {
        let registry = self.registry.borrow();
        let waits = |key: &LinkKey| {
            let link = registry.link(key);
            link.is_some_and(|link| matches!(link.state, LinkState::Pending | LinkState::Refused(_)))
        };
        registry.links_of(child).iter().filter(|key| waits(key)).cloned().collect()
    }

    /// Judges the links of an actor anew: those that it is not entitled to any more are released and refused, those that
    /// were refused are tried again, and the providers of the others are told what the claims say now. Those in `judged` have
    /// been judged already.
    pub(super) async fn review_links_of(&self, child: &Child, judged: &[LinkKey]) {
        let keys = self.registry.borrow().links_of(child);
        let judged: HashSet<&LinkKey> = judged.iter().collect();
        let review = async |key: LinkKey| {
            self.release_if_ruled_out(&key).await;
            if !self.tell_again(&key).await {
                self.establish_link(&key).await;
            }
        };
        for_each_in_batches(keys.iter().filter(|key| !judged.contains(key)).cloned(), review).await;
    }

    async fn release_if_ruled_out(&self, key: &LinkKey) {
        let _lock = self.links.lock(key).await;
        let link = self.registry.borrow().link(key);
        let Some(link) = link else { return };
        let is_ruled_out = self.registry.borrow().ends(&link.definition).is_err();
        if is_ruled_out {
            self.suspend_link(&link).await;
        }
    }

    /// Tells the provider of an established link of it again, while calls pass, and answers whether it was established. What
    /// the provider refuses is released.
    async fn tell_again(&self, key: &LinkKey) -> bool {
        let _lock = self.links.lock(key).await;
        let link = self.registry.borrow().link(key);
        let Some((link, provider)) = link.and_then(|link| self.established_provider(&link).map(|found| (link, found)))
        else {
            return false;
        };
        let ends = self.registry.borrow().ends(&link.definition);
        // A provider that is being stopped or made anew is not told: the next one will be.
        let Ok(Some(ends)) = ends else { return true };
        let bound = self.bind(&ends, &link.definition).await;
        if let Err(refusal) = &bound {
            log::error!("the {key} is refused after an update of its actor: {refusal}");
            self.change(|registry| registry.put_link(link.definition.clone(), LinkState::Releasing));
            // What was in effect before is with the provider still.
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
