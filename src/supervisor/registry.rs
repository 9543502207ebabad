//! What the supervisor knows: children, their order, links, aliases. Rules only, no waiting.

use std::collections::{HashMap, HashSet, VecDeque};
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

impl Child {
    /// Whether a link leads from or to this child.
    fn is_end_of(&self, definition: &LinkDefinition) -> bool {
        match self {
            Child::Actor(key) => *definition.actor_id == **key,
            Child::Provider(key) => *definition.provider_id == *key.id && *definition.link_name == *key.link_name,
        }
    }
}

impl std::fmt::Display for Child {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Child::Actor(key) => write!(f, "actor {key}"),
            Child::Provider(key) => key.fmt(f),
        }
    }
}

/// The state of a host.
#[derive(Debug, Default)]
pub(super) struct Registry {
    /// Whether no more children are let in.
    closing: bool,
    snapshot: Snapshot,
    starting: HashSet<Child>,
    stopping: HashSet<Child>,
    /// The aliases of actors that are being started, and whose they will be.
    reserved_aliases: HashMap<Arc<str>, Arc<str>>,
    /// Running children in the order of their starts.
    order: Vec<Child>,
    /// The keys of `snapshot.stopped`, the oldest first.
    stops: VecDeque<Arc<str>>,
}

/// Both ends of a link that can be established.
pub(super) struct Ends {
    pub(super) actor: RunningActor,
    pub(super) provider: RunningProvider,
}

impl Registry {
    pub(super) fn open() -> Registry {
        Registry { snapshot: Snapshot { running: true, ..Snapshot::default() }, ..Registry::default() }
    }

    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Lets no more children in.
    pub(super) fn close(&mut self) {
        self.closing = true;
    }

    /// Forgets everything: the host does not run any more.
    pub(super) fn end(&mut self) {
        *self = Registry { closing: true, ..Registry::default() };
    }

    /// The child that was started last, of those that nobody is stopping.
    pub(super) fn last_started(&self) -> Option<&Child> {
        self.order.iter().rev().find(|child| !self.stopping.contains(child))
    }

    /// Whether no start or stop is under way.
    pub(super) fn is_settled(&self) -> bool {
        self.starting.is_empty() && self.stopping.is_empty()
    }

    /// Begins to start a child: from now on nobody else can.
    pub(super) fn begin_start(&mut self, child: &Child) -> Result<&mut Registry> {
        self.expect_open()?;
        if self.runs(child) || !self.starting.insert(child.clone()) {
            let kind = match child {
                Child::Actor(_) => ErrorKind::ActorAlreadyRunning,
                Child::Provider(_) => ErrorKind::ProviderAlreadyRunning,
            };
            return Err(Error::new(kind, format!("{child} runs already, or is just being started or stopped")));
        }
        Ok(self)
    }

    /// Sees to it that the alias of an actor that is being started will be free for it.
    pub(super) fn reserve_alias(&mut self, identity: &ActorIdentity) -> Result<()> {
        match self.usable_alias(identity) {
            Ok(None) => Ok(()),
            Ok(Some(alias)) => {
                self.reserved_aliases.insert(alias, identity.key.clone());
                Ok(())
            }
            Err(taken) => {
                self.starting.remove(&Child::Actor(identity.key.clone()));
                Err(taken)
            }
        }
    }

    /// Begins to stop a child that runs: from now on nobody else can, and an actor takes no new calls.
    pub(super) fn begin_stop(&mut self, child: &Child) -> Result<()> {
        if !self.runs(child) || !self.stopping.insert(child.clone()) {
            return Err(self.does_not_run(child));
        }
        if let Child::Actor(key) = child
            && let Some(actor) = self.snapshot.actors.get_mut(key)
        {
            actor.draining = true;
        }
        Ok(())
    }

    /// Ends a start or stop, however it went.
    pub(super) fn end_transition(&mut self, child: &Child) {
        if self.starting.remove(child)
            && let Child::Actor(key) = child
        {
            self.reserved_aliases.retain(|_, holder| holder != key);
        }
        self.stopping.remove(child);
    }

    /// Takes in an actor that has been made, and its call alias.
    pub(super) fn add_actor(&mut self, actor: RunningActor) -> Result<()> {
        self.expect_open()?;
        let key = actor.identity.key.clone();
        if let Some(alias) = self.usable_alias(&actor.identity)? {
            self.snapshot.aliases.insert(alias, key.clone());
        }
        if self.snapshot.stopped.remove(&key).is_some() {
            self.stops.retain(|stopped| *stopped != key);
        }
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
        match self.snapshot.aliases.get(&alias).or_else(|| self.reserved_aliases.get(&alias)) {
            Some(holder) if *holder != identity.key => {
                let message = format!("{identity} wants the call alias {:?}, which {holder} holds", shorten(&alias));
                Err(Error::new(ErrorKind::AliasTaken, message))
            }
            _ => Ok(Some(alias)),
        }
    }

