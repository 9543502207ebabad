//! Questions: hosts, inventories, links and events.

use std::collections::HashMap;

use wasmcloud_control::message::PageRequest;
use wasmcloud_control::{ControlClient, EventFilter, kinds};
use wasmcloud_host::{ConnectionOptions, ErrorKind, HostManifest};

use super::{PATIENCE, Scene, client, event, events, served};
use crate::lattice::{Lattice, acquainted, run_actor, run_probe, start, stop};
use crate::signing::sign;
use crate::support::{PROBE, kind, soon, until};

#[actix_rt::test]
async fn all_hosts_are_listed_with_what_they_tell_about_themselves() {
    let lattice = Lattice::start();
    let first = start(lattice.builder().with_label("zone", "a")).await;
    let second = lattice.host().await;
    acquainted(&[first.clone(), second.clone()]).await;
    let client = client(&lattice).await;
    served(&client, &first).await;
    served(&client, &second).await;
    run_actor(&first, &sign("tiny_echo"), &[&second]).await;
    let hosts = client.hosts().await.unwrap();
    let keys: Vec<&str> = hosts.iter().map(|host| host.id.as_str()).collect();
    let (one, two) = (first.id(), second.id());
    let mut expected = [one.as_str(), two.as_str()];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    let summary = hosts.iter().find(|host| host.id == one).unwrap();
    assert_eq!((summary.actors, summary.providers, summary.cordoned), (Some(1), Some(0), false));
    assert_eq!((summary.labels["zone"].as_str(), summary.known_hosts), ("a", Some(2)));
    assert!(kind(client.only_host().await) == ErrorKind::InvalidArgument);
    stop(&[first, second]).await;
}

#[actix_rt::test]
async fn a_large_inventory_comes_in_pages_that_fit_into_messages() {
    const ACTORS: usize = 200;
    let lattice = Lattice::with("max_payload: 8192\n", None);
    let host = lattice.host().await;
    host.start_actor(sign("tiny_echo").alias("echo").actor()).await.unwrap();
    for _ in 0..ACTORS {
        host.start_actor(sign("tiny_echo").actor()).await.unwrap();
    }
    run_probe(&host).await;
    let client = client(&lattice).await;
    served(&client, &host).await;
    let inventory = client.whole_inventory(&host.id()).await.unwrap();
    assert_eq!((inventory.actors.len(), inventory.providers.len()), (ACTORS + 1, 1));
    let mut keys: Vec<String> = inventory.actors.iter().map(|actor| actor.id.clone()).collect();
    assert!(keys.is_sorted());
    keys.dedup();
    assert_eq!(keys.len(), ACTORS + 1);
    assert!(inventory.actors.iter().all(|actor| actor.state == "running" && actor.instances == Some(1)));
    assert_eq!(inventory.actors.iter().filter(|actor| actor.call_alias.is_some()).count(), 1);
    assert_eq!(inventory.limits.unwrap().message_bytes, wasmcloud_host::Limits::new().message_bytes);
    let few = client.inventory_page(&host.id(), &PageRequest { offset: ACTORS, limit: Some(1) }).await.unwrap();
    assert_eq!((few.entries.len(), few.total, few.next), (1, ACTORS + 2, Some(ACTORS + 1)));
    host.stop().await;
}

#[actix_rt::test]
async fn events_are_filtered_by_their_host_and_kind() {
    let scene = Scene::new().await;
    let filter = EventFilter { host: Some(scene.id()), kind: Some(kinds::PROVIDER_STARTED.to_owned()) };
    let mut only = scene.client.events(&filter).await.unwrap();
    let elsewhere = EventFilter { host: Some(nkeys::KeyPair::new_server().public_key()), kind: None };
    let mut none = scene.client.events(&elsewhere).await.unwrap();
    let actor = run_actor(&scene.host, &sign("tiny_echo"), &[]).await;
    run_probe(&scene.host).await;
    let told = soon(only.next()).await.unwrap().unwrap();
    assert_eq!((told.kind.as_str(), told.contract_id.as_deref()), (kinds::PROVIDER_STARTED, Some(PROBE)));
    scene.host.stop_actor(&actor).await.unwrap();
    scene.host.stop().await;
    scene.client.close().await.unwrap();
    assert!(none.next().await.is_none());
    for bad in ["*", ">", "Started"] {
        let filter = EventFilter { host: None, kind: Some(bad.to_owned()) };
        assert_eq!(kind(scene.client.events(&filter).await), ErrorKind::InvalidArgument);
    }
}

