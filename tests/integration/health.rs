//! Health checks: which children are checked, and the meaning of their answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{join, join_all};
use wasmcloud_host::{
    Actor, ActorOptions, AsyncCapabilityProvider, Binding, BoxedError, CapabilityProvider, ChildState, Dispatcher,
    ErrorKind, EventKind, Events, Health, Host, HostBuilder, Limits, NativeCapability, ProviderCallContext, Restart,
    RestartPolicy, SYSTEM_ACTOR, WasmCloudEntity,
};

use crate::signing::{sign, sign_module};
use crate::support::{
    PROBE, Probe, host_answer, host_call, in_own_process, kind, probed_caller, provider_claims, soon, until, with_host,
    with_host_of,
};

/// Longer than any test: what waits for it fails.
const FOR_EVER: Duration = Duration::from_secs(60 * 60);

/// A guest that runs `on_health` when it is asked how it is, and answers `text`, to this and anything else.
fn guest(text: &str, on_health: &str) -> Actor {
    let bytes: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    let module = format!(
        r#"(module
            (import "wapc" "__guest_response" (func $response (param i32 i32)))
            (import "wapc" "__guest_error" (func $error (param i32 i32)))
            (import "wapc" "__host_call"
                (func $host (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "{bytes}")
            (data (i32.const 1000) "{PROBE}Wait")
            (func (export "__guest_call") (param $operation i32) (param i32) (result i32)
                (if (i32.eq (local.get $operation) (i32.const {}))
                    (then {on_health}))
                (call $response (i32.const 0) (i32.const {length}))
                (i32.const 1)))"#,
        "HealthRequest".len(),
        length = text.len(),
    );
    let module = wat::parse_str(module.replace("$length", &text.len().to_string())).unwrap();
    sign_module("asked", module).capability(PROBE).actor()
}

/// Answers with its text as an error.
const FAIL: &str = "(call $error (i32.const 0) (i32.const $length)) (return (i32.const 0))";

/// Never ends.
const SPIN: &str = "(loop (br 0))";

/// Has the probe wait until it is released.
const WAIT: &str = "(drop (call $host (i32.const 0) (i32.const 0) (i32.const 1000) (i32.const 10)
    (i32.const 1010) (i32.const 4) (i32.const 0) (i32.const 0)))";

/// Traps.
const TRAP: &str = "(unreachable)";

async fn start(host: &Host, actor: Actor) -> WasmCloudEntity {
    start_with(host, actor, ActorOptions::new()).await
}

async fn start_with(host: &Host, actor: Actor, options: ActorOptions) -> WasmCloudEntity {
    let entity = WasmCloudEntity::Actor(actor.public_key());
    host.start_actor_with(actor, options).await.unwrap();
    entity
}

async fn call(host: &Host, actor: &WasmCloudEntity, operation: &str) -> wasmcloud_host::Result<Vec<u8>> {
    let WasmCloudEntity::Actor(key) = actor else { panic!("{actor} is no actor") };
    soon(host.call_actor(key, operation, b"")).await
}

async fn health_of(host: &Host, entity: &WasmCloudEntity) -> Health {
    soon(host.health_of(entity.clone())).await.unwrap()
}

fn unhealthy(reason: &str) -> Health {
    Health::Unhealthy { reason: reason.to_owned() }
}

/// Expects something unhealthy, for a reason with such words.
fn expect_unhealthy(health: &Health, words: &str) {
    assert!(matches!(health, Health::Unhealthy { reason } if reason.contains(words)), "{health:?}, not {words:?}");
}

/// What the inventory tells of the state and the last health of an actor.
fn known(host: &Host, actor: &WasmCloudEntity) -> (ChildState, Option<Health>) {
    let actors = host.inventory().unwrap().actors;
    let found = actors.into_iter().find(|found| WasmCloudEntity::Actor(found.key.clone()) == *actor).unwrap();
    (found.state, found.health)
}

