//! Calls between hosts.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use wasmcloud_host::{ErrorKind, LinkState};

use super::{Lattice, acquainted, run_actor, run_probe, start, stop, until_seen};
use crate::signing::sign;
use crate::support::{PROBE, host_answer, host_call, kind, soon, until};

#[actix_rt::test]
async fn an_actor_of_another_host_is_called_by_key_and_by_alias_as_if_it_were_here() {
    let lattice = Lattice::start();
    let [here, there] = lattice.hosts().await;
    let echo = run_actor(&there, &sign("tiny_echo").alias("parrot"), &[&here]).await;
    assert_eq!(soon(here.call_actor(&echo, "Echo", b"by key")).await.unwrap(), b"by key");
    // The alias is known once the registry holds it.
    until(async || here.call_actor("parrot", "Echo", b"by alias").await.is_ok_and(|answer| answer == b"by alias"))
        .await;
    assert_eq!(there.lattice().unwrap().counts.served, here.lattice().unwrap().counts.called);

    let caller = run_actor(&here, &sign("host_call"), &[]).await;
    let reply = soon(here.call_actor(&caller, "Any", &host_call("", &echo, "Echo", b"from an actor"))).await.unwrap();
    assert_eq!(host_answer(&reply).unwrap(), b"from an actor");
    stop(&[here, there]).await;
}

#[actix_rt::test]
async fn after_the_first_call_sessions_authenticate_and_no_tokens() {
    let lattice = Lattice::start();
    let [here, there] = lattice.hosts().await;
    let echo = run_actor(&there, &sign("tiny_echo"), &[&here]).await;
    until(async || {
        here.call_actor(&echo, "Echo", b"x").await.unwrap();
        there.lattice().unwrap().counts.edge.by_session >= 10
    })
    .await;
    let before = there.lattice().unwrap().counts.edge.by_token;
    for _ in 0..20 {
        here.call_actor(&echo, "Echo", b"x").await.unwrap();
    }
    let counts = there.lattice().unwrap().counts.edge;
    assert_eq!((counts.by_token, counts.attacks()), (before, 0));
    stop(&[here, there]).await;
}

#[actix_rt::test]
async fn a_provider_of_another_host_is_called_over_a_link_and_calls_its_actor_back() {
    let lattice = Lattice::start();
    let [here, there] = lattice.hosts().await;
    let caller = run_actor(&here, &sign("host_call").capability(PROBE), &[&there]).await;
    let (probe, provider) = run_probe(&there).await;
    here.set_link(&caller, PROBE, None, provider, HashMap::new()).await.unwrap();
    until(async || there.link_state(&caller, PROBE, None) == Some(LinkState::Established)).await;
    let reply = soon(here.call_actor(&caller, "Any", &host_call("", PROBE, "Echo", b"ping"))).await.unwrap();
    assert_eq!(host_answer(&reply).unwrap(), b"ping");
    // The provider delivers to the actor, which runs on the other host.
    let delivery = host_call("", PROBE, "Echo", b"delivered");
    let answer = soon(probe.dispatcher(&caller).dispatch(&caller, "Any", delivery)).await.unwrap();
    assert_eq!(host_answer(&answer).unwrap(), b"delivered");
    stop(&[here, there]).await;
}

#[actix_rt::test]
async fn a_call_without_capability_or_link_is_refused_on_both_hosts() {
    let lattice = Lattice::start();
    let [here, there] = lattice.hosts().await;
    let caller = run_actor(&here, &sign("host_call"), &[]).await;
    let (probe, provider) = run_probe(&there).await;
    assert_eq!(kind(here.set_link(&caller, PROBE, None, provider, HashMap::new()).await), ErrorKind::CapabilityDenied);
    let reply = here.call_actor(&caller, "Any", &host_call("", PROBE, "Echo", b"ping")).await.unwrap();
    assert!(host_answer(&reply).is_err());
    assert_eq!(probe.seen(), []);
    stop(&[here, there]).await;
}

#[actix_rt::test]
async fn a_cycle_through_two_hosts_is_found_at_once() {
    let lattice = Lattice::start();
    let [here, there] = lattice.hosts().await;
    let first = run_actor(&here, &sign("host_call"), &[&there]).await;
    let second = run_actor(&there, &sign("host_call"), &[&here]).await;
    let back = host_call("", &first, "Any", b"");
    let reply = soon(here.call_actor(&first, "Any", &host_call("", &second, "Any", &back))).await.unwrap();
    let refusal = host_answer(&host_answer(&reply).unwrap()).unwrap_err();
    assert!(refusal.contains("waits for this call already"), "{refusal}");
    stop(&[here, there]).await;
}

