//! The expected outcomes of commands, in the shortest description.

use std::collections::{BTreeMap, BTreeSet};

use wasmcloud_host::ErrorKind;

use super::command::{ACTORS, Command, PORTS, PROVIDERS, Port, Release, WRONG, Wish, port_of};

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// A provider's answer to an actor.
    Answer(String),
    /// An actor was told that its call failed.
    NoAnswer,
    Failed(ErrorKind),
}

/// All that can be seen of a host from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    pub(super) actors: BTreeMap<usize, ActorView>,
    /// Those that run, and whether they have failed.
    pub(super) providers: BTreeMap<usize, bool>,
    pub(super) links: BTreeMap<(usize, Port), (Wish, Stage)>,
    /// What each provider believes to be bound to, and what it was told last.
    pub(super) beliefs: [BTreeMap<usize, u8>; PROVIDERS],
    /// What came of a call to each actor, by its key.
    pub(super) calls: BTreeMap<usize, Outcome>,
    /// What came of a call by the alias that two actors want.
    pub(super) alias: Outcome,
    /// What came of the calls of running actors over each link name and contract.
    pub(super) asked: BTreeMap<(usize, Port), Outcome>,
    /// What came of calls from providers to the actors that they were ever bound to.
    pub(super) called_back: BTreeMap<(usize, usize), Outcome>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ActorView {
    pub(super) release: Release,
    pub(super) instances: usize,
    pub(super) failed: bool,
}

/// How far a link has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Pending,
    Established,
    Refused,
}

/// What a command leads to.
pub(super) struct Expected {
    pub(super) outcome: Outcome,
    /// The events, sorted.
    pub(super) told: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
struct Actor {
    view: ActorView,
    temporary: bool,
}

#[derive(Debug, Clone, Default)]
struct Provider {
    failed: bool,
    temporary: bool,
    bound: BTreeMap<usize, u8>,
}

/// A host as it ought to be.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    strict: bool,
    actors: [Option<Actor>; ACTORS],
    ran: [bool; ACTORS],
    providers: [Option<Provider>; PROVIDERS],
    links: BTreeMap<(usize, Port), (Wish, Stage)>,
    /// Actors and the providers that were ever bound to them.
    met: BTreeSet<(usize, usize)>,
    /// The running children, in the order of their starts.
    order: Vec<String>,
    told: Vec<String>,
}

pub(super) fn actor_name(actor: usize) -> String {
    format!("actor {actor}")
}

pub(super) fn provider_name(provider: usize) -> String {
    format!("provider {provider}")
}

impl Model {
    pub(super) fn new(strict: bool) -> Model {
        Model { strict, ..Model::default() }
    }

    pub(super) fn apply(&mut self, command: &Command) -> Expected {
        let outcome = match *command {
            Command::StartActor { actor, release, temporary } => done(self.start_actor(actor, release, temporary)),
            Command::StopActor(actor) => done(self.stop_actor(actor)),
            Command::Update { actor, release } => done(self.update(actor, release)),
            Command::Scale { actor, instances } => done(self.scale(actor, instances)),
            Command::Trap(actor) => self.trap(actor),
            Command::Call(actor) => done(self.can_call(actor)),
            Command::StartProvider { provider, temporary } => done(self.start_provider(provider, temporary)),
            Command::StopProvider(provider) => done(self.stop_provider(provider)),
            Command::SetLink { actor, port, wish } => done(self.set_link(actor, port, wish)),
            Command::RemoveLink { actor, port } => done(self.remove_link(actor, port)),
            Command::Ask { actor, port } => self.ask(actor, port),
            Command::Panic { actor, port } => self.panic(actor, port),
        };
        let mut told = std::mem::take(&mut self.told);
        told.sort();
        Expected { outcome, told }
    }

    /// Stops the host. What is told, in order.
    pub(super) fn stop(self) -> Vec<String> {
        let stopped = self.order.into_iter().rev().map(|child| format!("{child}: stopped"));
        stopped.chain(["host: stopped".to_owned()]).collect()
    }

