//! Supervision: a crash costs one call, the crashed child is restarted by its policy, and no change loses a call.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{join, join_all};
use futures_util::poll;
use tokio::sync::Notify;
use wasmcloud_host::{
    Actor, ActorOptions, AsyncCapabilityProvider, Binding, BoxedError, ChildState, ErrorKind, Event, EventKind, Events,
    Host, HostBuilder, NativeCapability, ProviderCallContext, Restart, RestartPolicy, WasmCloudEntity,
};

use crate::signing::{Signing, sign, sign_module};
use crate::support::{
    PROBE, Probe, host_answer, host_call, kind, probed_caller, provider_claims, soon, until, values, with_host,
    with_host_of,
};

/// Waits for something to happen.
async fn happened(events: &mut Events, mut is_it: impl FnMut(&EventKind) -> bool) -> Event {
    soon(async {
        loop {
            let event = events.next().await.expect("the host is there");
            if is_it(&event.kind) {
                return event;
            }
        }
    })
    .await
}

/// What has been told up to now, but for what is told of breached limits.
async fn told(events: &mut Events) -> Vec<EventKind> {
    let mut told = Vec::new();
    while let Some(event) = futures_util::FutureExt::now_or_never(events.next()).flatten() {
        if !matches!(event.kind, EventKind::LimitBreached { .. }) {
            told.push(event.kind);
        }
    }
    told
}

async fn start(host: &Host, signing: &Signing, options: ActorOptions) -> String {
    let actor = signing.actor();
    let key = actor.public_key();
    host.start_actor_with(actor, options).await.unwrap();
    key
}

fn state(host: &Host, key: &str) -> ChildState {
    let inventory = host.inventory().unwrap();
    inventory.actors.into_iter().find(|actor| actor.key == key).unwrap().state
}

/// A guest that tells a probe of each operation that it serves, and traps in `Trap`.
pub(crate) fn telltale() -> Signing {
    let module = wat::parse_str(
        r#"(module
            (import "wapc" "__guest_request" (func $request (param i32 i32)))
            (import "wapc" "__guest_response" (func $response (param i32 i32)))
            (import "wapc" "__host_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 8) "test:probe")
            (func (export "__guest_call") (param $operation i32) (param $message i32) (result i32)
                (call $request (i32.const 64) (i32.const 1024))
                (drop (call $call (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 10)
                    (i32.const 64) (local.get $operation) (i32.const 0) (i32.const 0)))
                (if (i32.eq (i32.load (i32.const 64)) (i32.const 0x70617254)) (then unreachable))
                (call $response (i32.const 1024) (local.get $message))
                (i32.const 1)))"#,
    );
    sign_module("telltale", module.unwrap()).capability(PROBE)
}

#[actix_rt::test]
async fn messages_behind_a_crash_are_served_by_the_next_instance_in_order_and_once() {
    with_host(async |host| {
        let probe = Probe::default();
        let capability = probe.capability();
        let provider = capability.id();
        host.start_native_capability(capability).await.unwrap();
        let key = start(&host, &telltale(), ActorOptions::new()).await;
        host.set_link(&key, PROBE, None, provider, values(&[])).await.unwrap();
        let operations = ["one", "Trap", "two", "three", "Trap", "Trap", "four"];
        let answers = soon(join_all(operations.map(|operation| host.call_actor(&key, operation, b"x")))).await;
        for (operation, answer) in operations.iter().zip(answers) {
            match *operation {
                "Trap" => assert_eq!(kind(answer), ErrorKind::ActorTrapped),
                _ => assert_eq!(answer.unwrap(), b"x"),
            }
        }
        assert_eq!(probe.calls(), operations);
    })
    .await;
}