#[actix_rt::test]
async fn an_actor_that_no_host_runs_is_an_error_at_once() {
    let lattice = Lattice::start();
    let [here, there] = lattice.hosts().await;
    let nowhere = sign("tiny_echo").actor().public_key();
    assert_eq!(kind(soon(here.call_actor(&nowhere, "Echo", b"")).await), ErrorKind::ActorNotFound);
    assert_eq!(kind(soon(here.call_actor("no such alias", "Echo", b"")).await), ErrorKind::ActorNotFound);
    stop(&[here, there]).await;
}

#[actix_rt::test]
async fn the_time_that_is_left_travels_with_a_call() {
    let lattice = Lattice::start();
    let here = start(lattice.builder().with_call_deadline(Duration::from_millis(400))).await;
    let there = lattice.host().await;
    acquainted(&[here.clone(), there.clone()]).await;
    let spin = run_actor(&there, &sign("spin"), &[&here]).await;
    let error = soon(here.call_actor(&spin, "Spin", b"")).await.unwrap_err();
    let is_late = matches!(error.kind(), ErrorKind::DeadlineExceeded | ErrorKind::OutcomeUnknown);
    assert!(is_late, "{error}");
    // The other host has not gone on: the actor can be called again.
    until(async || there.inventory().unwrap().actors[0].calls == 0).await;
    stop(&[here, there]).await;
}

#[actix_rt::test]
async fn errors_of_another_host_keep_their_kind_and_text() {
    let lattice = Lattice::start();
    let [here, there] = lattice.hosts().await;
    let fails = run_actor(&there, &sign("error"), &[&here]).await;
    let traps = run_actor(&there, &sign("trap"), &[&here]).await;
    let failed = soon(there.call_actor(&fails, "Any", b"")).await.unwrap_err();
    let failed_remotely = soon(here.call_actor(&fails, "Any", b"")).await.unwrap_err();
    assert_eq!((failed_remotely.kind(), failed_remotely.to_string()), (failed.kind(), failed.to_string()));
    assert_eq!(kind(soon(here.call_actor(&traps, "Trap", b"")).await), ErrorKind::ActorTrapped);
    stop(&[here, there]).await;
}

#[actix_rt::test]
async fn payloads_beyond_a_message_of_the_server_travel_both_ways() {
    let lattice = Lattice::start();
    let [here, there] = lattice.hosts().await;
    let echo = run_actor(&there, &sign("tiny_echo"), &[&here]).await;
    let payload: Vec<u8> = (0..5 * 1024 * 1024_u32).map(|byte| byte as u8).collect();
    assert!(soon(here.call_actor(&echo, "Echo", &payload)).await.unwrap() == payload);
    stop(&[here, there]).await;
}

#[actix_rt::test]
async fn hosts_that_run_the_same_actor_share_its_calls() {
    let lattice = Lattice::start();
    let [here, one, other] = lattice.hosts().await;
    let signing = sign("tiny_echo");
    let echo = run_actor(&one, &signing, &[&here]).await;
    run_actor(&other, &signing, &[&here]).await;
    let calls = (0..200_u32).map(|number| {
        let (here, echo) = (here.clone(), echo.clone());
        async move { here.call_actor(&echo, "Echo", &number.to_le_bytes()).await.unwrap() == number.to_le_bytes() }
    });
    assert!(soon(join_all(calls)).await.into_iter().all(|is_right| is_right));
    let served = [&one, &other].map(|host| host.lattice().unwrap().counts.served);
    assert!(served[0] > 20 && served[1] > 20 && served[0] + served[1] == 200, "{served:?}");
    stop(&[here, one, other]).await;
}

#[actix_rt::test]
async fn a_caller_that_gives_up_cancels_the_call_on_the_other_host() {
    let lattice = Lattice::start();
    let [here, there] = lattice.hosts().await;
    let caller = run_actor(&there, &sign("host_call").capability(PROBE), &[&here]).await;
    let (probe, provider) = run_probe(&there).await;
    there.set_link(&caller, PROBE, None, provider, HashMap::new()).await.unwrap();
    let call = {
        let (here, caller) = (here.clone(), caller.clone());
        actix_rt::spawn(async move { here.call_actor(&caller, "Any", &host_call("", PROBE, "Wait", b"")).await })
    };
    soon(probe.arrived.notified()).await;
    call.abort();
    until_seen(&there, |view| view.counts.cancelled == 1).await;
    stop(&[here, there]).await;
}