    pub(super) fn view(&self) -> View {
        let actors = (0..ACTORS).filter_map(|actor| Some((actor, self.actors[actor]?.view)));
        let providers = (0..PROVIDERS).filter_map(|index| Some((index, self.providers[index].as_ref()?.failed)));
        let alias = match [0, 1].into_iter().find(|actor| self.actors[*actor].is_some()) {
            Some(holder) => done(self.can_call(holder)),
            None => Outcome::Failed(ErrorKind::ActorNotFound),
        };
        let ports = |actor| PORTS.map(move |port| (actor, port));
        let alive = (0..ACTORS).filter(|actor| self.can_call(*actor).is_ok());
        View {
            actors: actors.collect(),
            providers: providers.collect(),
            links: self.links.clone(),
            beliefs: self
                .providers
                .each_ref()
                .map(|one| one.as_ref().map_or_else(BTreeMap::new, |one| one.bound.clone())),
            calls: (0..ACTORS).map(|actor| (actor, done(self.can_call(actor)))).collect(),
            alias,
            asked: alive.flat_map(ports).map(|(actor, port)| ((actor, port), self.ask(actor, port))).collect(),
            called_back: self.met.iter().map(|met| (*met, done(self.can_call_back(*met)))).collect(),
        }
    }

    fn tell(&mut self, who: &str, what: &str) {
        self.told.push(format!("{who}: {what}"));
    }

    fn start_actor(&mut self, actor: usize, release: Release, temporary: bool) -> Result<(), ErrorKind> {
        if self.actors[actor].is_some_and(|actor| actor.view.failed) {
            self.stop_actor(actor)?;
        }
        if self.actors[actor].is_some() {
            return Err(ErrorKind::ActorAlreadyRunning);
        }
        if actor < 2 && self.actors[1 - actor].is_some() {
            return Err(ErrorKind::AliasTaken);
        }
        let view = ActorView { release, instances: 1, failed: false };
        self.actors[actor] = Some(Actor { view, temporary });
        self.ran[actor] = true;
        self.order.push(actor_name(actor));
        self.tell(&actor_name(actor), "started");
        self.establish_where(|(one, _), _| one == actor);
        Ok(())
    }

    fn stop_actor(&mut self, actor: usize) -> Result<(), ErrorKind> {
        self.expect_actor(actor)?;
        for provider in self.providers.iter_mut().flatten() {
            provider.bound.remove(&actor);
        }
        self.suspend_where(|(one, _), _| one == actor);
        self.actors[actor] = None;
        self.gone(&actor_name(actor));
        Ok(())
    }

    fn gone(&mut self, child: &str) {
        self.order.retain(|one| one != child);
        self.tell(child, "stopped");
    }

    fn update(&mut self, actor: usize, release: Release) -> Result<(), ErrorKind> {
        let updated = self.try_update(actor, release);
        if updated.is_err() {
            self.tell(&actor_name(actor), "update refused");
        }
        updated
    }

    fn try_update(&mut self, actor: usize, release: Release) -> Result<(), ErrorKind> {
        let before = self.expect_actor(actor)?.release;
        if release.revision <= before.revision || (self.strict && release.claimed != before.claimed) {
            return Err(ErrorKind::UpdateRefused);
        }
        if let Some(actor) = &mut self.actors[actor] {
            (actor.view.release, actor.view.failed) = (release, false);
        }
        self.tell(&actor_name(actor), &format!("updated from {} to {}", before.revision, release.revision));
        if release.claimed != before.claimed {
            for (key, (wish, stage)) in self.links.clone() {
                if key.0 == actor && stage == Stage::Established && !release.claimed.include(key.1) {
                    self.release(actor, wish.provider);
                    self.links.insert(key, (wish, Stage::Pending));
                }
            }
            self.establish_where(|(one, _), _| one == actor);
        }
        Ok(())
    }

