//! Orders of current clients, and how they end.

use std::collections::BTreeMap;
use std::time::Duration;

use wasmcloud_control::message::LinkDefinition;
use wasmcloud_control::{Settled, kinds};
use wasmcloud_host::{ErrorKind, LinkState};

use super::{PATIENCE, Scene, client, done, event, events, labels, served};
use crate::lattice::{acquainted, run_actor, run_probe, stop};
use crate::signing::sign;
use crate::support::{PROBE, kind, soon, until};

#[actix_rt::test]
async fn an_actor_is_started_called_scaled_and_stopped_from_afar() {
    let scene = Scene::new().await;
    let (host, signing) = (scene.id(), sign("tiny_echo"));
    let reference = scene.images.push("actors/echo:1", &signing.bytes()).await;
    let key = signing.actor().public_key();
    done(scene.client.start_actor(&host, &reference, Some(2)).await);
    assert_eq!(scene.host.inventory().unwrap().actors[0].instances, 2);
    until(async || scene.client.call_actor(&key, "Echo", b"x".to_vec(), PATIENCE).await.is_ok()).await;
    assert_eq!(scene.client.call_actor(&key, "Echo", b"x".to_vec(), PATIENCE).await.unwrap(), b"x");
    done(scene.client.scale_actor(&host, &reference, 3).await);
    assert_eq!(scene.host.inventory().unwrap().actors[0].instances, 3);
    assert_eq!(kind(scene.client.scale_actor(&host, &key, 0).await), ErrorKind::InvalidArgument);
    assert_eq!(kind(scene.client.start_actor(&host, &reference, None).await), ErrorKind::ActorAlreadyRunning);
    done(scene.client.stop_actor(&host, &reference).await);
    assert_eq!(kind(scene.client.stop_actor(&host, &key).await), ErrorKind::ActorStopped);
    // Its subscription may take a moment to end.
    let gone = kind(scene.client.call_actor(&key, "Echo", vec![], PATIENCE).await);
    assert!(matches!(gone, ErrorKind::ActorStopped | ErrorKind::ActorNotFound), "{gone:?}");
    scene.host.stop().await;
}

#[actix_rt::test]
async fn files_and_moving_references_are_refused() {
    let scene = Scene::new().await;
    let host = scene.id();
    for bad in
        ["/etc/passwd", "./echo.wasm", "echo.wasm", "dir/echo.wasm", "builtin:logging", "a b/c:1", "r.example/echo"]
    {
        assert_eq!(kind(scene.client.start_actor(&host, bad, None).await), ErrorKind::InvalidArgument, "{bad}");
        assert_eq!(scene.client.auction_actor(bad, BTreeMap::new()).await.unwrap_or_default(), [], "{bad}");
    }
    for bad in ["/tmp/x.par.gz", "builtin:none", "x.par"] {
        assert_eq!(kind(scene.client.start_provider(&host, bad, None).await), ErrorKind::InvalidArgument, "{bad}");
    }
    scene.host.stop().await;
}

#[actix_rt::test]
async fn an_order_that_takes_longer_is_accepted_and_its_end_is_told() {
    let scene = Scene::new().await;
    let (host, impatient) = (scene.id(), scene.client.clone().wait(Duration::ZERO));
    let mut watch = impatient.watch(Some(&host)).await.unwrap();
    let reference = scene.images.push("actors/echo:1", &sign("tiny_echo").bytes()).await;
    let accepted = impatient.start_actor(&host, &reference, None).await.unwrap();
    let Settled::Accepted { event, .. } = &accepted else { panic!("it was to be accepted: {accepted:?}") };
    assert_eq!(event, kinds::REQUEST_FINISHED);
    let mut told = Vec::new();
    watch.settle(accepted, PATIENCE, |event| told.push(event.kind.clone())).await.unwrap();
    assert_eq!(told.last().map(String::as_str), Some(kinds::REQUEST_FINISHED));
    assert!(told.contains(&kinds::PROGRESS.to_owned()), "{told:?}");
    assert_eq!(scene.host.actors().await.unwrap().len(), 1);
    // A failure is told as such, with its kind.
    let accepted = impatient.start_actor(&host, &format!("{reference}0"), None).await.unwrap();
    assert_eq!(kind(watch.settle(accepted, PATIENCE, |_| {}).await), ErrorKind::OciNotFound);
    scene.host.stop().await;
}

