//! Makes known to the lattice what starts and stops on this host: subscriptions for its calls, and its claims and call alias
//! in the registry.

mod pending;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Mutex;
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::{ErrorKind, Result};
use wasmcloud_core::identity::Image;
use wasmcloud_lattice::registry::{LinkRecord, Registry};

use super::links::record_of;
use super::{Node, OpenRegistry, RegistryState};
use crate::child::Child;
use crate::dispatch::snapshot::Snapshot;
use crate::identity::ActorIdentity;
use pending::Pending;

/// What the lattice has been told of a child.
#[derive(Debug, Default, Clone)]
struct Known {
    is_served: bool,
    /// The token that is in the registry, once it is. Empty for a provider without one.
    announced: Option<Arc<str>>,
    /// The reference to a registry that is in the registry of the lattice.
    reference: Option<String>,
    /// The call alias that the actor has claimed, or would have, were it not another's.
    alias: Option<Arc<str>>,
}

/// What should be known of a child now.
struct Wanted {
    entity: WasmCloudEntity,
    /// Whether it takes calls.
    is_open: bool,
    actor: Option<Arc<ActorIdentity>>,
    image: Option<Arc<Image>>,
}

/// The children that the lattice has been told of.
#[derive(Debug, Default)]
struct KnownChildren(Mutex<HashMap<Child, Known>>);

/// Follows the children of the host until the host stops. A child that the registry is slow to take delays no other one.
pub(super) async fn follow(node: Arc<Node>) {
    let known = KnownChildren::default();
    let mut registry = node.registry.subscribe();
    let mut pending = Pending::default();
    let mut updates = FuturesUnordered::new();
    while node.connection.joined().await {
        while let Some(child) = pending.begin() {
            updates.push(known.update(&node, child));
        }
        tokio::select! {
            changed = node.changes.next() => {
                node.inventory.changed();
                node.membership.inventory_changed();
                pending.add(changed);
            }
            // All children are to be announced in a registry that has been opened.
            opened = registry.changed() => {
                if opened.is_err() {
                    return;
                }
                pending.add(all(&node));
            }
            () = node.cordon_changed.notified() => pending.add(all(&node)),
            () = pending.retry() => pending.add_failed(),
            Some((child, is_told)) = updates.next() => pending.end(child, is_told),
        }
        if pending.is_empty() && !matches!(node.registry_state(), RegistryState::Unknown) {
            node.is_known.send_if_modified(|is_known| !std::mem::replace(is_known, true));
        }
    }
}

/// Returns all children of the host.
fn all(node: &Node) -> HashSet<Child> {
    let snapshot = node.dispatch.snapshot();
    let actors = snapshot.actors.keys().cloned().map(Child::Actor);
    actors.chain(snapshot.providers.keys().cloned().map(Child::Provider)).collect()
}

impl KnownChildren {
    /// Tells the lattice of a changed child. Returns whether it could be told.
    async fn update(&self, node: &Arc<Node>, child: Child) -> (Child, bool) {
        let updated = self.update_child(node, &child).await;
        if let Err(error) = &updated {
            log::warn!(actor = child.actor(), provider = child.provider(); "{child} is not known to the lattice yet: {error}");
        }
        (child, updated.is_ok())
    }

    async fn update_child(&self, node: &Arc<Node>, child: &Child) -> Result<()> {
        let mut known = self.0.lock().await.get(child).cloned().unwrap_or_default();
        let wanted = wanted(node, child);
        let updated = bring_up_to_date(node, child, &mut known, wanted.as_ref()).await;
        let mut all = self.0.lock().await;
        if wanted.is_none() && updated.is_ok() {
            all.remove(child);
        } else {
            all.insert(child.clone(), known);
        }
        updated
    }
}

fn wanted(node: &Node, child: &Child) -> Option<Wanted> {
    let snapshot = node.dispatch.snapshot();
    let is_cordoned = node.is_cordoned.load(Ordering::Relaxed);
    match child {
        Child::Actor(key) => snapshot.actors.get(key).map(|actor| Wanted {
            entity: actor.identity.entity.clone(),
            is_open: !actor.draining && !is_cordoned,
            actor: Some(actor.identity.clone()),
            image: actor.identity.image.clone(),
        }),
        Child::Provider(key) => snapshot.providers.get(key).map(|provider| Wanted {
            entity: provider.identity.entity.clone(),
            is_open: !provider.is_closing && !is_cordoned,
            actor: None,
            image: provider.identity.image.clone(),
        }),
    }
}

async fn bring_up_to_date(node: &Arc<Node>, child: &Child, known: &mut Known, wanted: Option<&Wanted>) -> Result<()> {
    let is_open = wanted.is_some_and(|wanted| wanted.is_open);
    if known.is_served && !is_open {
        node.rpc.close(&entity_of(child)).await;
        known.is_served = false;
    }
    if let Some(wanted) = wanted
        && is_open
        && !known.is_served
    {
        node.rpc.open(&wanted.entity).await?;
        known.is_served = true;
    }
    match (wanted, node.registry()) {
        (Some(wanted), Ok(open)) => {
            announce(node, &open, child, known, wanted).await?;
            node.advertise_claims(wanted.actor.as_deref()).await
        }
        (Some(wanted), Err(_)) if node.has_no_registry() => node.advertise_claims(wanted.actor.as_deref()).await,
        (None, Ok(open)) => withdraw(node, &open, child, known).await,
        // It is announced when the registry is opened.
        (_, Err(_)) if matches!(node.registry_state(), RegistryState::Unknown | RegistryState::Missing) => Ok(()),
        // The registry is open, and the connection is lost: nothing tells when it is back.
        (_, Err(lost)) => Err(lost),
    }
}

