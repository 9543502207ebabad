//! What the supervisor knows: children, their order, links, aliases. Rules only, no waiting.
//!
//! # Layout
//! - `aliases`: call aliases, and whose they are
//! - `conditions`: how children are
//! - `expiries`: when tokens end
//! - `links`: what is known of links
//! - `providers`: providers and their instances
//! - `recency`: names, the oldest first

mod aliases;
mod conditions;
mod expiries;
mod links;
mod providers;
mod recency;
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
use crate::dispatch::snapshot::{RunningActor, Snapshot};
use crate::event::Subject;
use crate::identity::ActorIdentity;
use aliases::Owners;
use expiries::Expiries;
use links::LinksOf;
pub(super) use links::{Ends, serves};
use providers::Expected;
use recency::Recency;

/// How many stopped actors are remembered, to tell "stopped" from "unknown".
const REMEMBERED_STOPS: usize = 10_000;

/// The number of a child's start: no two starts of a host ever have the same.
pub(super) type Start = u64;

/// The state of a host.
#[derive(Debug, Default)]
pub(super) struct Registry {
    /// Whether no more children are let in.
    closing: bool,
    snapshot: Snapshot,
    /// The children that are being changed, each by one change at a time.
    changes: HashMap<Child, Change>,
    /// The aliases of actors that are being started, and whose they will be.
    reserved_aliases: HashMap<Arc<str>, Arc<str>>,
    /// The same, the other way round.
    reservations: HashMap<Arc<str>, Arc<str>>,
    owners: Owners,
    /// When the tokens of running children end.
    expiries: Expiries,
    /// What is known of running children.
    records: HashMap<Child, Record>,
    /// Running children in the order of their starts.
    order: BTreeMap<Start, Child>,
    /// How many starts there have been.
    starts: Start,
    /// The keys of `snapshot.stopped`.
    stops: Recency,
    /// The links of each child that has any, whether the child runs or not.
    links: HashMap<Child, LinksOf>,
    /// The instances of providers that are being made.
    expected: Expected,
    /// Those who wait for something that has changed since the snapshot was last published.
    changed: Vec<Arc<Notify>>,
}

/// What is being done to a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It is made, and then runs.
    Start,
    /// It finishes what has reached it, and is then gone.
    Stop,
    /// It is updated, scaled or restarted, and runs on.
    Replace,
}

#[derive(Debug)]
struct Record {
    /// The number of its start.
    start: Start,
    restarts: Restarts,
    /// The instances that crashed and have not been replaced so far.
    lost: HashSet<InstanceNumber>,
    /// How many instances of a provider have crashed in a row.
    in_a_row: u32,
    blueprint: Blueprint,
}

