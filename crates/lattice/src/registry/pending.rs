//! Changes that were made while there was no connection, and how they are published afterwards.

use wasmcloud_core::error::Result;

use super::Registry;
use super::entry::{LinkRecord, summarise};
use super::key::{Key, LinkKey};

/// A change of the registry.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Change {
    /// Sets a link.
    SetLink(LinkRecord),
    /// Removes a link.
    RemoveLink(LinkKey),
    /// Puts the token of an actor or provider.
    PutClaims {
        /// The token.
        token: String,
        /// The links of the actor.
        links: Vec<LinkRecord>,
    },
    /// Removes the token of an actor or provider.
    RemoveClaims {
        /// The public key of the actor or provider.
        entity: String,
        /// The links of the actor.
        links: Vec<LinkRecord>,
    },
}

/// A change that was made while there was no connection.
#[derive(Debug, Clone)]
pub struct PendingChange {
    /// The change.
    pub change: Change,
    /// The revision of the entry, or of its removal, that was known when the change was made. 0 if none was known.
    pub base: u64,
}

/// What became of a pending change.
#[derive(Debug)]
pub struct PendingOutcome {
    /// The key.
    pub key: Option<Key>,
    /// The revision of the entry. The error `RegistryConflict` says that another host changed the entry meanwhile and that its
    /// change stays. After any other error the change may be published again.
    pub outcome: Result<u64>,
}

impl Registry {
    /// Publishes changes that were made while there was no connection, in their order. A change whose base is still current is
    /// written. Otherwise the registry's entry stays, and the outcome is the error `RegistryConflict`. A change that the registry
    /// holds already is no conflict. Later changes of one key may have the same base: they follow the earlier ones.
    pub async fn publish_pending(&self, changes: Vec<PendingChange>) -> Vec<PendingOutcome> {
        let mut outcomes = Vec::with_capacity(changes.len());
        let mut published: std::collections::HashMap<Key, u64> = std::collections::HashMap::new();
        for PendingChange { change, base } in changes {
            let key = key_of(&change);
            let base = key.as_ref().and_then(|key| published.get(key)).copied().unwrap_or(base);
            let outcome = self.publish(&change, base).await;
            if let (Some(key), Ok(revision)) = (&key, &outcome) {
                published.insert(key.clone(), *revision);
            }
            outcomes.push(PendingOutcome { key, outcome });
        }
        outcomes
    }

    async fn publish(&self, change: &Change, base: u64) -> Result<u64> {
        match change {
            Change::SetLink(link) => self.change_link(&link.key()?, Some(&link.normalised()), Some(base)).await,
            Change::RemoveLink(key) => self.change_link(key, None, Some(base)).await,
            Change::PutClaims { token, links } => self.change_claims(token, links, Some(base)).await,
            Change::RemoveClaims { entity, links } => self.withdraw_claims(entity, links, Some(base)).await,
        }
    }
}

fn key_of(change: &Change) -> Option<Key> {
    match change {
        Change::SetLink(link) => link.key().ok().map(Key::Link),
        Change::RemoveLink(key) => Some(Key::Link(key.clone())),
        Change::PutClaims { token, .. } => summarise(token).ok().map(|summary| Key::Claims(summary.subject)),
        Change::RemoveClaims { entity, .. } => Some(Key::Claims(entity.clone())),
    }
}
