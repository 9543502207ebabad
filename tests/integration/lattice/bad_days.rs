//! Days on which the NATS server is not there, restarts, or loses its data.

use std::collections::HashMap;
use std::time::Duration;

use wasmcloud_host::{ConnectionOptions, ErrorKind, EventKind, LatticeOptions, LatticeState, LinkState};

use super::{HEARTBEAT, Lattice, acquainted, joined, run_actor, run_probe, start, stop, until_seen};
use crate::conformance::server_process::free_port;
use crate::signing::sign;
use crate::support::{PROBE, host_answer, host_call, soon, until, values, with_host_of};

#[actix_rt::test]
async fn a_host_starts_alone_without_a_server_and_says_so() {
    let options = LatticeOptions::new(ConnectionOptions::new(format!("127.0.0.1:{}", free_port())));
    let builder = wasmcloud_host::HostBuilder::new().with_shards(1).with_lattice(options);
    with_host_of(builder, async |host| {
        let mut events = host.events();
        until_seen(&host, |view| matches!(view.state, LatticeState::Alone { reason: Some(_) })).await;
        soon(async { while !matches!(events.next().await.unwrap().kind, EventKind::LatticeChanged { .. }) {} }).await;
        // Local work is as without a lattice.
        let echo = run_actor(&host, &sign("tiny_echo"), &[]).await;
        assert_eq!(host.call_actor(&echo, "Echo", b"local").await.unwrap(), b"local");
        let nowhere = sign("tiny_echo").actor().public_key();
        let error = soon(host.call_actor(&nowhere, "Echo", b"")).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::LatticeUnavailable | ErrorKind::ActorNotFound), "{error}");
    })
    .await;
}

#[actix_rt::test]
async fn a_host_joins_a_server_that_comes_later() {
    let lattice = Lattice::start();
    lattice.server.kill();
    let host = lattice.builder().build();
    host.start().await.unwrap();
    until_seen(&host, |view| matches!(view.state, LatticeState::Alone { .. })).await;
    lattice.server.start_again();
    joined(&host).await;
    host.stop().await;
}

#[actix_rt::test]
async fn after_a_restart_of_the_server_calls_and_changes_go_on_by_themselves() {
    let lattice = Lattice::start();
    let [here, there] = lattice.hosts().await;
    let caller = run_actor(&here, &sign("host_call").capability(PROBE), &[&there]).await;
    let echo = run_actor(&there, &sign("tiny_echo"), &[&here]).await;
    let (_probe, provider) = run_probe(&there).await;
    lattice.server.kill();
    until_seen(&here, |view| matches!(view.state, LatticeState::Disconnected { .. })).await;
    let error = soon(here.call_actor(&echo, "Echo", b"x")).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::LatticeUnavailable | ErrorKind::OutcomeUnknown), "{error}");
    // A change of a link is in effect here, and for the others once they can be told.
    here.set_link(&caller, PROBE, None, provider, values(&[("SET", "offline")])).await.unwrap();
    assert!(here.link_state(&caller, PROBE, None).is_some());

    lattice.server.start_again();
    joined(&here).await;
    joined(&there).await;
    until(async || here.call_actor(&echo, "Echo", b"x").await.is_ok()).await;
    until(async || there.link_state(&caller, PROBE, None) == Some(LinkState::Established)).await;
    stop(&[here, there]).await;
}

#[actix_rt::test]
async fn without_jetstream_links_travel_by_advertisements() {
    let lattice = Lattice::without_jetstream();
    let [here, there] = lattice.hosts().await;
    assert!(!here.lattice().unwrap().has_registry);
    let caller = run_actor(&here, &sign("host_call").capability(PROBE), &[&there]).await;
    let (_probe, provider) = run_probe(&there).await;
    here.set_link(&caller, PROBE, None, provider, HashMap::new()).await.unwrap();
    until(async || there.link_state(&caller, PROBE, None).is_some()).await;
    // The provider's host asks the actor's host for its token.
    until(async || there.link_state(&caller, PROBE, None) == Some(LinkState::Established)).await;
    let reply = soon(here.call_actor(&caller, "Any", &host_call("", PROBE, "Echo", b"ping"))).await.unwrap();
    assert_eq!(host_answer(&reply).unwrap(), b"ping");
    stop(&[here, there]).await;
}

#[actix_rt::test]
async fn a_change_that_a_slow_server_did_not_confirm_is_published_though_nothing_else_changes() {
    let lattice = Lattice::start();
    let [here, there] = lattice.hosts().await;
    let caller = run_actor(&here, &sign("host_call").capability(PROBE), &[&there]).await;
    let (_probe, provider) = run_probe(&there).await;
    // The registry is quiet when the server stops to answer.
    here.set_link(&caller, PROBE, None, provider.clone(), values(&[("SET", "before")])).await.unwrap();
    until(async || there.link_state(&caller, PROBE, None) == Some(LinkState::Established)).await;
    lattice.server.freeze();
    soon(here.set_link(&caller, PROBE, None, provider, values(&[("SET", "meanwhile")]))).await.unwrap();
    lattice.server.thaw();
    let value = async || {
        let links = there.link_definitions().await.unwrap();
        links.into_iter().find(|link| link.actor_id == caller).and_then(|link| link.values.get("SET").cloned())
    };
    until(async || value().await.as_deref() == Some("meanwhile")).await;
    stop(&[here, there]).await;
}

#[actix_rt::test]
async fn a_frozen_server_delays_no_local_call_and_fails_remote_ones_within_their_deadline() {
    let lattice = Lattice::start();
    let here = start(lattice.builder().with_call_deadline(Duration::from_millis(500))).await;
    let there = lattice.host().await;
    acquainted(&[here.clone(), there.clone()]).await;
    let local = run_actor(&here, &sign("tiny_echo"), &[]).await;
    let remote = run_actor(&there, &sign("tiny_echo"), &[&here]).await;
    lattice.server.freeze();
    for _ in 0..20 {
        assert_eq!(here.call_actor(&local, "Echo", b"x").await.unwrap(), b"x");
    }
    let error = soon(here.call_actor(&remote, "Echo", b"x")).await.unwrap_err();
    let is_known =
        matches!(error.kind(), ErrorKind::OutcomeUnknown | ErrorKind::DeadlineExceeded | ErrorKind::LatticeUnavailable);
    assert!(is_known, "{error}");
    // No host is declared dead, since the own connection is bad.
    tokio::time::sleep(HEARTBEAT * 4).await;
    assert!(here.lattice().unwrap().hosts.iter().all(|peer| peer.is_up));
    lattice.server.thaw();
    until(async || here.call_actor(&remote, "Echo", b"x").await.is_ok()).await;
    stop(&[here, there]).await;
}