#[actix_rt::test]
async fn a_crash_and_its_restart_are_reported_with_cause_and_attempt() {
    with_host(async |host| {
        let key = start(&host, &sign("trap"), ActorOptions::new()).await;
        let mut events = host.monitor(WasmCloudEntity::Actor(key.clone()));
        assert_eq!(kind(host.call_actor(&key, "Trap", b"").await), ErrorKind::ActorTrapped);
        let crash = happened(&mut events, |kind| matches!(kind, EventKind::Crashed { .. })).await;
        assert_eq!(crash.entity, WasmCloudEntity::Actor(key.clone()));
        let EventKind::Crashed { cause } = crash.kind else { unreachable!("it was waited for") };
        assert!(cause.contains("\"Trap\"") && cause.contains("unreachable"), "{cause}");
        let restart = happened(&mut events, |_| true).await;
        assert_eq!(restart.kind, EventKind::Restarted { attempt: 1, delay: Duration::ZERO });
        assert_eq!(state(&host, &key), ChildState::Running);
    })
    .await;
}

#[actix_rt::test]
async fn what_crashes_more_often_than_its_intensity_allows_has_failed_until_it_is_started_again() {
    with_host(async |host| {
        let policy = RestartPolicy::new().intensity(2, Duration::from_secs(3600));
        let signing = sign("trap").alias("flaky");
        let key = start(&host, &signing, ActorOptions::new().restart(policy)).await;
        let mut events = host.monitor(WasmCloudEntity::Actor(key.clone()));
        for _ in 0..3 {
            assert_eq!(kind(host.call_actor(&key, "Trap", b"").await), ErrorKind::ActorTrapped);
            happened(&mut events, |kind| matches!(kind, EventKind::Restarted { .. } | EventKind::Failed { .. })).await;
        }
        let reason = "it crashed more often than 2 times in 3600s";
        assert_eq!(state(&host, &key), ChildState::Failed { reason: reason.to_owned() });
        for name in [key.as_str(), "flaky"] {
            let refused = host.call_actor(name, "Echo", b"x").await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ChildFailed);
            assert!(refused.to_string().contains(reason), "{refused}");
        }
        host.start_actor(signing.actor()).await.unwrap();
        assert_eq!(state(&host, &key), ChildState::Running);
        assert_eq!(host.call_actor("flaky", "Echo", b"x").await.unwrap(), b"x");
    })
    .await;
}

#[actix_rt::test]
async fn messages_behind_the_last_crash_fail_at_once_with_the_reason() {
    with_host(async |host| {
        let temporary = RestartPolicy::new().restart(Restart::Temporary);
        let key = start(&host, &sign("trap"), ActorOptions::new().restart(temporary)).await;
        let calls = ["Echo", "Trap", "Echo", "Trap"].map(|operation| host.call_actor(&key, operation, b"x"));
        let kinds: Vec<_> =
            soon(join_all(calls)).await.into_iter().map(|answer| answer.map_err(|error| error.kind())).collect();
        let failed = Err(ErrorKind::ChildFailed);
        assert_eq!(kinds, [Ok(b"x".to_vec()), Err(ErrorKind::ActorTrapped), failed.clone(), failed]);
    })
    .await;
}

#[actix_rt::test]
async fn a_loop_of_crashes_is_slowed_down_and_ends_in_failure() {
    with_host(async |host| {
        let policy = RestartPolicy::new().in_a_row(4).delays(Duration::from_millis(4), Duration::from_millis(8));
        let key = start(&host, &sign("trap"), ActorOptions::new().restart(policy)).await;
        let mut events = host.monitor(WasmCloudEntity::Actor(key.clone()));
        let poison = soon(join_all((0..6).map(|_| host.call_actor(&key, "Trap", b"")))).await;
        let count = |wanted| poison.iter().filter(|answer| answer.as_ref().unwrap_err().kind() == wanted).count();
        assert_eq!((count(ErrorKind::ActorTrapped), count(ErrorKind::ChildFailed)), (5, 1));
        let mut delays = Vec::new();
        for kind in told(&mut events).await {
            if let EventKind::Restarted { delay, .. } = kind {
                delays.push(delay);
            }
        }
        assert_eq!(delays.len(), 4);
        let milliseconds = Duration::from_millis;
        assert!(delays[0].is_zero(), "{delays:?}");
        assert!((milliseconds(2)..=milliseconds(4)).contains(&delays[1]), "{delays:?}");
        assert!(delays[2..].iter().all(|delay| (milliseconds(4)..=milliseconds(8)).contains(delay)), "{delays:?}");
        // An answer in between, and the count begins anew.
        host.start_actor(sign("tiny_echo").actor()).await.unwrap();
    })
    .await;
}

