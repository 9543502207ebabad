//! References to registries: known to all hosts by the registry of the lattice.

use std::collections::HashMap;

use wasmcloud_host::{Host, HostBuilder, LinkState};

use super::{Lattice, acquainted, run_probe, start, stop, until_seen};
use crate::registries::Images;
use crate::signing::sign;
use crate::support::{PROBE, soon, until};

/// Waits until a host resolves a reference by the lattice, and links its actor.
async fn link_soon(host: &Host, reference: &str, provider: &str) {
    until(async || {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        host.set_link(reference, PROBE, None, provider.to_owned(), HashMap::new()).await.is_ok()
    })
    .await;
}

#[actix_rt::test]
async fn seed_defect_30_a_link_is_set_by_the_reference_that_another_host_started() {
    let lattice = Lattice::start();
    let images = Images::start();
    let signing = sign("host_call").capability(PROBE);
    let key = signing.claims.subject.clone();
    let reference = images.push("caller:1", &signing.bytes()).await;
    let runs_it = start(images.known_to(lattice.builder())).await;
    // It knows neither the registry nor its password.
    let links_it: Host = start(lattice.builder()).await;
    acquainted(&[runs_it.clone(), links_it.clone()]).await;
    runs_it.start_actor_from_registry(&reference).await.unwrap();
    let (_probe, provider) = run_probe(&links_it).await;
    link_soon(&links_it, &reference, &provider).await;
    assert_eq!(links_it.link_definitions().await.unwrap()[0].actor_id, key);
    assert_eq!(links_it.oci_references().await.unwrap()[&reference], key);
    until(async || {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        links_it.link_state(&key, PROBE, None) == Some(LinkState::Established)
    })
    .await;
    for named in [&key, &reference] {
        assert_eq!(soon(links_it.get_actor_identity(named)).await.unwrap().issuer, signing.claims.issuer);
    }

    let stranger = lattice.stranger().await;
    let subject = format!("wasmbus.ctl.default.get.{}.inv", runs_it.id());
    let answer = stranger.request(subject, "".into()).await.unwrap();
    let inventory: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
    assert_eq!(inventory["actors"][0]["image_ref"], reference.as_str(), "{inventory}");
    stop(&[runs_it, links_it]).await;
}

#[actix_rt::test]
async fn a_reference_can_be_recorded_without_a_registry() {
    let lattice = Lattice::start();
    let host = start(HostBuilder::new().with_shards(1).with_lattice(lattice.options())).await;
    let actor = sign("tiny_echo").actor();
    let key = actor.public_key();
    let options = wasmcloud_host::ActorOptions::new().image_ref("registry.example/echo:1").image_digest("sha256:00");
    host.start_actor_with(actor, options).await.unwrap();
    let listed = host.inventory().unwrap().actors.remove(0);
    assert_eq!(listed.image_digest.as_deref(), Some("sha256:00"));
    assert_eq!(host.oci_references().await.unwrap()["registry.example/echo:1"], key);
    until_seen(&host, |view| view.counts.registry.is_some()).await;
    host.stop().await;
}
