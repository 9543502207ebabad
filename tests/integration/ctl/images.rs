//! Starts and updates from a registry.

use serde_json::json;

use super::Scene;
use crate::registries::Images;
use crate::signing::sign;

#[actix_rt::test]
async fn an_actor_is_started_updated_and_stopped_by_its_reference() {
    let scene = Scene::start();
    let images = Images::start();
    let mut signing = sign("tiny_echo").alias("echo").revision(1);
    let key = signing.actor().public_key();
    let old = images.push("echo:1", &signing.bytes()).await;
    signing.set_revision(2);
    let new = images.push("echo:2", &signing.bytes()).await;
    let host = scene.host(images.known_to(scene.builder().enable_live_updates())).await;

    let ctl = scene.ctl();
    let started = ctl.json(&["start", "actor", &old, "--instances", "2"]).await;
    assert_eq!(started, json!([{"host_id": host.id(), "target": old, "outcome": "done"}]));
    let actor = ctl.json(&["inventory"]).await[0]["actors"][0].clone();
    assert_eq!((&actor["id"], &actor["image_ref"], &actor["instances"]), (&json!(key), &json!(old), &json!(2)));
    let again = ctl.fails(1, &["start", "actor", &old, "--host", &host.id()]).await;
    assert!(again.contains("already running"), "{again}");
    assert!(ctl.fails(1, &["start", "actor", &old]).await.contains("no host can run"));

    let updated = ctl.done(&["update", "echo", &new]).await;
    assert_eq!(updated, format!("updated actor {key} to {new} on host {}\n", host.id()));
    let actor = ctl.json(&["inventory"]).await[0]["actors"][0].clone();
    assert_eq!((&actor["revision"], &actor["image_ref"]), (&json!(2), &json!(new)));
    ctl.fails(3, &["update", "echo", &old]).await;
    assert_eq!(ctl.json(&["call", "echo", "Echo", "--data", "7"]).await, 7);
    ctl.done(&["stop", "actor", &new]).await;
    host.stop().await;
}

#[actix_rt::test]
async fn the_failure_of_a_pull_is_that_of_the_start() {
    let scene = Scene::start();
    let images = Images::start();
    let present = images.push("echo:1", &sign("tiny_echo").bytes()).await;
    let host = scene.host(images.known_to(scene.builder())).await;
    let absent = present.replace("echo:1", "echo:7");
    let ctl = scene.ctl();
    let failed = ctl.fails(1, &["start", "actor", &absent, "--host", &host.id()]).await;
    assert!(failed.contains("echo:7"), "{failed}");
    let report = ctl.run(&["start", "actor", &absent, "--host", &host.id(), "--output", "json"]).await;
    let outcome: serde_json::Value = serde_json::from_str(&report.output).unwrap();
    assert_eq!(
        (report.code, &outcome[0]["outcome"], &outcome[0]["kind"]),
        (1, &json!("failed"), &json!("OciNotFound"))
    );
    host.stop().await;
}
