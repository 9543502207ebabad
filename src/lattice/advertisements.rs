//! What hosts and control clients of 2021 tell. Links of theirs are put into the registry, for current hosts; and
//! links and claims of this host are advertised to them.

use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use wasmcloud_claims::jwt::{self, Claims};
use wasmcloud_core::error::{ErrorKind, Result};
use wasmcloud_lattice::wire::{self, ActorClaims};
use wasmcloud_lattice::{Advertised, MembershipEvent};

use super::Node;
use super::inventory::advertised;
use super::links::concerns;
use crate::identity::ActorIdentity;
use crate::link::{LinkDefinition, LinkKey};
use crate::supervisor::Command;

/// Applies what others advertise, until the host stops.
pub(super) async fn follow(node: Arc<Node>, mut receiver: mpsc::Receiver<Advertised>) {
    let mut peers = node.membership.events();
    loop {
        tokio::select! {
            heard = receiver.recv() => match heard {
                Some(heard) => node.apply_advertised(heard).await,
                None => return,
            },
            event = peers.recv() => match event {
                Ok(MembershipEvent::EraHostUp { host }) => node.advertise_to(&host).await,
                // Without a registry it learns the links in this way.
                Ok(MembershipEvent::Up { host }) if node.has_no_registry() => node.advertise_to(&host).await,
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
        }
    }
}

impl Node {
    async fn apply_advertised(&self, heard: Advertised) {
        let applied = match heard {
            Advertised::Claims(claims) => {
                let identity = self.actors.believe(unsigned(claims));
                self.request(Command::SetRemoteActor(identity)).await
            }
            // It is not signed. Where orders are signed, the registry tells of links.
            Advertised::Link(_) | Advertised::LinkRemoved(_) if self.refuses_advertised_links() => {
                log::warn!("an unsigned change of a link is refused, since control issuers are named");
                Ok(())
            }
            Advertised::Link(link) => self.apply_link(definition_of(link)).await,
            Advertised::LinkRemoved(link) => {
                let key = LinkKey::new(&link.actor_id, &link.contract_id, &link.link_name);
                self.apply_removal(key).await
            }
            _ => Ok(()),
        };
        if let Err(error) = applied
            && error.kind() != ErrorKind::NotLinked
        {
            log::warn!("what a host or client of 2021 advertised is not in effect: {error}");
        }
    }

    /// Sets a link that was advertised, unless it is set already. All hosts hear it: those that it concerns apply it, and one
    /// for all others.
    async fn apply_link(&self, definition: LinkDefinition) -> Result<()> {
        let snapshot = self.dispatch.snapshot();
        let known = snapshot.links.get(&definition.key());
        if known.is_some_and(|link| *link.definition == definition) {
            return Ok(());
        }
        if concerns(&snapshot, &definition) || self.is_first_host() {
            return self.set_link(definition, false).await;
        }
        Ok(())
    }

    async fn apply_removal(&self, key: LinkKey) -> Result<()> {
        let is_known = self.dispatch.snapshot().links.contains_key(&key);
        if is_known || self.is_first_host() { self.remove_link(key, false).await } else { Ok(()) }
    }

    /// Returns whether links are changed by the registry and signed orders alone. Without a registry, hosts have no other way
    /// to tell each other.
    fn refuses_advertised_links(&self) -> bool {
        !self.control_interface.is_open() && !self.has_no_registry()
    }

    /// Returns whether this host has the first key among the hosts that are up.
    fn is_first_host(&self) -> bool {
        let peers = self.membership.peers();
        !peers.iter().any(|peer| peer.is_available() && *peer.host < *self.host_id)
    }

    /// Returns whether hosts of 2021 listen, or no registry tells other hosts.
    fn advertises(&self) -> bool {
        self.has_no_registry() || !self.membership.era_hosts().is_empty()
    }

    pub(super) async fn advertise_link(&self, definition: &LinkDefinition) {
        if self.advertises()
            && let Err(error) = self.advertisements.link_set(&advertised(definition)).await
        {
            log::debug!("a link is not advertised: {error}");
        }
    }

    pub(super) async fn advertise_removal(&self, key: &LinkKey) {
        let removed = wire::LinkDefinition {
            actor_id: key.actor.to_string(),
            contract_id: key.contract.to_string(),
            link_name: key.link_name.to_string(),
            ..wire::LinkDefinition::default()
        };
        if self.advertises()
            && let Err(error) = self.advertisements.link_removed(&removed).await
        {
            log::debug!("the removal of a link is not advertised: {error}");
        }
    }

    /// Advertises the claims of an actor that runs here.
    pub(super) async fn advertise_claims(&self, actor: Option<&ActorIdentity>) -> Result<()> {
        match actor.and_then(|actor| ActorClaims::of(&actor.claims)) {
            Some(claims) if self.advertises() => self.advertisements.claims(&claims).await,
            _ => Ok(()),
        }
    }

    /// Advertises all that this host knows, since a host has appeared that learns it in no other way.
    async fn advertise_to(&self, host: &str) {
        match self.advertisements.advertise_all().await {
            Ok(count) => log::debug!("{count} claims and links were advertised, since host {host} is there"),
            Err(error) => log::debug!("claims and links are not advertised for host {host}: {error}"),
        }
    }
}

fn unsigned(claims: ActorClaims) -> Claims<jwt::Actor> {
    let ActorClaims { expires, id, issued_at, issuer, subject, not_before, metadata } = claims;
    let mut unsigned = metadata.claims(issuer, &subject);
    unsigned.expires = expires;
    unsigned.id = id;
    unsigned.issued_at = issued_at;
    unsigned.not_before = not_before;
    unsigned
}

fn definition_of(link: wire::LinkDefinition) -> LinkDefinition {
    LinkDefinition {
        actor_id: link.actor_id,
        provider_id: link.provider_id,
        link_name: link.link_name,
        contract_id: link.contract_id,
        values: link.values.into_iter().map(|value| (value.name, value.value)).collect(),
    }
}