/// The next event of this kind.
async fn next<T>(events: &mut Events, kind: impl Fn(EventKind) -> Option<T>) -> T {
    soon(async {
        loop {
            if let Some(found) = kind(events.next().await.unwrap().kind) {
                return found;
            }
        }
    })
    .await
}

fn crash(kind: EventKind) -> Option<String> {
    if let EventKind::Crashed { cause } = kind { Some(cause) } else { None }
}

fn change(kind: EventKind) -> Option<Health> {
    if let EventKind::HealthChanged { health } = kind { Some(health) } else { None }
}

/// A host that asks only when it is told to.
fn asking(deadline: Duration) -> HostBuilder {
    HostBuilder::new().with_shards(2).with_health_interval(None).with_health_deadline(deadline)
}

#[actix_rt::test]
async fn actors_answer_for_themselves() {
    with_host_of(asking(FOR_EVER), async |host| {
        let well = start(&host, sign("echo").actor()).await;
        let without_handler = start(&host, guest("No handler registered for function \"HealthRequest\"", FAIL)).await;
        let of_few_words = start(&host, guest("what?", "")).await;
        let low = start(&host, guest("\u{2}", "")).await;
        let failing = start(&host, guest("the well is dry", FAIL)).await;
        assert_eq!(known(&host, &well), (ChildState::Running, None));
        let health = soon(host.health()).await.unwrap();
        for answered in [&well, &without_handler, &of_few_words, &low] {
            assert_eq!(health[answered], Health::Healthy);
            assert_eq!(known(&host, answered), (ChildState::Running, Some(Health::Healthy)));
        }
        expect_unhealthy(&health[&failing], "the well is dry");
        assert_eq!(known(&host, &failing), (ChildState::Running, Some(health[&failing].clone())));
        assert_eq!(health.len(), 5);
    })
    .await;
}

#[actix_rt::test]
async fn an_actor_that_says_that_it_is_not_well_is_believed() {
    // {healthy: false, message: "low"}
    let module = r#"(module
        (import "wapc" "__guest_response" (func $response (param i32 i32)))
        (memory (export "memory") 1)
        (data (i32.const 8) "\82\a7healthy\c2\a7message\a3low")
        (func (export "__guest_call") (param i32 i32) (result i32)
            (call $response (i32.const 8) (i32.const 22))
            (i32.const 1)))"#;
    with_host_of(asking(FOR_EVER), async |host| {
        let actor = start(&host, sign_module("low", wat::parse_str(module).unwrap()).actor()).await;
        let mut events = host.events();
        assert_eq!(health_of(&host, &actor).await, unhealthy("low"));
        let event = soon(events.next()).await.unwrap();
        assert_eq!((event.entity, event.kind), (actor, EventKind::HealthChanged { health: unhealthy("low") }));
    })
    .await;
}

