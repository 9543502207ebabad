//! A real host with the actors and providers of the model, and its observable state.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::poll;
use wasmcloud_host::{
    Actor, ActorDispatcher, ActorOptions, AsyncCapabilityProvider, Binding, BoxedError, ChildState, Event, EventKind,
    Events, Host, HostBuilder, LinkState, NativeCapability, ProviderCallContext, Restart, RestartPolicy, Result,
    WasmCloudEntity,
};

use super::command::{ACTORS, Claimed, Command, PORTS, PROVIDERS, Port, Release, Wish, port_of};
use super::rules::{ActorView, Outcome, Stage, View, actor_name, done, provider_name};
use crate::signing::sign_module;
use crate::support::{host_answer, host_call, provider_claims, soon, values, with_tested_compiler};

const ALIAS: &str = "model/alias";

/// How a case is set up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    /// Whether updates must have the same capabilities.
    pub(super) strict: bool,
    /// How often each provider lets others run before it has taken, or let go of, a link, or has stopped.
    pub(super) pauses: [u8; PROVIDERS],
}

pub(super) struct World {
    pub(super) host: Host,
    events: Events,
    providers: [(NativeCapability, Recorder); PROVIDERS],
}

/// The releases of each actor, signed.
static MODULES: LazyLock<[BTreeMap<Release, Vec<u8>>; ACTORS]> = LazyLock::new(|| {
    let module = wat::parse_str(include_str!("client.wat")).unwrap();
    // An alias belongs to the issuer of its first holder: here to that of all of them.
    let issuer = sign_module("issuer", module.clone());
    [0, 1, 2].map(|actor| {
        let mut signing = sign_module(&actor_name(actor), module.clone()).issued_like(&issuer);
        if actor < 2 {
            signing = signing.alias(ALIAS);
        }
        let mut signed = BTreeMap::new();
        for (revision, claimed) in (1..5).flat_map(|revision| Claimed::ALL.map(|claimed| (revision, claimed))) {
            let contracts = claimed.contracts().iter().map(|contract| contract.to_string()).collect();
            signing = signing.revision(revision).claims(|claims| {
                claims.metadata.as_mut().unwrap().caps = Some(contracts);
            });
            signed.insert(Release { revision, claimed }, signing.bytes());
        }
        signed
    })
});

fn module(actor: usize, release: Release) -> &'static [u8] {
    &MODULES[actor][&release]
}

static KEYS: LazyLock<[String; ACTORS]> = LazyLock::new(|| {
    let release = Release { revision: 1, claimed: Claimed::Both };
    [0, 1, 2].map(|actor| Actor::from_slice(module(actor, release)).unwrap().public_key())
});

fn key(actor: usize) -> &'static str {
    &KEYS[actor]
}

fn number(key: &str) -> usize {
    KEYS.iter().position(|one| one == key).unwrap()
}

impl World {
    pub(super) async fn start(setting: Setting) -> World {
        let builder = with_tested_compiler(HostBuilder::new().with_shards(2)).enable_live_updates();
        let builder = if setting.strict { builder } else { builder.disable_strict_update_check() };
        let host = builder.build();
        let mut events = host.events();
        host.start().await.unwrap();
        assert_eq!(soon(events.next()).await.map(|event| event.kind), Some(EventKind::HostStarted));
        let providers = [0, 1, 2].map(|provider| {
            let recorder = Recorder::new(provider, setting.pauses[provider]);
            let port = port_of(provider);
            let (link_name, claims) = (Some(port.link_name.to_owned()), provider_claims(port.contract));
            (NativeCapability::from_async(recorder.clone(), link_name, claims).unwrap(), recorder)
        });
        World { host, events, providers }
    }

