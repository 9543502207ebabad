//! Changes of one link: it is set, established, released and removed. All of them hold the link's lock.

use std::sync::Arc;

use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_provider::wire::BIND_ACTOR;

use super::Supervision;
use super::registry::LinkEnds;
use crate::authorizer::Origin;
use crate::child::Child;
use crate::dispatch::provider_mailbox::Lifecycle;
use crate::dispatch::snapshot::RunningProvider;
use crate::event::EventKind;
use crate::link::{Link, LinkDefinition, LinkKey, LinkState};

impl Supervision {
    /// Sets a link. If both ends run, it is established, and the result is the provider's answer; otherwise it waits for
    /// them. A refused link leaves the previous one in effect.
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

    /// Sets a link where none is established.
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

    /// Changes an established link. The old definition stays in effect until the new one is.
    async fn replace_link(
        &self,
        before: &Link,
        former: &RunningProvider,
        definition: Arc<LinkDefinition>,
    ) -> Result<()> {
        let old = before.definition.clone();
        if self.registry.borrow().is_ending(&old) {
            let message =
                format!("the {} is in use until its actor or provider has stopped: change it then", old.key());
            return Err(Error::new(ErrorKind::Busy, message));
        }
        let ends = self.registry.borrow().ends(&definition)?;
        let Some(ends) = ends else {
            // The new provider does not run yet, so the new definition waits and the old one is released.
            self.change(|registry| {
                registry.put_overlapping_link(definition.clone(), LinkState::Pending, Some(old.clone()));
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
            registry.put_overlapping_link(old.clone(), LinkState::Established, Some(definition.clone()));
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
                registry.put_overlapping_link(definition.clone(), LinkState::Established, Some(old.clone()));
            });
            unbind_or_log(former, &old).await;
        }
        self.emit_link(&definition, &Ok(()));
        let provider = ends.provider.instance;
        self.change(|registry| registry.conclude_link(definition, provider, LinkState::Established));
        Ok(())
    }

    /// Releases a link with its provider, and removes it.
    pub(super) async fn remove_link(&self, key: &LinkKey) -> Result<()> {
        let _lock = self.links.lock(key).await;
        let link = self.registry.borrow().link(key);
        let link = link.ok_or_else(|| Error::new(ErrorKind::NotLinked, format!("the {key} does not exist")))?;
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
            // The reason for a former refusal no longer holds.
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
                log::error!(actor = &*key.actor; "the {key} is refused: {error}");
                LinkState::Refused(error.to_string())
            }
        };
        self.change(|registry| match provider {
            Some(provider) => registry.conclude_link(definition, provider, state),
            None => registry.put_link(definition, state),
        });
    }

    /// Sends a link to its provider, if the authorizer allows it.
    pub(super) async fn bind(&self, ends: &LinkEnds, definition: &Arc<LinkDefinition>) -> Result<()> {
        self.authorize_link(ends).await?;
        send_bind(ends, definition).await.map_err(|error| refused(definition, error))
    }

    async fn authorize_link(&self, ends: &LinkEnds) -> Result<()> {
        let (origin, target) = (Origin::Actor(&ends.actor.claims), &ends.provider.identity.entity);
        self.dispatch.authority().authorize_call(origin, target, BIND_ACTOR, self.call_deadline()).await
    }

    /// Emits the outcome of an attempt to establish a link.
    pub(super) fn emit_link(&self, definition: &LinkDefinition, bound: &Result<()>) {
        let (contract_id, link_name) = (definition.contract_id.clone(), definition.link_name.clone());
        let kind = match bound {
            Ok(()) => EventKind::Linked { contract_id, link_name, provider_id: definition.provider_id.clone() },
            Err(error) => EventKind::LinkRefused { contract_id, link_name, reason: error.to_string() },
        };
        self.emit(&Child::Actor(definition.actor_id.as_str().into()), kind);
    }

    /// Releases a link with its provider. The link then waits. The caller holds its lock.
    pub(super) async fn suspend_link(&self, link: &Link) {
        if let Err(error) = self.unbind_if_established(link).await {
            log::error!(actor = &*link.definition.actor_id; "the {} could not be released: {error}", link.definition.key());
        }
        self.change(|registry| registry.put_link(link.definition.clone(), LinkState::Pending));
    }

    async fn unbind_if_established(&self, link: &Link) -> Result<()> {
        let Some(provider) = self.established_provider(link) else { return Ok(()) };
        self.change(|registry| registry.put_link(link.definition.clone(), LinkState::Releasing));
        unbind(&provider, &link.definition).await
    }

    /// Returns the provider of a link, if the link is established.
    pub(super) fn established_provider(&self, link: &Link) -> Option<RunningProvider> {
        if link.state != LinkState::Established {
            return None;
        }
        self.registry.borrow().snapshot().provider_of(link).cloned()
    }
}

/// Returns the state of an established link after a change of it was refused. A provider that refuses keeps the old
/// definition. A provider that timed out was told to release the link, so the old definition is sent again.
async fn state_after_refusal(
    refusal: &Error,
    former: &RunningProvider,
    ends: &LinkEnds,
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

/// Sends a link to its provider, and returns the provider's own error.
async fn send_bind(ends: &LinkEnds, definition: &Arc<LinkDefinition>) -> Result<()> {
    let task = Lifecycle::Bind { actor: ends.actor.clone(), definition: definition.clone() };
    change_link(&ends.provider, task).await.map_err(|error| without_secrets(definition, error))
}

/// Returns the same error without the secrets of the link, which a provider may repeat.
fn without_secrets(definition: &LinkDefinition, error: Error) -> Error {
    let text = error.to_string();
    let safe = definition.without_secrets(&text);
    if safe == text { error } else { Error::new(error.kind(), safe) }
}

fn refused(definition: &LinkDefinition, error: Error) -> Error {
    Error::new(ErrorKind::LinkRefused, format!("the {} is refused", definition.key())).context_of(error)
}

async fn unbind(provider: &RunningProvider, definition: &LinkDefinition) -> Result<()> {
    change_link(provider, Lifecycle::Unbind { actor: definition.actor_id.as_str().into() }).await
}

pub(super) async fn unbind_or_log(provider: &RunningProvider, definition: &LinkDefinition) {
    if let Err(error) = unbind(provider, definition).await {
        log::error!(actor = &*definition.actor_id; "the former {} could not be released: {error}", definition.key());
    }
}

pub(super) async fn change_link(provider: &RunningProvider, change: Lifecycle) -> Result<()> {
    provider.mailbox.change(change).await.unwrap_or_else(|error| {
        let message = format!("{} ended before it answered", provider.identity);
        Err(Error::new(ErrorKind::ProviderNotFound, message).caused_by(error))
    })
}