    /// Lets go of an actor and its alias. Its links wait for its next start.
    pub(super) fn take_actor(&mut self, key: &str) {
        let Some(actor) = self.snapshot.actors.remove(key) else { return };
        let key = actor.identity.key.clone();
        if let Some(alias) = &actor.identity.call_alias
            && self.snapshot.aliases.get(alias) == Some(&key)
        {
            self.snapshot.aliases.remove(alias);
        }
        self.snapshot.stopped.insert(key.clone());
        self.stops.push_back(key.clone());
        if self.stops.len() > REMEMBERED_STOPS
            && let Some(oldest) = self.stops.pop_front()
        {
            self.snapshot.stopped.remove(&oldest);
        }
        self.let_go(&Child::Actor(key));
    }

    pub(super) fn add_provider(&mut self, provider: RunningProvider) -> Result<()> {
        self.expect_open()?;
        let identity = provider.identity.clone();
        *self.snapshot.contracts.entry(identity.contract_id.clone()).or_insert(0) += 1;
        self.snapshot.providers.insert(identity.key.clone(), provider);
        self.order.push(Child::Provider(identity.key.clone()));
        Ok(())
    }

    /// Lets go of a provider. Its links wait for its next start.
    pub(super) fn take_provider(&mut self, key: &ProviderKey) {
        let Some(provider) = self.snapshot.providers.remove(key) else { return };
        let contract = &provider.identity.contract_id;
        match self.snapshot.contracts.get_mut(contract) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                self.snapshot.contracts.remove(contract);
            }
        }
        self.let_go(&Child::Provider(key.clone()));
    }

    fn let_go(&mut self, child: &Child) {
        self.order.retain(|started| started != child);
        for key in self.links_of(child) {
            if let Some(link) = self.link(&key) {
                self.put_link(link.definition.clone(), LinkState::Pending);
            }
        }
    }

    /// Both ends of a link, where both run and neither is being stopped.
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
        let (Some(actor), Some(provider)) = (actor, provider) else { return Ok(None) };
        Ok((!self.is_ending(definition)).then(|| Ends { actor: actor.clone(), provider: provider.clone() }))
    }

    /// Whether an end of a link is just being stopped.
    pub(super) fn is_ending(&self, definition: &LinkDefinition) -> bool {
        self.stopping.iter().any(|child| child.is_end_of(definition))
    }

    pub(super) fn link(&self, key: &LinkKey) -> Option<Arc<Link>> {
        self.snapshot.links.get(key).cloned()
    }

    pub(super) fn put_link(&mut self, definition: Arc<LinkDefinition>, state: LinkState) {
        self.put_link_beside(definition, state, None);
    }

    /// Keeps a link with another definition in effect beside it.
    pub(super) fn put_link_beside(
        &mut self,
        definition: Arc<LinkDefinition>,
        state: LinkState,
        beside: Option<Arc<LinkDefinition>>,
    ) {
        self.snapshot.links.insert(definition.key(), Arc::new(Link { definition, state, beside }));
    }

    pub(super) fn remove_link(&mut self, key: &LinkKey) {
        self.snapshot.links.remove(key);
    }

    /// The links that lead from or to a child.
    pub(super) fn links_of(&self, child: &Child) -> Vec<LinkKey> {
        let links = self.snapshot.links.iter();
        links.filter(|(_, link)| child.is_end_of(&link.definition)).map(|(key, _)| key.clone()).collect()
    }

    fn runs(&self, child: &Child) -> bool {
        match child {
            Child::Actor(key) => self.snapshot.actors.contains_key(key),
            Child::Provider(key) => self.snapshot.providers.contains_key(key),
        }
    }

    fn does_not_run(&self, child: &Child) -> Error {
        let (kind, how) = match child {
            _ if self.starting.contains(child) => (ErrorKind::Busy, "is just being started: stop it when it runs"),
            Child::Actor(_) if self.stopping.contains(child) => (ErrorKind::ActorStopped, "is being stopped already"),
            Child::Actor(key) if self.snapshot.stopped.contains(key) => (ErrorKind::ActorStopped, "was stopped before"),
            Child::Actor(_) => (ErrorKind::ActorNotFound, "does not run"),
            Child::Provider(_) => (ErrorKind::ProviderNotFound, "does not run, or is being stopped already"),
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

/// Refuses a contract that the provider does not serve.
pub(super) fn serves(provider: &ProviderIdentity, contract: &str) -> Result<()> {
    if provider.contract_id == contract {
        return Ok(());
    }
    let message = format!("{provider} does not serve {:?}", shorten(contract));
    Err(Error::new(ErrorKind::InvalidArgument, message))
}
