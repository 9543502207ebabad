//! What changes hosts.

use std::io::Read as _;

use serde_json::{Value, json};
use wasmcloud_host::{Host, LinkState};

use super::{Ctl, Scene};
use crate::signing::sign;
use crate::support::{PROBE, Probe, Seen, soon, until};

/// What a host runs.
async fn inventory(ctl: &Ctl, host: &Host) -> Value {
    ctl.json(&["inventory", &host.id()]).await[0].clone()
}

/// The key of the HTTP server that comes with hosts.
fn http_server() -> String {
    wasmcloud_host::builtin::HttpServer::new(None).capability().unwrap().id()
}

#[actix_rt::test]
async fn a_provider_is_started_linked_unlinked_and_stopped() {
    let scene = Scene::start();
    let host = scene.host(scene.builder()).await;
    let actor = sign("echo").alias("echo").capability("wasmcloud:httpserver").actor();
    let key = actor.public_key();
    host.start_actor(actor).await.unwrap();

    let ctl = scene.ctl();
    let started = ctl.json(&["start", "provider", "builtin:httpserver"]).await;
    assert_eq!(started, json!([{"host_id": host.id(), "target": "builtin:httpserver", "outcome": "done"}]));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let value = format!("PORT={port}");
    let linked = ctl.done(&["link", "echo", "builtin:httpserver", "httpserver", &value, "BIND=127.0.0.1"]).await;
    assert_eq!(linked, format!("linked actor {key} with provider {} for wasmcloud:httpserver\n", http_server()));
    assert_eq!(host.link_state(&key, "wasmcloud:httpserver", None), Some(LinkState::Established));
    let answered = actix_rt::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        std::io::Write::write_all(&mut stream, b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    assert!(soon(answered).await.unwrap().starts_with("HTTP/1.1 200"));

    let unlinked = ctl.json(&["unlink", &key[..10], "httpserver"]).await;
    assert_eq!(unlinked, json!([{"target": key, "outcome": "done"}]));
    assert_eq!(host.link_state(&key, "wasmcloud:httpserver", None), None);
    let stopped = ctl.done(&["stop", "provider", "builtin:httpserver"]).await;
    assert_eq!(stopped, format!("stopped provider {} (default) on host {}\n", http_server(), host.id()));
    let left = inventory(&ctl, &host).await;
    assert!(!left["providers"].to_string().contains(&http_server()), "{left}");
    host.stop().await;
}

#[actix_rt::test]
async fn the_provider_gets_the_values_of_a_link_with_those_in_files() {
    let scene = Scene::start();
    let host = scene.host(scene.builder()).await;
    let probe = Probe::default();
    let capability = probe.capability();
    let provider = capability.id();
    host.start_native_capability(capability).await.unwrap();
    let actor = sign("host_call").capability(PROBE).actor();
    let key = actor.public_key();
    host.start_actor(actor).await.unwrap();
    scene.write("password", "hunter2\n");

    let ctl = scene.ctl();
    ctl.done(&["link", &key, &provider, PROBE, "URL=redis://a?b=c", "--secret", "PASSWORD=password"]).await;
    let bound = probe.seen().into_iter().find_map(|seen| match seen {
        Seen::Bound { actor, values } if actor == key => Some(values),
        _ => None,
    });
    let bound = bound.expect("the provider is told of the link");
    assert_eq!((bound["URL"].as_str(), bound["PASSWORD"].as_str()), ("redis://a?b=c", "hunter2"));
    let listed = ctl.json(&["links"]).await.to_string();
    assert!(!listed.contains("hunter2") && listed.contains("(secret)"), "{listed}");

    let refused = ctl.fails(1, &["link", &key, &provider, PROBE, "REFUSE=it is raining"]).await;
    assert!(refused.contains("it is raining"), "{refused}");
    let twice = ctl.fails(2, &["link", &key, &provider, PROBE, "PASSWORD=x", "--secret", "PASSWORD=password"]).await;
    assert!(twice.contains("PASSWORD") && !twice.contains("hunter2"), "{twice}");
    host.stop().await;
}

#[actix_rt::test]
async fn the_outcome_of_a_link_is_that_of_the_provider_wherever_it_runs() {
    let scene = Scene::start();
    let [one, two, idle] = scene.hosts().await;
    let (probe, provider) = {
        let probe = Probe::default();
        let capability = probe.capability();
        let key = capability.id();
        two.start_native_capability(capability).await.unwrap();
        (probe, key)
    };
    let actor = sign("host_call").capability(PROBE).actor();
    let key = actor.public_key();
    one.start_actor(actor).await.unwrap();

    let ctl = scene.ctl();
    // Were the host left to chance, the refusal would come to light in a third of the attempts only.
    for _ in 0..4 {
        let refused = ctl.fails(1, &["link", &key, &provider, PROBE, "REFUSE=it is raining"]).await;
        assert!(refused.contains("it is raining"), "{refused}");
    }
    ctl.done(&["link", &key, &provider, PROBE, "A=b"]).await;
    assert!(probe.seen().iter().any(|seen| matches!(seen, Seen::Bound { actor, .. } if *actor == key)));
    let later = ctl.done(&["link", &key, &provider, PROBE, "--link-name", "later"]).await;
    assert!(later.starts_with("linked"), "a link is kept until its provider is started: {later}");
    for host in [&one, &two, &idle] {
        host.stop().await;
    }
}

#[actix_rt::test]
async fn an_actor_is_scaled_and_stopped_by_its_alias() {
    let scene = Scene::start();
    let host = scene.host(scene.builder()).await;
    let actor = sign("tiny_echo").alias("echo").actor();
    let key = actor.public_key();
    host.start_actor(actor).await.unwrap();

    let ctl = scene.ctl();
    assert_eq!(ctl.done(&["scale", "echo", "3"]).await, format!("scaled actor {key} to 3 on host {}\n", host.id()));
    assert_eq!(inventory(&ctl, &host).await["actors"][0]["instances"], 3);
    let none = ctl.fails(1, &["scale", "echo", "0"]).await;
    assert!(none.contains("at least one"), "{none}");
    let stopped = ctl.json(&["stop", "actor", "echo"]).await;
    assert_eq!(stopped, json!([{"host_id": host.id(), "target": key, "outcome": "done"}]));
    assert_eq!(inventory(&ctl, &host).await["actors"], json!([]));
    assert!(ctl.fails(1, &["stop", "actor", "echo"]).await.contains("runs the actor echo"));
    host.stop().await;
}

#[actix_rt::test]
async fn an_order_concerns_the_hosts_that_are_chosen() {
    let scene = Scene::start();
    let [one, two, idle] = scene.hosts().await;
    let signing = sign("tiny_echo");
    let key = signing.actor().public_key();
    for host in [&one, &two] {
        host.start_actor(signing.actor()).await.unwrap();
    }

    let ctl = scene.ctl();
    let ambiguous = ctl.fails(2, &["stop", "actor", &key]).await;
    assert!(
        ambiguous.contains(&one.id()) && ambiguous.contains(&two.id()) && ambiguous.contains("--all"),
        "{ambiguous}"
    );
    let elsewhere = ctl.fails(1, &["stop", "actor", &key, "--host", &one.id(), "--host", &idle.id()]).await;
    assert!(elsewhere.contains(&idle.id()), "{elsewhere}");
    ctl.done(&["scale", &key, "2", "--host", &one.id()]).await;
    assert_eq!(inventory(&ctl, &one).await["actors"][0]["instances"], 2);
    assert_eq!(inventory(&ctl, &two).await["actors"][0]["instances"], 1);
    let stopped = ctl.json(&["stop", "actor", &key, "--all"]).await;
    assert_eq!(stopped.as_array().unwrap().len(), 2);
    for host in [&one, &two, &idle] {
        assert_eq!(inventory(&ctl, host).await["actors"], json!([]));
        host.stop().await;
    }
}

#[actix_rt::test]
async fn labels_and_cordons_decide_auctions() {
    let scene = Scene::start();
    let [one, two] = scene.hosts().await;
    let ctl = scene.ctl();
    let bidders = async |constraint: &str| {
        let auction = ["auction", "provider", "builtin:logging", "--timeout", "1s", "--constraint", constraint];
        let acks = ctl.json(&auction).await;
        acks.as_array().unwrap().iter().map(|ack| ack["host_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(bidders("zone=east").await, Vec::<String>::new());
    ctl.done(&["label", &one.id(), "zone=east", "tier=front"]).await;
    assert_eq!(bidders("zone=east").await, [one.id()]);

    assert_eq!(ctl.done(&["cordon", &one.id()]).await, format!("cordoned host {}\n", one.id()));
    assert_eq!(bidders("zone=east").await, Vec::<String>::new());
    assert!(ctl.done(&["hosts"]).await.contains("cordoned"));
    let start = ["start", "provider", "builtin:logging", "--timeout", "1s", "--constraint", "zone=east"];
    let nowhere = ctl.fails(1, &start).await;
    assert!(nowhere.contains("zone=east"), "{nowhere}");
    ctl.done(&["uncordon", &one.id()]).await;
    assert_eq!(bidders("zone=east").await, [one.id()]);

    ctl.done(&["start", "provider", "builtin:logging", "--constraint", "tier=front"]).await;
    assert_eq!(bidders("tier=front").await, Vec::<String>::new(), "it runs there already");
    ctl.done(&["label", &one.id(), "tier-", "zone=west"]).await;
    let labels = inventory(&ctl, &one).await["labels"].clone();
    assert_eq!((labels.get("tier"), &labels["zone"]), (None, &json!("west")));
    one.stop().await;
    two.stop().await;
}

#[actix_rt::test]
async fn a_host_is_drained_and_stopped() {
    let scene = Scene::start();
    let [one, two] = scene.hosts().await;
    let ctl = scene.ctl();
    assert_eq!(ctl.done(&["drain", &one.id()]).await, format!("drained host {}\n", one.id()));
    assert_eq!(inventory(&ctl, &one).await["cordoned"], true);
    assert_eq!(ctl.done(&["stop", "host", &one.id()]).await, format!("stopped host {}\n", one.id()));
    until(async || ctl.json(&["hosts"]).await.as_array().unwrap().len() == 1).await;
    assert_eq!(ctl.json(&["hosts"]).await[0]["id"], two.id());
    two.stop().await;
}

#[actix_rt::test]
async fn events_are_printed_as_they_come() {
    let scene = Scene::start();
    let host = scene.host(scene.builder()).await;
    let ctl = scene.ctl();
    let watching = {
        let ctl = ctl.clone();
        actix_rt::spawn(async move {
            let wanted =
                ["events", "--kind", "provider_started", "--kind", "provider_stopped", "--count", "2", "--follow"];
            let text = ctl.done(&[&wanted[..], &["--output", "json"]].concat()).await;
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
        })
    };
    // Until the subscription is there, events are lost.
    until(async || {
        ctl.done(&["start", "provider", "builtin:logging"]).await;
        ctl.done(&["stop", "provider", "builtin:logging"]).await;
        watching.is_finished()
    })
    .await;
    let events = watching.await.unwrap();
    let logging = wasmcloud_host::builtin::Logging::new(None).capability().unwrap().id();
    assert_eq!(events.len(), 2);
    for event in &events {
        assert_eq!((&event["host"], &event["provider"]), (&json!(host.id()), &json!(logging)));
    }
    assert_ne!(events[0]["kind"], events[1]["kind"]);
    assert_eq!(ctl.done(&["events", "--kind", "actor_failed", "--timeout", "1s"]).await, "");
    host.stop().await;
}
