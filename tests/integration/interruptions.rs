//! Interruptions: a guest whose deadline passes while it waits for others is replaced, without counting as a crash. The calls
//! that it waits for are cancelled.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{join, join_all};
use futures_util::poll;
use wasmcloud_host::{
    ActorOptions, BoxedError, ChildState, ErrorKind, EventKind, Events, Host, HostBuilder, Invocation, Limits,
    Middleware, Placement, RestartPolicy, WasmCloudEntity,
};

use crate::signing::{Signing, sign, sign_module};
use crate::support::{PROBE, Probe, host_answer, host_call, kind, soon, until, values, with_host_of};

/// A policy by which the first crash is the last.
fn strict() -> RestartPolicy {
    RestartPolicy::new().intensity(0, Duration::from_secs(3600)).in_a_row(0)
}

/// A host whose calls may take so many milliseconds.
fn hasty(milliseconds: u64) -> HostBuilder {
    let deadline = Duration::from_millis(milliseconds);
    HostBuilder::new().with_shards(2).with_call_deadline(deadline).with_health_interval(None)
}

/// A guest that has the probe wait, in `Wait`. In `Trap` it traps where that fails, in `Spin` it never ends afterwards, in
/// `Burn` it computes for a while before. Whatever else it is asked it answers with nothing. One that waits in its start has
/// the probe wait then, too.
fn patient(waits_in_its_start: bool) -> Signing {
    let start = if waits_in_its_start { r#"(func (export "wapc_init") (drop (call $wait)))"# } else { "" };
    let module = format!(
        r#"(module
            (import "wapc" "__guest_request" (func $request (param i32 i32)))
            (import "wapc" "__guest_response" (func $response (param i32 i32)))
            (import "wapc" "__host_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 8) "{PROBE}")
            (data (i32.const 32) "Wait")
            (func $wait (result i32)
                (call $call (i32.const 0) (i32.const 0) (i32.const 8) (i32.const {length})
                    (i32.const 32) (i32.const 4) (i32.const 0) (i32.const 0)))
            (func $is (param $operation i32) (result i32)
                (i32.eq (i32.load (i32.const 64)) (local.get $operation)))
            (func $burn (local $left i32)
                (local.set $left (i32.const 300000))
                (loop $more
                    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                    (br_if $more (local.get $left))))
            {start}
            (func (export "__guest_call") (param $operation i32) (param $message i32) (result i32)
                (call $request (i32.const 64) (i32.const 1024))
                (if (call $is (i32.const 0x74696157)) (then (drop (call $wait))))
                (if (call $is (i32.const 0x70617254)) (then (if (i32.eqz (call $wait)) (then unreachable))))
                (if (call $is (i32.const 0x6e697053)) (then (drop (call $wait)) (loop $for_ever (br $for_ever))))
                (if (call $is (i32.const 0x6e727542)) (then (call $burn) (drop (call $wait))))
                (call $response (i32.const 1024) (i32.const 0))
                (i32.const 1)))"#,
        length = PROBE.len(),
    );
    sign_module("patient", wat::parse_str(module).unwrap()).capability(PROBE)
}

async fn start(host: &Host, signing: &Signing, options: ActorOptions) -> String {
    let actor = signing.actor();
    let key = actor.public_key();
    host.start_actor_with(actor, options).await.unwrap();
    key
}

/// Starts a probe.
async fn probe(host: &Host) -> (Probe, String) {
    let probe = Probe::default();
    let capability = probe.capability();
    let id = capability.id();
    host.start_native_capability(capability).await.unwrap();
    (probe, id)
}

/// Starts an actor that is linked to a probe.
async fn linked(host: &Host, provider: &str, signing: &Signing, options: ActorOptions) -> String {
    let key = start(host, signing, options).await;
    host.set_link(&key, PROBE, None, provider.to_owned(), values(&[])).await.unwrap();
    key
}

fn state(host: &Host, key: &str) -> ChildState {
    let inventory = host.inventory().unwrap();
    inventory.actors.into_iter().find(|actor| actor.key == key).unwrap().state
}

fn monitor(host: &Host, key: &str) -> Events {
    host.monitor(WasmCloudEntity::Actor(key.to_owned()))
}

/// What becomes of an actor: one event, but for what is told of breached limits.
async fn next(events: &mut Events) -> EventKind {
    soon(async {
        loop {
            let kind = events.next().await.unwrap().kind;
            if !matches!(kind, EventKind::LimitBreached { .. } | EventKind::Linked { .. }) {
                return kind;
            }
        }
    })
    .await
}

/// Waits until what was interrupted, perhaps several times, is back.
async fn back(events: &mut Events) {
    loop {
        match next(events).await {
            EventKind::Interrupted { .. } => {}
            told => return assert_eq!(told, EventKind::Restarted { attempt: 0, delay: Duration::ZERO }),
        }
    }
}

/// Expects an interruption whose cause has these words, and the restart after it that counts for nothing.
async fn expect_interruption(events: &mut Events, words: &str) {
    let told = next(events).await;
    assert!(matches!(&told, EventKind::Interrupted { cause } if cause.contains(words)), "{told:?}, not {words:?}");
    assert_eq!(next(events).await, EventKind::Restarted { attempt: 0, delay: Duration::ZERO });
}

#[actix_rt::test]
async fn a_frozen_provider_makes_no_actor_fail_that_waits_for_it() {
    with_host_of(hasty(150), async |host| {
        let (probe, provider) = probe(&host).await;
        let options = ActorOptions::new().restart(strict());
        let key = linked(&host, &provider, &patient(false), options).await;
        let mut events = monitor(&host, &key);
        for operation in ["Wait", "Wait", "Burn", "Trap", "Trap", "Trap"] {
            assert_eq!(kind(soon(host.call_actor(&key, operation, b"")).await), ErrorKind::DeadlineExceeded);
            expect_interruption(&mut events, "while it waited for a call of its own").await;
            assert_eq!(state(&host, &key), ChildState::Running);
        }
        probe.release.add_permits(100);
        soon(host.call_actor(&key, "Wait", b"")).await.unwrap();
    })
    .await;
}

#[actix_rt::test]
async fn an_actor_that_waits_for_others_has_not_crashed_and_neither_has_a_whole_chain() {
    with_host_of(hasty(200), async |host| {
        let (probe, provider) = probe(&host).await;
        let caller = || sign("host_call").capability(PROBE);
        let options = || ActorOptions::new().restart(strict());
        let mut chain = Vec::new();
        for _ in 0..4 {
            chain.push(linked(&host, &provider, &caller(), options()).await);
        }
        let mut payload = host_call("", PROBE, "Wait", b"");
        for key in chain[1..].iter().rev() {
            payload = host_call("", key, "Any", &payload);
        }
        let mut events: Vec<Events> = chain.iter().map(|key| monitor(&host, key)).collect();
        for _ in 0..3 {
            // Whoever is told in the last moment that the time is up may still pass that on.
            let answer = soon(host.call_actor(&chain[0], "Any", &payload)).await;
            assert!(answer.map_or_else(|error| error.kind() == ErrorKind::DeadlineExceeded, |reply| reply[0] == 0));
        }
        for (key, events) in chain.iter().zip(&mut events) {
            assert_eq!(state(&host, key), ChildState::Running);
            while let Some(event) = futures_util::FutureExt::now_or_never(events.next()).flatten() {
                assert!(!matches!(event.kind, EventKind::Crashed { .. } | EventKind::Failed { .. }), "{event:?}");
            }
        }
        probe.release.add_permits(100);
        let mut answer = soon(host.call_actor(&chain[0], "Any", &payload)).await.unwrap();
        for _ in &chain {
            answer = host_answer(&answer).unwrap();
        }
        assert_eq!(answer, b"released");
    })
    .await;
}

#[actix_rt::test]
async fn a_guest_that_computes_past_its_deadline_has_crashed_and_one_that_waits_for_it_has_not() {
    with_host_of(hasty(400), async |host| {
        let spinning = start(&host, &sign("spin"), ActorOptions::new().restart(strict())).await;
        let options = ActorOptions::new().restart(strict()).placement(Placement::Dedicated);
        let waiting = start(&host, &sign("host_call"), options).await;
        let (mut spins, mut waits) = (monitor(&host, &spinning), monitor(&host, &waiting));
        let payload = host_call("", &spinning, "Spin", b"");
        match soon(host.call_actor(&waiting, "Any", &payload)).await {
            Err(late) => {
                assert_eq!(late.kind(), ErrorKind::DeadlineExceeded);
                expect_interruption(&mut waits, "while it waited").await;
            }
            // It was told in the last moment, and has passed that on.
            Ok(reply) => assert!(host_answer(&reply).unwrap_err().contains("did not answer in time")),
        }
        assert!(matches!(next(&mut spins).await, EventKind::Crashed { .. }));
        assert!(matches!(next(&mut spins).await, EventKind::Failed { .. }));
        assert_eq!(state(&host, &waiting), ChildState::Running);
    })
    .await;
}

#[actix_rt::test]
async fn a_guest_that_has_waited_for_most_of_its_time_is_not_responsible_for_computing_in_the_rest() {
    let deadline = 1000;
    for (waits, crashes) in [(deadline / 2, false), (0, true)] {
        with_host_of(hasty(deadline), async |host| {
            let (probe, provider) = probe(&host).await;
            let options = ActorOptions::new().restart(strict()).placement(Placement::Dedicated);
            let key = linked(&host, &provider, &patient(false), options).await;
            let mut events = monitor(&host, &key);
            let release = async {
                soon(probe.arrived.notified()).await;
                tokio::time::sleep(Duration::from_millis(waits)).await;
                probe.release.add_permits(1);
            };
            let (spun, ()) = soon(join(host.call_actor(&key, "Spin", b""), release)).await;
            assert_eq!(kind(spun), ErrorKind::DeadlineExceeded);
            if crashes {
                assert!(matches!(next(&mut events).await, EventKind::Crashed { .. }));
                assert!(matches!(next(&mut events).await, EventKind::Failed { .. }));
            } else {
                expect_interruption(&mut events, "when it had computed for").await;
                soon(host.call_actor(&key, "Else", b"")).await.unwrap();
            }
        })
        .await;
    }
}

#[actix_rt::test]
async fn a_guest_that_shares_its_thread_with_many_is_not_responsible_for_its_small_share() {
    with_host_of(hasty(500).with_shards(1), async |host| {
        let mut keys = Vec::new();
        for _ in 0..6 {
            keys.push(start(&host, &sign("spin"), ActorOptions::new().restart(strict())).await);
        }
        let spun = soon(join_all(keys.iter().map(|key| host.call_actor(key, "Spin", b"")))).await;
        assert!(spun.into_iter().all(|answer| kind(answer) == ErrorKind::DeadlineExceeded));
        assert!(keys.iter().all(|key| state(&host, key) == ChildState::Running));
    })
    .await;
}

#[actix_rt::test]
async fn a_guest_whose_caller_cancels_while_it_waits_has_not_crashed() {
    with_host_of(hasty(200), async |host| {
        let (probe, provider) = probe(&host).await;
        let options = ActorOptions::new().restart(strict());
        let key = linked(&host, &provider, &patient(false), options).await;
        let mut events = monitor(&host, &key);
        for _ in 0..3 {
            {
                let mut call = std::pin::pin!(host.call_actor(&key, "Wait", b""));
                assert!(poll!(call.as_mut()).is_pending());
                soon(probe.arrived.notified()).await;
            }
            expect_interruption(&mut events, "while it waited").await;
        }
        probe.release.add_permits(100);
        soon(host.call_actor(&key, "Wait", b"")).await.unwrap();
    })
    .await;
}

#[actix_rt::test]
async fn a_start_that_waits_beyond_its_time_is_tried_again_by_each_call_until_it_succeeds() {
    with_host_of(hasty(200), async |host| {
        let (probe, provider) = probe(&host).await;
        // One crash is allowed, which is what makes it start again.
        let once = RestartPolicy::new().intensity(1, Duration::from_secs(3600)).in_a_row(1);
        let key = start(&host, &patient(true), ActorOptions::new().restart(once)).await;
        let mut events = monitor(&host, &key);
        // Without a link its call fails at once.
        assert_eq!(kind(soon(host.call_actor(&key, "Trap", b"")).await), ErrorKind::ActorTrapped);
        assert!(matches!(next(&mut events).await, EventKind::Crashed { .. }));
        assert!(matches!(next(&mut events).await, EventKind::Restarted { attempt: 1, .. }));
        host.set_link(&key, PROBE, None, provider, values(&[])).await.unwrap();
        assert_eq!(kind(soon(host.call_actor(&key, "Wait", b"")).await), ErrorKind::DeadlineExceeded);
        for _ in 0..3 {
            let told = next(&mut events).await;
            assert!(matches!(&told, EventKind::Interrupted { cause } if cause.contains("while it waited")), "{told:?}");
            let told = next(&mut events).await;
            assert!(matches!(&told, EventKind::Interrupted { cause } if cause.contains("new instance")), "{told:?}");
            until(async || state(&host, &key) == ChildState::Restarting { attempt: 0 }).await;
            assert_eq!(kind(soon(host.call_actor(&key, "Else", b"")).await), ErrorKind::DeadlineExceeded);
            probe.release.add_permits(1);
            soon(host.call_actor(&key, "Else", b"")).await.unwrap();
            back(&mut events).await;
            until(async || state(&host, &key) == ChildState::Running).await;
            assert_eq!(kind(soon(host.call_actor(&key, "Wait", b"")).await), ErrorKind::DeadlineExceeded);
        }
        // It comes back without being called, too.
        until(async || state(&host, &key) == ChildState::Restarting { attempt: 0 }).await;
        probe.release.add_permits(1);
        back(&mut events).await;
        until(async || state(&host, &key) == ChildState::Running).await;
        assert_eq!(kind(soon(host.call_actor(&key, "Wait", b"")).await), ErrorKind::DeadlineExceeded);
        // What has no instance can be stopped.
        soon(host.stop_actor(&key)).await.unwrap();
    })
    .await;
}

#[actix_rt::test]
async fn an_actor_without_room_for_its_next_instance_returns_once_there_is_room() {
    // The code of a module is eight mappings, the memory of its guest one; the stacks of one guest at work are four.
    let limits = Limits::new().memory_bytes(1 << 20).mappings(2 * (8 + 1) + 4);
    with_host_of(HostBuilder::new().with_shards(1).with_limits(limits), async |host| {
        let (probe, provider) = probe(&host).await;
        let pause = Duration::from_millis(800);
        let options = ActorOptions::new().restart(RestartPolicy::new().delays(pause, pause));
        let key = start(&host, &patient(true), options).await;
        let holder = linked(&host, &provider, &sign("host_call").capability(PROBE), ActorOptions::new()).await;
        let mut events = monitor(&host, &key);
        // After the second crash in a row, the next instance is not made at once.
        for _ in 0..2 {
            assert_eq!(kind(soon(host.call_actor(&key, "Trap", b"")).await), ErrorKind::ActorTrapped);
        }
        let wait = host_call("", PROBE, "Wait", b"");
        let holds = host.call_actor(&holder, "Any", &wait);
        let meanwhile = async {
            soon(probe.arrived.notified()).await;
            while !matches!(next(&mut events).await, EventKind::Interrupted { .. }) {}
            assert_eq!(kind(soon(host.call_actor(&key, "Else", b"")).await), ErrorKind::Busy);
            probe.release.add_permits(1);
        };
        soon(join(holds, meanwhile)).await.0.unwrap();
        soon(host.call_actor(&key, "Else", b"")).await.unwrap();
    })
    .await;
}

#[actix_rt::test]
async fn what_a_lost_guest_had_called_does_not_compute_to_its_deadline() {
    with_host_of(hasty(3_600_000).with_stop_grace(Duration::ZERO), async |host| {
        let (_, provider) = probe(&host).await;
        let spinning = start(&host, &sign("spin"), ActorOptions::new()).await;
        // Straight, and through another actor.
        let between = start(&host, &sign("host_call"), ActorOptions::new()).await;
        let straight = host_call("", &spinning, "Spin", b"");
        for payload in [host_call("", &between, "Any", &straight), straight] {
            let calling = linked(&host, &provider, &sign("host_call").capability(PROBE), ActorOptions::new()).await;
            let calls = |key: &str| {
                let inventory = host.inventory().unwrap();
                inventory.actors.iter().find(|actor| actor.key == key).map_or(0, |actor| actor.calls)
            };
            let stop = async {
                until(async || calls(&spinning) == 1).await;
                host.stop_actor(&calling).await.unwrap();
                until(async || calls(&spinning) == 0).await;
            };
            let (ended, ()) = soon(join(host.call_actor(&calling, "Any", &payload), stop)).await;
            assert_eq!(kind(ended), ErrorKind::ActorStopped);
        }
    })
    .await;
}

/// A middleware that blocks the thread of a caller of the operation `Hold` until it is released.
struct Holding {
    held: Mutex<Sender<()>>,
    let_go: Mutex<Receiver<()>>,
}

impl Middleware for Holding {
    fn capability_pre_invoke(&self, invocation: &mut Invocation) -> Result<(), BoxedError> {
        if invocation.operation == "Hold" {
            self.held.lock().unwrap_or_else(PoisonError::into_inner).send(())?;
            self.let_go.lock().unwrap_or_else(PoisonError::into_inner).recv()?;
        }
        Ok(())
    }
}

#[actix_rt::test]
async fn an_update_and_a_scaling_do_not_wait_for_an_instance_whose_thread_is_held() {
    let ((held, is_held), (let_go, wait)) = (channel(), channel());
    let holding = Holding { held: Mutex::new(held), let_go: Mutex::new(wait) };
    let builder = hasty(3_600_000).with_stop_grace(Duration::from_millis(50)).enable_live_updates();
    with_host_of(builder.with_middleware(holding), async |host| {
        let (_, provider) = probe(&host).await;
        let mut signing = sign("host_call").capability(PROBE);
        let options = ActorOptions::new().placement(Placement::Dedicated);
        let key = linked(&host, &provider, &signing, options).await;
        let payload = Arc::new(host_call("", PROBE, "Hold", b""));
        signing.set_revision(2);
        let hold = || {
            let (host, key, payload) = (host.clone(), key.clone(), payload.clone());
            actix_rt::spawn(async move { host.call_actor(&key, "Any", &payload).await })
        };
        let held = async || until(async || is_held.try_recv().is_ok()).await;
        let call = hold();
        held().await;
        soon(host.update_actor(&key, None, &signing.bytes())).await.unwrap();
        assert_eq!(host.inventory().unwrap().actors[0].revision, 2);
        let echo = host_call("", PROBE, "Echo", b"x");
        assert_eq!(host_answer(&soon(host.call_actor(&key, "Any", &echo)).await.unwrap()).unwrap(), b"x");
        let_go.send(()).unwrap();
        // It is ended, unless its thread gets to its answer before.
        let outcome = soon(call).await.unwrap();
        assert!(outcome.is_ok() || kind(outcome) == ErrorKind::ActorStopped);

        // Another instance that is too many is held, and the host's stop waits for neither.
        soon(host.scale_actor(&key, 2)).await.unwrap();
        let calls = [hold(), hold()];
        held().await;
        held().await;
        soon(host.scale_actor(&key, 1)).await.unwrap();
        soon(host.stop()).await;
        calls.iter().for_each(|_| let_go.send(()).unwrap());
        for call in calls {
            // Whatever it comes to.
            let _ = soon(call).await.unwrap();
        }
    })
    .await;
}