#[actix_rt::test]
async fn an_answer_in_between_is_no_loop() {
    with_host(async |host| {
        let policy = RestartPolicy::new().in_a_row(1);
        let key = start(&host, &sign("trap"), ActorOptions::new().restart(policy)).await;
        for _ in 0..20 {
            assert_eq!(kind(host.call_actor(&key, "Trap", b"").await), ErrorKind::ActorTrapped);
            assert_eq!(host.call_actor(&key, "Echo", b"x").await.unwrap(), b"x");
        }
    })
    .await;
}

#[actix_rt::test]
async fn a_provider_that_panics_comes_back_with_its_links_and_the_next_calls_wait_for_it() {
    with_host(async |host| {
        let (probe, caller) = probed_caller(&host).await;
        let mut events = host.events();
        let call = async |operation| {
            let payload = host_call("", PROBE, operation, b"x");
            host_answer(&soon(host.call_actor(&caller, "Any", &payload)).await.unwrap())
        };
        for _ in 0..5 {
            assert!(call("Panic").await.unwrap_err().contains("deliberate panic"));
            assert_eq!(call("Echo").await.unwrap(), b"x");
        }
        let told = told(&mut events).await;
        let count = |wanted: fn(&EventKind) -> bool| told.iter().filter(|kind| wanted(kind)).count();
        assert_eq!(count(|kind| matches!(kind, EventKind::Crashed { .. })), 5);
        assert_eq!(count(|kind| matches!(kind, EventKind::Restarted { .. })), 5);
        let seen = probe.seen();
        let bound = seen.iter().filter(|seen| matches!(seen, crate::support::Seen::Bound { .. })).count();
        assert_eq!(bound, 6);
    })
    .await;
}

#[actix_rt::test]
async fn a_provider_that_panics_too_often_fails_and_can_be_revived() {
    with_host(async |host| {
        let probe = Probe::default();
        let capability = probe.capability();
        let (id, never) = (capability.id(), RestartPolicy::new().restart(Restart::Temporary));
        host.start_native_capability_with(capability.clone(), never).await.unwrap();
        let key = start(&host, &sign("host_call").capability(PROBE), ActorOptions::new()).await;
        host.set_link(&key, PROBE, None, id, values(&[])).await.unwrap();
        let mut events = host.events();
        let call = async |operation| {
            host_answer(&soon(host.call_actor(&key, "Any", &host_call("", PROBE, operation, b"x"))).await.unwrap())
        };
        assert!(call("Panic").await.unwrap_err().contains("deliberate panic"));
        happened(&mut events, |kind| matches!(kind, EventKind::Failed { .. })).await;
        let refused = call("Echo").await.unwrap_err();
        assert!(refused.contains("has failed: it is temporary"), "{refused}");
        assert!(matches!(host.inventory().unwrap().providers[0].state, ChildState::Failed { .. }));
        host.start_native_capability(capability).await.unwrap();
        assert_eq!(call("Echo").await.unwrap(), b"x");
    })
    .await;
}

/// A provider that panics when it is called, and takes its time to stop.
#[derive(Clone, Default)]
struct SlowToStop {
    stopping: Arc<Notify>,
    stop: Arc<Notify>,
}

#[async_trait(?Send)]
impl AsyncCapabilityProvider for SlowToStop {
    async fn bind(&self, _: Binding) -> Result<(), BoxedError> {
        Ok(())
    }

