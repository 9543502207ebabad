//! Faults of the host of 2021, each with its number in `docs/seed-defects.md`.

use std::collections::HashMap;

use nkeys::KeyPair;
use wasmcloud_host::LinkState;
use wasmcloud_lattice::registry::LinkKey;

use super::{Lattice, joined, run_actor, run_probe, stop, until_seen};
use crate::signing::sign;
use crate::support::{PROBE, soon, until};

#[actix_rt::test]
async fn seed_defect_02_no_message_stops_an_actor() {
    let lattice = Lattice::start();
    let [here, there] = lattice.hosts().await;
    let echo = run_actor(&there, &sign("tiny_echo"), &[&here]).await;
    // Even a trusted host cannot: it is an operation like any other, and the guest answers it.
    assert_eq!(soon(here.call_actor(&echo, "__halt", b"x")).await.unwrap(), b"x");
    assert_eq!(there.actors().await.unwrap(), [echo]);
    stop(&[here, there]).await;
}

#[actix_rt::test]
async fn seed_defect_03_claims_that_nobody_signed_are_not_believed() {
    let lattice = Lattice::start();
    let host = lattice.host().await;
    let stranger = lattice.stranger().await;
    let actor = sign("host_call").capability(PROBE);
    let advertised = wasmcloud_lattice::wire::ActorClaims::of(&actor.claims).unwrap();
    stranger.publish("wasmbus.rpc.default.claims", advertised.encode().unwrap().into()).await.unwrap();
    stranger.flush().await.unwrap();
    let answer = stranger.request("wasmbus.ctl.default.get.claims", "".into()).await.unwrap();
    assert!(!String::from_utf8_lossy(&answer.payload).contains(&actor.claims.subject));
    host.stop().await;
}

#[actix_rt::test]
async fn seed_defect_04_no_provider_holds_the_claims_and_links_of_the_lattice() {
    let lattice = Lattice::start();
    let host = lattice.host().await;
    // Nothing but the bucket holds them, and its entries are signed: see `attacks`.
    assert!(host.lattice().unwrap().has_registry);
    assert!(host.inventory().unwrap().providers.is_empty());
    #[expect(deprecated, reason = "the method of release 0.19 is tested")]
    let builder = lattice.builder().with_lattice_cache_provider("registry.example/cache:1");
    let other = super::start(builder).await;
    assert!(other.inventory().unwrap().providers.is_empty());
    stop(&[host, other]).await;
}

#[actix_rt::test]
async fn seed_defect_22_a_local_call_asks_no_registry() {
    let lattice = Lattice::start();
    let [host] = lattice.hosts().await;
    let echo = run_actor(&host, &sign("tiny_echo"), &[]).await;
    lattice.server.freeze();
    for _ in 0..100 {
        assert_eq!(host.call_actor(&echo, "Echo", b"x").await.unwrap(), b"x");
    }
    lattice.server.thaw();
    host.stop().await;
}

#[actix_rt::test]
async fn seed_defect_25_a_message_that_wants_no_answer_ends_no_subscription() {
    let lattice = Lattice::start();
    let [here, there] = lattice.hosts().await;
    let echo = run_actor(&there, &sign("tiny_echo"), &[&here]).await;
    let stranger = lattice.stranger().await;
    stranger.publish(format!("wasmbus.rpc.default.{echo}"), "no answer wanted".into()).await.unwrap();
    stranger.publish(format!("wasmbus.peer.default.host.{}.call", there.id()), "nor here".into()).await.unwrap();
    stranger.flush().await.unwrap();
    assert_eq!(soon(here.call_actor(&echo, "Echo", b"x")).await.unwrap(), b"x");
    stop(&[here, there]).await;
}

#[actix_rt::test]
async fn seed_defect_28_a_subscription_that_the_server_refuses_is_an_event() {
    use wasmcloud_host::{ConnectionOptions, EventKind, HostBuilder, LatticeOptions};
    let rights = "authorization { users: [{ user: host, password: pass, permissions: {
        publish: \">\", subscribe: { allow: \">\", deny: \"wasmbus.rpc.>\" } } }] }";
    let lattice = Lattice::with(rights, None);
    let connection = ConnectionOptions::new(lattice.server.url()).user_and_password("host", "pass");
    let host = HostBuilder::new().with_shards(1).with_lattice(LatticeOptions::new(connection)).build();
    let mut events = host.events();
    host.start().await.unwrap();
    let denied = soon(async {
        loop {
            if let EventKind::LatticeDenied { subject } = events.next().await.unwrap().kind {
                return subject;
            }
        }
    })
    .await;
    assert!(denied.starts_with("wasmbus.rpc."), "{denied}");
    host.stop().await;
}

#[actix_rt::test]
async fn seed_defect_29_a_link_that_is_removed_without_a_connection_stays_removed() {
    let lattice = Lattice::start();
    let [here, there] = lattice.hosts().await;
    let caller = run_actor(&here, &sign("host_call").capability(PROBE), &[&there]).await;
    let (_probe, provider) = run_probe(&there).await;
    here.set_link(&caller, PROBE, None, provider, HashMap::new()).await.unwrap();
    until(async || there.link_state(&caller, PROBE, None) == Some(LinkState::Established)).await;
    lattice.server.kill();
    until_seen(&here, |view| !view.state.is_joined()).await;
    here.remove_link(&caller, PROBE, None).await.unwrap();
    assert_eq!(here.link_state(&caller, PROBE, None), None);
    lattice.server.start_again();
    joined(&here).await;
    until(async || there.link_state(&caller, PROBE, None).is_none()).await;
    assert_eq!(here.link_state(&caller, PROBE, None), None);
    stop(&[here, there]).await;
}

#[test]
fn seed_defect_35_the_key_of_a_link_is_its_name_and_no_hash() {
    let actor = KeyPair::new_module().public_key();
    let key = LinkKey::new(&actor, "wasmcloud:keyvalue", "default").unwrap();
    // The same in each build and release: the names themselves, in base64url where a key may not hold them.
    let text = wasmcloud_lattice::registry::Key::Link(key).to_string();
    assert!(text.starts_with(&format!("link.{actor}.")), "{text}");
}

#[actix_rt::test]
async fn seed_defect_36_a_host_keeps_only_what_concerns_what_it_runs() {
    let lattice = Lattice::start();
    let [here, there] = lattice.hosts().await;
    let (_probe, provider) = run_probe(&there).await;
    let mut actors = Vec::new();
    for _ in 0..50 {
        let actor = KeyPair::new_module().public_key();
        here.set_link(&actor, PROBE, None, provider.clone(), HashMap::new()).await.unwrap();
        actors.push(actor);
    }
    // The host of the provider has learned them all, and the one that set them keeps none.
    until(async || there.link_definitions().await.unwrap().len() == actors.len()).await;
    assert_eq!(here.link_definitions().await.unwrap(), []);
    stop(&[here, there]).await;
}

#[actix_rt::test]
async fn seed_defect_40_a_registry_that_cannot_be_had_stops_no_host() {
    let lattice = Lattice::without_jetstream();
    let host = lattice.host().await;
    let echo = run_actor(&host, &sign("tiny_echo"), &[]).await;
    assert_eq!(host.call_actor(&echo, "Echo", b"x").await.unwrap(), b"x");
    assert!(!host.lattice().unwrap().has_registry);
    host.stop().await;
}
