//! A host with random guests, a provider that freezes and a plugin that is killed, and its random events.

use std::time::Duration;

use wasmcloud_host::{
    ActorOptions, Events, Host, HostBuilder, Isolation, Limits, NativeCapability, Placement, PluginProcess,
    ProviderArchive, RestartPolicy,
};

use super::chance::Chance;
use super::freezer::{FREEZER, Freezer, Frozen};
use super::guest::{self, OPERATIONS};
use crate::plugins::built;
use crate::signing::{Signing, sign_module};
use crate::support::{values, with_tested_compiler};

/// The contract of the plugin.
pub(super) const PLUGIN: &str = "stress:plugin";

/// How many actors there are.
const ACTORS: usize = 6;

/// What guests call: of the provider and of the plugin, and each other by aliases.
const CALLED: [(&str, &str); 14] = [
    (FREEZER, "Work"),
    (FREEZER, "Work"),
    (FREEZER, "CallBack"),
    (FREEZER, "Panic"),
    (PLUGIN, "Add"),
    (PLUGIN, "Add"),
    (PLUGIN, "CallBack"),
    (PLUGIN, "Unknown"),
    ("n0", "A"),
    ("n1", "B"),
    ("n2", "C"),
    ("n3", "D"),
    ("n4", "A"),
    ("n5", "B"),
];

/// A provider of the world.
pub(super) struct Provider {
    pub(super) capability: NativeCapability,
    pub(super) contract: &'static str,
    policy: RestartPolicy,
}

impl Provider {
    pub(super) fn id(&self) -> String {
        self.capability.id()
    }
}

/// What there is in a round.
pub(super) struct World {
    pub(super) host: Host,
    pub(super) events: Events,
    pub(super) providers: [Provider; 2],
    freezer: Freezer,
    actors: Vec<Signing>,
    chance: Chance,
    /// What is under way.
    tasks: Vec<actix_rt::task::JoinHandle<()>>,
}

impl World {
    /// Starts a host, and everything on it.
    pub(super) async fn start(seed: u64) -> World {
        let mut chance = Chance::new(seed);
        let builder = HostBuilder::new()
            .with_shards(2)
            .with_call_deadline(Duration::from_millis(150))
            .with_stop_grace(Duration::from_millis(300))
            .with_health_interval(None)
            .with_event_buffer(1 << 17)
            .enable_live_updates()
            .disable_strict_update_check();
        let host = with_tested_compiler(builder).build();
        let events = host.events();
        host.start().await.unwrap();
        let freezer = Freezer::new();
        let mut provider = |capability, contract| Provider { capability, contract, policy: policy(&mut chance) };
        let providers = [provider(freezer.capability(), FREEZER), provider(plugin(), PLUGIN)];
        let mut world = World { host, events, providers, freezer, actors: Vec::new(), chance, tasks: Vec::new() };
        for number in 0..world.providers.len() {
            world.start_provider(number);
        }
        let account = sign_module("account", Vec::new());
        for number in 0..ACTORS {
            let module = guest::module(&mut world.chance, &CALLED);
            let signing = sign_module("guest", module).alias(&format!("n{number}")).issued_like(&account);
            world.actors.push(signing.capability(FREEZER).capability(PLUGIN));
            world.start_actor(number);
            for contract in [FREEZER, PLUGIN] {
                world.set_link(number, contract);
            }
        }
        world
    }

    /// Has something happen.
    pub(super) fn step(&mut self) {
        let actor = self.chance.below(ACTORS);
        match self.chance.below(40) {
            0..=17 => self.call(actor),
            18..=20 => self.freeze(),
            21..=22 => self.freezer.set(Frozen::default()),
            23..=25 => self.kill(),
            26..=27 => self.start_actor(actor),
            28 => self.stop_actor(actor),
            29..=30 => self.update(actor),
            31..=32 => self.scale(actor),
            33..=34 => self.link_again(actor),
            35 => self.remove_link(actor),
            36 => self.stop_provider(),
            37..=38 => {
                let provider = self.chance.below(2);
                self.start_provider(provider);
            }
            _ => self.check_health(),
        }
    }

    /// A while in which what is under way goes on.
    pub(super) async fn pause(&mut self) {
        match self.chance.below(8) {
            0 => tokio::time::sleep(Duration::from_millis(self.chance.below(60) as u64)).await,
            1..=3 => tokio::time::sleep(Duration::from_millis(1)).await,
            _ => tokio::task::yield_now().await,
        }
    }

    /// Has everything go on, and waits for what is under way.
    pub(super) async fn thaw(&mut self) {
        self.freezer.set(Frozen::default());
        for task in std::mem::take(&mut self.tasks) {
            task.await.unwrap();
        }
    }

    /// Begins something that may come to any end, as long as it comes to one.
    fn begin<T>(&mut self, work: impl Future<Output = T> + 'static) {
        self.tasks.push(actix_rt::spawn(async move {
            work.await;
        }));
    }

    fn key(&self, actor: usize) -> String {
        self.actors[actor].claims.subject.clone()
    }