    async fn unbind(&self, _: &str) -> Result<(), BoxedError> {
        Ok(())
    }

    async fn handle_call(&self, _: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        panic!("deliberate panic")
    }

    async fn stop(&self) {
        self.stopping.notify_one();
        self.stop.notified().await;
    }
}

#[actix_rt::test]
async fn a_link_that_is_removed_while_its_provider_is_restarted_is_gone_and_that_is_no_error() {
    with_host(async |host| {
        let provider = SlowToStop::default();
        let capability = NativeCapability::from_async(provider.clone(), None, provider_claims(PROBE)).unwrap();
        let id = capability.id();
        host.start_native_capability(capability).await.unwrap();
        let key = start(&host, &sign("host_call").capability(PROBE), ActorOptions::new()).await;
        host.set_link(&key, PROBE, None, id, values(&[])).await.unwrap();
        soon(host.call_actor(&key, "Any", &host_call("", PROBE, "Panic", b""))).await.unwrap();
        soon(provider.stopping.notified()).await;
        let mut removal = pin!(host.remove_link(&key, PROBE, None));
        assert!(poll!(removal.as_mut()).is_pending());
        // The removal has reached the supervisor before this has, and waits for the provider.
        assert_eq!(kind(host.remove_link(&key, "test:other", None).await), ErrorKind::NotLinked);
        provider.stop.notify_one();
        soon(removal).await.unwrap();
        assert!(host.link_definitions().await.unwrap().is_empty());
        provider.stop.notify_one();
    })
    .await;
}

/// A host that allows live updates.
fn updatable() -> HostBuilder {
    HostBuilder::new().with_shards(2).enable_live_updates()
}

#[actix_rt::test]
async fn an_update_under_load_fails_no_call_and_later_calls_run_on_the_new_revision() {
    with_host_of(updatable(), async |host| {
        let mut signing = sign("tiny_echo").alias("old-name");
        let key = start(&host, &signing, ActorOptions::new().instances(2)).await;
        let mut events = host.monitor(WasmCloudEntity::Actor(key.clone()));
        let updated = std::cell::Cell::new(false);
        let load = join_all((0..16).map(|_| async {
            let mut answered = 0;
            while !updated.get() {
                assert_eq!(host.call_actor(&key, "Echo", b"x").await.unwrap(), b"x");
                answered += 1;
                tokio::task::yield_now().await;
            }
            answered
        }));
        let update = async {
            for revision in 2..12 {
                signing.set_revision(revision);
                host.update_actor(&key, None, &signing.bytes()).await.unwrap();
            }
            updated.set(true);
        };
        let (answered, ()) = soon(join(load, update)).await;
        assert!(answered.iter().all(|&answered| answered > 0));
        let revisions: Vec<_> = told(&mut events).await;
        let expected: Vec<_> = (1..11).map(|from| EventKind::Updated { from, to: from + 1 }).collect();
        assert_eq!(revisions, expected);
        let inventory = host.inventory().unwrap();
        assert_eq!((inventory.actors[0].revision, inventory.actors[0].instances), (11, 2));
    })
    .await;
}

#[actix_rt::test]
async fn an_update_may_bring_another_module_and_another_alias() {
    with_host_of(updatable(), async |host| {
        let mut signing = sign("error").alias("before");
        let key = start(&host, &signing, ActorOptions::new()).await;
        assert_eq!(kind(host.call_actor("before", "Any", b"").await), ErrorKind::ActorFailed);
        signing = signing.alias("after").module(crate::signing::guest("tiny_echo"));
        signing.set_revision(2);
        host.update_actor(&key, None, &signing.bytes()).await.unwrap();
        assert_eq!(host.call_actor("after", "Any", b"x").await.unwrap(), b"x");
        assert_eq!(kind(host.call_actor("before", "Any", b"x").await), ErrorKind::ActorNotFound);
    })
    .await;
}

