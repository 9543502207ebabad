//! How links are set, established, released and removed. All changes of one link are made in its lane.

use std::sync::Arc;

use super::Supervision;
use super::link::{Link, LinkDefinition, LinkKey, LinkState};
use super::registry::{Child, Ends};
use super::snapshot::RunningProvider;
use crate::capability::provider_actor::Lifecycle;
use crate::error::{Error, ErrorKind, Result};

impl Supervision {
    /// Takes a link in. Where both ends run it is established, and the answer is the provider's; otherwise it waits
    /// for them. A link that is refused leaves what was in effect before.
    pub(super) async fn set_link(&self, definition: LinkDefinition) -> Result<()> {
        definition.validate()?;
        let definition = Arc::new(definition);
        let key = definition.key();
        let _lane = self.lanes.enter(&key).await;
        let before = self.registry.borrow().link(&key);
        let ends = self.registry.borrow().ends(&definition)?;
        let Some(ends) = ends else {
            // One end is missing, so nothing can be in effect under this link but what another provider was told.
            self.release_other_provider(before.as_deref(), &definition).await;
            self.change(|registry| registry.put_link(definition, LinkState::Pending));
            return Ok(());
        };
        self.change(|registry| registry.put_link(definition.clone(), LinkState::Establishing));
        let bound = bind(&ends, &definition).await;
        match &bound {
            Ok(()) => {
                self.change(|registry| registry.put_link(definition.clone(), LinkState::Established));
                self.release_other_provider(before.as_deref(), &definition).await;
            }
            Err(_) => self.change(|registry| match before {
                Some(link) => registry.put_link(link.definition.clone(), link.state.clone()),
                None => registry.remove_link(&key),
            }),
        }
        bound
    }

    /// Has the provider let go of a link, and forgets it.
    pub(super) async fn remove_link(&self, key: &LinkKey) -> Result<()> {
        let _lane = self.lanes.enter(key).await;
        let link = self.registry.borrow().link(key);
        let link = link.ok_or_else(|| Error::new(ErrorKind::NotLinked, format!("there is no {key}")))?;
        let released = self.release(&link).await;
        self.change(|registry| registry.remove_link(key));
        released
    }

    /// Establishes what links of a new child can be established. A refusal does not undo the child's start: it stays
    /// on the link as its state, and on the log.
    pub(super) async fn establish_links_of(&self, child: &Child) {
        let keys = self.registry.borrow().links_of(child);
        for key in keys {
            let _lane = self.lanes.enter(&key).await;
            let Some(link) = self.registry.borrow().link(&key) else { continue };
            if link.state == LinkState::Established {
                continue;
            }
            let definition = link.definition.clone();
            let ends = self.registry.borrow().ends(&definition);
            let bound = match ends {
                Ok(None) => continue,
                Ok(Some(ends)) => {
                    self.change(|registry| registry.put_link(definition.clone(), LinkState::Establishing));
                    bind(&ends, &definition).await
                }
                Err(refusal) => Err(refusal),
            };
            let state = match bound {
                Ok(()) => LinkState::Established,
                Err(error) => {
                    log::error!("{key} is refused: {error}");
                    LinkState::Refused(error.to_string())
                }
            };
            self.change(|registry| registry.put_link(definition, state));
        }
    }

    /// Has providers let go of a child's links, which then wait for its next start.
    pub(super) async fn release_links_of(&self, child: &Child) {
        let keys = self.registry.borrow().links_of(child);
        for key in keys {
            let _lane = self.lanes.enter(&key).await;
            let Some(link) = self.registry.borrow().link(&key) else { continue };
            if let Err(error) = self.release(&link).await {
                log::error!("{key} could not be released: {error}");
            }
            self.change(|registry| registry.put_link(link.definition.clone(), LinkState::Pending));
        }
    }

    /// Where a link led to another provider before, has that one let go of it.
    async fn release_other_provider(&self, before: Option<&Link>, now: &LinkDefinition) {
        let Some(before) = before.filter(|before| before.definition.provider_id != now.provider_id) else { return };
        let Some(provider) = self.established_provider(before) else { return };
        if let Err(error) = unbind(&provider, &before.definition).await {
            log::error!("{} could not be released by its former provider: {error}", before.definition.key());
        }
    }

    /// Has the provider of an established link let go of it. The link's calls towards the actor still pass meanwhile,
    /// so that what is in flight can end.
    async fn release(&self, link: &Link) -> Result<()> {
        let Some(provider) = self.established_provider(link) else { return Ok(()) };
        self.change(|registry| registry.put_link(link.definition.clone(), LinkState::Releasing));
        unbind(&provider, &link.definition).await
    }

    fn established_provider(&self, link: &Link) -> Option<RunningProvider> {
        if link.state != LinkState::Established {
            return None;
        }
        self.registry.borrow().snapshot().provider_of(link).cloned()
    }
}

async fn bind(ends: &Ends, definition: &Arc<LinkDefinition>) -> Result<()> {
    let task = Lifecycle::Bind { actor: ends.actor.identity.clone(), definition: definition.clone() };
    let bound = ends.provider.address.send(task).await.unwrap_or_else(|error| {
        let message = format!("{} ended before it answered", ends.provider.identity);
        Err(Error::new(ErrorKind::ProviderNotFound, message).caused_by(error))
    });
    bound.map_err(|error| {
        Error::new(ErrorKind::LinkRefused, format!("the {} is refused", definition.key())).caused_by(error)
    })
}

async fn unbind(provider: &RunningProvider, definition: &LinkDefinition) -> Result<()> {
    let task = Lifecycle::Unbind { actor: definition.actor_id.as_str().into() };
    provider.address.send(task).await.unwrap_or_else(|error| {
        let message = format!("{} ended before it answered", provider.identity);
        Err(Error::new(ErrorKind::ProviderNotFound, message).caused_by(error))
    })
}
