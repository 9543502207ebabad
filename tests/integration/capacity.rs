//! Capacity for calls and instances: a call is refused only if no instance has room for it, and too many instances are
//! refused before one is created.

use futures_util::future::{join_all, try_join_all};
use wasmcloud_host::{
    ActorOptions, ChildState, ErrorKind, EventKind, Host, HostBuilder, Limits, Placement, WasmCloudEntity,
};

use crate::signing::{Signing, sign};
use crate::support::{PROBE, Probe, host_answer, host_call, kind, soon, until, values, with_host, with_host_of};

/// How many calls an instance may have before it.
const PLACES: usize = 16;

async fn start(host: &Host, signing: &Signing, options: ActorOptions) -> String {
    let actor = signing.actor();
    let key = actor.public_key();
    host.start_actor_with(actor, options).await.unwrap();
    key
}

/// Who calls.
#[derive(Debug, Clone, Copy)]
enum Caller {
    Host,
    Provider,
    Actor,
}

/// An actor of several instances, whose calls wait at a probe.
struct World {
    host: Host,
    probe: Probe,
    actor: String,
    /// An actor that calls this one, as often at once as is needed.
    calling: String,
}

impl World {
    async fn start(host: &Host, instances: usize, placement: Placement) -> World {
        let probe = Probe::default();
        let capability = probe.capability();
        let provider = capability.id();
        host.start_native_capability(capability).await.unwrap();
        let limits = Limits::new().mailbox_length(PLACES);
        let options = ActorOptions::new().instances(instances).placement(placement).limits(limits);
        let actor = start(host, &sign("host_call").capability(PROBE), options).await;
        host.set_link(&actor, PROBE, None, provider, values(&[])).await.unwrap();
        let many = ActorOptions::new().instances(PLACES * instances + 1);
        let calling = start(host, &sign("host_call"), many).await;
        World { host: host.clone(), probe, actor, calling }
    }

    /// What the probe answers a call that reaches it through the actor, or why the call was refused.
    async fn call(&self, caller: Caller) -> Result<Vec<u8>, String> {
        let wait = host_call("", PROBE, "Wait", b"");
        let reply = match caller {
            Caller::Host => self.host.call_actor(&self.actor, "Any", &wait).await.map_err(|error| error.to_string())?,
            Caller::Provider => {
                let dispatcher = self.probe.dispatcher(&self.actor);
                dispatcher.dispatch(&self.actor, "Any", wait).await.map_err(|error| error.to_string())?
            }
            Caller::Actor => {
                let through = host_call("", &self.actor, "Any", &wait);
                host_answer(&self.host.call_actor(&self.calling, "Any", &through).await.unwrap())?
            }
        };
        Ok(host_answer(&reply).unwrap())
    }

    fn calls(&self) -> usize {
        let inventory = self.host.inventory().unwrap();
        inventory.actors.iter().find(|actor| actor.key == self.actor).unwrap().calls
    }
}

#[actix_rt::test]
async fn a_call_is_refused_only_where_no_instance_has_room() {
    for placement in [Placement::Near, Placement::Spread, Placement::Dedicated] {
        for caller in [Caller::Host, Caller::Provider, Caller::Actor] {
            with_host(async |host| {
                let instances = 3;
                let world = World::start(&host, instances, placement).await;
                let all = instances * PLACES;
                let calls = try_join_all((0..all).map(|_| world.call(caller)));
                let beyond = async {
                    until(async || world.calls() == all).await;
                    let refusal = world.call(caller).await.unwrap_err();
                    assert!(refusal.contains("all its mailboxes are full, each with 16 calls"), "{refusal}");
                    world.probe.release.add_permits(all);
                };
                let (answers, ()) = soon(futures_util::future::join(calls, beyond)).await;
                let answers = answers.unwrap_or_else(|refusal| panic!("{placement:?}, {caller:?}: {refusal}"));
                assert!(answers.iter().all(|answer| answer == b"released"));
                assert_eq!(world.calls(), 0);
            })
            .await;
        }
    }
}

#[actix_rt::test]
async fn quick_calls_from_many_threads_are_refused_only_where_no_instance_has_room() {
    with_host(async |host| {
        let limits = Limits::new().mailbox_length(2);
        let options = ActorOptions::new().instances(4).placement(Placement::Spread).limits(limits);
        let key = start(&host, &sign("tiny_echo"), options).await;
        // Eight at once have eight places.
        let callers = (0..8).map(|_| {
            let (host, key) = (host.clone(), key.clone());
            let (done, is_done) = tokio::sync::oneshot::channel();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let outcome = runtime.block_on(async {
                    for _ in 0..500 {
                        host.call_actor(&key, "Echo", b"x").await?;
                    }
                    wasmcloud_host::Result::<()>::Ok(())
                });
                done.send(outcome).unwrap();
            });
            is_done
        });
        for outcome in soon(join_all(callers)).await {
            outcome.unwrap().unwrap();
        }
    })
    .await;
}

