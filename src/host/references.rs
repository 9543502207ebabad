//! References to registries, and the public keys that they stand for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use wasmcloud_claims::jwt::{self, CapabilityProvider, Claims};
use wasmcloud_core::entity::{KeyKind, is_key};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::identity::{Image, ProviderKey};

use super::Host;
use crate::dispatch::snapshot::Snapshot;
use crate::identity::ProviderIdentity;

/// The number of references that are remembered. Beyond it, none is added.
const MOST_KNOWN: usize = 10_000;

/// The references that were started from or resolved since the host was built, and the public keys that they stood for.
#[derive(Debug, Default)]
pub(super) struct KnownReferences(Mutex<HashMap<String, String>>);

impl KnownReferences {
    /// Adds the reference of an image that has started.
    pub(super) fn add_image(&self, image: Option<&Image>, key: &str) {
        image.into_iter().for_each(|image| self.add(&image.reference, key));
    }

    fn add(&self, reference: &str, key: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MOST_KNOWN || known.contains_key(reference) {
            known.insert(reference.to_owned(), key.to_owned());
        }
    }

    fn get(&self, reference: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(reference).cloned()
    }

    fn all(&self) -> HashMap<String, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Host {
    /// Returns the references to registries that this host knows, with the public keys of the actors (`M...`) and providers
    /// (`V...`) that they stand for: those of what runs, and those that were started from or resolved for a link before. A
    /// start that fails records nothing.
    ///
    /// # Errors
    /// `HostNotRunning`.
    pub async fn oci_references(&self) -> Result<HashMap<String, String>> {
        self.running()?;
        let snapshot = self.0.dispatch.snapshot();
        let actors = snapshot.actors.values().map(|actor| (&actor.identity.image, actor.identity.key.to_string()));
        let providers = snapshot.providers.values().map(|provider| &provider.identity);
        let providers = providers.map(|identity| (&identity.image, identity.key.id.to_string()));
        let running = actors.chain(providers).filter_map(|(image, key)| Some((image.as_ref()?.reference.clone(), key)));
        let mut references = self.0.references.all();
        references.extend(running);
        Ok(references)
    }

    /// Returns the verified claims of an actor, which state its public key, issuer, name, revision and capabilities.
    ///
    /// `actor_ref` is its public key, its call alias, or the reference that it was started from. An actor on another host of
    /// the lattice is found by its key or reference.
    ///
    /// # Errors
    /// `ActorNotFound`, `HostNotRunning`; `LatticeUnavailable` if the registry of the lattice cannot be read.
    pub async fn get_actor_identity(&self, actor_ref: &str) -> Result<Claims<jwt::Actor>> {
        self.running()?;
        if let Some(claims) = claims_of_actor(&self.0.dispatch.snapshot(), actor_ref) {
            return Ok(claims);
        }
        #[cfg(feature = "lattice")]
        if let Some(claims) = self.registered_claims(actor_ref).await? {
            return Ok(claims);
        }
        let message = format!("no actor with the key, call alias or reference '{actor_ref}' is known");
        Err(Error::new(ErrorKind::ActorNotFound, message))
    }

    /// Returns the claims of a provider that runs on this host, which state its public key, vendor, name and contract. Those
    /// of a provider from an archive are verified; a provider that is part of the program vouches for its own.
    ///
    /// `provider_ref` is its public key, or the reference that it was started from.
    ///
    /// # Errors
    /// `ProviderNotFound` or `HostNotRunning`.
    pub async fn get_provider_identity(&self, provider_ref: &str) -> Result<Claims<CapabilityProvider>> {
        self.running()?;
        let snapshot = self.0.dispatch.snapshot();
        let mut identities = snapshot.providers.values().map(|provider| &provider.identity);
        let found = identities.find(|identity| is_named(identity, provider_ref));
        found.map(|identity| identity.claims.clone()).ok_or_else(|| {
            let message = format!("no provider with the key or reference '{provider_ref}' runs on this host");
            Error::new(ErrorKind::ProviderNotFound, message)
        })
    }

    /// Returns the public key of an actor that is given by its key or by the reference that it was started from. What is
    /// neither is returned as it is, and is not found later.
    pub(super) fn running_actor(&self, actor: &str) -> String {
        let named = is_reference(actor).then(|| actor_started_from(&self.0.dispatch.snapshot(), actor)).flatten();
        named.unwrap_or_else(|| actor.to_owned())
    }

    /// Returns whether an actor runs that was started from a reference.
    #[cfg(feature = "lattice")]
    pub(super) fn runs_actor_from(&self, reference: &str) -> bool {
        let snapshot = self.0.dispatch.snapshot();
        let pulled = self.0.references.get(reference);
        actor_started_from(&snapshot, reference).is_some()
            || pulled.is_some_and(|key| snapshot.actors.contains_key(key.as_str()))
    }

    /// Returns the key of a provider under a link name that is given by its public key or by the reference that it was
    /// started from.
    pub(super) fn running_provider(&self, provider: &str, link_name: &str) -> ProviderKey {
        let snapshot = self.0.dispatch.snapshot();
        let mut keys = snapshot.providers.iter().filter(|(key, _)| *key.link_name == *link_name);
        let named = keys.find(|(_, running)| is_reference(provider) && is_named(&running.identity, provider));
        named.map_or_else(|| ProviderKey::new(provider, link_name), |(key, _)| key.clone())
    }

    /// Returns the public key of an actor that is given by its key or by a reference, whether it runs or not. A reference is
    /// looked up on this host, then in the registry of the lattice, and is pulled in the end.
    ///
    /// # Errors
    /// Those of [`Host::start_actor_from_registry`] that concern registries, and `InvalidArgument` for a provider.
    pub(super) async fn resolve_actor(&self, actor: &str) -> Result<String> {
        if !is_reference(actor) {
            return Ok(actor.to_owned());
        }
        let known = actor_started_from(&self.0.dispatch.snapshot(), actor).or_else(|| self.0.references.get(actor));
        let known = match known {
            #[cfg(feature = "lattice")]
            None => self.registered_reference(actor).await,
            known => known,
        };
        let key = match known {
            Some(key) => key,
            None => self.fetch_actor(actor).await?.content.public_key(),
        };
        if !is_key(&key, KeyKind::Actor) {
            let message = format!("'{actor}' stands for provider {key}, and an actor is needed");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        self.0.references.add(actor, &key);
        Ok(key)
    }

    /// Looks the claims of an actor up in the registry of the lattice, by its key or reference.
    #[cfg(feature = "lattice")]
    async fn registered_claims(&self, actor: &str) -> Result<Option<Claims<jwt::Actor>>> {
        let Some(lattice) = self.joined_lattice() else { return Ok(None) };
        let key = if is_reference(actor) { self.registered_reference(actor).await } else { Some(actor.to_owned()) };
        match key.filter(|key| is_key(key, KeyKind::Actor)) {
            Some(key) => lattice.claims_of_actor(&key).await,
            None => Ok(None),
        }
    }

    /// Looks a reference up in the registry of the lattice. A registry that cannot be read knows nothing.
    #[cfg(feature = "lattice")]
    async fn registered_reference(&self, reference: &str) -> Option<String> {
        let found = self.joined_lattice()?.reference(reference).await;
        found.unwrap_or_else(|error| {
            log::debug!("the lattice cannot be asked what '{reference}' stands for: {error}");
            None
        })
    }
}

/// Returns whether a text has the form of a reference. Public keys have neither of these signs.
fn is_reference(text: &str) -> bool {
    text.contains(['/', ':'])
}

fn is_from(image: Option<&Image>, reference: &str) -> bool {
    image.is_some_and(|image| image.reference == reference)
}

fn actor_started_from(snapshot: &Snapshot, reference: &str) -> Option<String> {
    let mut actors = snapshot.actors.values().map(|actor| &actor.identity);
    let found = actors.find(|identity| is_from(identity.image.as_deref(), reference));
    found.map(|identity| identity.key.to_string())
}

fn claims_of_actor(snapshot: &Snapshot, named: &str) -> Option<Claims<jwt::Actor>> {
    let key = snapshot.aliases.get(named).map(|key| key.to_string()).or_else(|| actor_started_from(snapshot, named));
    let running = snapshot.actors.get(key.as_deref().unwrap_or(named))?;
    Some(Claims::clone(&running.identity.claims))
}

fn is_named(identity: &ProviderIdentity, named: &str) -> bool {
    *identity.key.id == *named || is_from(identity.image.as_deref(), named)
}
