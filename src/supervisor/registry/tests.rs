//! The invariants of a registry hold after any sequence of changes.

mod links;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use actix::AsyncContext;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use wasmcloud_claims::jwt::{self, Claims};
use wasmcloud_core::identity::ProviderKey;
use wasmcloud_core::limits::Limits;
use wasmcloud_engine::{CodeReservation, CompiledModule, MappingBudget};
use wasmcloud_provider::ProviderDescriptor;
use wasmcloud_providers::HttpServer;

use super::*;
use crate::actor::GuestActor;
use crate::dispatch::call_limiter::{HostLimiter, InstanceLimiter};
use crate::dispatch::instances::Instances;
use crate::dispatch::latency::LatencyEstimate;
use crate::dispatch::mailbox::{InstanceThread, Mailbox, MailboxConfig};
use crate::dispatch::provider_mailbox::ProviderMailbox;
use crate::dispatch::snapshot::{Condition, RunningProvider};
use crate::identity::ProviderIdentity;
use crate::instruments::{EntityInstruments, Instruments};
use crate::lifecycle::Verdict;
use crate::link::{LinkDefinition, LinkState};
use crate::provider::ProviderActor;
use crate::shard::Shards;
use crate::supervisor::blueprint::{ActorBlueprint, ProviderBlueprint};
use crate::supervisor::placement::ActorOptions;

const ACTORS: [&str; 3] = ["MA", "MB", "MC"];
const PROVIDERS: [&str; 3] = ["VA", "VB", "VC"];
/// The contracts of the providers, one each. The last of them could be a call alias by its form.
const CONTRACTS: [&str; 3] = ["test:one", "test:two", "three"];
const ALIASES: [Option<&str>; 5] = [None, Some("one"), Some("two"), Some("three"), Some("test:one")];

fn no_instruments() -> EntityInstruments {
    Instruments::off().actor(&"MA".into())
}

/// A step of a sequence. A child is an actor or a provider, by its index in the list.
#[derive(Debug, Clone)]
enum Step {
    BeginStart {
        actor: bool,
        child: usize,
        alias: usize,
    },
    BeginStop {
        actor: bool,
        child: usize,
    },
    BeginReplacement {
        actor: bool,
        child: usize,
    },
    /// The child's change in progress ends, or fails.
    Finish {
        actor: bool,
        child: usize,
        alias: usize,
        instances: usize,
        fails: bool,
    },
    Crash {
        actor: bool,
        child: usize,
        former: bool,
        in_a_row: u32,
        chance: f64,
    },
    Interrupt {
        child: usize,
        former: bool,
    },
    Recover {
        actor: bool,
        child: usize,
        former: bool,
    },
    PutLink {
        actor: usize,
        provider: usize,
        contract: usize,
        state: usize,
        overlapping: bool,
    },
    RemoveLink {
        actor: usize,
        contract: usize,
    },
    NoteHealth {
        actor: bool,
        child: usize,
    },
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let child = || (any::<bool>(), 0..ACTORS.len());
    let step = prop_oneof![
        5 => (child(), 0..ALIASES.len()).prop_map(|((actor, child), alias)| Step::BeginStart { actor, child, alias }),
        2 => child().prop_map(|(actor, child)| Step::BeginStop { actor, child }),
        2 => child().prop_map(|(actor, child)| Step::BeginReplacement { actor, child }),
        9 => (child(), 0..ALIASES.len(), 1..4_usize, prop::bool::weighted(0.2)).prop_map(
            |((actor, child), alias, instances, fails)| Step::Finish { actor, child, alias, instances, fails }
        ),
        6 => (child(), any::<bool>(), 1..6_u32, 0.0..=1.0).prop_map(
            |((actor, child), former, in_a_row, chance)| Step::Crash { actor, child, former, in_a_row, chance }
        ),
        2 => (0..ACTORS.len(), any::<bool>()).prop_map(|(child, former)| Step::Interrupt { child, former }),
        4 => (child(), any::<bool>()).prop_map(|((actor, child), former)| Step::Recover { actor, child, former }),
        4 => (0..3_usize, 0..3_usize, 0..3_usize, 0..5_usize, any::<bool>()).prop_map(
            |(actor, provider, contract, state, overlapping)| Step::PutLink { actor, provider, contract, state, overlapping }
        ),
        1 => (0..3_usize, 0..3_usize).prop_map(|(actor, contract)| Step::RemoveLink { actor, contract }),
        2 => child().prop_map(|(actor, child)| Step::NoteHealth { actor, child }),
    ];
    // A host is closed once, if at all, and lives on for a while.
    (prop::collection::vec(step, 0..120), prop::option::weighted(0.3, 0..120_usize)).prop_map(|(mut steps, close)| {
        if let Some(place) = close.filter(|place| *place < steps.len()) {
            steps.insert(place, Step::Close);
        }
        steps
    })
}