#[actix_rt::test]
async fn seed_defect_23_a_busy_child_is_busy_and_nobody_waits_for_it() {
    // With this deadline, a wait for a busy child would end without an answer.
    with_host_of(asking(FOR_EVER), async |host| {
        let well = start(&host, sign("echo").actor()).await;
        let (probe, waiting) = probed_caller(&host).await;
        let spinning = start(&host, sign("spin").actor()).await;
        let (blocking, open) = Blocking::start(&host).await;
        let caller = blocking.caller(&host, 4).await;
        let hang = host_call("", HANGING, "Hang", b"");
        let hung = (0..4).map(|_| host.call_actor(&caller, "Any", &hang));
        let wait = host_call("", PROBE, "Wait", b"");
        let work = join(join_all(hung), host.call_actor(&waiting, "Any", &wait));
        let checks = async {
            probe.arrived.notified().await;
            until(async || blocking.entered.load(Ordering::SeqCst) == 4).await;
            let WasmCloudEntity::Actor(spinning_key) = &spinning else { unreachable!() };
            let spin = async {
                let _ = host.call_actor(spinning_key, "Spin", b"").await;
            };
            let asked = async {
                until(async || {
                    host.inventory().unwrap().actors.iter().any(|it| it.key == *spinning_key && it.calls == 1)
                })
                .await;
                let health = soon(host.health()).await.unwrap();
                let waiting = WasmCloudEntity::Actor(waiting.clone());
                for busy in [&waiting, &spinning, &blocking.entity] {
                    assert_eq!(health[busy], Health::Busy, "{busy}");
                }
                assert_eq!(known(&host, &waiting), (ChildState::Running, Some(Health::Busy)));
                assert_eq!(health[&well], Health::Healthy);
                assert_eq!(blocking.asked.load(Ordering::SeqCst), 0);
            };
            tokio::select! { () = asked => {}, () = spin => panic!("it ended") }
            probe.release.add_permits(1);
            drop(open);
        };
        let ((hung, waited), ()) = soon(join(work, checks)).await;
        assert!(hung.into_iter().all(|answer| host_answer(&answer.unwrap()).unwrap() == b"opened"));
        assert_eq!(host_answer(&waited.unwrap()).unwrap(), b"released");
        assert_eq!(health_of(&host, &blocking.entity).await, Health::Healthy);
    })
    .await;
}

#[actix_rt::test]
async fn seed_defect_23_children_that_hang_hold_up_neither_the_others_nor_each_other() {
    const DEADLINE: Duration = Duration::from_secs(5);
    with_host_of(asking(DEADLINE), async |host| {
        let start_one = async |number: usize| {
            let on_health = if number.is_multiple_of(10) { SPIN } else { "" };
            start(&host, guest("well", on_health)).await
        };
        let entities = join_all((0..200).map(start_one)).await;
        let checked = soon(host.health());
        let work = async {
            // They were asked: those that are well have answered before those that hang are given up.
            until(async || host.inventory().unwrap().actors.iter().filter(|it| it.health.is_some()).count() == 180)
                .await;
            for entity in entities.iter().filter(|&entity| known(&host, entity).1.is_some()) {
                assert_eq!(call(&host, entity, "Any").await.unwrap(), b"well");
            }
        };
        // All of it is done before the checks of the 20 that hang could have ended one after the other: `soon` is over by then.
        let (health, ()) = join(async { checked.await.unwrap() }, work).await;
        for (number, entity) in entities.iter().enumerate() {
            let expected = if number.is_multiple_of(10) { Health::Unanswered } else { Health::Healthy };
            assert_eq!(health[entity], expected, "{number}");
        }
    })
    .await;
}

#[actix_rt::test]
async fn work_continues_during_constant_health_checks() {
    const CALLS: usize = 2_000;
    let builder = asking(FOR_EVER).with_health_interval(Some(Duration::from_millis(1)));
    with_host_of(builder, async |host| {
        let actor = start_with(&host, sign("echo").actor(), ActorOptions::new().instances(2)).await;
        let mut events = host.events();
        let callers = join_all((0..16).map(async |_| {
            for _ in 0..CALLS / 16 {
                assert_eq!(call(&host, &actor, "Echo").await.unwrap(), b"");
                tokio::task::yield_now().await;
            }
        }));
        let ask = async {
            loop {
                assert!(matches!(health_of(&host, &actor).await, Health::Healthy | Health::Busy));
            }
        };
        tokio::select! { _ = callers => {}, () = ask => unreachable!("it goes on for ever") }
        host.stop().await;
        let only_news = next(&mut events, |kind| match kind {
            EventKind::HealthChanged { health: Health::Healthy | Health::Busy } => None,
            other => Some(other),
        });
        assert_eq!(only_news.await, EventKind::Stopped);
    })
    .await;
}