    fn scale(&mut self, actor: usize, instances: usize) -> Result<(), ErrorKind> {
        self.expect_actor(actor)?;
        if let Some(actor) = &mut self.actors[actor] {
            actor.view.instances = instances;
        }
        self.tell(&actor_name(actor), &format!("scaled to {instances}"));
        Ok(())
    }

    fn trap(&mut self, actor: usize) -> Outcome {
        if let Err(refusal) = self.can_call(actor) {
            return Outcome::Failed(refusal);
        }
        self.tell(&actor_name(actor), "crashed");
        if let Some(Actor { view, temporary }) = &mut self.actors[actor] {
            view.failed = *temporary;
            let after = if *temporary { "failed" } else { "restarted" };
            self.tell(&actor_name(actor), after);
        }
        Outcome::Failed(ErrorKind::ActorTrapped)
    }

    fn expect_actor(&self, actor: usize) -> Result<ActorView, ErrorKind> {
        match self.actors[actor] {
            Some(actor) => Ok(actor.view),
            None if self.ran[actor] => Err(ErrorKind::ActorStopped),
            None => Err(ErrorKind::ActorNotFound),
        }
    }

    fn can_call(&self, actor: usize) -> Result<(), ErrorKind> {
        match self.expect_actor(actor)?.failed {
            true => Err(ErrorKind::ChildFailed),
            false => Ok(()),
        }
    }

    fn start_provider(&mut self, provider: usize, temporary: bool) -> Result<(), ErrorKind> {
        if self.providers[provider].as_ref().is_some_and(|provider| provider.failed) {
            self.stop_provider(provider)?;
        }
        if self.providers[provider].is_some() {
            return Err(ErrorKind::ProviderAlreadyRunning);
        }
        self.providers[provider] = Some(Provider { temporary, ..Provider::default() });
        self.order.push(provider_name(provider));
        self.tell(&provider_name(provider), "started");
        self.establish_where(|(_, port), wish| leads_to(port, wish, provider));
        Ok(())
    }

    fn stop_provider(&mut self, provider: usize) -> Result<(), ErrorKind> {
        self.providers[provider].take().ok_or(ErrorKind::ProviderNotFound)?;
        self.suspend_where(|(_, port), wish| leads_to(port, wish, provider));
        self.gone(&provider_name(provider));
        Ok(())
    }

    fn set_link(&mut self, actor: usize, port: Port, wish: Wish) -> Result<(), ErrorKind> {
        let key = (actor, port);
        let both_run = self.ends(key, wish)?;
        let before = self.links.get(&key).copied();
        let established = before.filter(|(_, stage)| *stage == Stage::Established).map(|(wish, _)| wish.provider);
        if both_run {
            self.bind(key, wish)?;
        }
        if let Some(former) = established.filter(|former| !both_run || *former != wish.provider) {
            self.release(actor, former);
        }
        self.links.insert(key, (wish, if both_run { Stage::Established } else { Stage::Pending }));
        Ok(())
    }

    fn remove_link(&mut self, actor: usize, port: Port) -> Result<(), ErrorKind> {
        let (wish, stage) = self.links.remove(&(actor, port)).ok_or(ErrorKind::NotLinked)?;
        if stage == Stage::Established {
            self.release(actor, wish.provider);
        }
        self.tell(&actor_name(actor), &format!("unlinked {port}"));
        Ok(())
    }

    /// Whether both ends of a link run, and the provider has not failed.
    fn ends(&self, (actor, port): (usize, Port), wish: Wish) -> Result<bool, ErrorKind> {
        let actor = self.actors[actor];
        if actor.is_some_and(|actor| !actor.view.release.claimed.include(port)) {
            return Err(ErrorKind::CapabilityDenied);
        }
        let provider = self.providers[wish.provider].as_ref().filter(|_| runs_under(port, wish.provider));
        if provider.is_some() && port == WRONG {
            return Err(ErrorKind::InvalidArgument);
        }
        Ok(actor.is_some() && provider.is_some_and(|provider| !provider.failed))
    }

