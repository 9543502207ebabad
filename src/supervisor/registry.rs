//! The state of the supervisor: children, their order, links and aliases. It holds rules only, and never waits.
//!
//! # Layout
//! - `aliases`: call aliases and their owners
//! - `conditions`: the conditions of children
//! - `expiries`: the expiries of tokens
//! - `links`: links, and the conditions under which they can be established
//! - `providers`: providers and their instances
//! - `remote_actors`: actors of other hosts
//! - `insertion_order`: names in the order of their insertion

mod aliases;
mod conditions;
mod expiries;
mod insertion_order;
mod links;
mod providers;
mod remote_actors;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::Notify;
use wasmcloud_core::entity::WasmCloudEntity;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::health::Health;
use wasmcloud_core::identity::InstanceNumber;
use wasmcloud_core::identity::ProviderKey;

use super::blueprint::{ActorBlueprint, ProviderBlueprint};
use super::restart::{RestartPolicy, Restarts};
use crate::child::Child;
use crate::dispatch::snapshot::{LastCheck, RunningActor, Snapshot};
use crate::event::Subject;
use crate::identity::ActorIdentity;
use crate::instruments::EntityInstruments;
use aliases::AliasOwners;
use expiries::Expiries;
use insertion_order::InsertionOrder;
use links::LinksOf;
pub(super) use links::{LinkEnds, expect_serves};
use providers::StartingInstances;
use remote_actors::RemoteExpiries;

/// The number of stopped actors that are remembered, to tell "stopped" from "unknown".
const REMEMBERED_STOPS: usize = 10_000;

/// The number of a child's start, unique within a host.
pub(super) type StartNumber = u64;

/// A running child, with the number of its start.
#[derive(Debug)]
pub(super) struct StartedChild {
    pub(super) start: StartNumber,
    pub(super) child: Child,
    pub(super) entity: WasmCloudEntity,
}

/// The state of a host.
#[derive(Debug, Default)]
pub(super) struct Registry {
    /// Whether the host is being stopped: no child can start.
    closing: bool,
    snapshot: Snapshot,
    /// The change of each child that is being changed.
    changes: HashMap<Child, Change>,
    /// The aliases of actors that are being started, and the actors.
    reserved_aliases: HashMap<Arc<str>, Arc<str>>,
    /// The actors that are being started, and their aliases.
    reservations: HashMap<Arc<str>, Arc<str>>,
    alias_owners: AliasOwners,
    /// The expiries of running children's tokens.
    expiries: Expiries,
    remote_expiries: RemoteExpiries,
    /// The records of running children.
    records: HashMap<Child, Record>,
    /// Running children in the order of their starts.
    order: BTreeMap<StartNumber, Child>,
    /// The number of starts so far.
    starts: StartNumber,
    /// The keys of `snapshot.stopped`.
    stops: InsertionOrder,
    /// The links of each child that has any, whether it runs or not.
    links: HashMap<Child, LinksOf>,
    /// The instances of providers that are being started.
    starting: StartingInstances,
    /// Notified when the next snapshot is published: a provider or link has changed.
    changed: Vec<Arc<Notify>>,
    /// The children that have started, stopped, begun to stop or got other claims since the last snapshot.
    changed_children: Vec<Child>,
}

/// A change of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It is created, and then runs.
    Start,
    /// It finishes the calls that have reached it, and is then removed.
    Stop,
    /// It is updated, scaled or restarted, and keeps running.
    Replace,
}
/// The record of a running child.
#[derive(Debug)]
struct Record {
    /// The number of its start.
    start: StartNumber,
    restarts: Restarts,
    /// The lost instances that have not been replaced so far.
    lost: HashSet<InstanceNumber>,
    /// The number of crashes in a row of a provider's instances.
    in_a_row: u32,
    blueprint: Blueprint,
}

/// What further instances of a child are created from.
#[derive(Debug)]
enum Blueprint {
    Actor(Arc<ActorBlueprint>),
    Provider(Arc<ProviderBlueprint>),
}