/// Returns what a subscription is known by. The contract of a provider plays no part in it.
fn entity_of(child: &Child) -> WasmCloudEntity {
    match child {
        Child::Actor(key) => WasmCloudEntity::Actor(key.to_string()),
        Child::Provider(key) => WasmCloudEntity::Capability {
            id: key.id.to_string(),
            contract_id: String::new(),
            link_name: key.link_name.to_string(),
        },
    }
}

/// Follows what the registry holds about a child, and puts its claims and its call alias there.
async fn announce(node: &Node, open: &OpenRegistry, child: &Child, known: &mut Known, wanted: &Wanted) -> Result<()> {
    match child {
        Child::Actor(key) => open.interest.add_actor(key)?,
        Child::Provider(key) => open.interest.add_provider(&key.id, &key.link_name)?,
    }
    announce_reference(open, child, known, wanted.image.as_deref()).await?;
    let token = wanted.actor.as_ref().map_or_else(|| "".into(), |actor| actor.token.clone());
    if known.announced.as_ref() == Some(&token) {
        return Ok(());
    }
    if let Some(actor) = &wanted.actor
        && !token.is_empty()
    {
        let mut links = links_of(&node.dispatch.snapshot(), &actor.key);
        // The hosts of their providers wait for the claims, although this host has not heard of all links yet.
        for link in open.registry.links_of(&actor.key).await? {
            if !links.contains(&link.definition) {
                links.push(link.definition);
            }
        }
        match open.registry.put_claims(&token, &links).await {
            Err(conflict) if conflict.kind() == ErrorKind::RegistryConflict => {
                log::error!(actor = &*actor.key; "{actor} is not known to other hosts, which know other claims for its key: {conflict}");
                known.announced = Some(token);
                return Ok(());
            }
            put => drop(put?),
        }
        claim_alias(node, &open.registry, actor).await?;
        known.alias.clone_from(&actor.call_alias);
    }
    known.announced = Some(token);
    Ok(())
}

/// Puts the reference that a child was started from, so that links can be set by it on all hosts.
async fn announce_reference(
    open: &OpenRegistry,
    child: &Child,
    known: &mut Known,
    image: Option<&Image>,
) -> Result<()> {
    let Some(Image { reference, .. }) = image.filter(|image| known.reference.as_ref() != Some(&image.reference)) else {
        return Ok(());
    };
    let key = match child {
        Child::Actor(key) => key,
        Child::Provider(key) => &key.id,
    };
    match open.registry.put_reference(reference, key).await {
        Err(refusal) if refusal.kind() == ErrorKind::InvalidArgument => {
            log::warn!(actor = child.actor(), provider = child.provider(); "other hosts cannot find {child} by its reference: {refusal}");
        }
        put => drop(put?),
    }
    known.reference = Some(reference.clone());
    Ok(())
}

/// Claims the call alias of an actor that runs here.
pub(super) async fn claim_alias(node: &Node, registry: &Registry, actor: &ActorIdentity) -> Result<()> {
    let snapshot = node.dispatch.snapshot();
    // An actor without the alias that it was signed with, because another one holds it here, does not claim it.
    let Some(alias) = actor.call_alias.as_ref().filter(|alias| snapshot.aliases.get(*alias) == Some(&actor.key)) else {
        return Ok(());
    };
    match registry.claim_alias(alias, &actor.key).await {
        Err(taken) if taken.kind() == ErrorKind::AliasTaken => {
            log::warn!(actor = &*actor.key; "{actor} cannot be called by its alias on other hosts: {taken}");
            Ok(())
        }
        claimed => claimed.map(drop),
    }
}

/// Stops to follow what the registry holds about a child, and removes the claims of an actor that no host runs any more.
async fn withdraw(node: &Arc<Node>, open: &OpenRegistry, child: &Child, known: &mut Known) -> Result<()> {
    match child {
        Child::Actor(key) => {
            open.interest.remove_actor(key);
            let elsewhere = node.membership.hosts_of(&entity_of(child));
            // Hosts whose inventory is not known may run it.
            let is_last = elsewhere.hosts.is_empty() && elsewhere.is_complete;
            if known.announced.is_some() && is_last {
                let links = links_of(&node.dispatch.snapshot(), key);
                open.registry.remove_claims(key, &links).await?;
                if let Some(alias) = &known.alias {
                    match open.registry.release_alias(alias, key).await {
                        // It was another's all along.
                        Err(error) if error.kind() == ErrorKind::AliasTaken => {}
                        released => drop(released?),
                    }
                }
            }
        }
        Child::Provider(key) => open.interest.remove_provider(&key.id, &key.link_name),
    }
    known.announced = None;
    Ok(())
}

fn links_of(snapshot: &Snapshot, actor: &str) -> Vec<LinkRecord> {
    let links = snapshot.links.values().filter(|link| link.definition.actor_id == actor);
    links.map(|link| record_of(&link.definition)).collect()
}
