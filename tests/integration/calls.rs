//! Calls: permissions, the resolution of names, and outcomes.

use std::time::Duration;

use futures_util::future::join_all;
use wasmcloud_host::{ActorOptions, ErrorKind, Host, HostBuilder, Placement};

use crate::signing::{Signing, sign};
use crate::support::{PROBE, host_answer, host_call, kind, probed_caller, soon, with_host, with_host_of};

async fn start_on_next_shard(host: &Host, signing: Signing) -> String {
    let actor = signing.actor();
    let key = actor.public_key();
    host.start_actor_with(actor, ActorOptions::new().placement(Placement::Spread)).await.unwrap();
    key
}

#[actix_rt::test]
async fn actors_call_each_other_across_shards_and_on_one() {
    with_host(async |host| {
        let caller = start_on_next_shard(&host, sign("host_call")).await;
        let there = start_on_next_shard(&host, sign("tiny_echo")).await;
        let here = start_on_next_shard(&host, sign("tiny_echo")).await;
        for target in [&there, &here] {
            let reply = host.call_actor(&caller, "Any", &host_call("", target, "Echo", b"ping")).await.unwrap();
            assert_eq!(host_answer(&reply).unwrap(), b"ping");
        }
    })
    .await;
}

#[actix_rt::test]
async fn a_chain_of_calls_passes_through_several_actors() {
    with_host(async |host| {
        let (outer, inner, echo) = (sign("host_call"), sign("host_call"), sign("tiny_echo"));
        let outer = start_on_next_shard(&host, outer).await;
        let inner = start_on_next_shard(&host, inner).await;
        let echo = start_on_next_shard(&host, echo).await;
        let nested = host_call("", &echo, "Echo", b"deep");
        let reply = host.call_actor(&outer, "Any", &host_call("", &inner, "Any", &nested)).await.unwrap();
        assert_eq!(host_answer(&host_answer(&reply).unwrap()).unwrap(), b"deep");
    })
    .await;
}

#[actix_rt::test]
async fn many_calls_at_once_are_all_answered_and_never_mixed_up() {
    with_host(async |host| {
        let key = start_on_next_shard(&host, sign("tiny_echo")).await;
        let calls = (0..500_u32).map(|number| {
            let (host, key) = (host.clone(), key.clone());
            async move {
                let message = number.to_le_bytes();
                assert_eq!(host.call_actor(&key, "Echo", &message).await.unwrap(), message);
            }
        });
        soon(join_all(calls)).await;
    })
    .await;
}

#[actix_rt::test]
async fn a_host_is_called_from_threads_without_any_runtime() {
    with_host(async |host| {
        let key = start_on_next_shard(&host, sign("tiny_echo")).await;
        let (answer, answered) = tokio::sync::oneshot::channel();
        let handle = host.clone();
        let thread = std::thread::spawn(move || {
            let called = futures_executor::block_on(handle.call_actor(&key, "Echo", b"from afar"));
            answer.send(called).unwrap();
        });
        assert_eq!(soon(answered).await.unwrap().unwrap(), b"from afar");
        thread.join().unwrap();
    })
    .await;
}

#[actix_rt::test]
async fn a_call_alias_stands_for_its_actor() {
    with_host(async |host| {
        let echo = sign("tiny_echo").alias("echo");
        let key = echo.actor().public_key();
        host.start_actor(echo.actor()).await.unwrap();
        assert_eq!(host.call_actor("echo", "Echo", b"by name").await.unwrap(), b"by name");
        let caller = start_on_next_shard(&host, sign("host_call")).await;
        let reply = host.call_actor(&caller, "Any", &host_call("", "echo", "Echo", b"by name")).await.unwrap();
        assert_eq!(host_answer(&reply).unwrap(), b"by name");

        let rival = sign("tiny_echo").alias("echo").issued_like(&echo).actor();
        assert_eq!(kind(host.start_actor(rival.clone()).await), ErrorKind::AliasTaken);
        host.stop_actor(&key).await.unwrap();
        assert_eq!(kind(host.call_actor("echo", "Echo", b"").await), ErrorKind::ActorNotFound);
        host.start_actor(rival).await.unwrap();
        assert_eq!(host.call_actor("echo", "Echo", b"again").await.unwrap(), b"again");
    })
    .await;
}

#[actix_rt::test]
async fn seed_defect_19_an_actor_that_calls_back_into_its_own_chain_is_told_so_at_once() {
    with_host(async |host| {
        let one = start_on_next_shard(&host, sign("host_call")).await;
        let two = start_on_next_shard(&host, sign("host_call")).await;
        let itself = host_call("", &one, "Any", b"");
        let refusal = host_answer(&soon(host.call_actor(&one, "Any", &itself)).await.unwrap()).unwrap_err();
        assert!(refusal.contains(&format!("{one} -> {one}")), "{refusal}");

        let there_and_back = host_call("", &two, "Any", &itself);
        let reply = soon(host.call_actor(&one, "Any", &there_and_back)).await.unwrap();
        let refusal = host_answer(&host_answer(&reply).unwrap()).unwrap_err();
        assert!(refusal.contains(&format!("{one} -> {two} -> {one}")), "{refusal}");
    })
    .await;
}