#[actix_rt::test]
async fn seed_defect_16_a_failed_live_update_leaves_the_running_actor_serving() {
    with_host_of(updatable(), async |host| {
        let mut signing = sign("tiny_echo");
        let key = start(&host, &signing, ActorOptions::new()).await;
        let mut events = host.monitor(WasmCloudEntity::Actor(key.clone()));
        let traps_at_start = wat::parse_str(
            r#"(module
                (memory (export "memory") 1)
                (func (export "wapc_init") unreachable)
                (func (export "__guest_call") (param i32 i32) (result i32) i32.const 1))"#,
        );
        signing.set_revision(2);
        let broken = signing.module(traps_at_start.unwrap());
        let refused = host.update_actor(&key, None, &broken.bytes()).await;
        assert_eq!(kind(refused), ErrorKind::ActorTrapped);
        assert!(matches!(told(&mut events).await.as_slice(), [EventKind::UpdateRefused { .. }]));
        assert_eq!(host.call_actor(&key, "Echo", b"still there").await.unwrap(), b"still there");
        assert_eq!(host.inventory().unwrap().actors[0].revision, 1);
    })
    .await;
}

#[actix_rt::test]
async fn seed_defect_17_an_update_is_checked_as_the_host_was_told_and_claims_change_with_success_only() {
    let strict = updatable();
    let lenient = updatable().disable_strict_update_check();
    for (builder, may_change) in [(strict, false), (lenient, true)] {
        with_host_of(builder, async |host| {
            let mut signing = sign("tiny_echo");
            let key = start(&host, &signing, ActorOptions::new()).await;
            signing.set_revision(2);
            let mut more = signing.capability(PROBE);
            // Twice: no update leaves another rule behind.
            for revision in [2, 3] {
                more.set_revision(revision);
                let updated = host.update_actor(&key, None, &more.bytes()).await;
                let claims = &host.actor_claims().await.unwrap()[0];
                let capabilities = claims.metadata.as_ref().unwrap().caps.clone().unwrap();
                if may_change {
                    updated.unwrap();
                    assert_eq!(capabilities, [PROBE]);
                } else {
                    assert_eq!(kind(updated), ErrorKind::UpdateRefused);
                    assert!(capabilities.is_empty());
                }
            }
        })
        .await;
    }
}

#[actix_rt::test]
async fn seed_defect_18_refused_updates_say_why_to_the_caller_and_to_those_who_listen() {
    with_host_of(updatable(), async |host| {
        let mut signing = sign("tiny_echo");
        signing.set_revision(5);
        let key = start(&host, &signing, ActorOptions::new()).await;
        let mut events = host.monitor(WasmCloudEntity::Actor(key.clone()));
        for revision in [4, 5] {
            signing.set_revision(revision);
            let refused = host.update_actor(&key, None, &signing.bytes()).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::UpdateRefused);
            assert!(refused.to_string().contains("runs revision 5 already"), "{refused}");
        }
        let stranger = sign("tiny_echo").bytes();
        let refused = host.update_actor(&key, None, &stranger).await.unwrap_err();
        assert!(refused.to_string().contains("is signed for actor"), "{refused}");
        let told = told(&mut events).await;
        assert_eq!(told.len(), 3);
        assert!(told.iter().all(|kind| matches!(kind, EventKind::UpdateRefused { .. })), "{told:?}");
        assert_eq!(kind(host.update_actor(&key, None, b"no module").await), ErrorKind::InvalidModule);
        let nobody = sign("tiny_echo").actor().public_key();
        assert_eq!(kind(host.update_actor(&nobody, None, &stranger).await), ErrorKind::ActorNotFound);
    })
    .await;
    with_host(async |host| {
        let mut signing = sign("tiny_echo");
        let key = start(&host, &signing, ActorOptions::new()).await;
        signing.set_revision(2);
        let refused = host.update_actor(&key, None, &signing.bytes()).await.unwrap_err();
        assert!(refused.to_string().contains("live updates are not enabled"), "{refused}");
    })
    .await;
}

