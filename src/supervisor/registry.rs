//! What the supervisor knows: children, their order, links, aliases. Rules only, no waiting.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::link::{Link, LinkDefinition, LinkKey, LinkState};
use super::snapshot::{ActorIdentity, ProviderIdentity, ProviderKey, RunningActor, RunningProvider, Snapshot};
use crate::dispatch::resolve::{attested, names_contract};
use crate::entity::{KeyKind, is_key, shorten};
use crate::error::{Error, ErrorKind, Result};

/// How many stopped actors are remembered, to tell "stopped" from "unknown".
const REMEMBERED_STOPS: usize = 10_000;

/// Something that the supervisor starts and stops.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Child {
    Actor(Arc<str>),
    Provider(ProviderKey),
}

impl std::fmt::Display for Child {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Child::Actor(key) => write!(f, "actor {key}"),
            Child::Provider(key) => key.fmt(f),
        }
    }
}

/// Whether children may be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Closing,
}

/// The state of a host.
#[derive(Debug)]
pub(super) struct Registry {
    phase: Phase,
    snapshot: Snapshot,
    /// Children that are being started or stopped: nobody else may do either.
    in_transition: HashSet<Child>,
    /// Running children in the order of their starts.
    order: Vec<Child>,
    /// Keys of stopped actors, the oldest first.
    stops: VecDeque<Arc<str>>,
}

/// Both ends of a link that can be established.
pub(super) struct Ends {
    pub(super) actor: RunningActor,
    pub(super) provider: RunningProvider,
}