#[actix_rt::test]
async fn more_instances_than_there_can_be_are_refused_before_one_is_made() {
    let roomy = Limits::new().mappings(usize::MAX);
    for (limits, numbers) in [(Limits::new(), [usize::MAX, 2_000_000, 100_000]), (roomy, [usize::MAX, 1 << 60, 65_537])]
    {
        with_host_of(HostBuilder::new().with_shards(2).with_limits(limits), async |host| {
            for placement in [Placement::Near, Placement::Spread, Placement::Dedicated] {
                let options = ActorOptions::new().placement(placement);
                for instances in numbers {
                    let refused =
                        host.start_actor_with(sign("tiny_echo").actor(), options.clone().instances(instances));
                    assert_eq!(kind(soon(refused).await), ErrorKind::Busy);
                }
                let key = start(&host, &sign("tiny_echo"), options).await;
                let mut events = host.monitor(WasmCloudEntity::Actor(key.clone()));
                for instances in numbers {
                    assert_eq!(kind(soon(host.scale_actor(&key, instances)).await), ErrorKind::Busy);
                }
                soon(host.scale_actor(&key, 3)).await.unwrap();
                assert_eq!(events.next().await.unwrap().kind, EventKind::Scaled { instances: 3 });
                assert_eq!(soon(host.call_actor(&key, "Echo", b"x")).await.unwrap(), b"x");
            }
            assert_eq!(host.inventory().unwrap().actors.len(), 3);
        })
        .await;
    }
}

#[actix_rt::test]
async fn threads_for_instances_are_bounded() {
    with_host(async |host| {
        let options = ActorOptions::new().placement(Placement::Dedicated);
        let key = start(&host, &sign("tiny_echo"), options).await;
        let refused = soon(host.scale_actor(&key, 1025)).await.unwrap_err();
        assert!(refused.kind() == ErrorKind::Busy && refused.to_string().contains("1024"), "{refused}");
    })
    .await;
}

#[actix_rt::test]
async fn a_failed_actor_is_not_stopped_for_a_start_that_is_refused() {
    with_host(async |host| {
        let never = wasmcloud_host::RestartPolicy::new().restart(wasmcloud_host::Restart::Temporary);
        let signing = sign("trap");
        let key = start(&host, &signing, ActorOptions::new().restart(never)).await;
        assert_eq!(kind(host.call_actor(&key, "Trap", b"").await), ErrorKind::ActorTrapped);
        let failed = || matches!(host.inventory().unwrap().actors[0].state, ChildState::Failed { .. });
        until(async || failed()).await;
        let absurd = ActorOptions::new().instances(usize::MAX);
        assert_eq!(kind(host.start_actor_with(signing.actor(), absurd).await), ErrorKind::Busy);
        assert!(failed());
    })
    .await;
}

#[actix_rt::test]
async fn an_actor_that_runs_without_its_alias_is_scaled_while_another_one_holds_it() {
    with_host(async |host| {
        // A contract that the alias could be mistaken for is served when the first actor starts.
        let claims = crate::support::provider_claims("shared");
        let provider = wasmcloud_host::NativeCapability::from_async(Probe::default(), None, claims).unwrap();
        let id = provider.id();
        host.start_native_capability(provider).await.unwrap();
        let one = sign("tiny_echo").alias("shared");
        let without = start(&host, &one, ActorOptions::new()).await;
        host.stop_provider(&id, "shared", None).await.unwrap();
        let holder = start(&host, &sign("error").alias("shared").issued_like(&one), ActorOptions::new()).await;
        for instances in [3, 1, 2] {
            soon(host.scale_actor(&without, instances)).await.unwrap();
        }
        let held = async || kind(soon(host.call_actor("shared", "Any", b"")).await) == ErrorKind::ActorFailed;
        assert!(held().await, "the alias is where it was");
        soon(host.scale_actor(&holder, 2)).await.unwrap();
        assert!(held().await);
        // Scaling does not use up the freed capacity.
        host.stop_actor(&holder).await.unwrap();
        soon(host.scale_actor(&without, 1)).await.unwrap();
        assert_eq!(kind(soon(host.call_actor("shared", "Any", b"")).await), ErrorKind::ActorNotFound);
        soon(host.stop_actor(&without)).await.unwrap();
    })
    .await;
}