    pub(super) async fn carry_out(&self, command: &Command) -> Outcome {
        let host = &self.host;
        match *command {
            Command::StartActor { actor, release, temporary } => {
                let options = ActorOptions::new().restart(policy(temporary));
                let actor = Actor::from_slice(module(actor, release)).unwrap();
                outcome(soon(host.start_actor_with(actor, options)).await)
            }
            Command::StopActor(actor) => outcome(soon(host.stop_actor(key(actor))).await),
            Command::Update { actor, release } => {
                outcome(soon(host.update_actor(key(actor), None, module(actor, release))).await)
            }
            Command::Scale { actor, instances } => outcome(soon(host.scale_actor(key(actor), instances)).await),
            Command::Trap(actor) => outcome(soon(host.call_actor(key(actor), "Crash", b"")).await.map(drop)),
            Command::Call(actor) => self.call(key(actor)).await,
            Command::StartProvider { provider, temporary } => {
                let capability = self.providers[provider].0.clone();
                outcome(soon(host.start_native_capability_with(capability, policy(temporary))).await)
            }
            Command::StopProvider(provider) => {
                let (capability, port) = (&self.providers[provider].0, port_of(provider));
                let link_name = Some(port.link_name.to_owned());
                outcome(soon(host.stop_provider(&capability.id(), port.contract, link_name)).await)
            }
            Command::SetLink { actor, port, wish } => outcome(soon(self.set_link(actor, port, wish)).await),
            Command::RemoveLink { actor, port } => {
                let link_name = Some(port.link_name.to_owned());
                outcome(soon(host.remove_link(key(actor), port.contract, link_name)).await)
            }
            Command::Ask { actor, port } => self.ask(actor, port, "Who").await,
            Command::Panic { actor, port } => self.ask(actor, port, "Panic").await,
        }
    }

    async fn set_link(&self, actor: usize, port: Port, wish: Wish) -> Result<()> {
        let refused = if wish.refused { "yes" } else { "no" };
        let values = values(&[("value", &wish.value.to_string()), ("refused", refused)]);
        let (provider, link_name) = (self.providers[wish.provider].0.id(), Some(port.link_name.to_owned()));
        self.host.set_link(key(actor), port.contract, link_name, provider, values).await
    }

    async fn call(&self, name: &str) -> Outcome {
        let answer = soon(self.host.call_actor(name, "Echo", b"payload")).await;
        outcome(answer.map(|answer| assert_eq!(answer, b"payload")))
    }

    async fn ask(&self, actor: usize, port: Port, operation: &str) -> Outcome {
        let request = host_call(port.link_name, port.contract, operation, b"");
        match soon(self.host.call_actor(key(actor), "Ask", &request)).await {
            Ok(reply) => match host_answer(&reply) {
                Ok(answer) => Outcome::Answer(String::from_utf8(answer).unwrap()),
                Err(_) => Outcome::NoAnswer,
            },
            Err(refusal) => Outcome::Failed(refusal.kind()),
        }
    }

    /// Waits until nothing goes on that was begun: whatever has crashed is replaced or given up.
    pub(super) async fn settle(&self) {
        let (mut before, mut alike) = (None, 0);
        soon(async {
            while alike < 5 {
                tokio::time::sleep(Duration::from_millis(1)).await;
                for actor in 0..ACTORS {
                    self.call(key(actor)).await;
                }
                let inventory = self.host.inventory().unwrap();
                let mut states = inventory.actors.iter().map(|actor| &actor.state);
                let mut provider_states = inventory.providers.iter().map(|provider| &provider.state);
                let at_rest = |state: &ChildState| matches!(state, ChildState::Running | ChildState::Failed { .. });
                let settled = states.all(at_rest) && provider_states.all(at_rest);
                alike = if settled && before.as_ref() == Some(&inventory) { alike + 1 } else { 0 };
                before = Some(inventory);
            }
        })
        .await;
    }

    /// All that can be seen now. Nothing may be going on.
    pub(super) async fn view(&self) -> View {
        let actors = self.actors().await;
        let mut calls = BTreeMap::new();
        let mut asked = BTreeMap::new();
        for actor in 0..ACTORS {
            let called = self.call(key(actor)).await;
            if called == Outcome::Done {
                for port in PORTS {
                    asked.insert((actor, port), self.ask(actor, port, "Who").await);
                }
            }
            calls.insert(actor, called);
        }
        View {
            actors,
            providers: self.running_providers().await,
            links: self.links().await,
            beliefs: self.providers.each_ref().map(|(_, recorder)| recorder.beliefs()),
            calls,
            alias: self.call(ALIAS).await,
            asked,
            called_back: self.called_back().await,
        }
    }

