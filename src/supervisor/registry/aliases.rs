//! Call aliases, and whose they are.
//!
//! An alias belongs to the issuer of the first actor that holds it in this host, also when that actor is stopped: those who
//! call by the alias mean what that issuer signs, and nobody else can put itself in its place. While an actor holds the alias
//! no other one gets it; after that, the next one of the same issuer does. The subject of a token does not count: whoever
//! signs a token writes any subject into it.

use std::collections::HashMap;
use std::sync::Arc;

use wasmcloud_core::entity::{KeyKind, is_key, shorten};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::Registry;
use super::recency::Recency;
use crate::dispatch::resolve::names_contract;
use crate::identity::ActorIdentity;

/// How many aliases are remembered that nobody holds. Beyond that, the one is forgotten that was let go of first.
const REMEMBERED: usize = 10_000;

/// Which issuers aliases belong to.
#[derive(Debug, Default)]
pub(super) struct Owners {
    issuers: HashMap<Arc<str>, Arc<str>>,
    /// The aliases that nobody holds, those first that were let go of first.
    free: Recency,
}

impl Owners {
    /// Whose an alias is, if it is anybody's.
    fn of(&self, alias: &str) -> Option<&str> {
        self.issuers.get(alias).map(|issuer| &**issuer)
    }

    /// Takes note that an actor of this issuer holds an alias.
    fn hold(&mut self, alias: &Arc<str>, issuer: &str) {
        if self.issuers.insert(alias.clone(), issuer.into()).is_some() {
            self.free.remove(alias);
        }
    }

    /// Takes note that nobody holds an alias any more.
    fn let_go(&mut self, alias: Arc<str>) {
        self.free.note(alias);
        if let Some(oldest) = self.free.forget_beyond(REMEMBERED) {
            self.issuers.remove(&oldest);
        }
    }
}

impl Registry {
    /// Gives an actor that is taken in its alias, if it has one.
    ///
    /// # Errors
    /// `AliasTaken`.
    pub(super) fn give_alias(&mut self, identity: &ActorIdentity) -> Result<()> {
        let alias = self.usable_alias(identity)?;
        self.release_alias(&identity.key);
        if let Some(alias) = alias {
            self.owners.hold(&alias, &identity.claims.issuer);
            self.snapshot.aliases.insert(alias, identity.key.clone());
        }
        Ok(())
    }

    /// Has an actor that runs let go of its alias.
    pub(super) fn release_alias(&mut self, key: &Arc<str>) {
        let alias = self.snapshot.actors.get(key).and_then(|actor| actor.identity.call_alias.clone());
        if let Some(alias) = alias
            && self.snapshot.aliases.get(&alias) == Some(key)
        {
            self.snapshot.aliases.remove(&alias);
            self.owners.let_go(alias);
        }
    }

    /// The alias under which an actor can be called: none where it has none or where it could be mistaken for
    /// something else, an error where it is somebody else's.
    pub(super) fn usable_alias(&self, identity: &ActorIdentity) -> Result<Option<Arc<str>>> {
        let Some(alias) = identity.call_alias.clone().filter(|alias| !alias.is_empty()) else { return Ok(None) };
        if names_contract(&self.snapshot, &alias) || is_key(&alias, KeyKind::Actor) {
            log::warn!(
                "{identity} cannot be called by its alias {:?}: it could be mistaken for a contract or a key",
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
        match self.owners.of(&alias) {
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
    fn an_alias_is_its_issuers_until_too_many_others_were_let_go_of() {
        let mut owners = Owners::default();
        let kept: Arc<str> = "kept".into();
        owners.hold(&kept, "A1");
        for number in 0..REMEMBERED * 2 {
            let alias: Arc<str> = number.to_string().into();
            owners.hold(&alias, "A2");
            owners.let_go(alias);
        }
        assert_eq!(owners.of("kept"), Some("A1"), "one that is held is never forgotten");
        assert_eq!((owners.free.names().len(), owners.issuers.len()), (REMEMBERED, REMEMBERED + 1));
        assert_eq!(owners.of("0"), None);
        owners.let_go(kept.clone());
        assert_eq!(owners.of("kept"), Some("A1"));
        owners.hold(&kept, "A1");
        assert_eq!(owners.free.names().len(), REMEMBERED - 1);
    }
}
