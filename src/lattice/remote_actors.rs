//! The verified identities of actors on other hosts, by the tokens in the registry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wasmcloud_claims::{jwt, read_token};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::Node;
use crate::identity::ActorIdentity;
use crate::supervisor::Command;

/// How long an identity is used before the registry is asked again. Actors that are linked to providers here are followed
/// instead.
const FRESH: Duration = Duration::from_secs(10);

/// The most identities that are kept.
const MOST: usize = 10_000;

/// The identities of actors that have called from other hosts.
#[derive(Debug, Default)]
pub(super) struct RemoteActors {
    known: Mutex<HashMap<String, Known>>,
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

    /// Returns the identity of an actor that runs on another host.
    ///
    /// # Errors
    /// `LatticeRefused` if the lattice knows no token of it; `LatticeUnavailable` if the registry cannot be asked.
    pub(super) async fn identity(&self, node: &Arc<Node>, key: &str) -> Result<Arc<ActorIdentity>> {
        if let Some(followed) = node.dispatch.snapshot().remote_actors.get(key) {
            return Ok(followed.clone());
        }
        if let Some(known) = self.known().get(key).filter(|known| known.since.elapsed() < FRESH) {
            return Ok(known.identity.clone());
        }
        let claims = node.registry()?.registry.claims(key).await?;
        let claims = claims.ok_or_else(|| {
            let message = format!("the lattice has no signed claims of actor {key}, so its calls are refused");
            Error::new(ErrorKind::LatticeRefused, message)
        })?;
        let identity = identity_by(&claims.token)?;
        node.request(Command::AssessRemoteActor(identity.clone())).await?;
        self.remember(key, &identity);
        Ok(identity)
    }

    /// Returns the public key of the actor that holds a call alias in the lattice.
    pub(super) async fn holder_of(&self, node: &Arc<Node>, alias: &str) -> Result<Option<String>> {
        let holder = node.registry()?.registry.resolve_alias(alias).await?;
        Ok(holder.map(|holder| holder.actor))
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

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the identity of an actor by its token.
///
/// # Errors
/// `InvalidToken` if the token does not verify.
pub(super) fn identity_by(token: &str) -> Result<Arc<ActorIdentity>> {
    let claims = read_token::<jwt::Actor>(token)?;
    Ok(Arc::new(ActorIdentity::new(Arc::new(claims), token.into())))
}