#[actix_rt::test]
async fn an_actor_that_hangs_over_the_question_is_replaced_and_its_calls_are_answered() {
    with_host_of(asking(Duration::from_millis(300)), async |host| {
        // With room for one call: the question takes up none of it.
        let options = ActorOptions::new().limits(Limits::new().mailbox_length(1));
        let (actor, probe) = (guest("done", WAIT), Probe::default());
        let (key, capability) = (actor.public_key(), probe.capability());
        host.set_link(&key, PROBE, None, capability.id(), HashMap::new()).await.unwrap();
        host.start_native_capability(capability).await.unwrap();
        let actor = start_with(&host, actor, options).await;
        let mut events = host.monitor(actor.clone());
        let asked = host.health_of(actor.clone());
        let work = async {
            soon(probe.arrived.notified()).await;
            call(&host, &actor, "Work").await
        };
        let (health, answer) = soon(join(asked, work)).await;
        assert_eq!(health.unwrap(), Health::Unanswered);
        assert_eq!(answer.unwrap(), b"done");
        // It waited for another actor, which is not a crash.
        let cause = next(&mut events, |kind| match kind {
            EventKind::Interrupted { cause } => Some(cause),
            EventKind::Crashed { cause } => panic!("a crash: {cause}"),
            _ => None,
        });
        let cause = cause.await;
        assert!(cause.contains("\"HealthRequest\"") && cause.contains("while it waited"), "{cause}");
    })
    .await;
}

#[actix_rt::test]
async fn an_actor_that_traps_over_the_question_has_crashed_and_is_restarted() {
    with_host_of(asking(FOR_EVER), async |host| {
        let actor = start(&host, guest("done", TRAP)).await;
        let mut events = host.monitor(actor.clone());
        expect_unhealthy(&health_of(&host, &actor).await, "trapped");
        assert!(next(&mut events, crash).await.contains("trapped"));
        next(&mut events, |kind| matches!(kind, EventKind::Restarted { .. }).then_some(())).await;
        assert_eq!(call(&host, &actor, "Work").await.unwrap(), b"done");
    })
    .await;
}

#[actix_rt::test]
async fn a_child_that_is_being_restarted_is_not_checked() {
    with_host_of(asking(FOR_EVER), async |host| {
        let patient = RestartPolicy::new().delays(FOR_EVER, FOR_EVER);
        let actor = start_with(&host, sign("trap").actor(), ActorOptions::new().restart(patient)).await;
        let mut events = host.monitor(actor.clone());
        for _ in 0..2 {
            assert_eq!(kind(call(&host, &actor, "Trap").await), ErrorKind::ActorTrapped);
            next(&mut events, crash).await;
        }
        until(async || known(&host, &actor).0 == ChildState::Restarting { attempt: 2 }).await;
        let health = health_of(&host, &actor).await;
        expect_unhealthy(&health, "being restarted");
        assert_eq!(known(&host, &actor).1, Some(health));
    })
    .await;
}

#[actix_rt::test]
async fn seed_defect_15_an_inventory_outlives_actors_that_are_dead() {
    with_host_of(asking(FOR_EVER), async |host| {
        let once = ActorOptions::new().restart(RestartPolicy::new().restart(Restart::Temporary));
        let module = sign("trap").actor();
        let actor = start_with(&host, module.clone(), once).await;
        assert_eq!(health_of(&host, &actor).await, Health::Healthy);
        let mut events = host.monitor(actor.clone());
        assert_eq!(kind(call(&host, &actor, "Trap").await), ErrorKind::ActorTrapped);
        next(&mut events, |kind| matches!(kind, EventKind::Failed { .. }).then_some(())).await;
        for _ in 0..3 {
            let (state, health) = known(&host, &actor);
            assert!(matches!(state, ChildState::Failed { .. }), "{state:?}");
            expect_unhealthy(&health.unwrap(), "it has failed: it is temporary");
            expect_unhealthy(&soon(host.health()).await.unwrap()[&actor], "it has failed: it is temporary");
        }
        // The supervisor is there, for this actor and others.
        let other = start(&host, sign("tiny_echo").actor()).await;
        assert_eq!(health_of(&host, &other).await, Health::Healthy);
        assert_eq!(start(&host, module).await, actor);
        assert_eq!(known(&host, &actor), (ChildState::Running, None), "what was known before its end is forgotten");
        assert_eq!(health_of(&host, &actor).await, Health::Healthy);
    })
    .await;
}

