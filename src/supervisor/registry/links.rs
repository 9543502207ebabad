//! What is known of links, and when they can be established.

use std::sync::Arc;

use super::{Change, Registry};
use crate::dispatch::resolve::attested;
use crate::entity::shorten;
use crate::error::{Error, ErrorKind, Result};
use crate::supervisor::child::Child;
use crate::supervisor::link::{Link, LinkDefinition, LinkKey, LinkState};
use crate::supervisor::snapshot::{ProviderIdentity, RunningActor, RunningProvider};

/// Both ends of a link that can be established.
pub(in crate::supervisor) struct Ends {
    pub(in crate::supervisor) actor: RunningActor,
    pub(in crate::supervisor) provider: RunningProvider,
}

impl Registry {
    /// Has the links of a child wait until they are established again.
    pub(in crate::supervisor) fn suspend_links_of(&mut self, child: &Child) {
        for key in self.links_of(child) {
            if let Some(link) = self.link(&key) {
                self.put_link(link.definition.clone(), LinkState::Pending);
            }
        }
    }

    /// Both ends of a link, where both run, neither is being stopped and the provider is neither given up nor being made
    /// anew.
    ///
    /// # Errors
    /// Where what runs already rules the link out: one of them is not trusted any more, the actor is not entitled to the
    /// contract, or the provider serves another one.
    pub(in crate::supervisor) fn ends(&self, definition: &LinkDefinition) -> Result<Option<Ends>> {
        let actor = self.snapshot.actors.get(definition.actor_id.as_str());
        if let Some(actor) = actor {
            actor.identity.standing.expect_good()?;
            attested(&actor.identity, &definition.contract_id)?;
        }
        let provider = self.snapshot.providers.get(&(definition.provider_id.as_str(), definition.link_name.as_str()));
        if let Some(provider) = provider {
            provider.identity.standing.expect_good()?;
            serves(&provider.identity, &definition.contract_id)?;
        }
        let (Some(actor), Some(provider)) = (actor, provider) else { return Ok(None) };
        let child = Child::Provider(provider.identity.key.clone());
        let lacking = self.has_failed(&child) || self.is_being_replaced(&child);
        Ok((!lacking && !self.is_ending(definition)).then(|| Ends { actor: actor.clone(), provider: provider.clone() }))
    }

    /// Whether an end of a link is just being stopped.
    pub(in crate::supervisor) fn is_ending(&self, definition: &LinkDefinition) -> bool {
        self.changes.iter().any(|(child, change)| *change == Change::Stop && child.is_end_of(definition))
    }

    pub(in crate::supervisor) fn link(&self, key: &LinkKey) -> Option<Arc<Link>> {
        self.snapshot.links.get(key).cloned()
    }

    pub(in crate::supervisor) fn put_link(&mut self, definition: Arc<LinkDefinition>, state: LinkState) {
        self.put_link_beside(definition, state, None);
    }

    /// Keeps a link with another definition in effect beside it.
    pub(in crate::supervisor) fn put_link_beside(
        &mut self,
        definition: Arc<LinkDefinition>,
        state: LinkState,
        beside: Option<Arc<LinkDefinition>>,
    ) {
        self.snapshot.links.insert(definition.key(), Arc::new(Link { definition, state, beside }));
    }

    pub(in crate::supervisor) fn remove_link(&mut self, key: &LinkKey) {
        self.snapshot.links.remove(key);
    }

    /// The links that lead from or to a child.
    pub(in crate::supervisor) fn links_of(&self, child: &Child) -> Vec<LinkKey> {
        let links = self.snapshot.links.iter();
        links.filter(|(_, link)| child.is_end_of(&link.definition)).map(|(key, _)| key.clone()).collect()
    }
}

/// Refuses a contract that the provider does not serve.
pub(in crate::supervisor) fn serves(provider: &ProviderIdentity, contract: &str) -> Result<()> {
    if provider.contract_id == contract {
        return Ok(());
    }
    let message = format!("{provider} does not serve {:?}", shorten(contract));
    Err(Error::new(ErrorKind::InvalidArgument, message))
}
