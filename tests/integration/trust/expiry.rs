//! Tokens that expire while their actors run.

use std::collections::HashMap;

use wasmcloud_host::{
    ActorOptions, ChildState, ErrorKind, EventKind, Events, Health, Host, HostBuilder, LinkState, TrustPolicy,
    WasmCloudEntity,
};

use super::now;
use crate::signing::{Signing, sign};
use crate::support::{PROBE, Probe, host_answer, host_call, kind, soon, with_host_of};

async fn start(host: &Host, signing: &Signing) -> String {
    let actor = signing.actor();
    let key = actor.public_key();
    host.start_actor(actor).await.unwrap();
    key
}

/// The events until one, that one included.
async fn told_until(events: &mut Events, last: EventKind) -> Vec<EventKind> {
    let mut told = Vec::new();
    soon(async {
        while told.last() != Some(&last) {
            told.push(events.next().await.unwrap().kind);
        }
    })
    .await;
    told
}

fn state_of(host: &Host, key: &str) -> ChildState {
    let actors = host.inventory().unwrap().actors;
    actors.into_iter().find(|actor| actor.key == key).unwrap().state
}

#[actix_rt::test]
async fn calls_to_and_from_an_actor_with_an_expired_token_are_rejected_until_it_is_updated() {
    with_host_of(HostBuilder::new().with_shards(2).enable_live_updates(), async |host| {
        let probe = Probe::default();
        let capability = probe.capability();
        let provider = capability.id();
        host.start_native_capability(capability).await.unwrap();
        let caller = start(&host, &sign("host_call")).await;
        let mut signing = sign("host_call").capability(PROBE).alias("mayfly");
        let expires = now() + 4;
        signing.claims.expires = Some(expires);
        let key = start(&host, &signing).await;
        let mut events = host.monitor(WasmCloudEntity::Actor(key.clone()));
        host.set_link(&key, PROBE, None, provider, HashMap::new()).await.unwrap();
        let echo = host_call("", PROBE, "Echo", b"x");
        assert_eq!(host_answer(&host.call_actor("mayfly", "Any", &echo).await.unwrap()).unwrap(), b"x");

        // One call waits for the provider when the token ends, and one for the actor: both have reached it.
        let wait = host_call("", PROBE, "Wait", b"");
        let waiting = async { host.call_actor(&key, "Any", &wait).await.unwrap() };
        let behind = async { host.call_actor(&key, "Any", &echo).await.unwrap() };
        let ended = async {
            probe.arrived.notified().await;
            assert!(now() < expires, "the machine is too slow for this test");
            let told = told_until(&mut events, EventKind::Expired).await;
            assert!(now() >= expires);
            probe.release.add_permits(1);
            told
        };
        let (waited, behind, told) = soon(async { futures_util::join!(waiting, behind, ended) }).await;
        assert_eq!(host_answer(&waited).unwrap(), b"released");
        assert!(host_answer(&behind).unwrap_err().contains("has expired"));
        assert!(matches!(told[..], [EventKind::Linked { .. }, EventKind::Expired]), "{told:?}");

        for name in [&*key, "mayfly"] {
            assert_eq!(kind(host.call_actor(name, "Any", &echo).await), ErrorKind::TokenExpired);
            let call = host_call("", name, "Any", &echo);
            let reply = host.call_actor(&caller, "Any", &call).await.unwrap();
            assert!(host_answer(&reply).unwrap_err().contains("has expired"));
        }
        let called_back = probe.dispatcher(&key).dispatch(&key, "Any", echo.clone()).await;
        assert_eq!(kind(called_back), ErrorKind::TokenExpired);
        assert_eq!(state_of(&host, &key), ChildState::Expired);
        assert_eq!(host.link_state(&key, PROBE, None), Some(LinkState::Established));
        let health = host.health_of(WasmCloudEntity::Actor(key.clone())).await.unwrap();
        assert!(matches!(health, Health::Unhealthy { reason } if reason.contains("has expired")));

        // Neither another number of instances nor another policy revives it, and it is not told again.
        host.scale_actor(&key, 2).await.unwrap();
        host.set_trust_policy(TrustPolicy::default()).await.unwrap();
        assert_eq!(kind(host.call_actor(&key, "Any", &echo).await), ErrorKind::TokenExpired);
        signing.set_revision(2);
        assert_eq!(kind(host.update_actor(&key, None, &signing.bytes()).await), ErrorKind::TokenExpired);
        signing.claims.expires = Some(now() + 3600);
        host.update_actor(&key, None, &signing.bytes()).await.unwrap();
        assert_eq!(host_answer(&host.call_actor(&key, "Any", &echo).await.unwrap()).unwrap(), b"x");
        assert_eq!(state_of(&host, &key), ChildState::Running);
        let told = told_until(&mut events, EventKind::Updated { from: 1, to: 2 }).await;
        assert!(!told.contains(&EventKind::Expired), "{told:?}");
    })
    .await;
}

#[actix_rt::test]
async fn each_expiry_emits_one_event_and_expired_children_can_be_stopped() {
    with_host_of(HostBuilder::new().with_shards(2), async |host| {
        let mut events = host.events();
        let expires = now() + 3;
        let mut mortal = Vec::new();
        for _ in 0..20 {
            mortal.push(start(&host, &sign("tiny_echo").claims(|claims| claims.expires = Some(expires))).await);
        }
        let stopped = start(&host, &sign("tiny_echo").claims(|claims| claims.expires = Some(expires))).await;
        host.stop_actor(&stopped).await.unwrap();
        let lasting = start(&host, &sign("tiny_echo").claims(|claims| claims.expires = Some(expires + 3600))).await;
        let mut expired = Vec::new();
        soon(async {
            while expired.len() < mortal.len() {
                let event = events.next().await.unwrap();
                if event.kind == EventKind::Expired {
                    expired.push(event.entity);
                }
            }
        })
        .await;
        for key in &mortal {
            let told = expired.iter().filter(|entity| **entity == WasmCloudEntity::Actor(key.clone())).count();
            assert_eq!(told, 1);
            assert_eq!(kind(host.call_actor(key, "Echo", b"").await), ErrorKind::TokenExpired);
            host.stop_actor(key).await.unwrap();
            assert_eq!(kind(host.call_actor(key, "Echo", b"").await), ErrorKind::ActorStopped);
        }
        assert_eq!(host.call_actor(&lasting, "Echo", b"x").await.unwrap(), b"x");
        while let Some(event) = futures_util::FutureExt::now_or_never(events.next()).flatten() {
            assert_ne!(event.kind, EventKind::Expired);
        }
    })
    .await;
}

#[actix_rt::test]
async fn a_crash_after_the_expiry_of_a_token_restores_no_trust() {
    with_host_of(HostBuilder::new().with_shards(1), async |host| {
        let actor = sign("trap").claims(|claims| claims.expires = Some(now() + 3)).actor();
        let key = actor.public_key();
        host.start_actor_with(actor, ActorOptions::new().instances(2)).await.unwrap();
        let mut events = host.monitor(WasmCloudEntity::Actor(key.clone()));
        assert_eq!(kind(host.call_actor(&key, "Trap", b"").await), ErrorKind::ActorTrapped);
        let told = told_until(&mut events, EventKind::Expired).await;
        assert!(matches!(told[..], [EventKind::Crashed { .. }, EventKind::Restarted { .. }, EventKind::Expired]));
        assert_eq!(kind(host.call_actor(&key, "Echo", b"").await), ErrorKind::TokenExpired);
    })
    .await;
}