#[actix_rt::test]
async fn an_inventory_does_not_wait_for_a_child_that_hangs() {
    with_host_of(asking(FOR_EVER).with_shards(1), async |host| {
        let (probe, caller) = probed_caller(&host).await;
        let wait = host_call("", PROBE, "Wait", b"");
        let work = host.call_actor(&caller, "Any", &wait);
        let look = async {
            probe.arrived.notified().await;
            let inventory = host.inventory().unwrap();
            assert_eq!((inventory.actors.len(), inventory.providers.len(), inventory.links.len()), (1, 1, 1));
            assert_eq!((inventory.actors[0].calls, inventory.actors[0].state.clone()), (1, ChildState::Running));
            probe.release.add_permits(1);
        };
        soon(join(work, look)).await.0.unwrap();
    })
    .await;
}

#[actix_rt::test]
async fn an_actor_with_an_idle_instance_is_checked_there() {
    with_host_of(asking(FOR_EVER), async |host| {
        let actor = sign("spin").actor();
        let (key, entity) = (actor.public_key(), start_with(&host, actor, ActorOptions::new().instances(2)).await);
        let spin = async {
            let _ = host.call_actor(&key, "Spin", b"").await;
        };
        let asked = async {
            until(async || host.inventory().unwrap().actors[0].calls == 1).await;
            assert_eq!(health_of(&host, &entity).await, Health::Healthy);
        };
        tokio::select! { () = asked => {}, () = spin => panic!("it ended") }
    })
    .await;
}

#[cfg(target_os = "linux")]
#[test]
fn asking_all_actors_takes_up_neither_places_nor_stacks() {
    in_own_process("health::asking_all_actors_takes_up_neither_places_nor_stacks", crowd);
}

#[cfg(target_os = "linux")]
async fn crowd() {
    const ACTORS: usize = 100;
    fn mappings() -> usize {
        std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
    }
    let limits = Limits::new().memory_bytes(32 * 1024 * 1024).calls_in_flight(1);
    with_host_of(asking(FOR_EVER).with_limits(limits), async |host| {
        for _ in 0..ACTORS {
            start(&host, sign("tiny_echo").actor()).await;
        }
        let before = mappings();
        let health = soon(host.health()).await.unwrap();
        assert!(health.len() == ACTORS && health.values().all(|health| *health == Health::Healthy), "{health:?}");
        let asked = mappings();
        for actor in health.keys() {
            call(&host, actor, "Echo").await.unwrap();
        }
        let called = mappings();
        println!("{before} mappings, {asked} after the question, {called} after calls");
        assert!(asked < before + ACTORS, "{before} mappings, then {asked}");
        assert!(called > before + 2 * ACTORS, "{before} mappings, then {called}: a call does not take any");
    })
    .await;
}

#[actix_rt::test]
async fn a_child_that_does_not_run_is_not_checked() {
    let host = HostBuilder::new().build();
    assert_eq!(kind(host.health().await), ErrorKind::HostNotRunning);
    assert_eq!(kind(host.health_of(WasmCloudEntity::Host).await), ErrorKind::HostNotRunning);
    with_host(async |host| {
        assert_eq!(kind(host.health_of(WasmCloudEntity::Host).await), ErrorKind::InvalidArgument);
        let actor = sign("tiny_echo").actor();
        let (key, entity) = (actor.public_key(), WasmCloudEntity::Actor(actor.public_key()));
        assert_eq!(kind(host.health_of(entity.clone()).await), ErrorKind::ActorNotFound);
        host.start_actor(actor).await.unwrap();
        host.stop_actor(&key).await.unwrap();
        assert_eq!(kind(host.health_of(entity).await), ErrorKind::ActorStopped);
        let provider = Async::default().capability(None);
        let entity = |contract: &str, link_name: &str| entity_of(&provider, contract, link_name);
        host.start_native_capability(provider.clone()).await.unwrap();
        assert_eq!(kind(host.health_of(entity(PROBE, "other")).await), ErrorKind::ProviderNotFound);
        assert_eq!(kind(host.health_of(entity("test:other", "")).await), ErrorKind::InvalidArgument);
        assert_eq!(host.health_of(entity(PROBE, "")).await.unwrap(), Health::Healthy);
        assert_eq!(soon(host.health()).await.unwrap().len(), 1);
    })
    .await;
}