#[actix_rt::test]
async fn an_actor_is_scaled_up_and_down_without_losing_a_call() {
    with_host(async |host| {
        let key = start(&host, &sign("tiny_echo"), ActorOptions::new()).await;
        let mut events = host.monitor(WasmCloudEntity::Actor(key.clone()));
        let scaled = std::cell::Cell::new(false);
        let load = join_all((0..16).map(|_| async {
            while !scaled.get() {
                assert_eq!(host.call_actor(&key, "Echo", b"x").await.unwrap(), b"x");
                tokio::task::yield_now().await;
            }
        }));
        let numbers = [4, 1, 3, 3, 2, 8, 1, 0];
        let scale = async {
            for instances in numbers {
                host.scale_actor(&key, instances).await.unwrap();
                assert_eq!(host.inventory().unwrap().actors[0].instances, instances.max(1));
            }
            scaled.set(true);
        };
        soon(join(load, scale)).await;
        let expected = numbers.map(|instances| EventKind::Scaled { instances: instances.max(1) });
        assert_eq!(told(&mut events).await, expected);
        let nobody = sign("tiny_echo").actor().public_key();
        assert_eq!(kind(host.scale_actor(&nobody, 2).await), ErrorKind::ActorNotFound);
    })
    .await;
}

#[actix_rt::test]
async fn a_stop_ends_what_takes_longer_than_the_period_of_grace() {
    let builder = HostBuilder::new().with_shards(2).with_stop_grace(Duration::from_millis(50));
    with_host_of(builder, async |host| {
        let (probe, waiting) = probed_caller(&host).await;
        let spinning = start(&host, &sign("spin"), ActorOptions::new()).await;
        for (key, operation, message) in
            [(&spinning, "Spin", vec![]), (&waiting, "Any", host_call("", PROBE, "Wait", b""))]
        {
            let mut events = host.monitor(WasmCloudEntity::Actor(key.clone()));
            let calls = join(host.call_actor(key, operation, &message), host.call_actor(key, operation, &message));
            let stop = async {
                until(async || {
                    host.inventory().unwrap().actors.iter().any(|actor| actor.key == *key && actor.calls == 2)
                })
                .await;
                host.stop_actor(key).await.unwrap();
            };
            let ((first, second), ()) = soon(join(calls, stop)).await;
            assert_eq!((kind(first), kind(second)), (ErrorKind::ActorStopped, ErrorKind::ActorStopped));
            assert_eq!(told(&mut events).await, [EventKind::Stopped]);
            assert_eq!(kind(host.call_actor(key, "Echo", b"").await), ErrorKind::ActorStopped);
        }
        probe.release.add_permits(2);
    })
    .await;
}

#[actix_rt::test]
async fn an_actor_that_can_only_crash_can_still_be_stopped() {
    let slow = RestartPolicy::new().delays(Duration::from_secs(3600), Duration::from_secs(3600));
    with_host(async |host| {
        let key = start(&host, &sign("trap"), ActorOptions::new().restart(slow)).await;
        let calls = join_all((0..10).map(|_| host.call_actor(&key, "Trap", b"")));
        let stop = async {
            until(async || matches!(state(&host, &key), ChildState::Restarting { .. })).await;
            host.stop_actor(&key).await.unwrap();
        };
        let (answers, ()) = soon(join(calls, stop)).await;
        assert!(
            answers.into_iter().all(|answer| matches!(kind(answer), ErrorKind::ActorTrapped | ErrorKind::ChildFailed))
        );
    })
    .await;
}