    async fn actors(&self) -> BTreeMap<usize, ActorView> {
        let inventory = self.host.inventory().unwrap();
        let claims = self.host.actor_claims().await.unwrap();
        assert_eq!(claims.len(), inventory.actors.len());
        let mut keys = self.host.actors().await.unwrap();
        keys.sort();
        assert!(keys.iter().eq(inventory.actors.iter().map(|actor| &actor.key)));
        let view = |actor: &wasmcloud_host::ActorInventory| {
            let claims = claims.iter().find(|claims| claims.subject == actor.key).unwrap().metadata.clone().unwrap();
            assert_eq!(claims.rev, Some(actor.revision));
            let contracts = claims.caps.unwrap();
            let claimed = Claimed::ALL.into_iter().find(|claimed| *claimed.contracts() == contracts).unwrap();
            let release = Release { revision: actor.revision, claimed };
            (number(&actor.key), ActorView { release, instances: actor.instances, failed: failed(&actor.state) })
        };
        inventory.actors.iter().map(view).collect()
    }

    async fn running_providers(&self) -> BTreeMap<usize, bool> {
        let inventory = self.host.inventory().unwrap().providers;
        assert_eq!(self.host.providers().await.unwrap().len(), inventory.len());
        inventory.iter().map(|provider| (self.provider(&provider.id), failed(&provider.state))).collect()
    }

    async fn links(&self) -> BTreeMap<(usize, Port), (Wish, Stage)> {
        let definitions = self.host.link_definitions().await.unwrap();
        assert_eq!(definitions.len(), self.host.inventory().unwrap().links.len());
        let view = |definition: &wasmcloud_host::LinkDefinition| {
            let (actor, contract, name) = (&definition.actor_id, &definition.contract_id, &definition.link_name);
            let stage = match self.host.link_state(actor, contract, Some(name)).unwrap() {
                LinkState::Pending => Stage::Pending,
                LinkState::Established => Stage::Established,
                LinkState::Refused(_) => Stage::Refused,
                other => panic!("a link is {other:?} while nothing goes on"),
            };
            let value = definition.values["value"].parse().unwrap();
            let refused = definition.values["refused"] == "yes";
            let wish = Wish { provider: self.provider(&definition.provider_id), value, refused };
            ((number(actor), port(contract, name)), (wish, stage))
        };
        definitions.iter().map(view).collect()
    }

    async fn called_back(&self) -> BTreeMap<(usize, usize), Outcome> {
        let mut outcomes = BTreeMap::new();
        for (provider, (_, recorder)) in self.providers.iter().enumerate() {
            for (actor, dispatcher) in recorder.dispatchers() {
                let answer = soon(dispatcher.dispatch(key(actor), "Echo", b"back".to_vec())).await;
                outcomes.insert((provider, actor), outcome(answer.map(|answer| assert_eq!(answer, b"back"))));
            }
        }
        outcomes
    }

    fn provider(&self, id: &str) -> usize {
        self.providers.iter().position(|(capability, _)| capability.id() == id).unwrap()
    }

    /// What providers were asked that they should not have been.
    pub(super) fn surprises(&self) -> Vec<String> {
        self.providers.iter().flat_map(|(_, recorder)| recorder.0.seen.lock().unwrap().surprises.clone()).collect()
    }

    /// The next events: so many, or those that come within a time, and those that are there beyond them.
    pub(super) async fn told(&mut self, count: usize) -> Vec<String> {
        let mut told = Vec::new();
        while told.len() < count {
            // Shorter than other waits: the search for the smallest failing sequence runs into it often.
            let Ok(event) = tokio::time::timeout(Duration::from_secs(4), self.events.next()).await else { break };
            told.push(self.describe(&event.unwrap()));
        }
        loop {
            let next = poll!(pin!(self.events.next()));
            let Poll::Ready(Some(event)) = next else { return told };
            told.push(self.describe(&event));
        }
    }

    /// All events up to the host's end.
    pub(super) async fn all_told(&mut self) -> Vec<String> {
        self.told(0).await
    }

