//! Actors: their starts and stops.

use std::collections::HashMap;

use futures_util::future::{join, join_all};
use wasmcloud_host::{ErrorKind, HostBuilder, LinkState};

use crate::signing::sign;
use crate::support::{
    PROBE, Probe, Seen, host_answer, host_call, kind, probed_caller, refuses_calls, soon, until, with_host,
    with_host_of,
};

#[actix_rt::test]
async fn an_actor_shows_what_its_token_says() {
    let signing = sign("echo").capability("wasmcloud:httpserver").claims(|claims| {
        claims.metadata.get_or_insert_default().tags = Some(vec!["kitchen".to_owned()]);
    });
    let actor = signing.actor();
    assert_eq!(actor.name(), "echo");
    assert_eq!(actor.capabilities(), ["wasmcloud:httpserver"]);
    assert_eq!(actor.tags(), ["kitchen"]);
    assert!(actor.public_key().starts_with('M') && actor.issuer().starts_with('A'));
    with_host(async |host| {
        host.start_actor(actor.clone()).await.unwrap();
        assert_eq!(host.actors().await.unwrap(), [actor.public_key()]);
        let claims = host.actor_claims().await.unwrap();
        assert_eq!(claims.len(), 1);
        assert_eq!(claims[0].subject, actor.public_key());
    })
    .await;
}

#[actix_rt::test]
async fn seed_defect_34_of_concurrent_starts_exactly_one_wins() {
    with_host(async |host| {
        let actor = sign("echo").actor();
        let starts = join_all((0..8).map(|_| host.start_actor(actor.clone()))).await;
        let (won, lost): (Vec<_>, Vec<_>) = starts.into_iter().partition(|start| start.is_ok());
        assert_eq!((won.len(), lost.len()), (1, 7));
        assert!(lost.into_iter().all(|start| kind(start) == ErrorKind::ActorAlreadyRunning));
        assert_eq!(kind(host.start_actor(actor).await), ErrorKind::ActorAlreadyRunning);
        assert_eq!(host.actors().await.unwrap().len(), 1);
    })
    .await;
}

#[actix_rt::test]
async fn an_actor_can_be_started_again_after_its_stop() {
    with_host(async |host| {
        let actor = sign("tiny_echo").actor();
        let key = actor.public_key();
        for _ in 0..3 {
            host.start_actor(actor.clone()).await.unwrap();
            assert_eq!(host.call_actor(&key, "Echo", b"x").await.unwrap(), b"x");
            host.stop_actor(&key).await.unwrap();
            assert_eq!(kind(host.stop_actor(&key).await), ErrorKind::ActorStopped);
        }
        let stranger = sign("tiny_echo").actor().public_key();
        assert_eq!(kind(host.stop_actor(&stranger).await), ErrorKind::ActorNotFound);
    })
    .await;
}

#[actix_rt::test]
async fn a_stop_lets_the_calls_that_have_arrived_end_over_links_that_still_hold() {
    with_host_of(HostBuilder::new().with_shards(1), async |host| {
        let (probe, caller) = probed_caller(&host).await;
        let waits = host_call("", PROBE, "Wait", b"");
        // One call is under way, and two wait in the mailbox, when the actor is stopped.
        let calls = join_all((0..3).map(|_| host.call_actor(&caller, "Any", &waits)));
        let stop = async {
            probe.arrived.notified().await;
            let release = async {
                until(async || refuses_calls(&host, &caller).await).await;
                assert_eq!(host.link_state(&caller, PROBE, None), Some(LinkState::Established));
                probe.release.add_permits(3);
            };
            join(host.stop_actor(&caller), release).await.0
        };
        let (replies, stopped) = soon(join(calls, stop)).await;
        stopped.unwrap();
        for reply in replies {
            assert_eq!(host_answer(&reply.unwrap()).unwrap(), b"released");
        }
        assert_eq!(probe.seen().last(), Some(&Seen::Unbound { actor: caller.clone() }));
        assert_eq!(host.link_state(&caller, PROBE, None), Some(LinkState::Pending));
        assert_eq!(kind(host.call_actor(&caller, "Any", &waits).await), ErrorKind::ActorStopped);
    })
    .await;
}

#[actix_rt::test]
async fn an_actor_that_is_being_stopped_gets_no_new_links_and_cannot_be_started_beside_itself() {
    with_host_of(HostBuilder::new().with_shards(1), async |host| {
        let probe = Probe::default();
        let capability = probe.capability();
        let provider = capability.id();
        let actor = sign("host_call").capability(PROBE).actor();
        let key = actor.public_key();
        host.start_native_capability(capability).await.unwrap();
        host.start_actor(actor.clone()).await.unwrap();
        host.set_link(&key, PROBE, None, provider.clone(), HashMap::new()).await.unwrap();
        let waits = host_call("", PROBE, "Wait", b"");
        let call = host.call_actor(&key, "Any", &waits);
        let stop = async {
            probe.arrived.notified().await;
            let meanwhile = async {
                until(async || refuses_calls(&host, &key).await).await;
                assert_eq!(kind(host.stop_actor(&key).await), ErrorKind::ActorStopped);
                assert_eq!(kind(host.start_actor(actor.clone()).await), ErrorKind::ActorAlreadyRunning);
                let other = Some("other".to_owned());
                host.set_link(&key, PROBE, other, provider.clone(), HashMap::new()).await.unwrap();
                probe.release.add_permits(1);
            };
            join(host.stop_actor(&key), meanwhile).await.0
        };
        let (reply, stopped) = soon(join(call, stop)).await;
        stopped.unwrap();
        assert_eq!(host_answer(&reply.unwrap()).unwrap(), b"released");
        assert_eq!(host.link_state(&key, PROBE, Some("other")), Some(LinkState::Pending));
        host.start_actor(actor).await.unwrap();
        assert_eq!(host.link_state(&key, PROBE, None), Some(LinkState::Established));
    })
    .await;
}

#[actix_rt::test]
async fn a_full_mailbox_is_busy_at_once() {
    with_host_of(HostBuilder::new().with_shards(1), async |host| {
        let (probe, caller) = probed_caller(&host).await;
        let waits = host_call("", PROBE, "Wait", b"");
        let calls = join_all((0..1100).map(|_| host.call_actor(&caller, "Any", &waits)));
        let release = async {
            probe.arrived.notified().await;
            probe.release.add_permits(1100);
        };
        let (replies, ()) = soon(join(calls, release)).await;
        let (answered, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.is_ok());
        assert_eq!((answered.len(), refused.len()), (1024, 76));
        assert!(refused.into_iter().all(|reply| kind(reply) == ErrorKind::Busy));
        // The places are free again.
        probe.release.add_permits(1);
        host.call_actor(&caller, "Any", &waits).await.unwrap();
    })
    .await;
}

#[actix_rt::test]
async fn two_actors_of_one_module_are_two() {
    with_host(async |host| {
        let (one, two) = (sign("tiny_echo").actor(), sign("tiny_echo").actor());
        host.start_actor(one.clone()).await.unwrap();
        host.start_actor(two.clone()).await.unwrap();
        host.stop_actor(&one.public_key()).await.unwrap();
        assert_eq!(host.call_actor(&two.public_key(), "Echo", b"x").await.unwrap(), b"x");
    })
    .await;
}