/// A provider that waits without blocking, and is as well as it is told to be.
#[derive(Clone, Default)]
struct Async {
    ill: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Async {
    fn capability(&self, link_name: Option<&str>) -> NativeCapability {
        self.capability_of(link_name, provider_claims(PROBE))
    }

    fn capability_of(
        &self,
        link_name: Option<&str>,
        claims: wasmcloud_host::jwt::Claims<wasmcloud_host::jwt::CapabilityProvider>,
    ) -> NativeCapability {
        NativeCapability::from_async(self.clone(), link_name.map(str::to_owned), claims).unwrap()
    }
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Async {
    async fn bind(&self, _: Binding) -> Result<(), BoxedError> {
        Ok(())
    }

    async fn unbind(&self, _: &str) -> Result<(), BoxedError> {
        Ok(())
    }

    async fn handle_call(&self, _: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        Ok(vec![])
    }

    async fn health(&self) -> Result<(), BoxedError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.ill.load(Ordering::SeqCst) { Err("the store cannot be reached".into()) } else { Ok(()) }
    }

    async fn stop(&self) {}
}

fn entity_of(provider: &NativeCapability, contract: &str, link_name: &str) -> WasmCloudEntity {
    WasmCloudEntity::Capability { id: provider.id(), contract_id: contract.to_owned(), link_name: link_name.to_owned() }
}

#[actix_rt::test]
async fn seed_defect_34_two_link_names_of_one_provider_are_told_apart() {
    with_host_of(asking(FOR_EVER), async |host| {
        let (claims, ill) = (provider_claims(PROBE), Async::default());
        ill.ill.store(true, Ordering::SeqCst);
        let one = Async::default().capability_of(None, claims.clone());
        let two = ill.capability_of(Some("two"), claims);
        let entities = [entity_of(&one, PROBE, "default"), entity_of(&two, PROBE, "two")];
        host.start_native_capability(one).await.unwrap();
        host.start_native_capability(two).await.unwrap();
        let mut events = host.events();
        let health = soon(host.health()).await.unwrap();
        assert_eq!(health.len(), 2);
        assert_eq!(health[&entities[0]], Health::Healthy);
        expect_unhealthy(&health[&entities[1]], "the store cannot be reached");
        let event = soon(events.next()).await.unwrap();
        assert_eq!(event.entity, entities[1], "{event:?}");
        let told = |link_name: &str| {
            let providers = host.inventory().unwrap().providers;
            providers.into_iter().find(|it| it.link_name == link_name).unwrap().health.unwrap()
        };
        assert_eq!([told("default"), told("two")], [health[&entities[0]].clone(), health[&entities[1]].clone()]);
    })
    .await;
}

#[actix_rt::test]
async fn the_host_checks_at_an_interval_and_emits_changes() {
    let builder = HostBuilder::new().with_shards(2).with_health_interval(Some(Duration::from_millis(5)));
    with_host_of(builder, async |host| {
        let provider = Async::default();
        let capability = provider.capability(None);
        let mut events = host.monitor(entity_of(&capability, PROBE, "default"));
        let some_rounds = async || {
            let before = provider.asked.load(Ordering::SeqCst);
            until(async || provider.asked.load(Ordering::SeqCst) > before + 3).await;
        };
        host.start_native_capability(capability.clone()).await.unwrap();
        some_rounds().await;
        for ill in [true, false] {
            provider.ill.store(ill, Ordering::SeqCst);
            some_rounds().await;
        }
        host.stop_provider(&capability.id(), PROBE, None).await.unwrap();
        provider.ill.store(true, Ordering::SeqCst);
        host.start_native_capability(capability.clone()).await.unwrap();
        some_rounds().await;
        let ill = unhealthy(&format!(
            "the store cannot be reached; provider {} (link name default) for {PROBE} failed in \"HealthRequest\"",
            capability.id()
        ));
        let told = |health: &Health| EventKind::HealthChanged { health: health.clone() };
        // An answer that is not new is told no second time, and the first only if it is not what is hoped for.
        let expected = [
            EventKind::Started,
            told(&ill),
            told(&Health::Healthy),
            EventKind::Stopped,
            EventKind::Started,
            told(&ill),
        ];
        for expected in expected {
            assert_eq!(soon(events.next()).await.unwrap().kind, expected);
        }
    })
    .await;
}

/// The contract of [`Blocking`].
const HANGING: &str = "test:hanging";

/// A blocking provider of the era. `Hang` hangs until it is opened, and so do health checks where it is told so.
#[derive(Clone)]
struct Blocking {
    entity: WasmCloudEntity,
    gate: Arc<Mutex<mpsc::Receiver<()>>>,
    entered: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
    on_health: Arc<Mutex<&'static str>>,
}

impl Blocking {
    /// Starts one. It is opened by dropping the other half of the answer.
    async fn start(host: &Host) -> (Blocking, mpsc::Sender<()>) {
        let (open, gate) = mpsc::channel();
        let claims = provider_claims(HANGING);
        let blocking = Blocking {
            entity: WasmCloudEntity::Capability {
                id: claims.subject.clone(),
                contract_id: HANGING.to_owned(),
                link_name: "default".to_owned(),
            },
            gate: Arc::new(Mutex::new(gate)),
            entered: Arc::default(),
            asked: Arc::default(),
            on_health: Arc::new(Mutex::new("well")),
        };
        let capability = NativeCapability::from_instance(blocking.clone(), None, claims).unwrap();
        host.start_native_capability(capability).await.unwrap();
        (blocking, open)
    }

