//! While an old revision of an actor finishes, calls are authorized by the claims of the new one.

use futures_util::future::join;
use wasmcloud_host::{
    ActorOptions, ErrorKind, EventKind, Events, Host, HostBuilder, LinkState, NativeCapability, TrustPolicy,
    WasmCloudEntity,
};

use crate::signing::{Signing, sign, sign_module};
use crate::support::{PROBE, Probe, host_answer, host_call, kind, provider_claims, soon, until, values, with_host_of};

/// The contract that actors lose, or get.
const OTHER: &str = "test:other";

/// A host whose updates may bring other capabilities.
fn lenient() -> HostBuilder {
    HostBuilder::new().with_shards(2).enable_live_updates().disable_strict_update_check()
}

/// A guest that has the probe wait, then calls `Echo` of `test:other`, and answers with what came of that, as `host_call`
/// does. In `Echo` it echoes.
fn two_calls() -> Vec<u8> {
    let module = format!(
        r#"(module
            (import "wapc" "__guest_request" (func $request (param i32 i32)))
            (import "wapc" "__guest_response" (func $response (param i32 i32)))
            (import "wapc" "__host_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
            (import "wapc" "__host_error_len" (func $error_len (result i32)))
            (import "wapc" "__host_error" (func $error (param i32)))
            (memory (export "memory") 1)
            (data (i32.const 8) "{PROBE}")
            (data (i32.const 32) "{OTHER}")
            (data (i32.const 48) "WaitEcho")
            (func (export "__guest_call") (param $operation i32) (param $message i32) (result i32)
                (call $request (i32.const 64) (i32.const 1024))
                (if (i32.ne (i32.load (i32.const 64)) (i32.const 0x6f686345)) (then
                    (drop (call $call (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 10)
                        (i32.const 48) (i32.const 4) (i32.const 0) (i32.const 0)))
                    (i32.store8 (i32.const 1024)
                        (call $call (i32.const 0) (i32.const 0) (i32.const 32) (i32.const 10)
                            (i32.const 52) (i32.const 4) (i32.const 0) (i32.const 0)))
                    (call $error (i32.const 1025))
                    (local.set $message (i32.add (call $error_len) (i32.const 1)))))
                (call $response (i32.const 1024) (local.get $message))
                (i32.const 1)))"#
    );
    wat::parse_str(module).unwrap()
}

/// Starts a provider of a contract.
async fn provide(host: &Host, contract: &str) -> (Probe, String) {
    let probe = Probe::default();
    let capability = NativeCapability::from_async(probe.clone(), None, provider_claims(contract)).unwrap();
    let id = capability.id();
    host.start_native_capability(capability).await.unwrap();
    (probe, id)
}

/// Two providers, and an actor that is linked to both, as far as it may be.
struct World {
    host: Host,
    probe: Probe,
    other: Probe,
    key: String,
    events: Events,
}

impl World {
    async fn start(host: &Host, signing: &Signing) -> World {
        let (probe, first) = provide(host, PROBE).await;
        let (other, second) = provide(host, OTHER).await;
        let actor = signing.actor();
        let key = actor.public_key();
        for (contract, id) in [(PROBE, first), (OTHER, second)] {
            host.set_link(&key, contract, None, id, values(&[])).await.unwrap();
        }
        host.start_actor_with(actor, ActorOptions::new()).await.unwrap();
        let events = host.monitor(WasmCloudEntity::Actor(key.clone()));
        World { host: host.clone(), probe, other, key, events }
    }

    /// Updates the actor while it serves a call that waits, does something while the old revision still does, and answers
    /// with what came of that call.
    async fn update_meanwhile(&mut self, signing: &Signing, meanwhile: impl AsyncFnOnce(&World)) -> Vec<u8> {
        let (host, key, module) = (self.host.clone(), self.key.clone(), signing.bytes());
        let call = host.call_actor(&key, "Both", b"");
        let update = async {
            soon(self.probe.arrived.notified()).await;
            let update = host.update_actor(&key, None, &module);
            let look = async {
                while !matches!(self.events.next().await.unwrap().kind, EventKind::Updated { .. }) {}
                meanwhile(self).await;
                self.probe.release.add_permits(1);
            };
            join(update, look).await.0.unwrap();
        };
        soon(join(call, update)).await.0.unwrap()
    }
}