/// A registry, and what its children are created from.
struct World {
    registry: Registry,
    shards: Shards,
    module: CompiledModule,
    instances: usize,
    begin: Instant,
    steps: u32,
}

impl World {
    async fn new() -> World {
        let bytes = include_bytes!("../../../fixtures/guests/tiny_echo.wasm");
        let reservation = CodeReservation::new(MappingBudget::new(Some(100))).unwrap();
        let module = CompiledModule::compile(bytes, &Limits::new(), reservation).unwrap();
        let shards = Shards::start(1).await.unwrap();
        World { registry: Registry::open(), shards, module, instances: 0, begin: Instant::now(), steps: 0 }
    }

    fn next_instance(&mut self) -> InstanceNumber {
        self.instances += 1;
        InstanceNumber(self.instances)
    }

    fn identity(&self, key: &str, alias: Option<&str>, capabilities: &[&str]) -> Arc<ActorIdentity> {
        let metadata = jwt::Actor {
            caps: Some(capabilities.iter().map(|&contract| contract.to_owned()).collect()),
            call_alias: alias.map(str::to_owned),
            ..jwt::Actor::default()
        };
        let mut claims = Claims::default();
        (claims.subject, claims.metadata) = (key.to_owned(), Some(metadata));
        Arc::new(ActorIdentity::new(Arc::new(claims), "".into()))
    }

    /// Returns an actor whose claims include all contracts but the last one.
    fn actor(&mut self, key: &str, alias: Option<&str>, instances: usize) -> (RunningActor, Arc<ActorBlueprint>) {
        let near = self.shards.current_or_next();
        let mailboxes = (0..instances).map(|_| {
            let address: actix::Addr<GuestActor> = actix::Context::new().address();
            let config = MailboxConfig {
                actor: key,
                number: self.next_instance(),
                thread: InstanceThread::Shard(self.shards.shard(near).clone()),
                shutdown: Arc::default(),
                latency: LatencyEstimate::new(),
                limiter: InstanceLimiter::new(1),
                host: &HostLimiter::new(1),
            };
            Mailbox::new(address, config)
        });
        let instances = Instances::new(mailboxes.collect());
        let (module, options, limits) = (self.module.clone(), ActorOptions::new().restart(policy()), Limits::new());
        let blueprint = Arc::new(ActorBlueprint { module, options, limits, near });
        let identity = self.identity(key, alias, &CONTRACTS[..2]);
        (RunningActor::new(identity, instances, no_instruments()), blueprint)
    }

    fn provider(&mut self, index: usize) -> (RunningProvider, Arc<ProviderBlueprint>) {
        let near = self.shards.current_or_next();
        let capability = HttpServer::new(None).capability().unwrap();
        let key = ProviderKey::new(PROVIDERS[index], "default");
        let contract_id = CONTRACTS[index].to_owned();
        let descriptor = ProviderDescriptor { key, contract_id, claims: Claims::default(), signed: false, image: None };
        let identity = ProviderIdentity::new(&descriptor);
        let blueprint = Arc::new(ProviderBlueprint { capability, policy: policy(), near });
        let address: actix::Addr<ProviderActor> = actix::Context::new().address();
        let mailbox = ProviderMailbox::new(address);
        (RunningProvider::new(Arc::new(identity), self.next_instance(), mailbox, no_instruments()), blueprint)
    }

    /// Returns a present instance of a child, or a former one.
    fn instance(&self, child: &Child, former: bool) -> InstanceNumber {
        let current = match child {
            Child::Actor(key) => self.registry.snapshot.actors.get(key).map(|actor| actor.instances.mailboxes()),
            Child::Provider(key) => {
                let provider = self.registry.snapshot.providers.get(key);
                return provider.filter(|_| !former).map_or(InstanceNumber(0), |provider| provider.instance);
            }
        };
        let current = current.filter(|_| !former).and_then(|mailboxes| mailboxes.last());
        current.map_or(InstanceNumber(0), Mailbox::number)
    }