#[actix_rt::test]
async fn a_host_has_one_period_of_grace_for_all_it_stops() {
    const GRACE: Duration = Duration::from_secs(1);
    let builder = HostBuilder::new().with_shards(2).with_stop_grace(GRACE);
    let host = builder.build();
    host.start().await.unwrap();
    let mut keys = Vec::new();
    for _ in 0..10 {
        keys.push(start(&host, &sign("spin"), ActorOptions::new()).await);
    }
    let spin = join_all(keys.iter().map(|key| host.call_actor(key, "Spin", b"")));
    let stop = async {
        until(async || host.inventory().unwrap().actors.iter().all(|actor| actor.calls == 1)).await;
        tokio::select! {
            biased;
            () = host.stop() => {}
            () = actix_rt::time::sleep(9 * GRACE) => panic!("each actor had a period of grace of its own"),
        }
    };
    let (answers, ()) = soon(join(spin, stop)).await;
    assert!(answers.into_iter().all(|answer| kind(answer) == ErrorKind::ActorStopped));
}

#[actix_rt::test]
async fn seed_defect_32_a_provider_is_stopped_under_its_contract_and_that_is_told_once() {
    with_host(async |host| {
        let probe = Probe::default();
        let capability = probe.capability();
        let id = capability.id();
        let entity = WasmCloudEntity::Capability {
            id: id.clone(),
            contract_id: PROBE.to_owned(),
            link_name: "default".to_owned(),
        };
        let mut events = host.monitor(entity);
        host.start_native_capability(capability).await.unwrap();
        let wrong = host.stop_provider(&id, "test:other", None).await;
        assert_eq!(kind(wrong), ErrorKind::InvalidArgument);
        assert_eq!(host.inventory().unwrap().providers.len(), 1);
        host.stop_provider(&id, PROBE, None).await.unwrap();
        assert!(host.stop_provider(&id, PROBE, None).await.is_err());
        assert_eq!(told(&mut events).await, [EventKind::Started, EventKind::Stopped]);
    })
    .await;
}

#[actix_rt::test]
async fn seed_defect_33_a_stop_is_told_once_of_what_ran_and_frees_the_alias() {
    with_host(async |host| {
        let mut events = host.events();
        let one = sign("tiny_echo").alias("shared");
        let two = sign("tiny_echo").alias("shared").issued_like(&one);
        let never = sign("tiny_echo").actor().public_key();
        assert_eq!(kind(host.stop_actor(&never).await), ErrorKind::ActorNotFound);
        let first = start(&host, &one, ActorOptions::new()).await;
        host.stop_actor(&first).await.unwrap();
        assert_eq!(kind(host.stop_actor(&first).await), ErrorKind::ActorStopped);
        let second = start(&host, &two, ActorOptions::new()).await;
        assert_eq!(host.call_actor("shared", "Echo", b"x").await.unwrap(), b"x");
        host.stop_actor(&second).await.unwrap();
        let expected = [EventKind::Started, EventKind::Stopped, EventKind::Started, EventKind::Stopped];
        assert_eq!(told(&mut events).await, expected);
    })
    .await;
}

#[actix_rt::test]
async fn link_events_name_their_actor() {
    with_host(async |host| {
        let (_, key) = probed_caller(&host).await;
        let mut events = host.monitor(WasmCloudEntity::Actor(key.clone()));
        let refusing = values(&[("REFUSE", "not today")]);
        let provider = host.link_definitions().await.unwrap()[0].provider_id.clone();
        assert!(host.set_link(&key, PROBE, None, provider.clone(), refusing).await.is_err());
        host.set_link(&key, PROBE, None, provider, values(&[("a", "b")])).await.unwrap();
        host.remove_link(&key, PROBE, None).await.unwrap();
        let told = told(&mut events).await;
        assert!(
            matches!(
                told.as_slice(),
                [EventKind::LinkRefused { reason, .. }, EventKind::Linked { .. }, EventKind::Unlinked { .. }]
                    if reason.contains("not today")
            ),
            "{told:?}"
        );
    })
    .await;
}

