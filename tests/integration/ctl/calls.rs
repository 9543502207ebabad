//! Calls of actors.

use nkeys::KeyPair;
use serde_json::json;
use wasmcloud_host::{ActorOptions, ChildState, ConnectionOptions, Restart, RestartPolicy};

use super::Scene;
use crate::conformance::nats_server::NatsServer;
use crate::signing::sign;
use crate::support::until;

#[actix_rt::test]
async fn json_reaches_an_actor_as_msgpack_and_returns() {
    let scene = Scene::start();
    let host = scene.host(scene.builder()).await;
    let actor = sign("tiny_echo").alias("echo").actor();
    let key = actor.public_key();
    host.start_actor(actor).await.unwrap();
    let value = json!({
        "text": "é", "number": -7, "large": u64::MAX, "float": 0.5, "none": null, "list": [true, {}],
        "body": {"$text": "a body"}, "bytes": {"$base64": "/w=="}, "variant": {"$map": [[0, "M"]]},
    });
    let ctl = scene.ctl();
    assert_eq!(ctl.json(&["call", "echo", "Echo", "--data", &value.to_string()]).await, value);
    scene.write("value.json", value.to_string());
    assert_eq!(ctl.json(&["call", &key[..12], "Echo", "--data-file", "value.json"]).await, value);
    assert_eq!(ctl.json(&["call", &key, "Echo"]).await, json!({"$text": ""}), "no payload is empty");
    host.stop().await;
}

#[actix_rt::test]
async fn files_are_sent_and_answers_written_as_they_are_whatever_their_size() {
    let scene = Scene::start();
    let host = scene.host(scene.builder()).await;
    let actor = sign("tiny_echo").actor();
    let key = actor.public_key();
    host.start_actor(actor).await.unwrap();
    let ctl = scene.ctl();
    // The largest is several times as large as a message of the server.
    for size in [0, 1, 3000, 600_000, 3_000_000] {
        let bytes: Vec<u8> = (0..size).map(|number| (number % 251) as u8).collect();
        scene.write("sent", &bytes);
        let report = ctl.done(&["call", &key, "Echo", "--raw", "sent", "--answer", "answer", "--timeout", "20s"]).await;
        assert_eq!(report, format!("wrote {size} bytes to answer\n"));
        assert!(scene.read("answer") == bytes, "{size} bytes return as they were");
    }
    host.stop().await;
}

#[actix_rt::test]
async fn the_host_that_executes_a_call_can_be_chosen() {
    let scene = Scene::start();
    let [one, two] = scene.hosts().await;
    let actor = sign("tiny_echo").actor();
    let key = actor.public_key();
    one.start_actor(actor).await.unwrap();
    let ctl = scene.ctl();
    let payload = ["call", &key, "Echo", "--data", "7"];
    assert_eq!(ctl.json(&[&payload[..], &["--host", &one.id()]].concat()).await, 7);
    let refused = ctl.fails(1, &[&payload[..], &["--host", &two.id()]].concat()).await;
    assert!(refused.contains(&two.id()), "{refused}");
    one.stop().await;
    two.stop().await;
}

#[actix_rt::test]
async fn hosts_that_trust_certain_hosts_accept_calls_that_their_cluster_vouches_for() {
    let scene = Scene::start();
    let cluster = KeyPair::new_cluster().seed().unwrap();
    let options = scene.options().cluster_seed(&cluster);
    let host = scene.host(scene.builder().with_lattice(options)).await;
    let actor = sign("tiny_echo").actor();
    let key = actor.public_key();
    host.start_actor(actor).await.unwrap();
    scene.write("cluster.seed", &cluster);

    let ctl = scene.ctl();
    let refused = ctl.fails(3, &["call", &key, "Echo", "--data", "7"]).await;
    assert!(refused.contains("trust"), "{refused}");
    assert_eq!(ctl.json(&["call", &key, "Echo", "--data", "7", "--cluster-seed-file", "cluster.seed"]).await, 7);
    let from_environment = ctl.with("WASMCLOUD_CLUSTER_SEED", cluster);
    assert_eq!(from_environment.json(&["call", &key, "Echo", "--data", "7"]).await, 7);
    host.stop().await;
}

#[actix_rt::test]
async fn calls_and_control_may_have_servers_of_their_own() {
    let scene = Scene::start();
    let calls = NatsServer::start();
    let options = scene.options().connection(ConnectionOptions::new(calls.url()));
    let options = options.control_connection(ConnectionOptions::new(scene.server.url()));
    let host = scene.host(scene.builder().with_lattice(options)).await;
    let actor = sign("tiny_echo").actor();
    let key = actor.public_key();
    host.start_actor(actor).await.unwrap();
    let ctl = scene.ctl().with("CONTROL_HOST", "127.0.0.1").with("RPC_HOST", calls.url());
    assert_eq!(ctl.json(&["call", &key, "Echo", "--data", "7"]).await, 7);
    host.stop().await;
}

#[actix_rt::test]
async fn the_failure_of_an_actor_is_that_of_the_call() {
    let scene = Scene::start();
    let host = scene.host(scene.builder()).await;
    let failing = sign("error").actor();
    let key = failing.public_key();
    host.start_actor(failing).await.unwrap();
    let ctl = scene.ctl();
    let failed = ctl.fails(1, &["call", &key, "Anything"]).await;
    assert!(failed.contains(&key), "{failed}");
    let absent = KeyPair::new_module().public_key();
    let nowhere = ctl.fails(1, &["call", &absent, "Echo"]).await;
    assert!(nowhere.contains("no host of the lattice runs it"), "{nowhere}");
    for (data, part) in [("{", "not JSON"), ("{\"$bytes\":1}", "$bytes is unknown")] {
        let misused = ctl.fails(2, &["call", &key, "Echo", "--data", data]).await;
        assert!(misused.contains(part), "{misused}");
    }
    host.stop().await;
}

#[actix_rt::test]
async fn a_call_of_an_actor_that_has_failed_says_where_and_why() {
    let scene = Scene::start();
    let host = scene.host(scene.builder()).await;
    let trap = sign("trap").alias("trap").actor();
    let key = trap.public_key();
    let once = ActorOptions::new().restart(RestartPolicy::new().restart(Restart::Temporary));
    host.start_actor_with(trap, once).await.unwrap();
    assert!(host.call_actor(&key, "Trap", b"").await.is_err());
    until(async || matches!(host.inventory().unwrap().actors[0].state, ChildState::Failed { .. })).await;
    let failed = scene.ctl().fails(1, &["call", "trap", "Trap"]).await;
    assert!(failed.contains(&format!("it is failed on host {} (it is temporary", host.id())), "{failed}");
    host.stop().await;
}