/// What further instances of a child are made of.
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

    /// Those who wait for what has changed since this was last asked. They are told once that is published.
    pub(super) fn take_changed(&mut self) -> Vec<Arc<Notify>> {
        std::mem::take(&mut self.changed)
    }

    /// Lets no more children in.
    pub(super) fn close(&mut self) {
        self.closing = true;
    }

    /// Forgets everything: the host does not run any more.
    pub(super) fn end(&mut self) {
        *self = Registry { closing: true, ..Registry::default() };
    }

    /// The child that was started last, of those that nobody is changing.
    pub(super) fn last_started(&self) -> Option<&Child> {
        self.order.values().rev().find(|child| !self.changes.contains_key(child))
    }

    /// Whether no change is under way.
    pub(super) fn is_settled(&self) -> bool {
        self.changes.is_empty()
    }

    /// Begins to start a child: from now on nobody else can.
    pub(super) fn begin_start(&mut self, child: &Child) -> Result<&mut Registry> {
        self.expect_open()?;
        if self.runs(child) || self.changes.contains_key(child) {
            let message = format!("{child} runs already, or is just being started or stopped");
            return Err(Error::new(child.runs_already(), message));
        }
        self.changes.insert(child.clone(), Change::Start);
        Ok(self)
    }

    /// Sees to it that the alias of an actor that is being started will be free for it.
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

    /// Begins to stop a child that runs: from now on nobody else can change it, and an actor takes no new calls.
    pub(super) fn begin_stop(&mut self, child: &Child) -> Result<()> {
        self.begin_change(child, Change::Stop)?;
        if let Child::Actor(key) = child
            && let Some(actor) = self.snapshot.actors.get_mut(key)
        {
            actor.draining = true;
        }
        Ok(())
    }

    /// Begins to replace what a child that runs is made of.
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

    /// Whether a child is just being updated, scaled or restarted.
    pub(super) fn is_being_replaced(&self, child: &Child) -> bool {
        self.changes.get(child) == Some(&Change::Replace)
    }

    /// Ends a change, however it went.
    pub(super) fn end_change(&mut self, child: &Child) {
        if self.changes.remove(child) == Some(Change::Start)
            && let Child::Actor(key) = child
            && let Some(alias) = self.reservations.remove(key)
        {
            self.reserved_aliases.remove(&alias);
        }
    }

    /// What events about a child name that is known, or was.
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

    /// What runs, in the order of the starts.
    pub(super) fn children(&self) -> Vec<(Start, Child, WasmCloudEntity)> {
        self.children_after(None, usize::MAX)
    }

    /// Up to so many of those that run and were started after a start.
    pub(super) fn children_after(&self, start: Option<Start>, most: usize) -> Vec<(Start, Child, WasmCloudEntity)> {
        // The first start has the number 1.
        let later = self.order.range(start.unwrap_or(0) + 1..).take(most);
        later.map(|(start, child)| (*start, child.clone(), self.subject(child).entity)).collect()
    }

    /// The start of a child that runs.
    ///
    /// # Errors
    /// Where it does not run, or is a provider of another contract.
    pub(super) fn start_of(&self, child: &Child, entity: &WasmCloudEntity) -> Result<Start> {
        let record = self.records.get(child).ok_or_else(|| self.cannot_be_changed(child))?;
        if let WasmCloudEntity::Capability { contract_id, .. } = entity
            && let Child::Provider(key) = child
            && let Some(provider) = self.snapshot.providers.get(key)
        {
            serves(&provider.identity, contract_id)?;
        }
        Ok(record.start)
    }

    /// How a child was when it was last asked, if it was; nothing at all where it does not run since that start any more.
    pub(super) fn last_health(&self, start: Start, child: &Child) -> Option<Option<&Health>> {
        let record = self.records.get(child).filter(|record| record.start == start);
        record.map(|_| self.snapshot.health.get(child))
    }

    /// Takes note of how a child that runs answered.
    pub(super) fn note_health(&mut self, child: &Child, health: Health) {
        self.snapshot.health.insert(child.clone(), health);
    }

    /// Takes in an actor that has been made, and its call alias.
    pub(super) fn add_actor(&mut self, actor: RunningActor, blueprint: Arc<ActorBlueprint>) -> Result<()> {
        self.expect_open()?;
        let key = actor.identity.key.clone();
        let policy = blueprint.options.restart.unwrap_or_default();
        self.give_alias(&actor.identity)?;
        if self.snapshot.stopped.remove(&key).is_some() {
            self.stops.remove(&key);
        }
        self.snapshot.actors.insert(key.clone(), actor);
        self.note_expiry(Child::Actor(key.clone()));
        self.record(Child::Actor(key), policy, Blueprint::Actor(blueprint));
        Ok(())
    }

    fn record(&mut self, child: Child, policy: RestartPolicy, blueprint: Blueprint) {
        self.starts += 1;
        let restarts = Restarts::new(policy);
        let record = Record { start: self.starts, restarts, lost: HashSet::new(), in_a_row: 0, blueprint };
        self.order.insert(record.start, child.clone());
        self.records.insert(child, record);
    }

    /// Puts other instances, and perhaps another revision, in the place of an actor's.
    ///
    /// # Errors
    /// `AliasTaken` where another actor has the call alias of the new revision.
    pub(super) fn replace_actor(&mut self, actor: RunningActor, blueprint: Arc<ActorBlueprint>) -> Result<()> {
        let key = actor.identity.key.clone();
        let before = self.snapshot.actors.get(&key).map(|before| &before.identity);
        // One that is scaled keeps its alias, or goes on without one.
        if !before.is_some_and(|before| Arc::ptr_eq(before, &actor.identity)) {
            self.give_alias(&actor.identity)?;
        }
        let child = Child::Actor(key.clone());
        self.forget_expiry(child.clone());
        self.snapshot.actors.insert(key, actor);
        self.note_expiry(child.clone());
        if let Some(record) = self.records.get_mut(&child) {
            record.blueprint = Blueprint::Actor(blueprint);
        }
        self.forget_former(&child);
        Ok(())
    }

    /// Returns what further instances of an actor are made of.
    pub(super) fn actor_blueprint(&self, key: &str) -> Option<Arc<ActorBlueprint>> {
        match &self.records.get(&Child::Actor(key.into()))?.blueprint {
            Blueprint::Actor(blueprint) => Some(blueprint.clone()),
            Blueprint::Provider(_) => None,
        }
    }

    /// Returns what a provider is restarted from.
    pub(super) fn provider_blueprint(&self, key: &ProviderKey) -> Option<Arc<ProviderBlueprint>> {
        match &self.records.get(&Child::Provider(key.clone()))?.blueprint {
            Blueprint::Provider(blueprint) => Some(blueprint.clone()),
            Blueprint::Actor(_) => None,
        }
    }

    /// Lets go of an actor and its alias. Its links wait for its next start.
    pub(super) fn take_actor(&mut self, key: &str) {
        let Some(key) = self.snapshot.actors.get(key).map(|actor| actor.identity.key.clone()) else { return };
        self.release_alias(&key);
        self.forget_expiry(Child::Actor(key.clone()));
        self.snapshot.actors.remove(&key);
        self.snapshot.stopped.insert(key.clone());
        self.stops.note(key.clone());
        if let Some(oldest) = self.stops.forget_beyond(REMEMBERED_STOPS) {
            self.snapshot.stopped.remove(&oldest);
        }
        self.let_go(&Child::Actor(key));
    }

    fn let_go(&mut self, child: &Child) {
        if let Some(record) = self.records.remove(child) {
            self.order.remove(&record.start);
        }
        self.snapshot.health.remove(child);
        self.suspend_links_of(child, usize::MAX);
    }

    fn runs(&self, child: &Child) -> bool {
        match child {
            Child::Actor(key) => self.snapshot.actors.contains_key(key),
            Child::Provider(key) => self.snapshot.providers.contains_key(key),
        }
    }

    fn cannot_be_changed(&self, child: &Child) -> Error {
        let (kind, how) = match (child, self.changes.get(child)) {
            (_, Some(Change::Start)) => (ErrorKind::Busy, "is just being started: try again when it runs"),
            (_, Some(Change::Replace)) => (ErrorKind::Busy, "is just being changed: try again when that is done"),
            (Child::Actor(_), Some(Change::Stop)) => (ErrorKind::ActorStopped, "is being stopped already"),
            (Child::Actor(key), None) if self.snapshot.stopped.contains(key) => {
                (ErrorKind::ActorStopped, "was stopped before")
            }
            (Child::Actor(_), None) => (ErrorKind::ActorNotFound, "does not run"),
            (Child::Provider(_), _) => (ErrorKind::ProviderNotFound, "does not run, or is being stopped already"),
        };
        Error::new(kind, format!("{child} {how}"))
    }

    /// Refuses what a host that is being stopped does not do any more.
    pub(super) fn expect_open(&self) -> Result<()> {
        if self.closing {
            return Err(Error::new(ErrorKind::HostNotRunning, "the host is being stopped, or has been"));
        }
        Ok(())
    }
}