    fn bind(&mut self, (actor, port): (usize, Port), wish: Wish) -> Result<(), ErrorKind> {
        if wish.refused {
            self.tell(&actor_name(actor), &format!("link refused {port}"));
            return Err(ErrorKind::LinkRefused);
        }
        if let Some(provider) = &mut self.providers[wish.provider] {
            provider.bound.insert(actor, wish.value);
        }
        self.met.insert((wish.provider, actor));
        self.tell(&actor_name(actor), &format!("linked {port} to {}", provider_name(wish.provider)));
        Ok(())
    }

    fn release(&mut self, actor: usize, provider: usize) {
        if let Some(provider) = &mut self.providers[provider] {
            provider.bound.remove(&actor);
        }
    }

    fn suspend_where(&mut self, matches: impl Fn((usize, Port), Wish) -> bool) {
        for (key, (wish, stage)) in &mut self.links {
            if matches(*key, *wish) {
                *stage = Stage::Pending;
            }
        }
    }

    fn establish_where(&mut self, matches: impl Fn((usize, Port), Wish) -> bool) {
        for (key, (wish, stage)) in self.links.clone() {
            if !matches(key, wish) || stage == Stage::Established {
                continue;
            }
            let stage = match self.ends(key, wish) {
                Ok(false) => Stage::Pending,
                Ok(true) if self.bind(key, wish).is_ok() => Stage::Established,
                Ok(true) => Stage::Refused,
                Err(_) => {
                    self.tell(&actor_name(key.0), &format!("link refused {}", key.1));
                    Stage::Refused
                }
            };
            self.links.insert(key, (wish, stage));
        }
    }

    /// The provider that an actor's call over a link reaches.
    fn reaches(&self, actor: usize, port: Port) -> Option<usize> {
        self.can_call(actor).ok()?;
        let (wish, stage) = self.links.get(&(actor, port))?;
        let provider = self.providers[wish.provider].as_ref()?;
        (*stage == Stage::Established && !provider.failed).then_some(wish.provider)
    }

    fn ask(&self, actor: usize, port: Port) -> Outcome {
        match (self.can_call(actor), self.reaches(actor, port)) {
            (Err(refusal), _) => Outcome::Failed(refusal),
            (Ok(()), Some(provider)) => Outcome::Answer(provider_name(provider)),
            (Ok(()), None) => Outcome::NoAnswer,
        }
    }

    fn panic(&mut self, actor: usize, port: Port) -> Outcome {
        let Some(provider) = self.reaches(actor, port) else { return self.ask(actor, port) };
        self.tell(&provider_name(provider), "crashed");
        if let Some(running) = &mut self.providers[provider] {
            if running.temporary {
                running.failed = true;
                running.bound.clear();
                self.tell(&provider_name(provider), "failed");
                self.suspend_where(|(_, port), wish| leads_to(port, wish, provider));
            } else {
                running.bound.clear();
                self.tell(&provider_name(provider), "restarted");
                self.suspend_where(|(_, port), wish| leads_to(port, wish, provider));
                self.establish_where(|(_, port), wish| leads_to(port, wish, provider));
            }
        }
        Outcome::NoAnswer
    }

    fn can_call_back(&self, (provider, actor): (usize, usize)) -> Result<(), ErrorKind> {
        self.can_call(actor)?;
        let link = self.links.get(&(actor, port_of(provider)));
        match link {
            Some((wish, Stage::Established)) if wish.provider == provider => Ok(()),
            _ => Err(ErrorKind::NotLinked),
        }
    }
}

/// Whether a provider runs under the link name of a port, if it runs.
fn runs_under(port: Port, provider: usize) -> bool {
    port_of(provider).link_name == port.link_name
}

fn leads_to(port: Port, wish: Wish, provider: usize) -> bool {
    wish.provider == provider && runs_under(port, provider)
}

pub(super) fn done(result: Result<(), ErrorKind>) -> Outcome {
    result.map_or_else(Outcome::Failed, |()| Outcome::Done)
}