impl Registry {
    pub(super) fn open() -> Registry {
        Registry { snapshot: Snapshot { running: true, ..Snapshot::default() }, ..Registry::default() }
    }

    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Returns the instruments of a running child.
    pub(super) fn instruments(&self, child: &Child) -> Option<&EntityInstruments> {
        match child {
            Child::Actor(key) => self.snapshot.actors.get(key).map(|actor| &actor.instruments),
            Child::Provider(key) => self.snapshot.providers.get(key).map(|provider| &provider.instruments),
        }
    }

    /// Takes what is to be notified once the snapshot is published.
    pub(super) fn take_changed(&mut self) -> Vec<Arc<Notify>> {
        std::mem::take(&mut self.changed)
    }

    /// Takes the children that have started, stopped, begun to stop or got other claims.
    pub(super) fn take_changed_children(&mut self) -> Vec<Child> {
        std::mem::take(&mut self.changed_children)
    }

    /// Closes the registry: no more children can start.
    pub(super) fn close(&mut self) {
        self.closing = true;
    }

    /// Removes everything: the host has stopped.
    pub(super) fn end(&mut self) {
        *self = Registry { closing: true, ..Registry::default() };
    }

    /// Returns the child that was started last, of those that are not being changed.
    pub(super) fn last_started(&self) -> Option<&Child> {
        self.order.values().rev().find(|child| !self.changes.contains_key(child))
    }

    /// Returns whether no change is in progress.
    pub(super) fn is_settled(&self) -> bool {
        self.changes.is_empty()
    }

    /// Begins the start of a child. It excludes other changes of the child.
    pub(super) fn begin_start(&mut self, child: &Child) -> Result<&mut Registry> {
        self.expect_open()?;
        if self.runs(child) || self.changes.contains_key(child) {
            let message = format!("{child} runs already, or is being started or stopped");
            return Err(Error::new(child.runs_already(), message));
        }
        self.changes.insert(child.clone(), Change::Start);
        Ok(self)
    }

    /// Reserves the alias of an actor that is being started.
    pub(super) fn reserve_alias(&mut self, identity: &ActorIdentity) -> Result<()> {
        match self.usable_alias(identity) {
            Ok(None) => Ok(()),
            Ok(Some(alias)) => {
                self.reservations.insert(identity.key.clone(), alias.clone());
                self.reserved_aliases.insert(alias, identity.key.clone());
                Ok(())
            }
            Err(taken) => {
                self.changes.remove(&Child::Actor(identity.key.clone()));
                Err(taken)
            }
        }
    }

    /// Begins the stop of a running child. It excludes other changes of the child, and an actor accepts no new calls.
    pub(super) fn begin_stop(&mut self, child: &Child) -> Result<()> {
        self.begin_change(child, Change::Stop)?;
        if let Child::Actor(key) = child
            && let Some(actor) = self.snapshot.actors.get_mut(key)
        {
            actor.draining = true;
        }
        self.changed_children.push(child.clone());
        Ok(())
    }

    /// Begins the replacement of a running child's instances.
    pub(super) fn begin_replacement(&mut self, child: &Child) -> Result<()> {
        self.expect_open()?;
        self.begin_change(child, Change::Replace)
    }

    fn begin_change(&mut self, child: &Child, change: Change) -> Result<()> {
        if !self.runs(child) || self.changes.contains_key(child) {
            return Err(self.cannot_be_changed(child));
        }
        self.changes.insert(child.clone(), change);
        Ok(())
    }

    /// Returns whether a child is being updated, scaled or restarted.
    pub(super) fn is_being_replaced(&self, child: &Child) -> bool {
        self.changes.get(child) == Some(&Change::Replace)
    }

    /// Ends a change, whatever its outcome.
    pub(super) fn end_change(&mut self, child: &Child) {
        if self.changes.remove(child) == Some(Change::Start)
            && let Child::Actor(key) = child
            && let Some(alias) = self.reservations.remove(key)
        {
            self.reserved_aliases.remove(&alias);
        }
    }