    /// Starts an actor of so many instances that can call it.
    async fn caller(&self, host: &Host, instances: usize) -> String {
        let WasmCloudEntity::Capability { id, .. } = &self.entity else { unreachable!() };
        let actor = sign("host_call").capability(HANGING).actor();
        let key = actor.public_key();
        start_with(host, actor, ActorOptions::new().instances(instances)).await;
        host.set_link(&key, HANGING, None, id.clone(), HashMap::new()).await.unwrap();
        key
    }

    fn hang(&self) {
        // Nothing panics with the lock held, and the gate opens when its other half is dropped.
        let _ = self.gate.lock().unwrap().recv();
    }
}

impl CapabilityProvider for Blocking {
    fn configure_dispatch(&self, _: Box<dyn Dispatcher>) -> Result<(), BoxedError> {
        Ok(())
    }

    fn handle_call(&self, actor: &str, operation: &str, message: &[u8]) -> Result<Vec<u8>, BoxedError> {
        match operation {
            "HealthRequest" => {
                assert_eq!((actor, message), (SYSTEM_ACTOR, b"\x81\xabplaceholder\xc2".as_slice()));
                self.asked.fetch_add(1, Ordering::SeqCst);
                let on_health = *self.on_health.lock().unwrap();
                match on_health {
                    "well" => Ok(b"\x82\xa7healthy\xc3\xa7message\xa0".to_vec()),
                    "ill" => Ok(b"\x82\xa7healthy\xc2\xa7message\xa3ill".to_vec()),
                    "hangs" => {
                        self.hang();
                        Ok(vec![])
                    }
                    "panics" => panic!("deliberate panic"),
                    other => Err(other.into()),
                }
            }
            "Hang" => {
                self.entered.fetch_add(1, Ordering::SeqCst);
                self.hang();
                Ok(b"opened".to_vec())
            }
            _ => Ok(vec![]),
        }
    }

