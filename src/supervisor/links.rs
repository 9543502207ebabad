//! How links are set, established, released and removed. All changes of one link are made in its lane.

use std::sync::Arc;

use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_provider::wire::BIND_ACTOR;

use super::Supervision;
use super::registry::Ends;
use crate::authorizer::Origin;
use crate::child::Child;
use crate::dispatch::provider_mailbox::Lifecycle;
use crate::dispatch::snapshot::RunningProvider;
use crate::event::EventKind;
use crate::link::{Link, LinkDefinition, LinkKey, LinkState};

impl Supervision {
    /// Takes a link in. Where both ends run it is established, and the answer is the provider's; otherwise it waits
    /// for them. A link that is refused leaves what was in effect before.
    pub(super) async fn set_link(&self, definition: LinkDefinition) -> Result<()> {
        definition.validate()?;
        let definition = Arc::new(definition);
        let key = definition.key();
        let _lock = self.links.lock(&key).await;
        self.registry.borrow().expect_open()?;
        let before = self.registry.borrow().link(&key);
        match before.as_deref().and_then(|link| Some((link, self.established_provider(link)?))) {
            Some((before, provider)) => self.replace_link(before, &provider, definition).await,
            None => self.introduce_link(definition).await,
        }
    }

    /// Takes in a link where none is established.
    async fn introduce_link(&self, definition: Arc<LinkDefinition>) -> Result<()> {
        let key = definition.key();
        let before = self.registry.borrow().link(&key);
        let ends = self.registry.borrow().ends(&definition)?;
        let Some(ends) = ends else {
            self.change(|registry| registry.put_link(definition, LinkState::Pending));
            return Ok(());
        };
        self.change(|registry| registry.put_link(definition.clone(), LinkState::Establishing));
        let bound = self.bind(&ends, &definition).await;
        self.emit_link(&definition, &bound);
        let provider = ends.provider.instance;
        self.change(|registry| match (&bound, before) {
            (Ok(()), _) => registry.conclude_link(definition, provider, LinkState::Established),
            (Err(_), Some(link)) => registry.put_link(link.definition.clone(), link.state.clone()),
            (Err(_), None) => registry.remove_link(&key),
        });
        bound
    }

    /// Changes an established link: the old definition stays in effect until the new one is.
    async fn replace_link(
        &self,
        before: &Link,
        former: &RunningProvider,
        definition: Arc<LinkDefinition>,
    ) -> Result<()> {
        let old = before.definition.clone();
        if self.registry.borrow().is_ending(&old) {
            let message = format!("the {} is in use to the end of what is being stopped: change it then", old.key());
            return Err(Error::new(ErrorKind::Busy, message));
        }
        let ends = self.registry.borrow().ends(&definition)?;
        let Some(ends) = ends else {
            // The new provider does not run yet, so nothing takes the old one's place but the wish for it.
            self.change(|registry| {
                registry.put_link_beside(definition.clone(), LinkState::Pending, Some(old.clone()));
            });
            unbind_or_log(former, &old).await;
            return self.introduce_link(definition).await;
        };
        let allowed = self.authorize_link(&ends).await;
        if allowed.is_err() {
            self.emit_link(&definition, &allowed);
            return allowed;
        }
        self.change(|registry| {
            registry.put_link_beside(old.clone(), LinkState::Established, Some(definition.clone()));
        });
        let bound = send_bind(&ends, &definition).await;
        if let Err(refusal) = bound {
            let state = state_after_refusal(&refusal, former, &ends, &old).await;
            self.change(|registry| registry.conclude_link(old, former.instance, state));
            let refused = Err(refused(&definition, refusal));
            self.emit_link(&definition, &refused);
            return refused;
        }
        if old.provider_id != definition.provider_id {
            self.change(|registry| {
                registry.put_link_beside(definition.clone(), LinkState::Established, Some(old.clone()));
            });
            unbind_or_log(former, &old).await;
        }
        self.emit_link(&definition, &Ok(()));
        let provider = ends.provider.instance;
        self.change(|registry| registry.conclude_link(definition, provider, LinkState::Established));
        Ok(())
    }

    /// Has the provider let go of a link, and forgets it.
    pub(super) async fn remove_link(&self, key: &LinkKey) -> Result<()> {
        let _lock = self.links.lock(key).await;
        let link = self.registry.borrow().link(key);
        let link = link.ok_or_else(|| Error::new(ErrorKind::NotLinked, format!("there is no {key}")))?;
        let released = self.unbind_if_established(&link).await;
        self.change(|registry| registry.remove_link(key));
        let (contract_id, link_name) = (key.contract.to_string(), key.link_name.to_string());
        self.emit(&Child::Actor(key.actor.clone()), EventKind::Unlinked { contract_id, link_name });
        released
    }