#[actix_rt::test]
async fn seed_defect_19_a_provider_that_calls_back_the_waiting_actor_is_told_so_at_once() {
    with_host(async |host| {
        let (_, caller) = probed_caller(&host).await;
        let reply = soon(host.call_actor(&caller, "Any", &host_call("", PROBE, "CallBack", b""))).await.unwrap();
        let refusal = host_answer(&reply).unwrap_err();
        assert!(refusal.contains("waits for this call already"), "{refusal}");
    })
    .await;
}

#[actix_rt::test]
async fn a_call_that_is_not_answered_in_time_ends_and_the_actor_serves_on() {
    let builder = HostBuilder::new().with_shards(1).with_call_deadline(Duration::from_millis(100));
    with_host_of(builder, async |host| {
        let (probe, caller) = probed_caller(&host).await;
        let waits = host_call("", PROBE, "Wait", b"");
        let refusal = soon(host.call_actor(&caller, "Any", &waits)).await;
        // Whoever notices first says so: the actor's own deadline, or the provider's through the actor.
        match refusal {
            Err(error) => assert_eq!(error.kind(), ErrorKind::DeadlineExceeded),
            Ok(reply) => assert!(host_answer(&reply).unwrap_err().contains("in time")),
        }
        let echo = host_call("", PROBE, "Echo", b"fresh");
        let reply = soon(host.call_actor(&caller, "Any", &echo)).await.unwrap();
        assert_eq!(host_answer(&reply).unwrap(), b"fresh");
        assert_eq!(probe.calls(), ["Wait", "Echo"]);
    })
    .await;
}

#[actix_rt::test]
async fn while_one_actor_waits_for_the_host_others_on_its_shard_are_served() {
    with_host_of(HostBuilder::new().with_shards(1), async |host| {
        let (probe, caller) = probed_caller(&host).await;
        let other = start_on_next_shard(&host, sign("tiny_echo")).await;
        let waits = host_call("", PROBE, "Wait", b"");
        let waiting = async { host.call_actor(&caller, "Any", &waits).await.unwrap() };
        let meanwhile = async {
            probe.arrived.notified().await;
            for _ in 0..10 {
                assert_eq!(host.call_actor(&other, "Echo", b"meanwhile").await.unwrap(), b"meanwhile");
            }
            probe.release.add_permits(1);
        };
        let (reply, ()) = soon(futures_util::future::join(waiting, meanwhile)).await;
        assert_eq!(host_answer(&reply).unwrap(), b"released");
    })
    .await;
}

#[actix_rt::test]
async fn refused_calls_have_distinct_errors() {
    with_host(async |host| {
        let (probe, caller) = probed_caller(&host).await;
        let stranger = sign("tiny_echo").actor().public_key();
        assert_eq!(kind(host.call_actor(&stranger, "Echo", b"").await), ErrorKind::ActorNotFound);
        assert_eq!(kind(host.call_actor("no-such-alias", "Echo", b"").await), ErrorKind::ActorNotFound);
        let stopped = start_on_next_shard(&host, sign("echo")).await;
        assert_eq!(kind(host.call_actor(&stopped, "Nope", b"").await), ErrorKind::UnknownOperation);
        host.stop_actor(&stopped).await.unwrap();
        assert_eq!(kind(host.call_actor(&stopped, "Echo", b"").await), ErrorKind::ActorStopped);

        let failed = host.call_actor(&caller, "Any", &host_call("", PROBE, "Fail", b"")).await.unwrap();
        assert!(host_answer(&failed).unwrap_err().contains("deliberate failure of Fail"));
        let panicked = host.call_actor(&caller, "Any", &host_call("", PROBE, "Panic", b"")).await.unwrap();
        assert!(host_answer(&panicked).unwrap_err().contains("panicked: deliberate panic"));
        let answered = host.call_actor(&caller, "Any", &host_call("default", PROBE, "Echo", b"ok")).await.unwrap();
        assert_eq!(host_answer(&answered).unwrap(), b"ok");
        assert_eq!(probe.calls(), ["Fail", "Panic", "Echo"]);
    })
    .await;
}

#[actix_rt::test]
async fn seed_defect_07_an_alias_never_stands_in_for_a_contract() {
    with_host(async |host| {
        // An impostor whose alias is a contract, started before all other actors.
        let impostor = start_on_next_shard(&host, sign("tiny_echo").alias(PROBE)).await;
        let (probe, caller) = probed_caller(&host).await;
        let call = host_call("", PROBE, "Fail", b"");
        let reply = host.call_actor(&caller, "Any", &call).await.unwrap();
        assert!(host_answer(&reply).unwrap_err().contains("deliberate failure of Fail"));
        assert_eq!(probe.calls(), ["Fail"]);

        // Nor where the caller has no link to it, or no such provider runs.
        host.remove_link(&caller, PROBE, None).await.unwrap();
        let reply = host.call_actor(&caller, "Any", &call).await.unwrap();
        assert!(host_answer(&reply).unwrap_err().contains("no link"));
        let other = start_on_next_shard(&host, sign("host_call")).await;
        let reply = host.call_actor(&other, "Any", &call).await.unwrap();
        assert!(host_answer(&reply).unwrap_err().contains("signed claims"));
        assert_eq!(kind(host.call_actor(PROBE, "Echo", b"").await), ErrorKind::ActorNotFound);
        assert_eq!(host.call_actor(&impostor, "Echo", b"x").await.unwrap(), b"x");
    })
    .await;
}
