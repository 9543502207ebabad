//! Changes of all links of a child, or of all links of the host. They run concurrently, in batches that let the shard do
//! other work in between.

use std::rc::Rc;
use std::time::Duration;

use super::Supervision;
use super::links::change_link;
use crate::child::Child;
use crate::dispatch::provider_mailbox::Lifecycle;
use crate::link::{LinkKey, LinkState};
use crate::shard::{BATCH, for_each_in_batches};

/// The time that a start or restart waits for the links that it establishes. Links that take longer are established
/// later.
const ESTABLISH_TIMEOUT: Duration = Duration::from_secs(5);

impl Supervision {
    /// Establishes the links of a child that has started. Each is usable once its provider has accepted it. A refusal does
    /// not undo the start: it is logged, and is the link's state.
    pub(super) async fn establish_links_of(self: &Rc<Self>, child: &Child) {
        let keys = self.registry.borrow().links_of(child);
        if keys.is_empty() {
            return;
        }
        let supervision = self.clone();
        let establish = async move {
            for_each_in_batches(keys.iter().cloned(), async |key| supervision.establish_link(&key).await).await;
        };
        if tokio::time::timeout(ESTABLISH_TIMEOUT, actix_rt::spawn(establish)).await.is_err() {
            log::warn!(actor = child.actor(), provider = child.provider(); "links of {child} are not established after {ESTABLISH_TIMEOUT:?}: their providers take longer");
        }
    }

    /// Drains the links of a child: their providers deliver no new calls to their actors, and finish those in progress. The
    /// links stay established.
    pub(super) async fn drain_links_of(&self, child: &Child) {
        let keys = self.registry.borrow().links_of(child);
        for_each_in_batches(keys.iter().cloned(), async |key| self.drain_link(&key).await).await;
    }

    /// Drains all links of the host.
    pub(super) async fn drain_all_links(&self) {
        let links = self.registry.borrow().snapshot().links.clone();
        for_each_in_batches(links.keys().cloned(), async |key| self.drain_link(&key).await).await;
    }

    async fn drain_link(&self, key: &LinkKey) {
        // A link that is being established, which may take long, carries no calls yet.
        let is_established = self.registry.borrow().link(key).is_some_and(|link| link.state == LinkState::Established);
        if !is_established {
            return;
        }
        let _lock = self.links.lock(key).await;
        let link = self.registry.borrow().link(key);
        let Some(link) = link else { return };
        let Some(provider) = self.established_provider(&link) else { return };
        let task = Lifecycle::Drain { actor: key.actor.clone() };
        if let Err(error) = change_link(&provider, task).await {
            log::error!(actor = &*key.actor; "the {key} could not be drained: {error}");
        }
    }

    /// Releases the links of a child with their providers.
    pub(super) async fn unbind_links_of(&self, child: &Child) {
        let keys = self.registry.borrow().links_of(child);
        let unbind = async |key: LinkKey| {
            let _lock = self.links.lock(&key).await;
            let link = self.registry.borrow().link(&key);
            let Some(link) = link else { return };
            self.suspend_link(&link).await;
        };
        for_each_in_batches(keys.iter().cloned(), unbind).await;
    }

    /// Suspends the links of a provider that has ended until its next instance. Changes in progress find it ended.
    pub(super) async fn suspend_links_of(&self, child: &Child) {
        while self.change(|registry| registry.suspend_links_of(child, BATCH)) {
            tokio::task::yield_now().await;
        }
    }
}