impl Registry {
    pub(super) fn new() -> Registry {
        let snapshot = Snapshot { running: true, ..Snapshot::default() };
        let (in_transition, order, stops) = Default::default();
        Registry { phase: Phase::Open, snapshot, in_transition, order, stops }
    }

    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Lets no more children in. Answers an error where that has been done before.
    pub(super) fn close(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.phase, Phase::Closing) {
            Phase::Open => Ok(()),
            Phase::Closing => Err(closing()),
        }
    }

    /// The host does not run any more.
    pub(super) fn end(&mut self) {
        self.snapshot = Snapshot::default();
    }

    pub(super) fn last_started(&self) -> Option<&Child> {
        self.order.last()
    }

    /// Begins to start a child: from now on nobody else can.
    pub(super) fn begin_start(&mut self, child: &Child) -> Result<()> {
        if self.phase == Phase::Closing {
            return Err(closing());
        }
        if self.runs(child) || !self.in_transition.insert(child.clone()) {
            let kind = match child {
                Child::Actor(_) => ErrorKind::ActorAlreadyRunning,
                Child::Provider(_) => ErrorKind::ProviderAlreadyRunning,
            };
            return Err(Error::new(kind, format!("{child} runs already, or is just being started or stopped")));
        }
        Ok(())
    }

    /// Begins to stop a child that runs: from now on nobody else can.
    pub(super) fn begin_stop(&mut self, child: &Child) -> Result<()> {
        if self.runs(child) && self.in_transition.insert(child.clone()) {
            return Ok(());
        }
        let kind = match child {
            Child::Actor(key) if self.snapshot.stopped.contains(key) => ErrorKind::ActorStopped,
            Child::Actor(_) => ErrorKind::ActorNotFound,
            Child::Provider(_) => ErrorKind::ProviderNotFound,
        };
        Err(Error::new(kind, format!("{child} does not run, or is just being started or stopped")))
    }

    /// Ends a start or stop, however it went.
    pub(super) fn end_transition(&mut self, child: &Child) {
        self.in_transition.remove(child);
    }

    /// Takes in an actor that has been made, and its call alias.
    pub(super) fn add_actor(&mut self, actor: RunningActor) -> Result<()> {
        if self.phase == Phase::Closing {
            return Err(closing());
        }
        let key = actor.identity.key.clone();
        if let Some(alias) = self.usable_alias(&actor.identity)? {
            self.snapshot.aliases.insert(alias, key.clone());
        }
        self.snapshot.stopped.remove(&key);
        self.snapshot.actors.insert(key.clone(), actor);
        self.order.push(Child::Actor(key));
        Ok(())
    }

    /// The alias under which an actor can be called: none where it has none or where it could be mistaken for
    /// something else, an error where somebody else has it.
    fn usable_alias(&self, identity: &ActorIdentity) -> Result<Option<Arc<str>>> {
        let Some(alias) = identity.call_alias.clone().filter(|alias| !alias.is_empty()) else { return Ok(None) };
        if names_contract(&self.snapshot, &alias) || is_key(&alias, KeyKind::Actor) {
            log::warn!(
                "{identity} cannot be called by its alias {:?}: it could be mistaken for a contract or a key",
                shorten(&alias)
            );
            return Ok(None);
        }
        match self.snapshot.aliases.get(&alias) {
            Some(holder) if *holder != identity.key => {
                let message = format!("{identity} wants the call alias {:?}, which {holder} holds", shorten(&alias));
                Err(Error::new(ErrorKind::AliasTaken, message))
            }
            _ => Ok(Some(alias)),
        }
    }

    /// Lets go of an actor and its alias: no call begins from now on.
    pub(super) fn take_actor(&mut self, key: &str) -> Option<RunningActor> {
        let actor = self.snapshot.actors.remove(key)?;
        let key = actor.identity.key.clone();
        if let Some(alias) = &actor.identity.call_alias
            && self.snapshot.aliases.get(alias) == Some(&key)
        {
            self.snapshot.aliases.remove(alias);
        }
        self.order.retain(|child| *child != Child::Actor(key.clone()));
        self.remember_stop(key);
        Some(actor)
    }

    fn remember_stop(&mut self, key: Arc<str>) {
        if self.snapshot.stopped.insert(key.clone()).is_none() {
            self.stops.push_back(key);
        }
        if self.stops.len() > REMEMBERED_STOPS
            && let Some(oldest) = self.stops.pop_front()
        {
            self.snapshot.stopped.remove(&oldest);
        }
    }

    pub(super) fn add_provider(&mut self, provider: RunningProvider) -> Result<()> {
        if self.phase == Phase::Closing {
            return Err(closing());
        }
        let identity = provider.identity.clone();
        *self.snapshot.contracts.entry(identity.contract_id.clone()).or_insert(0) += 1;
        self.snapshot.providers.insert(identity.key.clone(), provider);
        self.order.push(Child::Provider(identity.key.clone()));
        Ok(())
    }

    /// Lets go of a provider: no call to it begins from now on.
    pub(super) fn take_provider(&mut self, key: &ProviderKey) -> Option<RunningProvider> {
        let provider = self.snapshot.providers.remove(key)?;
        let contract = &provider.identity.contract_id;
        match self.snapshot.contracts.get_mut(contract) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                self.snapshot.contracts.remove(contract);
            }
        }
        self.order.retain(|child| *child != Child::Provider(key.clone()));
        Some(provider)
    }

    /// Drops a child that could not be stopped in order.
    pub(super) fn forget(&mut self, child: &Child) {
        match child {
            Child::Actor(key) => drop(self.take_actor(key)),
            Child::Provider(key) => drop(self.take_provider(key)),
        }
    }

    /// Both ends of a link, where both run.
    ///
    /// # Errors
    /// Where what runs already rules the link out: the actor is not entitled to the contract, or the provider serves
    /// another one.
    pub(super) fn ends(&self, definition: &LinkDefinition) -> Result<Option<Ends>> {
        let actor = self.snapshot.actors.get(definition.actor_id.as_str());
        if let Some(actor) = actor {
            attested(&actor.identity, &definition.contract_id)?;
        }
        let provider = self.snapshot.providers.get(&(definition.provider_id.as_str(), definition.link_name.as_str()));
        if let Some(provider) = provider {
            serves(&provider.identity, &definition.contract_id)?;
        }
        Ok(actor.zip(provider).map(|(actor, provider)| Ends { actor: actor.clone(), provider: provider.clone() }))
    }

    pub(super) fn link(&self, key: &LinkKey) -> Option<Arc<Link>> {
        self.snapshot.links.get(key).cloned()
    }

    pub(super) fn put_link(&mut self, definition: Arc<LinkDefinition>, state: LinkState) {
        self.snapshot.links.insert(definition.key(), Arc::new(Link { definition, state }));
    }

    pub(super) fn remove_link(&mut self, key: &LinkKey) {
        self.snapshot.links.remove(key);
    }

    /// The links that lead from or to a child.
    pub(super) fn links_of(&self, child: &Child) -> Vec<LinkKey> {
        let concerns = |definition: &LinkDefinition| match child {
            Child::Actor(key) => *definition.actor_id == **key,
            Child::Provider(key) => *definition.provider_id == *key.id && *definition.link_name == *key.link_name,
        };
        let links = self.snapshot.links.iter();
        links.filter(|(_, link)| concerns(&link.definition)).map(|(key, _)| key.clone()).collect()
    }

    fn runs(&self, child: &Child) -> bool {
        match child {
            Child::Actor(key) => self.snapshot.actors.contains_key(key),
            Child::Provider(key) => self.snapshot.providers.contains_key(key),
        }
    }
}

/// Refuses a contract that the provider does not serve.
pub(super) fn serves(provider: &ProviderIdentity, contract: &str) -> Result<()> {
    if provider.contract_id == contract {
        return Ok(());
    }
    let message = format!("{provider} does not serve {:?}", shorten(contract));
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

fn closing() -> Error {
    Error::new(ErrorKind::HostNotRunning, "the host is being stopped, or has been")
}
