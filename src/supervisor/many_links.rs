//! What is done with all links of a child, or with all there are: in portions, so that thousands of links hold up no shard,
//! and side by side, so that none waits for another.

use std::rc::Rc;
use std::time::Duration;

use super::Supervision;
use super::links::change_link;
use crate::child::Child;
use crate::dispatch::provider_mailbox::Lifecycle;
use crate::link::{LinkKey, LinkState};
use crate::shard::{BATCH, for_each_in_batches};

/// How long a start, or a restart, waits for the links that it establishes. Those whose providers take longer are
/// established when they have answered.
const LINKS_PATIENCE: Duration = Duration::from_secs(5);

impl Supervision {
    /// Establishes what links of a new child can be established. Each is usable as soon as its provider has taken it. A
    /// refusal does not undo the child's start: it stays on the link as its state, and on the log.
    pub(super) async fn establish_links_of(self: &Rc<Self>, child: &Child) {
        let keys = self.registry.borrow().links_of(child);
        if keys.is_empty() {
            return;
        }
        let supervision = self.clone();
        let establish = async move {
            for_each_in_batches(keys.iter().cloned(), async |key| supervision.establish_link(&key).await).await;
        };
        if tokio::time::timeout(LINKS_PATIENCE, actix_rt::spawn(establish)).await.is_err() {
            log::warn!("links of {child} are not established after {LINKS_PATIENCE:?}: their providers take longer");
        }
    }

    /// Has the providers of a child's links bring no new work to their actors, and waits for what is under way. The
    /// links stay established.
    pub(super) async fn drain_links_of(&self, child: &Child) {
        let keys = self.registry.borrow().links_of(child);
        for_each_in_batches(keys.iter().cloned(), async |key| self.drain_link(&key).await).await;
    }

    /// The same for all links there are.
    pub(super) async fn drain_all_links(&self) {
        let links = self.registry.borrow().snapshot().links.clone();
        for_each_in_batches(links.keys().cloned(), async |key| self.drain_link(&key).await).await;
    }

    async fn drain_link(&self, key: &LinkKey) {
        // Nobody brings work over one that is still being established, which may take long.
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
            log::error!("the {key} could not be drained: {error}");
        }
    }

    /// Has providers let go of a child's links.
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

    /// Has the links of a provider that has ended wait for the next one. Changes of them that are under way find it ended.
    pub(super) async fn suspend_links_of(&self, child: &Child) {
        while self.change(|registry| registry.suspend_links_of(child, BATCH)) {
            tokio::task::yield_now().await;
        }
    }
}