#[actix_rt::test]
async fn labels_are_set_and_removed_and_auctions_honour_them() {
    let scene = Scene::new().await;
    let (host, reference) = (scene.id(), "registry.example/echo:1");
    let mut told = events(&scene.client).await;
    done(scene.client.set_labels(&host, labels(&[("disk", "fast")]), vec!["zone".to_owned()]).await);
    event(&mut told, kinds::HOST_LABELED).await;
    let all = scene.host.labels().await;
    assert!(all.contains_key("disk") && !all.contains_key("zone") && all.contains_key("hostcore.os"));
    assert_eq!(scene.client.auction_actor(reference, labels(&[("disk", "fast")])).await.unwrap().len(), 1);
    let reserved = scene.client.set_labels(&host, labels(&[("hostcore.os", "x")]), vec![]).await;
    assert_eq!(kind(reserved), ErrorKind::InvalidArgument);
    let removed = scene.client.set_labels(&host, labels(&[]), vec!["hostcore.os".to_owned()]).await;
    assert_eq!(kind(removed), ErrorKind::InvalidArgument);
    scene.host.stop().await;
}

#[actix_rt::test]
async fn a_cordoned_host_starts_nothing_and_a_drained_one_finishes_its_calls() {
    let scene = Scene::new().await;
    let host = scene.id();
    let mut told = events(&scene.client).await;
    done(scene.client.cordon(&host).await);
    event(&mut told, kinds::HOST_CORDONED).await;
    assert!(scene.host.lattice().unwrap().is_cordoned);
    assert_eq!(kind(scene.client.start_provider(&host, "builtin:logging", None).await), ErrorKind::Busy);
    done(scene.client.uncordon(&host).await);
    event(&mut told, kinds::HOST_UNCORDONED).await;
    done(scene.client.start_provider(&host, "builtin:logging", None).await);

    // A call of the lattice is in progress, and a drain waits for it.
    let caller = run_actor(&scene.host, &sign("host_call").capability(PROBE), &[]).await;
    let (probe, provider) = run_probe(&scene.host).await;
    scene.host.set_link(&caller, PROBE, None, provider, Default::default()).await.unwrap();
    let waits = crate::support::host_call("default", PROBE, "Wait", b"");
    let remote = scene.client.clone();
    let key = caller.clone();
    let echoes = crate::support::host_call("default", PROBE, "Echo", b"x");
    until(async || remote.call_actor(&key, "Any", echoes.clone(), PATIENCE).await.is_ok()).await;
    let calling = remote.clone();
    let call = actix_rt::spawn(async move { calling.call_actor(&key, "Any", waits, PATIENCE).await });
    soon(probe.arrived.notified()).await;
    let late = scene.client.drain(&host, Some(Duration::ZERO)).await;
    assert_eq!(kind(late), ErrorKind::DeadlineExceeded);
    let draining = remote.clone();
    let id = host.clone();
    let drained = actix_rt::spawn(async move { draining.drain(&id, None).await });
    event(&mut told, kinds::HOST_DRAINING).await;
    probe.release.add_permits(1);
    assert!(soon(call).await.unwrap().is_ok());
    done(soon(drained).await.unwrap());
    assert!(scene.host.lattice().unwrap().is_cordoned);
    scene.host.stop().await;
}

