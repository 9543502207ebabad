//! The links in the registry, and the conditions under which they can be established.

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::shared_ptr::DefaultSharedPtr;
use tokio::sync::Notify;
use wasmcloud_core::entity::shorten;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::identity::InstanceNumber;
use wasmcloud_core::identity::{ProviderKey, ProviderKeyRef};

use super::{Change, Registry};
use crate::child::Child;
use crate::dispatch::resolve::expect_capability;
use crate::dispatch::snapshot::RunningProvider;
use crate::identity::{ActorIdentity, ProviderIdentity};
use crate::link::{Link, LinkDefinition, LinkKey, LinkState};

/// Keys of links. A copy costs the same for any number of links, and does not change.
pub(in crate::supervisor) type LinkKeys = imbl::GenericHashSet<LinkKey, foldhash::fast::RandomState, DefaultSharedPtr>;

/// Both ends of a link that can be established.
pub(in crate::supervisor) struct LinkEnds {
    /// An actor of this host, or of another one.
    pub(in crate::supervisor) actor: Arc<ActorIdentity>,
    pub(in crate::supervisor) provider: RunningProvider,
}

/// The links of one child.
#[derive(Debug, Default)]
pub(super) struct LinksOf {
    all: LinkKeys,
    /// The links in another state than `Pending`.
    live: BTreeSet<LinkKey>,
}

impl Registry {
    /// Suspends up to `most` links of a child until they are established again. Returns whether there may be more.
    pub(in crate::supervisor) fn suspend_links_of(&mut self, child: &Child, most: usize) -> bool {
        for _ in 0..most {
            let first = self.links.get(child).and_then(|links| links.live.first());
            let Some(link) = first.and_then(|key| self.link(key)) else { return false };
            self.put_link(link.definition.clone(), LinkState::Pending);
        }
        true
    }

    /// Returns both ends of a link, if both run, neither is being stopped, and the provider is neither failed nor being
    /// restarted. The actor may run on another host.
    ///
    /// # Errors
    /// A running end rules the link out: it has lost trust, the actor's claims do not include the contract, or the provider
    /// serves another contract.
    pub(in crate::supervisor) fn ends(&self, definition: &LinkDefinition) -> Result<Option<LinkEnds>> {
        let actor = self.identity_of(&definition.actor_id);
        if let Some(actor) = actor {
            actor.trust.expect_trusted()?;
            expect_capability(actor, &definition.contract_id)?;
        }
        let provider = self.provider_of(definition);
        if let Some(provider) = provider {
            provider.identity.trust.expect_trusted()?;
            expect_serves(&provider.identity, &definition.contract_id)?;
        }
        let (Some(actor), Some(provider)) = (actor, provider) else { return Ok(None) };
        let child = Child::Provider(provider.identity.key.clone());
        let is_unready = provider.is_down || self.has_failed(&child) || self.is_being_replaced(&child);
        let is_ready = !is_unready && !self.is_ending(definition);
        Ok(is_ready.then(|| LinkEnds { actor: actor.clone(), provider: provider.clone() }))
    }

    /// Returns an actor of this host or, if it does not run here, of another one.
    pub(in crate::supervisor) fn identity_of(&self, actor: &str) -> Option<&Arc<ActorIdentity>> {
        let here = self.snapshot.actors.get(actor).map(|actor| &actor.identity);
        here.or_else(|| self.snapshot.remote_actors.get(actor))
    }

    /// Returns whether an end of a link is being stopped.
    pub(in crate::supervisor) fn is_ending(&self, definition: &LinkDefinition) -> bool {
        !self.changes.is_empty()
            && ends_of(definition).iter().any(|child| self.changes.get(child) == Some(&Change::Stop))
    }

    pub(in crate::supervisor) fn link(&self, key: &LinkKey) -> Option<Arc<Link>> {
        self.snapshot.links.get(key).cloned()
    }

    pub(in crate::supervisor) fn put_link(&mut self, definition: Arc<LinkDefinition>, state: LinkState) {
        self.put_overlapping_link(definition, state, None);
    }

