//! What a host tells about itself: its summary, and pages of its inventory.

use std::time::Instant;

use wasmcloud_control::message::{EntityEntry, HostLimits, HostSummary, InventoryPage, PageRequest};
use wasmcloud_core::identity::ProviderKey;

use crate::child::{Child, ChildState};
use crate::host::{ActorInventory, Host, Inventory, ProviderInventory};
use crate::lattice::{Lattice, health_text};

/// The entries of a page, and the most that may be requested.
const DEFAULT_PAGE: usize = 1_000;
const LARGEST_PAGE: usize = 10_000;

pub(super) fn summary(host: &Host, started: Instant) -> HostSummary {
    let snapshot = host.0.dispatch.snapshot();
    let lattice = host.joined_lattice();
    HostSummary {
        id: host.id(),
        uptime: started.elapsed().as_secs(),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        labels: host.0.labels.all().into_iter().collect(),
        cordoned: lattice.is_some_and(Lattice::is_cordoned),
        actors: Some(snapshot.actors.len()),
        providers: Some(snapshot.providers.len()),
        links: Some(snapshot.links.len()),
        known_hosts: lattice.map(Lattice::hosts_up),
        known_hosts_of_2021: lattice.map_or(0, Lattice::hosts_of_2021),
    }
}

/// Returns a page of the inventory. The service shortens it to the size of a message.
pub(super) fn page(host: &Host, started: Instant, request: &PageRequest) -> InventoryPage {
    let lattice = host.joined_lattice();
    // Read before the inventory: a change in between shows as another revision of the next page.
    let revision = lattice.map_or(0, Lattice::inventory_revision);
    let Inventory { actors, providers, .. } = Inventory::of(&host.0.dispatch.snapshot());
    let total = actors.len() + providers.len();
    let restarts = |child: Child| lattice.map_or(0, |lattice| lattice.restarts_of(&child));
    let limit = request.limit.unwrap_or(DEFAULT_PAGE).clamp(1, LARGEST_PAGE);
    let beyond_actors = request.offset.saturating_sub(actors.len());
    let actors = actors.into_iter().skip(request.offset).map(|actor| {
        let restarts = restarts(Child::Actor(actor.key.as_str().into()));
        actor_entry(actor, restarts)
    });
    let providers = providers.into_iter().skip(beyond_actors).map(|provider| {
        let restarts = restarts(Child::Provider(ProviderKey::new(&provider.id, &provider.link_name)));
        provider_entry(provider, restarts)
    });
    let entries = actors.chain(providers).take(limit).collect();
    InventoryPage {
        host_id: host.id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime: started.elapsed().as_secs(),
        labels: host.0.labels.all().into_iter().collect(),
        cordoned: lattice.is_some_and(Lattice::is_cordoned),
        limits: limits(host),
        revision,
        total,
        next: None,
        entries,
    }
}

fn limits(host: &Host) -> HostLimits {
    let limits = host.0.configuration.limits;
    HostLimits {
        memory_bytes: limits.memory_bytes,
        message_bytes: limits.message_bytes,
        module_bytes: limits.module_bytes,
        call_deadline_ms: u64::try_from(limits.call_deadline.as_millis()).unwrap_or(u64::MAX),
        calls_in_flight: limits.calls_in_flight,
    }
}

fn actor_entry(actor: ActorInventory, restarts: u64) -> EntityEntry {
    let (state, reason) = state(actor.state);
    EntityEntry {
        kind: "actor".to_owned(),
        id: actor.key,
        name: Some(actor.name),
        image_ref: actor.image_ref,
        image_digest: actor.image_digest,
        revision: actor.revision,
        state,
        reason,
        health: actor.health.as_ref().map(health_text),
        restarts,
        instances: Some(actor.instances),
        calls: Some(actor.calls),
        call_alias: actor.call_alias,
        ..EntityEntry::default()
    }
}

fn provider_entry(provider: ProviderInventory, restarts: u64) -> EntityEntry {
    let (state, reason) = state(provider.state);
    EntityEntry {
        kind: "provider".to_owned(),
        id: provider.id,
        name: Some(provider.name),
        image_ref: provider.image_ref,
        image_digest: provider.image_digest,
        revision: provider.revision,
        state,
        reason,
        health: provider.health.as_ref().map(health_text),
        restarts,
        contract_id: Some(provider.contract_id),
        link_name: Some(provider.link_name),
        ..EntityEntry::default()
    }
}

/// Returns the name of a state, and its reason.
fn state(state: ChildState) -> (String, Option<String>) {
    let (name, reason) = match state {
        ChildState::Running => ("running", None),
        ChildState::Restarting { attempt } => ("restarting", Some(format!("attempt {attempt}"))),
        ChildState::Failed { reason } => ("failed", Some(reason)),
        ChildState::Expired => ("expired", None),
        ChildState::Distrusted { reason } => ("distrusted", Some(reason)),
        ChildState::Stopping => ("stopping", None),
    };
    (name.to_owned(), reason)
}