    fn call(&mut self, actor: usize) {
        let (host, key, operation) = (self.host.clone(), self.key(actor), *self.chance.pick(&OPERATIONS));
        let patience = self.chance.once_in(5).then(|| Duration::from_millis(self.chance.below(100) as u64));
        self.begin(async move {
            let call = host.call_actor(&key, operation, b"");
            match patience {
                Some(patience) => drop(tokio::time::timeout(patience, call).await),
                None => drop(call.await),
            }
        });
    }

    fn freeze(&mut self) {
        let links = self.chance.once_in(2);
        self.freezer.set(Frozen { links, calls: !links || self.chance.once_in(2) });
    }

    /// Kills the plugin's process, however far it is.
    fn kill(&mut self) {
        for process in children() {
            // It may have ended by itself.
            let _ = std::process::Command::new("kill").args(["-9", &process]).status();
        }
    }

    fn start_actor(&mut self, actor: usize) {
        let chance = &mut self.chance;
        let placement = *chance.pick(&[Placement::Near, Placement::Spread, Placement::Dedicated]);
        let limits = Limits::new().memory_bytes(1 << 20).mailbox_length(8);
        let limits = if chance.once_in(3) { limits.call_deadline(Duration::from_millis(60)) } else { limits };
        let options = ActorOptions::new().instances(1 + chance.below(3)).placement(placement).limits(limits);
        let options = options.restart(policy(chance));
        let (host, actor) = (self.host.clone(), self.actors[actor].actor());
        self.begin(async move { host.start_actor_with(actor, options).await });
    }

    fn stop_actor(&mut self, actor: usize) {
        let (host, key) = (self.host.clone(), self.key(actor));
        self.begin(async move { host.stop_actor(&key).await });
    }

    fn update(&mut self, actor: usize) {
        let module = guest::module(&mut self.chance, &CALLED);
        let contracts: &[&str] = if self.chance.once_in(3) { &[PLUGIN] } else { &[FREEZER, PLUGIN] };
        let caps = contracts.iter().map(|contract| (*contract).to_owned()).collect();
        let signing = self.actors.remove(actor).module(module).claims(|claims| {
            let metadata = claims.metadata.as_mut().unwrap();
            metadata.rev = metadata.rev.map(|revision| revision + 1);
            metadata.caps = Some(caps);
        });
        let (host, key, bytes) = (self.host.clone(), signing.claims.subject.clone(), signing.bytes());
        self.actors.insert(actor, signing);
        self.begin(async move { host.update_actor(&key, None, &bytes).await });
    }

    fn scale(&mut self, actor: usize) {
        let (host, key, instances) = (self.host.clone(), self.key(actor), 1 + self.chance.below(4));
        self.begin(async move { host.scale_actor(&key, instances).await });
    }

    fn link_again(&mut self, actor: usize) {
        let contract = *self.chance.pick(&[FREEZER, PLUGIN]);
        self.set_link(actor, contract);
    }

    fn set_link(&mut self, actor: usize, contract: &'static str) {
        let provider = self.providers.iter().find(|provider| provider.contract == contract).unwrap().id();
        let (host, key) = (self.host.clone(), self.key(actor));
        self.begin(async move { host.set_link(&key, contract, None, provider, values(&[])).await });
    }

    fn remove_link(&mut self, actor: usize) {
        let (host, key, contract) = (self.host.clone(), self.key(actor), *self.chance.pick(&[FREEZER, PLUGIN]));
        self.begin(async move { host.remove_link(&key, contract, None).await });
    }

    fn start_provider(&mut self, number: usize) {
        let Provider { capability, policy, .. } = &self.providers[number];
        let (host, capability, policy) = (self.host.clone(), capability.clone(), *policy);
        self.begin(async move { host.start_native_capability_with(capability, policy).await });
    }

    fn stop_provider(&mut self) {
        let provider = self.chance.pick(&self.providers);
        let (host, id, contract) = (self.host.clone(), provider.id(), provider.contract);
        self.begin(async move { host.stop_provider(&id, contract, None).await });
    }

    fn check_health(&mut self) {
        let host = self.host.clone();
        self.begin(async move { host.health().await });
    }
}

/// A policy that gives up soon, one that gives up late, or the default.
fn policy(chance: &mut Chance) -> RestartPolicy {
    let hour = Duration::from_secs(3600);
    match chance.below(3) {
        0 => RestartPolicy::new().intensity(3, hour),
        1 => RestartPolicy::new().in_a_row(2),
        _ => RestartPolicy::new(),
    }
}

fn plugin() -> NativeCapability {
    let archive = ProviderArchive::try_load(&built::archive(PLUGIN, built::tally(&[]))).unwrap();
    let process = PluginProcess::of(env!("CARGO_BIN_EXE_wasmcloud")).argument("plugin-host");
    NativeCapability::from_archive_isolated(&archive, None, Isolation::Process(process)).unwrap()
}

/// The processes that this one has started and that live.
pub(super) fn children() -> Vec<String> {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").unwrap();
    let names = processes.filter_map(|process| process.ok()?.file_name().into_string().ok());
    let is_child = |name: &String| {
        let status = std::fs::read_to_string(format!("/proc/{name}/stat")).unwrap_or_default();
        // What follows the name of the program, which may hold anything: state and parent.
        let mut fields = status.rsplit(") ").next().unwrap_or_default().split(' ');
        fields.next().is_some_and(|state| state != "Z") && fields.next() == Some(&own)
    };
    names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).filter(is_child).collect()
}