#[actix_rt::test]
async fn a_link_is_put_and_removed_with_its_outcome_by_one_of_two_hosts() {
    let scene = Scene::new().await;
    let other = scene.lattice.host().await;
    acquainted(&[scene.host.clone(), other.clone()]).await;
    served(&scene.client, &other).await;
    let actor = run_actor(&scene.host, &sign("host_call").capability(PROBE), &[&other]).await;
    let (_probe, provider) = run_probe(&scene.host).await;
    let link = |actor: &str| LinkDefinition {
        actor_id: actor.to_owned(),
        provider_id: provider.clone(),
        link_name: "default".to_owned(),
        contract_id: PROBE.to_owned(),
        values: labels(&[("A", "1")]),
    };
    let mut told = events(&scene.client).await;
    done(scene.client.put_link(&link(&actor)).await);
    let established = event(&mut told, kinds::LINK_ESTABLISHED).await;
    assert_eq!(established.actor.as_ref(), Some(&actor));
    until(async || scene.host.link_state(&actor, PROBE, None) == Some(LinkState::Established)).await;
    let listed = scene.client.links().await.unwrap();
    assert_eq!(listed, [link(&actor)]);
    assert!(scene.client.put_link(&LinkDefinition { actor_id: "M".to_owned(), ..link(&actor) }).await.is_err());
    done(scene.client.remove_link(&actor, PROBE, None).await);
    until(async || scene.host.link_state(&actor, PROBE, None).is_none()).await;
    stop(&[scene.host, other]).await;
}

#[actix_rt::test]
async fn a_link_that_is_refused_is_told_with_the_reason() {
    let scene = Scene::new().await;
    let powerless = run_actor(&scene.host, &sign("host_call"), &[]).await;
    let actor = run_actor(&scene.host, &sign("host_call").capability(PROBE), &[]).await;
    let (_probe, provider_id) = run_probe(&scene.host).await;
    let mut told = events(&scene.client).await;
    let link = |actor_id: &str| LinkDefinition {
        actor_id: actor_id.to_owned(),
        provider_id: provider_id.clone(),
        contract_id: PROBE.to_owned(),
        values: labels(&[("REFUSE", "deliberately")]),
        ..LinkDefinition::default()
    };
    assert_eq!(kind(scene.client.put_link(&link(&powerless)).await), ErrorKind::CapabilityDenied);
    assert_eq!(kind(scene.client.put_link(&link(&actor)).await), ErrorKind::LinkRefused);
    let refused = event(&mut told, kinds::LINK_REFUSED).await;
    assert!(refused.actor == Some(actor) && refused.failure.unwrap().contains("deliberately"));
    scene.host.stop().await;
}

#[actix_rt::test]
async fn a_host_is_stopped_from_afar_and_tells_its_end() {
    let scene = Scene::new().await;
    let mut told = events(&scene.client).await;
    let actor = run_actor(&scene.host, &sign("tiny_echo"), &[]).await;
    let mut watch = scene.client.watch(Some(&scene.id())).await.unwrap();
    let accepted = scene.client.stop_host(&scene.id()).await.unwrap();
    assert!(matches!(accepted, Settled::Accepted { ref event, .. } if event == kinds::HOST_STOPPED));
    watch.settle(accepted, PATIENCE, |_| {}).await.unwrap();
    assert_eq!(event(&mut told, kinds::ACTOR_STOPPED).await.actor, Some(actor));
    assert_eq!(event(&mut told, kinds::HOST_STOPPED).await.host, scene.id());
    until(async || scene.host.actors().await.is_err()).await;
    assert_eq!(kind(scene.host.actors().await), ErrorKind::HostNotRunning);
    // It is stopped already, so that this returns.
    soon(scene.host.stop()).await;
    let gone = scene.client.stop_host(&scene.id()).await;
    assert_eq!(kind(gone), ErrorKind::LatticeUnavailable);
}

#[actix_rt::test]
async fn a_server_that_is_not_there_is_told_at_once() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let connection = wasmcloud_host::ConnectionOptions::new(format!("nats://127.0.0.1:{port}"));
    let refused = wasmcloud_control::ControlClient::connect(connection, "default", PATIENCE).await;
    assert_eq!(kind(refused), ErrorKind::LatticeUnavailable);
    let lattice = crate::lattice::Lattice::start();
    let lonely = client(&lattice).await;
    assert_eq!(kind(lonely.only_host().await), ErrorKind::LatticeUnavailable);
    let key = nkeys::KeyPair::new_server().public_key();
    assert_eq!(kind(lonely.whole_inventory(&key).await), ErrorKind::LatticeUnavailable);
}