    fn stop(&self) {}
}

#[actix_rt::test]
async fn a_blocking_provider_is_checked_by_its_health_operation() {
    with_host_of(asking(FOR_EVER), async |host| {
        let (blocking, _open) = Blocking::start(&host).await;
        let mut events = host.monitor(blocking.entity.clone());
        let answer = async |on_health| {
            *blocking.on_health.lock().unwrap() = on_health;
            health_of(&host, &blocking.entity).await
        };
        assert_eq!(answer("well").await, Health::Healthy);
        expect_unhealthy(&answer("ill").await, "ill; provider ");
        expect_unhealthy(&answer("no operation HealthRequest").await, "no operation HealthRequest");
        assert_eq!(answer("well").await, Health::Healthy);
        expect_unhealthy(&answer("panics").await, "deliberate panic");
        next(&mut events, crash).await;
        next(&mut events, |kind| matches!(kind, EventKind::Restarted { .. }).then_some(())).await;
        assert_eq!(answer("well").await, Health::Healthy);
        assert_eq!(next(&mut events, change).await, Health::Healthy);
    })
    .await;
}

#[actix_rt::test]
async fn a_blocking_provider_that_hangs_in_a_call_is_checked_concurrently() {
    with_host_of(asking(FOR_EVER), async |host| {
        let (blocking, open) = Blocking::start(&host).await;
        let caller = blocking.caller(&host, 1).await;
        let hang = host_call("", HANGING, "Hang", b"");
        let asked = async {
            until(async || blocking.entered.load(Ordering::SeqCst) == 1).await;
            assert_eq!(health_of(&host, &blocking.entity).await, Health::Healthy);
            drop(open);
        };
        soon(join(host.call_actor(&caller, "Any", &hang), asked)).await.0.unwrap();
    })
    .await;
}

#[actix_rt::test]
async fn a_blocking_provider_that_hangs_over_the_question_serves_its_calls() {
    with_host_of(asking(Duration::from_millis(50)), async |host| {
        let (blocking, open) = Blocking::start(&host).await;
        let caller = blocking.caller(&host, 1).await;
        *blocking.on_health.lock().unwrap() = "hangs";
        for _ in 0..8 {
            assert_eq!(health_of(&host, &blocking.entity).await, Health::Unanswered);
            let answer = soon(host.call_actor(&caller, "Any", &host_call("", HANGING, "Other", b""))).await.unwrap();
            assert_eq!(host_answer(&answer).unwrap(), b"");
        }
        assert_eq!(blocking.asked.load(Ordering::SeqCst), 1, "it is not asked anew before it has answered");
        *blocking.on_health.lock().unwrap() = "well";
        drop(open);
        until(async || health_of(&host, &blocking.entity).await == Health::Healthy).await;
    })
    .await;
}

#[actix_rt::test]
async fn askers_of_one_actor_share_one_answer() {
    with_host_of(asking(Duration::from_millis(300)), async |host| {
        let actor = start(&host, guest("done", SPIN)).await;
        let mut events = host.monitor(actor.clone());
        let answers = soon(join_all((0..50).map(|_| host.health_of(actor.clone())))).await;
        assert!(answers.into_iter().all(|answer| answer.unwrap() == Health::Unanswered));
        next(&mut events, crash).await;
        assert_eq!(call(&host, &actor, "Work").await.unwrap(), b"done");
        host.stop().await;
        let crashed_again = next(&mut events, |kind| match kind {
            EventKind::Crashed { .. } => Some(true),
            EventKind::Stopped => Some(false),
            _ => None,
        });
        assert!(!crashed_again.await, "it was asked more often than once");
    })
    .await;
}