    /// Sets a link to the state that this instance of its provider has left it in. If the instance has crashed or ended by
    /// now, the link waits for the next one.
    pub(in crate::supervisor) fn conclude_link(
        &mut self,
        definition: Arc<LinkDefinition>,
        provider: InstanceNumber,
        state: LinkState,
    ) {
        let running = self.provider_of(&definition);
        let is_current = running.is_some_and(|running| running.instance == provider && !running.is_down);
        self.put_link(definition, if is_current { state } else { LinkState::Pending });
    }

    /// Sets a link, with another definition that is in effect at the same time.
    pub(in crate::supervisor) fn put_overlapping_link(
        &mut self,
        definition: Arc<LinkDefinition>,
        state: LinkState,
        overlapping: Option<Arc<LinkDefinition>>,
    ) {
        let key = definition.key();
        let before = self.link(&key);
        let awaits_restart = self.awaits_restart(&definition, &state, before.as_deref());
        let changed = before.as_ref().map_or_else(Arc::<Notify>::default, |before| before.changed.clone());
        let link = Link { definition, state, overlapping, awaits_restart, changed };
        self.list(&key, before.as_deref(), &link);
        self.changed.push(link.changed.clone());
        self.snapshot.links.insert(key, Arc::new(link));
    }

    /// Returns whether calls over a link wait for the restart of its provider.
    fn awaits_restart(&self, definition: &LinkDefinition, state: &LinkState, before: Option<&Link>) -> bool {
        let Some(provider) = self.provider_of(definition) else { return false };
        let was_waiting =
            before.is_some_and(|link| link.awaits_restart && link.definition.provider_id == definition.provider_id);
        match state {
            LinkState::Pending => provider.is_down,
            LinkState::Establishing => provider.is_down || was_waiting,
            _ => false,
        }
    }

    pub(in crate::supervisor) fn remove_link(&mut self, key: &LinkKey) {
        let Some(link) = self.snapshot.links.remove(key) else { return };
        for end in ends_of(&link.definition) {
            self.unlist(&end, key);
        }
        self.changed.push(link.changed.clone());
    }

    /// Lists a link under its ends, in the place of the previous version.
    fn list(&mut self, key: &LinkKey, before: Option<&Link>, link: &Link) {
        let moved = before.filter(|before| before.definition.provider_id != link.definition.provider_id);
        if let Some(before) = moved {
            self.unlist(&provider_end(&before.definition), key);
        }
        let is_new = before.is_none() || moved.is_some();
        if !is_new && before.is_some_and(|before| before.is_live() == link.is_live()) {
            return;
        }
        for end in ends_of(&link.definition) {
            let links = self.links.entry(end).or_default();
            if is_new {
                links.all.insert(key.clone());
            }
            if link.is_live() {
                links.live.insert(key.clone());
            } else {
                links.live.remove(key);
            }
        }
    }

    fn unlist(&mut self, end: &Child, key: &LinkKey) {
        let Some(links) = self.links.get_mut(end) else { return };
        links.all.remove(key);
        links.live.remove(key);
        if links.all.is_empty() {
            self.links.remove(end);
        }
    }

    /// Returns the links of a child.
    pub(in crate::supervisor) fn links_of(&self, child: &Child) -> LinkKeys {
        self.links.get(child).map(|links| links.all.clone()).unwrap_or_default()
    }

    fn provider_of(&self, definition: &LinkDefinition) -> Option<&RunningProvider> {
        self.snapshot.providers.get(&ProviderKeyRef { id: &definition.provider_id, link_name: &definition.link_name })
    }
}

/// Returns the children that a link joins.
fn ends_of(definition: &LinkDefinition) -> [Child; 2] {
    [Child::Actor(definition.actor_id.as_str().into()), provider_end(definition)]
}

fn provider_end(definition: &LinkDefinition) -> Child {
    Child::Provider(ProviderKey::new(&definition.provider_id, &definition.link_name))
}

/// Checks that a provider serves a contract.
///
/// # Errors
/// `InvalidArgument`.
pub(in crate::supervisor) fn expect_serves(provider: &ProviderIdentity, contract: &str) -> Result<()> {
    if provider.contract_id == contract {
        return Ok(());
    }
    let message = format!("{provider} does not serve {:?}", shorten(contract));
    Err(Error::new(ErrorKind::InvalidArgument, message))
}
