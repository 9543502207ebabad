//! Call aliases and their owners.
//!
//! An alias belongs to the issuer of the first actor that holds it in this host, even while that actor is stopped: callers
//! of the alias rely on that issuer's signature, so no other issuer can take it over. While an actor holds the alias, no
//! other actor gets it. After that, the next actor of the same issuer does. The subject of a token does not own an alias,
//! since any issuer can sign any subject.

use std::collections::HashMap;
use std::sync::Arc;

use wasmcloud_core::entity::{KeyKind, is_key, shorten};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::Registry;
use super::insertion_order::InsertionOrder;
use crate::dispatch::resolve::names_contract;
use crate::identity::ActorIdentity;

/// The number of released aliases that are remembered. Beyond it, the alias released first is forgotten.
const REMEMBERED_ALIASES: usize = 10_000;

/// The issuers that aliases belong to.
#[derive(Debug, Default)]
pub(super) struct AliasOwners {
    issuers: HashMap<Arc<str>, Arc<str>>,
    /// The aliases that no actor holds, in the order of their release.
    released: InsertionOrder,
}

impl AliasOwners {
    /// Returns the issuer that owns an alias.
    fn owner_of(&self, alias: &str) -> Option<&str> {
        self.issuers.get(alias).map(|issuer| &**issuer)
    }

    /// Records that an actor of this issuer holds an alias.
    fn assign(&mut self, alias: &Arc<str>, issuer: &str) {
        if self.issuers.insert(alias.clone(), issuer.into()).is_some() {
            self.released.remove(alias);
        }
    }

    /// Records that no actor holds an alias.
    fn release(&mut self, alias: Arc<str>) {
        self.released.push(alias);
        if let Some(oldest) = self.released.pop_beyond(REMEMBERED_ALIASES) {
            self.issuers.remove(&oldest);
        }
    }
}

impl Registry {
    /// Gives an actor its alias, if it has one.
    ///
    /// # Errors
    /// `AliasTaken`.
    pub(super) fn assign_alias(&mut self, identity: &ActorIdentity) -> Result<()> {
        let alias = self.usable_alias(identity)?;
        self.release_alias(&identity.key);
        if let Some(alias) = alias {
            self.alias_owners.assign(&alias, &identity.claims.issuer);
            self.snapshot.aliases.insert(alias, identity.key.clone());
        }
        Ok(())
    }

    /// Releases the alias of a running actor.
    pub(super) fn release_alias(&mut self, key: &Arc<str>) {
        let alias = self.snapshot.actors.get(key).and_then(|actor| actor.identity.call_alias.clone());
        if let Some(alias) = alias
            && self.snapshot.aliases.get(&alias) == Some(key)
        {
            self.snapshot.aliases.remove(&alias);
            self.alias_owners.release(alias);
        }
    }

    /// Returns the alias by which an actor can be called. Returns `None` if it has none, or if the alias could be mistaken
    /// for a contract or a key.
    ///
    /// # Errors
    /// `AliasTaken`.
    pub(in crate::supervisor) fn usable_alias(&self, identity: &ActorIdentity) -> Result<Option<Arc<str>>> {
        let Some(alias) = identity.call_alias.clone().filter(|alias| !alias.is_empty()) else { return Ok(None) };
        if names_contract(&self.snapshot, &alias) || is_key(&alias, KeyKind::Actor) {
            log::warn!(
                actor = &*identity.key; "{identity} cannot be called by its alias {:?}: it could be mistaken for a contract or a key",
                shorten(&alias)
            );
            return Ok(None);
        }
        let taken = |by: String| {
            let message = format!("{identity} wants the call alias {:?}, {by}", shorten(&alias));
            Err(Error::new(ErrorKind::AliasTaken, message))
        };
        match self.snapshot.aliases.get(&alias).or_else(|| self.reserved_aliases.get(&alias)) {
            Some(holder) if *holder != identity.key => return taken(format!("which {holder} holds")),
            _ => {}
        }
        match self.alias_owners.owner_of(&alias) {
            Some(owner) if owner != identity.claims.issuer => taken(format!(
                "which belongs to the issuer of its first holder, {owner}, and not to {}",
                identity.claims.issuer
            )),
            _ => Ok(Some(alias)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_keeps_its_owner_until_too_many_others_are_released() {
        let mut owners = AliasOwners::default();
        let kept: Arc<str> = "kept".into();
        owners.assign(&kept, "A1");
        for number in 0..REMEMBERED_ALIASES * 2 {
            let alias: Arc<str> = number.to_string().into();
            owners.assign(&alias, "A2");
            owners.release(alias);
        }
        assert_eq!(owners.owner_of("kept"), Some("A1"), "a held alias is never forgotten");
        assert_eq!(owners.released.names().len(), REMEMBERED_ALIASES);
        assert_eq!(owners.issuers.len(), REMEMBERED_ALIASES + 1);
        assert_eq!(owners.owner_of("0"), None);
        owners.release(kept.clone());
        assert_eq!(owners.owner_of("kept"), Some("A1"));
        owners.assign(&kept, "A1");
        assert_eq!(owners.released.names().len(), REMEMBERED_ALIASES - 1);
    }
}