    fn take(&mut self, step: Step) {
        self.steps += 1;
        match step {
            Step::BeginStart { actor, child: index, alias } => {
                let identity = self.identity(ACTORS[index], ALIASES[alias], &[]);
                let child = child(actor, index);
                if let (Ok(registry), true) = (self.registry.begin_start(&child), actor) {
                    let _ = registry.reserve_alias(&identity);
                }
            }
            Step::BeginStop { actor, child: index } => {
                let _ = self.registry.begin_stop(&child(actor, index));
            }
            Step::BeginReplacement { actor, child: index } => {
                let _ = self.registry.begin_replacement(&child(actor, index));
            }
            Step::Finish { actor, child: index, alias, instances, fails } => {
                self.finish((actor, index), ALIASES[alias], instances, fails);
            }
            Step::Crash { actor, child: index, former, in_a_row, chance } => {
                self.crash(&child(actor, index), former, in_a_row, chance);
            }
            Step::Interrupt { child: index, former } => {
                let child = child(true, index);
                let (instance, before) = (self.instance(&child, former), self.registry.condition(&child).cloned());
                let is_in_service = self.registry.is_in_service(&child, instance);
                self.registry.interrupt(&child, instance);
                match before {
                    Some(Condition::Running) if is_in_service => {
                        assert_eq!(self.registry.condition(&child), Some(&Condition::Restarting(0)));
                    }
                    before => assert_eq!(self.registry.condition(&child), before.as_ref()),
                }
            }
            Step::Recover { actor, child: index, former } => {
                let child = child(actor, index);
                let recovered = self.registry.recover(&child, self.instance(&child, former));
                assert_eq!(recovered, self.registry.condition(&child) == Some(&Condition::Running));
            }
            Step::PutLink { actor, provider, contract, state, overlapping } => {
                let definition = definition(actor, provider, contract);
                let overlapping = overlapping.then(|| definition.clone());
                self.registry.put_overlapping_link(definition, states()[state].clone(), overlapping);
            }
            Step::RemoveLink { actor, contract } => self.registry.remove_link(&definition(actor, 0, contract).key()),
            Step::NoteHealth { actor, child: index } => {
                let child = child(actor, index);
                if self.registry.runs(&child) {
                    self.registry.record_health(&child, Health::Healthy);
                }
            }
            Step::Close => self.registry.close(),
        }
    }

    /// Carries out the child's change in progress, as the supervisor would.
    fn finish(&mut self, (actor, index): (bool, usize), alias: Option<&str>, instances: usize, fails: bool) {
        let child = child(actor, index);
        match self.registry.changes.get(&child) {
            Some(Change::Start) if !fails => {
                let reserved = self.registry.reserved_aliases.iter().find(|(_, holder)| &***holder == ACTORS[index]);
                let alias = reserved.map(|(alias, _)| alias.to_string());
                let added = if actor {
                    let (started, blueprint) = self.actor(ACTORS[index], alias.as_deref(), instances);
                    self.registry.add_actor(started, blueprint)
                } else {
                    let (started, blueprint) = self.provider(index);
                    self.registry.add_provider(started, blueprint)
                };
                assert_eq!(added.is_ok(), !self.registry.closing, "an alias that was reserved is free: {added:?}");
            }
            Some(Change::Replace) if !fails && actor => {
                let (mut other, blueprint) = self.actor(ACTORS[index], alias, instances);
                let RunningActor { identity: before, instances: kept, condition, .. } =
                    self.registry.snapshot.actors[ACTORS[index]].clone();
                // A change of the number of instances keeps some, and a new revision keeps none.
                if alias.is_none() {
                    let kept = kept.mailboxes().iter().take(instances);
                    other.instances = Instances::new(kept.chain(other.instances.mailboxes()).cloned().collect());
                    other.condition = condition;
                }
                if self.registry.replace_actor(other, blueprint).is_err() {
                    assert!(Arc::ptr_eq(&before, &self.registry.snapshot.actors[ACTORS[index]].identity));
                }
            }
            Some(Change::Replace) if !fails => {
                let (RunningProvider { identity, instance, mailbox, .. }, _) = self.provider(index);
                while self.registry.suspend_links_of(&child, 2) {}
                self.registry.replace_provider(&identity.key, instance, mailbox);
            }
            Some(Change::Stop) => {
                match &child {
                    Child::Actor(key) => self.registry.remove_actor(key),
                    Child::Provider(key) => self.registry.remove_provider(key),
                }
                for key in self.registry.links_of(&child) {
                    assert_eq!(self.registry.link(&key).unwrap().state, LinkState::Pending);
                }
            }
            _ => {}
        }
        self.registry.end_change(&child);
    }

