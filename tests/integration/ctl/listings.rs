//! Hosts, inventories, claims and links, and how they are printed.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use super::{Ctl, Scene};
use crate::signing::sign;
use crate::support::{PROBE, Probe, probed_caller, soon, values};

/// The names of the fields of an object.
fn fields(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[actix_rt::test]
async fn all_hosts_are_listed_with_what_they_tell_of_themselves() {
    let scene = Scene::start();
    let east = scene.host(scene.builder().with_label("zone", "east")).await;
    let west = scene.host(scene.builder().with_label("zone", "west")).await;
    east.start_actor(sign("tiny_echo").actor()).await.unwrap();

    let ctl = scene.ctl();
    let listed = ctl.json(&["hosts"]).await;
    let of = |key: &str| listed.as_array().unwrap().iter().find(|host| host["id"] == key).unwrap().clone();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(of(&east.id())["labels"]["zone"], "east");
    assert_eq!(of(&east.id())["actors"], 1);
    assert_eq!(of(&west.id())["actors"], 0);
    assert_eq!(of(&west.id())["cordoned"], false);
    for documented in ["id", "uptime", "version", "labels", "cordoned", "actors", "providers", "links"] {
        assert!(fields(&of(&east.id())).contains(documented), "{documented}: {listed}");
    }

    let table = ctl.done(&["hosts"]).await;
    let titles: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(titles, ["HOST", "UPTIME", "STATE", "ACTORS", "PROVIDERS", "VERSION", "LABELS"]);
    assert!(table.contains(&east.id()) && table.contains("zone=west"), "{table}");
    east.stop().await;
    west.stop().await;
}

#[actix_rt::test]
async fn an_inventory_tells_what_a_host_runs_and_a_host_may_be_named_by_the_beginning_of_its_key() {
    let scene = Scene::start();
    let host = scene.host(scene.builder()).await;
    let actor = sign("tiny_echo").alias("echo").revision(3);
    let key = actor.actor().public_key();
    host.start_actor(actor.actor()).await.unwrap();
    let probe = Probe::default();
    host.start_native_capability(probe.capability()).await.unwrap();

    let ctl = scene.ctl();
    let inventories = ctl.json(&["inventory", &host.id()[..8]]).await;
    let inventory = &inventories[0];
    assert_eq!(inventories.as_array().unwrap().len(), 1);
    assert_eq!(inventory["host_id"], host.id());
    let actor = &inventory["actors"][0];
    assert_eq!((&actor["id"], &actor["revision"], &actor["instances"]), (&json!(key), &json!(3), &json!(1)));
    assert_eq!(
        (&actor["call_alias"], &actor["state"], &actor["restarts"]),
        (&json!("echo"), &json!("running"), &json!(0))
    );
    let probes = inventory["providers"].as_array().unwrap().iter().filter(|provider| provider["contract_id"] == PROBE);
    assert_eq!(probes.count(), 1);

    let text = ctl.done(&["inventory"]).await;
    assert!(text.starts_with(&format!("Host {}", host.id())), "{text}");
    assert!(text.contains(&key) && text.contains(PROBE) && text.contains("running"), "{text}");
    host.stop().await;
}

#[actix_rt::test]
async fn claims_and_links_are_listed_and_secret_values_are_not() {
    let scene = Scene::start();
    let host = scene.host(scene.builder()).await;
    let (_probe, actor) = probed_caller(&host).await;
    let other = sign("host_call").capability(PROBE).actor();
    let other_key = other.public_key();
    host.start_actor(other).await.unwrap();
    let provider = host.link_definitions().await.unwrap()[0].provider_id.clone();
    let secret = values(&[("URL", "redis://a"), ("PASSWORD", "hunter2"), ("__wasmcloud_secrets", "PASSWORD")]);
    host.set_link(&other_key, PROBE, None, provider.clone(), secret).await.unwrap();

    let ctl = scene.ctl();
    let claims = ctl.json(&["claims", "--actor", &actor]).await;
    assert_eq!(
        (claims.as_array().unwrap().len(), &claims[0]["sub"], &claims[0]["caps"]),
        (1, &json!(actor), &json!(PROBE))
    );
    let table = ctl.done(&["claims"]).await;
    assert!(table.contains(&actor) && table.contains(&other_key) && table.contains(PROBE), "{table}");

    let links = ctl.json(&["links", "--actor", &other_key]).await;
    assert_eq!(links.as_array().unwrap().len(), 1);
    assert_eq!((&links[0]["provider_id"], &links[0]["contract_id"]), (&json!(provider), &json!(PROBE)));
    assert_eq!(
        (&links[0]["values"]["URL"], &links[0]["values"]["PASSWORD"]),
        (&json!("redis://a"), &json!("(secret)"))
    );
    let table = ctl.done(&["links"]).await;
    assert!(table.contains("URL=redis://a") && table.contains("PASSWORD=(secret)"), "{table}");
    assert!(!table.contains("hunter2"), "{table}");
    assert_eq!(ctl.json(&["links", "--actor", &host.id()]).await, json!([]));
    host.stop().await;
}

#[actix_rt::test]
async fn tables_fit_the_terminal() {
    let scene = Scene::start();
    let host = scene.host(scene.builder().with_label("a-label", &"long".repeat(20))).await;
    host.start_actor(sign("tiny_echo").actor()).await.unwrap();
    for columns in [40, 80, 120] {
        let ctl = scene.ctl().with("COLUMNS", columns.to_string());
        for command in [&["hosts"][..], &["claims"], &["links"]] {
            let table = ctl.done(command).await;
            assert!(table.lines().all(|line| line.chars().count() <= columns), "{columns}: {table}");
        }
    }
    host.stop().await;
}

/// Runs commands of a shell on a terminal of 70 columns, and returns what they print there.
async fn on_terminal(ctl: &Ctl, script: &str) -> String {
    let binary = env!("CARGO_BIN_EXE_wasmcloud");
    let line = format!("stty rows 24 cols 70; wasmcloud() {{ '{binary}' \"$@\"; }}; {script}");
    let mut command = ctl.adapt(Command::new("script"));
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env("SHELL", "/bin/sh");
    let ended = soon(actix_rt::task::spawn_blocking(move || command.output().unwrap())).await.unwrap();
    let text = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.success(), "{text}");
    text
}

#[actix_rt::test]
async fn on_a_terminal_tables_are_cut_and_progress_is_told() {
    let scene = Scene::start();
    let host = scene.host(scene.builder()).await;
    let ctl = scene.ctl();
    let table = on_terminal(&ctl, "wasmcloud ctl hosts").await;
    assert!(table.starts_with("HOST") && table.contains(&host.id()[..8]) && table.contains('…'), "{table}");
    assert!(table.lines().all(|line| line.trim_end().chars().count() <= 70), "{table}");
    let started = on_terminal(&ctl, "wasmcloud ctl start provider builtin:logging").await;
    assert!(started.contains("starting provider builtin:logging"), "{started}");
    assert!(started.contains("started provider builtin:logging"), "{started}");
    host.stop().await;
}