    /// Returns the subject of events about a child, with what is known of it.
    pub(super) fn subject(&self, child: &Child) -> Subject {
        match child {
            Child::Actor(key) => match self.snapshot.actors.get(key) {
                Some(actor) => actor.identity.subject(),
                None => WasmCloudEntity::Actor(key.to_string()).into(),
            },
            Child::Provider(key) => match self.snapshot.providers.get(key) {
                Some(provider) => provider.identity.subject(),
                None => WasmCloudEntity::Capability {
                    id: key.id.to_string(),
                    contract_id: String::new(),
                    link_name: key.link_name.to_string(),
                }
                .into(),
            },
        }
    }

    /// Returns the running children in the order of their starts.
    pub(super) fn children(&self) -> Vec<StartedChild> {
        self.children_after(None, usize::MAX)
    }

    /// Returns up to `most` running children, from the one that was started after `start` on.
    pub(super) fn children_after(&self, start: Option<StartNumber>, most: usize) -> Vec<StartedChild> {
        // The first start has the number 1.
        let later = self.order.range(start.unwrap_or(0) + 1..).take(most);
        let started = |(start, child): (&StartNumber, &Child)| StartedChild {
            start: *start,
            child: child.clone(),
            entity: self.subject(child).entity,
        };
        later.map(started).collect()
    }

    /// Returns the number of a running child's start.
    ///
    /// # Errors
    /// The child does not run, or is a provider of another contract.
    pub(super) fn start_of(&self, child: &Child, entity: &WasmCloudEntity) -> Result<StartNumber> {
        let record = self.records.get(child).ok_or_else(|| self.cannot_be_changed(child))?;
        if let WasmCloudEntity::Capability { contract_id, .. } = entity
            && let Child::Provider(key) = child
            && let Some(provider) = self.snapshot.providers.get(key)
        {
            expect_serves(&provider.identity, contract_id)?;
        }
        Ok(record.start)
    }

    /// Returns the result of the last health check of a child, if there was one. Returns `None` if that start of the child
    /// has ended.
    pub(super) fn last_health(&self, start: StartNumber, child: &Child) -> Option<Option<&Health>> {
        let record = self.records.get(child).filter(|record| record.start == start);
        record.map(|_| self.snapshot.health.get(child).map(|check| &check.health))
    }

    /// Records the health of a running child.
    pub(super) fn record_health(&mut self, child: &Child, health: Health) {
        self.snapshot.health.insert(child.clone(), LastCheck::now(health));
    }

    /// Records that a running child is as it was at its last check.
    pub(super) fn repeat_health(&self, child: &Child) {
        if let Some(check) = self.snapshot.health.get(child) {
            check.repeat();
        }
    }

    /// Registers an actor that has been created, with its call alias.
    pub(super) fn add_actor(&mut self, actor: RunningActor, blueprint: Arc<ActorBlueprint>) -> Result<()> {
        self.expect_open()?;
        let key = actor.identity.key.clone();
        let policy = blueprint.options.restart.unwrap_or_default();
        self.assign_alias(&actor.identity)?;
        if self.snapshot.stopped.remove(&key).is_some() {
            self.stops.remove(&key);
        }
        self.snapshot.actors.insert(key.clone(), actor);
        self.record_expiry(Child::Actor(key.clone()));
        self.record(Child::Actor(key), policy, Blueprint::Actor(blueprint));
        Ok(())
    }

    fn record(&mut self, child: Child, policy: RestartPolicy, blueprint: Blueprint) {
        self.changed_children.push(child.clone());
        self.starts += 1;
        let restarts = Restarts::new(policy);
        let record = Record { start: self.starts, restarts, lost: HashSet::new(), in_a_row: 0, blueprint };
        self.order.insert(record.start, child.clone());
        self.records.insert(child, record);
    }