#[actix_rt::test]
async fn crashes_are_told_and_counted() {
    let scene = Scene::new().await;
    let mut told = events(&scene.client).await;
    let actor = run_actor(&scene.host, &sign("trap"), &[]).await;
    assert!(scene.host.call_actor(&actor, "Trap", b"").await.is_err());
    assert_eq!(event(&mut told, kinds::ACTOR_CRASHED).await.actor.as_ref(), Some(&actor));
    event(&mut told, kinds::ACTOR_RESTARTED).await;
    until(async || {
        let inventory = scene.client.whole_inventory(&scene.id()).await.unwrap();
        inventory.actors[0].restarts == 1
    })
    .await;
    scene.host.stop().await;
}

#[actix_rt::test]
async fn secret_values_are_listed_as_such_and_reach_their_provider() {
    const SECRET: &str = "correct horse battery staple";
    let scene = Scene::new().await;
    let actor = run_actor(&scene.host, &sign("host_call").capability(PROBE), &[]).await;
    let (probe, provider) = run_probe(&scene.host).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), SECRET).unwrap();
    let manifest = format!(
        "links: [{{ actor: {actor}, contract_id: '{PROBE}', provider_id: {provider}, \
         values: {{ USER: me, PASSWORD: {{ secret: {{ file: {:?} }} }} }} }}]",
        file.path()
    );
    scene.host.apply_manifest(HostManifest::from_yaml(&manifest).unwrap()).await.unwrap();
    let bound = |seen: &crate::support::Seen| matches!(seen, crate::support::Seen::Bound { values, .. } if values.get("PASSWORD").is_some_and(|it| it == SECRET));
    assert!(probe.seen().iter().any(bound));
    let links = scene.client.links().await.unwrap();
    assert_eq!(links[0].values, super::labels(&[("PASSWORD", "(secret)"), ("USER", "me")]));
    // A value that was not named as a secret is told.
    scene
        .host
        .set_link(&actor, PROBE, None, provider, HashMap::from([("A".to_owned(), "1".to_owned())]))
        .await
        .unwrap();
    assert_eq!(scene.client.links().await.unwrap()[0].values, super::labels(&[("A", "1")]));
    scene.host.stop().await;
}

#[actix_rt::test]
async fn what_is_malformed_is_an_error_of_the_client() {
    let lattice = Lattice::start();
    let connection = || ConnectionOptions::new(lattice.server.url());
    assert_eq!(kind(ControlClient::connect(connection(), "a.b", PATIENCE).await), ErrorKind::InvalidArgument);
    let client = ControlClient::connect(connection(), "default", PATIENCE).await.unwrap();
    assert_eq!(kind(client.inventory("N>").await), ErrorKind::InvalidArgument);
    assert_eq!(kind(client.cordon("*").await), ErrorKind::InvalidArgument);
    assert_eq!(kind(client.call_actor("M>", "Any", vec![], PATIENCE).await), ErrorKind::InvalidArgument);
    let seed = nkeys::KeyPair::new_module().seed().unwrap();
    let refused = client.clone().sign_with(&seed).unwrap_err();
    assert!(refused.kind() == ErrorKind::InvalidArgument && !refused.to_string().contains(&seed));
    assert_eq!(kind(client.call_with("SU")), ErrorKind::InvalidArgument);
}