#[actix_rt::test]
async fn a_breached_limit_emits_an_event() {
    with_host(async |host| {
        let limits = wasmcloud_host::Limits::new().message_bytes(1000);
        let key = start(&host, &sign("large_reply"), ActorOptions::new().limits(limits)).await;
        let mut events = host.monitor(WasmCloudEntity::Actor(key.clone()));
        assert_eq!(kind(host.call_actor(&key, "Any", b"1001").await), ErrorKind::MessageTooLarge);
        let breach = happened(&mut events, |kind| matches!(kind, EventKind::LimitBreached { .. })).await;
        let EventKind::LimitBreached { limit, message } = breach.kind else { unreachable!("it was waited for") };
        assert_eq!(limit, ErrorKind::MessageTooLarge);
        assert!(message.contains("1001 bytes, 1000 are allowed"), "{message}");
    })
    .await;
}

#[actix_rt::test]
async fn a_slow_subscriber_learns_how_many_events_it_missed() {
    with_host_of(HostBuilder::new().with_event_buffer(4), async |host| {
        let mut events = host.events();
        let actor = sign("tiny_echo").actor();
        for _ in 0..5 {
            host.start_actor(actor.clone()).await.unwrap();
            host.stop_actor(&actor.public_key()).await.unwrap();
        }
        let told = told(&mut events).await;
        assert_eq!(told[0], EventKind::Lagged { missed: 6 });
        assert_eq!(told[1..], [EventKind::Started, EventKind::Stopped, EventKind::Started, EventKind::Stopped]);
    })
    .await;
}

#[actix_rt::test]
async fn the_inventory_does_not_block() {
    with_host_of(HostBuilder::new().with_shards(1), async |host| {
        let (probe, key) = probed_caller(&host).await;
        let wait = host_call("", PROBE, "Wait", b"");
        let call = host.call_actor(&key, "Any", &wait);
        let look = async {
            probe.arrived.notified().await;
            let inventory = host.inventory().unwrap();
            assert_eq!((inventory.actors[0].calls, &inventory.actors[0].state), (1, &ChildState::Running));
            assert_eq!(inventory.links.len(), 1);
            probe.release.add_permits(1);
        };
        soon(join(call, look)).await.0.unwrap();
    })
    .await;
    let stopped = HostBuilder::new().build();
    assert_eq!(kind(stopped.inventory()), ErrorKind::HostNotRunning);
}

#[actix_rt::test]
async fn two_link_names_of_one_provider_are_two_children() {
    with_host(async |host| {
        let claims = provider_claims(PROBE);
        for link_name in [None, Some("second".to_owned())] {
            let probe = wasmcloud_host::NativeCapability::from_async(Probe::default(), link_name, claims.clone());
            host.start_native_capability(probe.unwrap()).await.unwrap();
        }
        host.stop_provider(&claims.subject, PROBE, Some("second".to_owned())).await.unwrap();
        let providers = host.inventory().unwrap().providers;
        assert_eq!(providers.len(), 1);
        assert_eq!(providers[0].link_name, "default");
    })
    .await;
}

#[actix_rt::test]
async fn an_actor_is_the_same_after_its_instances_were_replaced() {
    with_host(async |host| {
        let actor: Actor = sign("trap").actor();
        let key = actor.public_key();
        host.start_actor_with(actor, ActorOptions::new().instances(3)).await.unwrap();
        let trapped = soon(join_all((0..30).map(|_| host.call_actor(&key, "Trap", b"")))).await;
        assert!(trapped.into_iter().all(|answer| kind(answer) == ErrorKind::ActorTrapped));
        until(async || state(&host, &key) == ChildState::Running).await;
        let inventory = host.inventory().unwrap();
        assert_eq!((inventory.actors.len(), inventory.actors[0].instances), (1, 3));
        let answers = soon(join_all((0..30).map(|_| host.call_actor(&key, "Echo", b"x")))).await;
        assert!(answers.into_iter().all(|answer| answer.unwrap() == b"x"));
    })
    .await;
}