    /// Replaces the instances of an actor, and perhaps its revision.
    ///
    /// # Errors
    /// `AliasTaken` if another actor holds the call alias of the new revision.
    pub(super) fn replace_actor(&mut self, actor: RunningActor, blueprint: Arc<ActorBlueprint>) -> Result<()> {
        let key = actor.identity.key.clone();
        let before = self.snapshot.actors.get(&key).map(|before| &before.identity);
        // A scaled actor keeps its alias, or stays without one, and its restarts count.
        let is_scaled = before.is_some_and(|before| Arc::ptr_eq(before, &actor.identity));
        if !is_scaled {
            self.assign_alias(&actor.identity)?;
        }
        let child = Child::Actor(key.clone());
        self.remove_expiry(child.clone());
        self.snapshot.actors.insert(key, actor);
        self.record_expiry(child.clone());
        if let Some(record) = self.records.get_mut(&child) {
            if !is_scaled {
                record.restarts = Restarts::new(blueprint.options.restart.unwrap_or_default());
            }
            record.blueprint = Blueprint::Actor(blueprint);
        }
        self.forget_former_instances(&child);
        self.changed_children.push(child);
        Ok(())
    }

    /// Returns what further instances of an actor are created from.
    pub(super) fn actor_blueprint(&self, key: &str) -> Option<Arc<ActorBlueprint>> {
        match &self.records.get(&Child::Actor(key.into()))?.blueprint {
            Blueprint::Actor(blueprint) => Some(blueprint.clone()),
            Blueprint::Provider(_) => None,
        }
    }

    /// Returns what further instances of a provider are created from.
    pub(super) fn provider_blueprint(&self, key: &ProviderKey) -> Option<Arc<ProviderBlueprint>> {
        match &self.records.get(&Child::Provider(key.clone()))?.blueprint {
            Blueprint::Provider(blueprint) => Some(blueprint.clone()),
            Blueprint::Actor(_) => None,
        }
    }

    /// Removes an actor and its alias. Its links wait for its next start.
    pub(super) fn remove_actor(&mut self, key: &str) {
        let Some(key) = self.snapshot.actors.get(key).map(|actor| actor.identity.key.clone()) else { return };
        self.release_alias(&key);
        self.remove_expiry(Child::Actor(key.clone()));
        self.snapshot.actors.remove(&key);
        self.snapshot.stopped.insert(key.clone());
        self.stops.push(key.clone());
        if let Some(oldest) = self.stops.pop_beyond(REMEMBERED_STOPS) {
            self.snapshot.stopped.remove(&oldest);
        }
        self.forget_child(&Child::Actor(key));
    }

    fn forget_child(&mut self, child: &Child) {
        if let Some(record) = self.records.remove(child) {
            self.order.remove(&record.start);
        }
        self.snapshot.health.remove(child);
        self.changed_children.push(child.clone());
        self.suspend_links_of(child, usize::MAX);
    }

    pub(super) fn runs(&self, child: &Child) -> bool {
        match child {
            Child::Actor(key) => self.snapshot.actors.contains_key(key),
            Child::Provider(key) => self.snapshot.providers.contains_key(key),
        }
    }

    fn cannot_be_changed(&self, child: &Child) -> Error {
        let (kind, problem) = match (child, self.changes.get(child)) {
            (_, Some(Change::Start)) => (ErrorKind::Busy, "is being started: try again once it runs"),
            (_, Some(Change::Replace)) => (ErrorKind::Busy, "is being changed: try again later"),
            (Child::Actor(_), Some(Change::Stop)) => (ErrorKind::ActorStopped, "is being stopped already"),
            (Child::Actor(key), None) if self.snapshot.stopped.contains(key) => {
                (ErrorKind::ActorStopped, "was stopped before")
            }
            (Child::Actor(_), None) => (ErrorKind::ActorNotFound, "does not run"),
            (Child::Provider(_), _) => (ErrorKind::ProviderNotFound, "does not run, or is being stopped already"),
        };
        Error::new(kind, format!("{child} {problem}"))
    }

    /// Checks that the host is not being stopped.
    ///
    /// # Errors
    /// `HostNotRunning`.
    pub(super) fn expect_open(&self) -> Result<()> {
        if self.closing {
            return Err(Error::new(ErrorKind::HostNotRunning, "the host is being stopped, or has been"));
        }
        Ok(())
    }
}