    fn crash(&mut self, child: &Child, former: bool, in_a_row: u32, chance: f64) {
        let instance = self.instance(child, former);
        let (before, is_current) = (self.registry.condition(child).cloned(), self.registry.is_current(child, instance));
        let is_last = self.registry.changes.get(child) == Some(&Change::Stop) && in_a_row <= 3;
        let now = self.begin + Duration::from_millis(u64::from(self.steps));
        let verdict = self.registry.crash(child, instance, now, in_a_row, chance);
        let after = self.registry.condition(child).cloned();
        if !is_current || is_last || matches!(before, Some(Condition::Failed(_))) {
            assert_eq!(before, after, "a crash of what is on its way out is not booked");
            return;
        }
        match verdict {
            Verdict::Restart { attempt, .. } => assert_eq!(after, Some(Condition::Restarting(attempt))),
            Verdict::Fail(reason) => assert_eq!(after, Some(Condition::Failed(reason.as_str().into()))),
        }
        assert!(!self.registry.is_in_service(child, instance));
    }

    /// Checks the invariants.
    fn check(&self) {
        self.check_records();
        self.check_names();
        self.check_links();
        let Registry { snapshot, stops, .. } = &self.registry;
        assert!(stops.names().len() <= REMEMBERED_STOPS);
        assert_eq!(stops.names().collect::<HashSet<_>>().len(), stops.names().len());
        assert_eq!(stops.names().collect::<HashSet<_>>(), snapshot.stopped.iter().collect::<HashSet<_>>());
        assert!(stops.names().all(|key| !snapshot.actors.contains_key(key)));
    }

    /// Checks that order, records and snapshot name the same children.
    fn check_records(&self) {
        let Registry { snapshot, records, order, changes, starts, .. } = &self.registry;
        let actors = snapshot.actors.keys().cloned().map(Child::Actor);
        let running: HashSet<Child> = actors.chain(snapshot.providers.keys().cloned().map(Child::Provider)).collect();
        assert_eq!(running, records.keys().cloned().collect::<HashSet<_>>());
        assert_eq!(running, order.values().cloned().collect::<HashSet<_>>());
        assert_eq!(running.len(), order.len());
        assert!(snapshot.health.keys().all(|child| running.contains(child)));
        for (child, record) in records {
            assert_eq!(order.get(&record.start), Some(child));
            assert!(record.start <= *starts);
            match self.registry.condition(child).unwrap() {
                Condition::Running => assert!(record.lost.is_empty()),
                Condition::Restarting(_) => assert!(!record.lost.is_empty()),
                Condition::Failed(_) => {}
            }
        }
        for (child, change) in changes {
            assert_eq!(*change != Change::Start, running.contains(child), "{child} {change:?}");
        }
        for (key, actor) in &snapshot.actors {
            let is_stopping = changes.get(&Child::Actor(key.clone())) == Some(&Change::Stop);
            assert_eq!(actor.draining, is_stopping);
        }
        assert!(self.registry.last_started().is_none_or(|child| !changes.contains_key(child)));
    }

    /// Checks that aliases are those of actors that run or start, and contracts those of providers that run.
    fn check_names(&self) {
        let Registry { snapshot, reserved_aliases, changes, .. } = &self.registry;
        for (alias, key) in &snapshot.aliases {
            assert_eq!(snapshot.actors[key].identity.call_alias.as_ref(), Some(alias));
            assert!(!alias.contains(':'));
            assert!(reserved_aliases.get(alias).is_none_or(|holder| holder == key));
        }
        for holder in reserved_aliases.values() {
            assert_eq!(changes.get(&Child::Actor(holder.clone())), Some(&Change::Start));
        }
        for contract in CONTRACTS {
            let count =
                snapshot.providers.values().filter(|provider| provider.identity.contract_id == contract).count();
            assert_eq!(snapshot.contracts.get(contract).copied().unwrap_or(0), count);
            assert!(snapshot.contracts.get(contract) != Some(&0));
        }
    }

