//! The verified identities of actors on other hosts, by the tokens in the registry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wasmcloud_claims::jwt::{self, Claims};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::Node;
use super::host_claims::{self, identity_by};
use crate::identity::ActorIdentity;
use crate::supervisor::Command;

/// How long an identity is used before the registry is asked again. Actors that are linked to providers here are followed
/// instead.
const FRESH: Duration = Duration::from_secs(10);

/// How long the holder of a call alias is used before the registry is asked again.
const FRESH_ALIAS: Duration = Duration::from_secs(2);

/// The most identities that are kept.
const MOST: usize = 10_000;

/// The identities of actors that have called from other hosts.
#[derive(Debug, Default)]
pub(super) struct RemoteActors {
    known: Mutex<HashMap<String, Known>>,
    /// The holders of call aliases, as the registry told lately.
    aliases: Mutex<HashMap<String, Holder>>,
    /// Actors of hosts of 2021, by claims that nothing proves.
    unsigned: Mutex<HashMap<String, Arc<ActorIdentity>>>,
}

#[derive(Debug)]
struct Holder {
    actor: String,
    since: Instant,
}

#[derive(Debug)]
struct Known {
    identity: Arc<ActorIdentity>,
    since: Instant,
}

impl RemoteActors {
    pub(super) fn new() -> RemoteActors {
        RemoteActors::default()
    }

    /// Returns the identity of an actor on another host if this host has verified its token lately.
    pub(super) fn known_identity(&self, node: &Node, key: &str) -> Option<Arc<ActorIdentity>> {
        if let Some(followed) = node.dispatch.snapshot().remote_actors.get(key) {
            return Some(followed.clone());
        }
        let known = self.known();
        known.get(key).filter(|known| known.since.elapsed() < FRESH).map(|known| known.identity.clone())
    }

    /// Returns the identity of an actor that calls from another host, by its token: from the registry, or else from that
    /// host, which may have started it just now.
    ///
    /// # Errors
    /// `LatticeRefused` if the lattice knows no token of it; `LatticeUnavailable` if the registry cannot be asked.
    pub(super) async fn identity(&self, node: &Arc<Node>, host: &str, key: &str) -> Result<Arc<ActorIdentity>> {
        if let Some(known) = self.known_identity(node, key) {
            return Ok(known);
        }
        let identity = match self.token(node, host, key).await? {
            Some(token) => identity_by(&token)?,
            None => self.unsigned(key).ok_or_else(|| {
                let message = format!("the lattice has no signed claims of actor {key}, so its calls are refused");
                Error::new(ErrorKind::LatticeRefused, message)
            })?,
        };
        node.request(Command::AssessRemoteActor(identity.clone())).await?;
        self.remember(key, &identity);
        Ok(identity)
    }

    /// Returns the token of an actor.
    async fn token(&self, node: &Arc<Node>, host: &str, key: &str) -> Result<Option<String>> {
        let registered = match node.registry() {
            Ok(open) => open.registry.claims(key).await?.map(|claims| claims.token),
            Err(_) if node.has_no_registry() => None,
            Err(unavailable) => return Err(unavailable),
        };
        match registered {
            Some(token) => Ok(Some(token)),
            None => Ok(host_claims::ask(node, host, key).await),
        }
    }

    /// Keeps claims that are not signed, of an actor of a host of 2021. The options of the lattice admit them.
    pub(super) fn believe(&self, claims: Claims<jwt::Actor>) -> Arc<ActorIdentity> {
        let identity = Arc::new(ActorIdentity::new(Arc::new(claims), "".into()));
        let mut unsigned = self.unsigned.lock().unwrap_or_else(PoisonError::into_inner);
        if unsigned.len() < MOST || unsigned.contains_key(&*identity.key) {
            unsigned.insert(identity.key.to_string(), identity.clone());
        }
        identity
    }

    fn unsigned(&self, key: &str) -> Option<Arc<ActorIdentity>> {
        self.unsigned.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Returns the public key of the actor that holds a call alias in the lattice.
    pub(super) async fn holder_of(&self, node: &Arc<Node>, alias: &str) -> Result<Option<String>> {
        if let Some(holder) = self.aliases().get(alias).filter(|holder| holder.since.elapsed() < FRESH_ALIAS) {
            return Ok(Some(holder.actor.clone()));
        }
        let Some(holder) = node.registry()?.registry.resolve_alias(alias).await? else { return Ok(None) };
        let mut aliases = self.aliases();
        if aliases.len() >= MOST {
            aliases.retain(|_, holder| holder.since.elapsed() < FRESH_ALIAS);
        }
        if aliases.len() < MOST {
            aliases.insert(alias.to_owned(), Holder { actor: holder.actor.clone(), since: Instant::now() });
        }
        Ok(Some(holder.actor))
    }

    /// Forgets all identities: the trust policy has been replaced.
    pub(super) fn forget(&self) {
        self.known().clear();
    }

    fn remember(&self, key: &str, identity: &Arc<ActorIdentity>) {
        let mut known = self.known();
        if known.len() >= MOST {
            known.retain(|_, known| known.since.elapsed() < FRESH);
        }
        if known.len() < MOST {
            known.insert(key.to_owned(), Known { identity: identity.clone(), since: Instant::now() });
        }
    }

    fn aliases(&self) -> MutexGuard<'_, HashMap<String, Holder>> {
        self.aliases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