#[actix_rt::test]
async fn a_capability_that_an_update_takes_away_is_of_no_use_while_the_old_revision_finishes() {
    with_host_of(lenient(), async |host| {
        let both = sign_module("both", two_calls()).capability(PROBE).capability(OTHER);
        let mut world = World::start(&host, &both).await;
        let without = both.revision(2).claims(|claims| {
            claims.metadata.as_mut().unwrap().caps = Some(vec![PROBE.to_owned()]);
        });
        let dispatcher = world.other.dispatcher(&world.key);
        assert_eq!(dispatcher.dispatch(&world.key, "Echo", b"x".to_vec()).await.unwrap(), b"x");
        let reply = world
            .update_meanwhile(&without, async |world| {
                let refused = dispatcher.dispatch(&world.key, "Echo", b"x".to_vec()).await;
                assert_eq!(kind(refused), ErrorKind::CapabilityDenied);
                let kept = world.probe.dispatcher(&world.key);
                assert_eq!(kept.dispatch(&world.key, "Echo", b"x".to_vec()).await.unwrap(), b"x");
            })
            .await;
        let refusal = host_answer(&reply).unwrap_err();
        assert!(refusal.contains("its signed claims do not include it"), "{refusal}");
        assert_eq!(world.other.calls(), [""; 0]);
        assert!(matches!(host.link_state(&world.key, OTHER, None), Some(LinkState::Refused(_))));
        assert_eq!(kind(dispatcher.dispatch(&world.key, "Echo", vec![]).await), ErrorKind::NotLinked);
    })
    .await;
}

#[actix_rt::test]
async fn a_capability_that_an_update_brings_is_there_while_the_old_revision_finishes_but_not_for_that() {
    with_host_of(lenient(), async |host| {
        let signing = sign_module("one", two_calls()).capability(PROBE);
        let mut world = World::start(&host, &signing).await;
        let linked = |world: &World| host.link_state(&world.key, OTHER, None) == Some(LinkState::Established);
        assert!(!linked(&world));
        let more = signing.revision(2).capability(OTHER);
        let reply = world
            .update_meanwhile(&more, async |world| {
                until(async || linked(world)).await;
                let dispatcher = world.other.dispatcher(&world.key);
                assert_eq!(dispatcher.dispatch(&world.key, "Echo", b"x".to_vec()).await.unwrap(), b"x");
            })
            .await;
        // What was signed with the old code did not include it.
        assert!(host_answer(&reply).unwrap_err().contains("its signed claims do not include it"));
        let bound = world.other.seen().len();
        assert_eq!(bound, 1, "its provider is told once");
        world.probe.release.add_permits(1);
        assert_eq!(soon(host.call_actor(&world.key, "Both", b"")).await.unwrap()[0], 1);
    })
    .await;
}

#[actix_rt::test]
async fn an_old_revision_does_not_outlive_the_trust_in_its_actor() {
    with_host_of(lenient(), async |host| {
        let signing = sign_module("both", two_calls()).capability(PROBE).capability(OTHER);
        let mut world = World::start(&host, &signing).await;
        let next = signing.revision(2);
        let reply = world
            .update_meanwhile(&next, async |world| {
                let policy = TrustPolicy::builder().revoke_subject(&world.key).build().unwrap();
                world.host.set_trust_policy(policy).await.unwrap();
            })
            .await;
        let refusal = host_answer(&reply).unwrap_err();
        assert!(refusal.contains("revoked"), "{refusal}");
        assert_eq!(world.other.calls(), [""; 0]);
    })
    .await;
}

#[actix_rt::test]
async fn an_old_revision_calls_other_actors_as_long_as_the_new_one_may() {
    with_host_of(lenient(), async |host| {
        let (probe, id) = provide(&host, PROBE).await;
        let target = sign("tiny_echo").actor();
        let echo = target.public_key();
        host.start_actor(target).await.unwrap();
        let mut signing = sign("host_call").capability(PROBE);
        let actor = signing.actor();
        let key = actor.public_key();
        host.start_actor(actor).await.unwrap();
        host.set_link(&key, PROBE, None, id, values(&[])).await.unwrap();
        signing.set_revision(2);
        let module = signing.bytes();
        let wait = host_call("", PROBE, "Wait", b"");
        let update = async {
            soon(probe.arrived.notified()).await;
            let update = host.update_actor(&key, None, &module);
            let release = async {
                until(async || host.inventory().unwrap().actors.iter().any(|actor| actor.revision == 2)).await;
                let forward = host_call("", &echo, "Echo", b"x");
                let reply = soon(host.call_actor(&key, "Any", &forward)).await.unwrap();
                assert_eq!(host_answer(&reply).unwrap(), b"x");
                probe.release.add_permits(1);
            };
            join(update, release).await.0.unwrap();
        };
        let (reply, ()) = soon(join(host.call_actor(&key, "Any", &wait), update)).await;
        assert_eq!(host_answer(&reply.unwrap()).unwrap(), b"released");
    })
    .await;
}
