//! Faults of the host of 2021 that concern control, each with its number in `docs/seed-defects.md`.

use nkeys::KeyPair;
use wasmcloud_control::kinds;
use wasmcloud_host::{ErrorKind, Restart, RestartPolicy};

use super::{Scene, done, event, events};
use crate::lattice::run_actor;
use crate::signing::{sign, sign_module};
use crate::support::kind;

#[actix_rt::test]
async fn seed_defect_13_a_start_that_fails_from_afar_leaves_nothing_behind() {
    let scene = Scene::new().await;
    let reference = scene.images.push("actors/bad:1", &sign_module("bad", trapping_at_its_start()).bytes()).await;
    assert_eq!(kind(scene.client.start_actor(&scene.id(), &reference, None).await), ErrorKind::ActorTrapped);
    assert!(scene.host.actors().await.unwrap().is_empty());
    assert_eq!(scene.client.whole_inventory(&scene.id()).await.unwrap().actors, []);
    scene.host.stop().await;
}

fn trapping_at_its_start() -> Vec<u8> {
    let text = "(module (memory (export \"memory\") 1) (func (export \"wapc_init\") unreachable)
        (func (export \"__guest_call\") (param i32 i32) (result i32) i32.const 1))";
    wat::parse_str(text).unwrap()
}

#[actix_rt::test]
async fn seed_defect_15_the_inventory_of_a_host_with_a_dead_actor_is_answered() {
    let scene =
        Scene::with(|builder| builder.with_restart_policy(RestartPolicy::new().restart(Restart::Temporary))).await;
    let actor = run_actor(&scene.host, &sign("trap"), &[]).await;
    assert!(scene.host.call_actor(&actor, "Trap", b"").await.is_err());
    let mut told = Vec::new();
    for _ in 0..3 {
        let era = scene.client.inventory(&scene.id()).await.unwrap();
        assert_eq!(era.actors[0].id, actor);
        told.push(scene.client.whole_inventory(&scene.id()).await.unwrap().actors.remove(0));
    }
    assert!(told.iter().all(|entry| entry.state == "failed" && entry.reason.is_some()), "{told:?}");
    scene.host.stop().await;
}

#[actix_rt::test]
async fn seed_defect_18_failures_of_remote_starts_and_updates_are_told_and_are_events() {
    let scene = Scene::new().await;
    let host = scene.id();
    let mut told = events(&scene.client).await;
    let missing = format!("{}/actors/none:1", scene.images.address());
    assert_eq!(kind(scene.client.start_actor(&host, &missing, None).await), ErrorKind::OciNotFound);
    let failed = event(&mut told, kinds::ACTOR_START_FAILED).await;
    assert_eq!((failed.image_ref.as_ref(), failed.error_kind.as_deref()), (Some(&missing), Some("OciNotFound")));
    assert_eq!(kind(scene.client.start_provider(&host, &missing, None).await), ErrorKind::OciNotFound);
    assert!(event(&mut told, kinds::PROVIDER_START_FAILED).await.is_failure());

    let mut signing = sign("tiny_echo");
    signing.set_revision(3);
    let running = scene.images.push("actors/echo:3", &signing.bytes()).await;
    signing.set_revision(2);
    let older = scene.images.push("actors/echo:2", &signing.bytes()).await;
    done(scene.client.start_actor(&host, &running, None).await);
    let key = signing.actor().public_key();
    for (reference, kind_of_refusal) in [(&older, ErrorKind::UpdateRefused), (&missing, ErrorKind::OciNotFound)] {
        assert_eq!(kind(scene.client.update_actor(&host, &key, reference).await), kind_of_refusal);
        let refused = event(&mut told, kinds::UPDATE_REFUSED).await;
        assert!(refused.actor.as_ref() == Some(&key) && refused.is_failure());
    }
    assert_eq!(scene.host.call_actor(&key, "Echo", b"x").await.unwrap(), b"x");
    assert_eq!(scene.host.inventory().unwrap().actors[0].revision, 3);
    scene.host.stop().await;
}

#[actix_rt::test]
async fn seed_defect_32_a_provider_is_stopped_by_its_own_contract_alone_and_its_stop_is_told() {
    let scene = Scene::new().await;
    let host = scene.id();
    let mut told = events(&scene.client).await;
    done(scene.client.start_provider(&host, "builtin:logging", None).await);
    let wrong = scene.client.stop_provider(&host, "builtin:logging", None, "wasmcloud:keyvalue").await;
    assert_eq!(kind(wrong), ErrorKind::InvalidArgument);
    assert_eq!(scene.host.providers().await.unwrap().len(), 1);
    done(scene.client.stop_provider(&host, "builtin:logging", None, "").await);
    assert_eq!(event(&mut told, kinds::PROVIDER_STOPPED).await.contract_id.as_deref(), Some("wasmcloud:logging"));
    assert!(scene.host.providers().await.unwrap().is_empty());
    scene.host.stop().await;
}

#[actix_rt::test]
async fn seed_defect_33_a_stop_is_told_only_of_what_ran_and_frees_its_alias() {
    let scene = Scene::new().await;
    let host = scene.id();
    let mut told = events(&scene.client).await;
    let never = KeyPair::new_module().public_key();
    assert_eq!(kind(scene.client.stop_actor(&host, &never).await), ErrorKind::ActorNotFound);
    let first = run_actor(&scene.host, &sign("tiny_echo").alias("echo"), &[]).await;
    done(scene.client.stop_actor(&host, &first).await);
    assert_eq!(event(&mut told, kinds::ACTOR_STOPPED).await.actor, Some(first), "the first stop that is told");
    scene.host.stop().await;
}
