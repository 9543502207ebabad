//! What a host wants to know of the registry: the actors, providers and aliases that it follows.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use wasmcloud_core::entity::{KeyKind, expect_key, link_name};
use wasmcloud_core::error::Result;

use super::key::{Key, expect_name, token};

/// What can be followed in the registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Entity {
    /// An actor: its links and its claims.
    Actor(String),
    /// A provider under a link name: the links that lead to it, and the claims of their actors.
    Provider {
        /// The public key.
        key: String,
        /// The link name.
        link_name: String,
    },
    /// A call alias.
    Alias(String),
}

impl Entity {
    /// Returns the keys, or patterns of keys, of the entity.
    pub(super) fn patterns(&self) -> Vec<String> {
        match self {
            Entity::Actor(key) => vec![format!("link.{key}.>"), Key::Claims(key.clone()).to_string()],
            Entity::Provider { key, link_name } => {
                vec![format!("provider.{key}.{}.>", token(link_name)), Key::Claims(key.clone()).to_string()]
            }
            Entity::Alias(alias) => vec![Key::Alias(alias.clone()).to_string()],
        }
    }
}

/// The handle by which a host says what it follows. Cheap to clone; its methods do not wait. The watcher ends with the last one.
#[derive(Debug, Clone)]
pub struct InterestHandle(Arc<Owner>);

/// Ends the watcher when the last handle is dropped.
#[derive(Debug)]
struct Owner(Arc<Interest>);

/// What is followed.
#[derive(Debug, Default)]
pub(super) struct Interest {
    wanted: Mutex<BTreeSet<Entity>>,
    has_ended: AtomicBool,
    pub(super) changed: Notify,
}

impl InterestHandle {
    pub(super) fn new(interest: Arc<Interest>) -> InterestHandle {
        InterestHandle(Arc::new(Owner(interest)))
    }

    /// Follows the links and claims of an actor.
    ///
    /// # Errors
    /// `InvalidArgument` if the key is not an actor's.
    pub fn add_actor(&self, actor: &str) -> Result<()> {
        expect_key(actor, KeyKind::Actor)?;
        self.change(|wanted| wanted.insert(Entity::Actor(actor.to_owned())));
        Ok(())
    }

    /// Stops following an actor.
    pub fn remove_actor(&self, actor: &str) {
        self.change(|wanted| wanted.remove(&Entity::Actor(actor.to_owned())));
    }

    /// Follows the links that lead to a provider, and the claims of their actors.
    ///
    /// # Errors
    /// `InvalidArgument` if the key is not a provider's or the link name is too long.
    pub fn add_provider(&self, provider: &str, name: &str) -> Result<()> {
        expect_key(provider, KeyKind::Provider)?;
        expect_name(link_name(Some(name)))?;
        self.change(|wanted| wanted.insert(provider_entity(provider, name)));
        Ok(())
    }

    /// Stops following a provider.
    pub fn remove_provider(&self, provider: &str, name: &str) {
        self.change(|wanted| wanted.remove(&provider_entity(provider, name)));
    }

    /// Follows the holder of a call alias.
    ///
    /// # Errors
    /// `InvalidArgument` if the alias is too long.
    pub fn add_alias(&self, alias: &str) -> Result<()> {
        expect_name(alias)?;
        self.change(|wanted| wanted.insert(Entity::Alias(alias.to_owned())));
        Ok(())
    }

    /// Stops following a call alias.
    pub fn remove_alias(&self, alias: &str) {
        self.change(|wanted| wanted.remove(&Entity::Alias(alias.to_owned())));
    }

    fn change(&self, change: impl FnOnce(&mut BTreeSet<Entity>) -> bool) {
        let interest = &self.0.0;
        let has_changed = change(&mut interest.wanted.lock().unwrap_or_else(PoisonError::into_inner));
        if has_changed {
            interest.changed.notify_one();
        }
    }
}

impl Interest {
    pub(super) fn wanted(&self) -> BTreeSet<Entity> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.has_ended.store(true, Ordering::Release);
        self.0.changed.notify_one();
    }
}

fn provider_entity(provider: &str, name: &str) -> Entity {
    Entity::Provider { key: provider.to_owned(), link_name: link_name(Some(name)).to_owned() }
}