    /// Checks that links are found from both ends, and have two ends if they can be established.
    fn check_links(&self) {
        let snapshot = self.registry.snapshot();
        for (key, link) in &snapshot.links {
            let definition = &link.definition;
            assert_eq!(*key, definition.key());
            let (actor, provider) = (child_of(&definition.actor_id), child_of(&definition.provider_id));
            for end in [&actor, &provider] {
                assert!(self.registry.links_of(end).contains(key));
            }
            if let Ok(Some(LinkEnds { actor: from, provider: to })) = self.registry.ends(definition) {
                assert_eq!((&*from.key, &*to.identity.key.id), (&*definition.actor_id, &*definition.provider_id));
                assert_eq!(to.identity.contract_id, definition.contract_id);
                assert!(from.capabilities.contains(&definition.contract_id));
                assert!(!matches!(to.condition, Condition::Failed(_)) && !to.is_down);
                let changes = |child: &Child| self.registry.changes.get(child).copied();
                assert!(
                    changes(&actor) != Some(Change::Stop)
                        && changes(&provider).is_none_or(|change| change == Change::Start)
                );
            }
        }
    }
}

fn child(actor: bool, index: usize) -> Child {
    child_of(if actor { ACTORS[index] } else { PROVIDERS[index] })
}

fn child_of(key: &str) -> Child {
    if key.starts_with('M') { Child::Actor(key.into()) } else { Child::Provider(ProviderKey::new(key, "default")) }
}

fn policy() -> RestartPolicy {
    RestartPolicy::new().intensity(4, Duration::from_millis(20)).in_a_row(4)
}

fn states() -> [LinkState; 5] {
    let refused = LinkState::Refused("no".to_owned());
    [LinkState::Pending, LinkState::Establishing, LinkState::Established, LinkState::Releasing, refused]
}

fn definition(actor: usize, provider: usize, contract: usize) -> Arc<LinkDefinition> {
    Arc::new(LinkDefinition {
        actor_id: ACTORS[actor].to_owned(),
        provider_id: PROVIDERS[provider].to_owned(),
        link_name: "default".to_owned(),
        contract_id: CONTRACTS[contract].to_owned(),
        values: HashMap::new(),
    })
}

#[test]
fn any_sequence_of_changes_leaves_a_registry_that_is_true_to_itself() {
    actix_rt::System::new().block_on(async {
        let world = std::cell::RefCell::new(World::new().await);
        let every = |steps: Vec<Step>| {
            let mut world = world.borrow_mut();
            world.registry = Registry::open();
            for step in steps {
                world.take(step);
                world.check();
            }
            world.registry.end();
            assert!(world.registry.is_settled() && world.registry.children().is_empty());
            assert!(!world.registry.snapshot().running);
            Ok(())
        };
        TestRunner::new(ProptestConfig::with_cases(512)).run(&steps(), every).unwrap();
    });
}

#[test]
fn of_the_actors_that_were_stopped_only_the_last_ones_are_remembered() {
    actix_rt::System::new().block_on(async {
        let mut world = World::new().await;
        let stopped = REMEMBERED_STOPS + 3;
        for number in 0..stopped {
            let key = format!("M{number}");
            let child = Child::Actor(key.as_str().into());
            let (actor, blueprint) = world.actor(&key, None, 1);
            world.registry.begin_start(&child).unwrap();
            world.registry.add_actor(actor, blueprint).unwrap();
            world.registry.end_change(&child);
            world.registry.begin_stop(&child).unwrap();
            world.registry.remove_actor(&key);
            world.registry.end_change(&child);
        }
        world.check();
        assert_eq!(world.registry.stops.names().len(), REMEMBERED_STOPS);
        let remembers = |number: usize| world.registry.snapshot.stopped.contains(&*format!("M{number}"));
        assert!(!remembers(2) && remembers(3) && remembers(stopped - 1));
    });
}