    pub(super) async fn establish_link(&self, key: &LinkKey) {
        let _lock = self.links.lock(key).await;
        let link = self.registry.borrow().link(key);
        let Some(link) = link.filter(|link| link.state != LinkState::Established) else { return };
        let definition = link.definition.clone();
        let ends = self.registry.borrow().ends(&definition);
        let (provider, bound) = match ends {
            // What ruled it out before does not any more.
            Ok(None) => return self.change(|registry| registry.put_link(definition, LinkState::Pending)),
            Ok(Some(ends)) => {
                self.change(|registry| registry.put_link(definition.clone(), LinkState::Establishing));
                (Some(ends.provider.instance), self.bind(&ends, &definition).await)
            }
            Err(refusal) => (None, Err(refusal)),
        };
        self.emit_link(&definition, &bound);
        let state = match bound {
            Ok(()) => LinkState::Established,
            Err(error) => {
                log::error!("the {key} is refused: {error}");
                LinkState::Refused(error.to_string())
            }
        };
        self.change(|registry| match provider {
            Some(provider) => registry.conclude_link(definition, provider, state),
            None => registry.put_link(definition, state),
        });
    }

    /// Has the provider take a link, if the authorizer allows it.
    pub(super) async fn bind(&self, ends: &Ends, definition: &Arc<LinkDefinition>) -> Result<()> {
        self.authorize_link(ends).await?;
        send_bind(ends, definition).await.map_err(|error| refused(definition, error))
    }

    async fn authorize_link(&self, ends: &Ends) -> Result<()> {
        let (origin, target) = (Origin::Actor(&ends.actor.identity.claims), &ends.provider.identity.entity);
        self.dispatch.authority().authorize_call(origin, target, BIND_ACTOR, self.call_deadline()).await
    }

    /// Tells what came of the wish to establish a link.
    pub(super) fn emit_link(&self, definition: &LinkDefinition, bound: &Result<()>) {
        let (contract_id, link_name) = (definition.contract_id.clone(), definition.link_name.clone());
        let kind = match bound {
            Ok(()) => EventKind::Linked { contract_id, link_name, provider_id: definition.provider_id.clone() },
            Err(error) => EventKind::LinkRefused { contract_id, link_name, reason: error.to_string() },
        };
        self.emit(&Child::Actor(definition.actor_id.as_str().into()), kind);
    }

    /// Has the provider let go of a link, which then waits. Its lane is held.
    pub(super) async fn suspend_link(&self, link: &Link) {
        if let Err(error) = self.unbind_if_established(link).await {
            log::error!("the {} could not be released: {error}", link.definition.key());
        }
        self.change(|registry| registry.put_link(link.definition.clone(), LinkState::Pending));
    }

    async fn unbind_if_established(&self, link: &Link) -> Result<()> {
        let Some(provider) = self.established_provider(link) else { return Ok(()) };
        self.change(|registry| registry.put_link(link.definition.clone(), LinkState::Releasing));
        unbind(&provider, &link.definition).await
    }

    /// The provider of a link that is established.
    pub(super) fn established_provider(&self, link: &Link) -> Option<RunningProvider> {
        if link.state != LinkState::Established {
            return None;
        }
        self.registry.borrow().snapshot().provider_of(link).cloned()
    }
}

/// How an established link stands once a change of it was refused. A provider that refuses leaves what was in effect;
/// one that took too long has been made to let go of the link altogether, and is told of the old one again.
async fn state_after_refusal(
    refusal: &Error,
    former: &RunningProvider,
    ends: &Ends,
    old: &Arc<LinkDefinition>,
) -> LinkState {
    let same = former.identity.key == ends.provider.identity.key;
    if !same || refusal.kind() != ErrorKind::DeadlineExceeded {
        return LinkState::Established;
    }
    match send_bind(ends, old).await {
        Ok(()) => LinkState::Established,
        Err(error) => LinkState::Refused(error.to_string()),
    }
}

/// Tells the provider of a link. Its own error says why it did not take it.
async fn send_bind(ends: &Ends, definition: &Arc<LinkDefinition>) -> Result<()> {
    let task = Lifecycle::Bind { actor: ends.actor.identity.clone(), definition: definition.clone() };
    change_link(&ends.provider, task).await
}

fn refused(definition: &LinkDefinition, error: Error) -> Error {
    Error::new(ErrorKind::LinkRefused, format!("the {} is refused", definition.key())).context_of(error)
}

async fn unbind(provider: &RunningProvider, definition: &LinkDefinition) -> Result<()> {
    change_link(provider, Lifecycle::Unbind { actor: definition.actor_id.as_str().into() }).await
}

pub(super) async fn unbind_or_log(provider: &RunningProvider, definition: &LinkDefinition) {
    if let Err(error) = unbind(provider, definition).await {
        log::error!("the former {} could not be released: {error}", definition.key());
    }
}

pub(super) async fn change_link(provider: &RunningProvider, change: Lifecycle) -> Result<()> {
    provider.mailbox.change(change).await.unwrap_or_else(|error| {
        let message = format!("{} ended before it answered", provider.identity);
        Err(Error::new(ErrorKind::ProviderNotFound, message).caused_by(error))
    })
}