    fn describe(&self, event: &Event) -> String {
        let who = match &event.entity {
            WasmCloudEntity::Host => "host".to_owned(),
            WasmCloudEntity::Actor(key) => actor_name(number(key)),
            WasmCloudEntity::Capability { id, contract_id, link_name } => {
                let provider = self.provider(id);
                assert_eq!(port(contract_id, link_name), port_of(provider));
                provider_name(provider)
            }
            other => panic!("an event of {other}"),
        };
        let what = match &event.kind {
            EventKind::Started => "started".to_owned(),
            EventKind::Stopped | EventKind::HostStopped => "stopped".to_owned(),
            EventKind::Crashed { .. } => "crashed".to_owned(),
            EventKind::Restarted { .. } => "restarted".to_owned(),
            EventKind::Failed { .. } => "failed".to_owned(),
            EventKind::Updated { from, to } => format!("updated from {from} to {to}"),
            EventKind::UpdateRefused { .. } => "update refused".to_owned(),
            EventKind::Scaled { instances } => format!("scaled to {instances}"),
            EventKind::Linked { contract_id, link_name, provider_id } => {
                format!("linked {} to {}", port(contract_id, link_name), provider_name(self.provider(provider_id)))
            }
            EventKind::Unlinked { contract_id, link_name } => format!("unlinked {}", port(contract_id, link_name)),
            EventKind::LinkRefused { contract_id, link_name, .. } => {
                format!("link refused {}", port(contract_id, link_name))
            }
            other => panic!("an event that nothing led to: {other:?}"),
        };
        format!("{who}: {what}")
    }
}

fn policy(temporary: bool) -> RestartPolicy {
    RestartPolicy::new().restart(if temporary { Restart::Temporary } else { Restart::Permanent })
}

fn outcome(result: Result<()>) -> Outcome {
    done(result.map_err(|error| error.kind()))
}

fn port(contract: &str, link_name: &str) -> Port {
    PORTS.into_iter().find(|port| port.contract == contract && port.link_name == link_name).unwrap()
}

fn failed(state: &ChildState) -> bool {
    match state {
        ChildState::Running => false,
        ChildState::Failed { .. } => true,
        other => panic!("something is {other:?} while nothing goes on"),
    }
}

/// A provider that keeps what it is bound to, and takes its time.
#[derive(Clone)]
struct Recorder(Arc<Inner>);

struct Inner {
    provider: usize,
    pauses: u8,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    bound: BTreeMap<usize, u8>,
    /// The way to each actor that it was ever bound to.
    dispatchers: HashMap<usize, ActorDispatcher>,
    surprises: Vec<String>,
}

impl Recorder {
    fn new(provider: usize, pauses: u8) -> Recorder {
        Recorder(Arc::new(Inner { provider, pauses, seen: Mutex::default() }))
    }

    fn beliefs(&self) -> BTreeMap<usize, u8> {
        self.0.seen.lock().unwrap().bound.clone()
    }

    fn dispatchers(&self) -> HashMap<usize, ActorDispatcher> {
        self.0.seen.lock().unwrap().dispatchers.clone()
    }

    async fn pause(&self) {
        for _ in 0..self.0.pauses {
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Recorder {
    async fn bind(&self, binding: Binding) -> Result<(), BoxedError> {
        self.pause().await;
        if binding.values["refused"] == "yes" {
            return Err("deliberate refusal".into());
        }
        let (actor, value) = (number(&binding.actor), binding.values["value"].parse()?);
        {
            let mut seen = self.0.seen.lock().unwrap();
            seen.bound.insert(actor, value);
            seen.dispatchers.insert(actor, binding.dispatcher);
        }
        self.pause().await;
        Ok(())
    }

    async fn unbind(&self, actor: &str) -> Result<(), BoxedError> {
        self.pause().await;
        {
            let mut seen = self.0.seen.lock().unwrap();
            if seen.bound.remove(&number(actor)).is_none() {
                let surprise = format!("{} is not bound to {}", provider_name(self.0.provider), number(actor));
                seen.surprises.push(surprise);
            }
        }
        self.pause().await;
        Ok(())
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        match call.operation.as_str() {
            "Who" => Ok(provider_name(self.0.provider).into_bytes()),
            "Panic" => panic!("deliberate panic"),
            other => Err(format!("nobody asks for {other}").into()),
        }
    }

    async fn stop(&self) {
        self.pause().await;
        self.0.seen.lock().unwrap().bound.clear();
    }
}
