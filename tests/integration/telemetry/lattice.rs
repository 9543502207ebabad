//! Other hosts, and operators who ask over the lattice.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use wasmcloud_control::ControlClient;
use wasmcloud_control::message::{StatePage, StatePart};
use wasmcloud_host::{ConnectionOptions, Host, TelemetryOptions};
use wasmcloud_telemetry::state::{EventRecord, HostState};

use super::{ANY, Stream, get, item, state_when};
use crate::lattice::{Lattice, acquainted, run_probe, start};
use crate::signing::sign;
use crate::support::{PROBE, soon};

async fn watched(lattice: &Lattice) -> Host {
    start(lattice.builder().with_telemetry(TelemetryOptions::new(ANY))).await
}

async fn client(lattice: &Lattice) -> ControlClient {
    let connection = ConnectionOptions::new(lattice.server.url());
    ControlClient::connect(connection, "default", Duration::from_secs(20)).await.unwrap()
}

#[actix_rt::test]
async fn a_host_that_vanishes_while_it_is_watched_is_told() {
    let lattice = Lattice::start();
    let host = watched(&lattice).await;
    let other = lattice.host().await;
    acquainted(&[host.clone(), other.clone()]).await;
    let is_up = |state: &Value| state["hosts"].as_array().unwrap().iter().any(|peer| peer["id"] == other.id());
    let state = state_when(&host, is_up).await;
    assert_eq!(state["host"]["lattice"]["state"], "joined");
    assert_eq!(item(&state, "hosts", "id", &other.id())["state"], "up");
    let mut stream = Stream::open(&host).await;
    stream.next().await.unwrap();
    other.stop().await;
    let event = stream.until(|kind, event| kind == "event" && event["kind"] == "peer_left").await;
    assert_eq!(event["entity"], other.id());
    let changed = |delta: &Value| {
        let hosts = delta["hosts"].as_array().into_iter().flatten();
        hosts.into_iter().any(|peer| peer["id"] == other.id() && peer["state"] == "left")
    };
    stream.until(|kind, delta| kind == "delta" && changed(delta)).await;
    host.stop().await;
}

#[actix_rt::test]
async fn a_link_whose_provider_runs_elsewhere_is_no_problem() {
    let lattice = Lattice::start();
    let [here, there] = [watched(&lattice).await, lattice.host().await];
    acquainted(&[here.clone(), there.clone()]).await;
    let (_, provider) = run_probe(&there).await;
    let actor = sign("host_call").capability(PROBE).actor();
    let key = actor.public_key();
    here.start_actor(actor).await.unwrap();
    here.set_link(&key, PROBE, None, provider, HashMap::new()).await.unwrap();
    let is_established = |state: &Value| {
        let links = state["links"].as_array().unwrap();
        links.iter().any(|link| link["actor"] == key.as_str() && link["state"] == "established")
    };
    let state = state_when(&here, is_established).await;
    assert!(item(&state, "links", "actor", &key)["reason"].as_str().unwrap().contains(&there.id()));
    for host in [here, there] {
        host.stop().await;
    }
}

#[actix_rt::test]
async fn a_host_whose_lattice_was_never_joined_is_not_ready() {
    let options = wasmcloud_host::LatticeOptions::new(ConnectionOptions::new("nats://127.0.0.1:1"));
    let host =
        wasmcloud_host::HostBuilder::new().with_lattice(options).with_telemetry(TelemetryOptions::new(ANY)).build();
    host.start().await.unwrap();
    let answer = get(&host, "/readyz").await;
    let lattice = answer.json()["checks"][1].clone();
    assert_eq!((answer.status, &lattice["check"], &lattice["condition"]), (503, &json!("lattice"), &json!("failed")));
    assert_eq!(get(&host, "/livez").await.status, 200);
    host.stop().await;
}

#[actix_rt::test]
async fn operators_get_what_the_dashboard_shows_with_a_port_and_without() {
    let lattice = Lattice::start();
    let [served, alone] = [watched(&lattice).await, lattice.host().await];
    let client = client(&lattice).await;
    for host in [&served, &alone] {
        let signing = sign("echo");
        let key = signing.actor().public_key();
        host.start_actor(signing.actor()).await.unwrap();
        host.call_actor(&key, "Echo", b"x").await.unwrap();
        let state = soon(async {
            loop {
                match client.whole_state(&host.id(), None).await {
                    Ok(state) if tells(&state, &key) => return state,
                    _ => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        })
        .await;
        assert_eq!((state.host.id.as_str(), state.hosts.is_empty()), (host.id().as_str(), false));
        assert!(state.events.iter().any(|event| event.kind == "host_started"), "{:?}", state.events);
        let last = state.events.last().unwrap().sequence;
        let page = StatePage { part: Some(StatePart::Events), after: Some(last), ..StatePage::default() };
        host.stop_actor(&key).await.unwrap();
        let answer = soon(async {
            loop {
                let answer = client.state(&host.id(), &page).await.unwrap();
                if answer.state.events.iter().any(|event| event.kind == "stopped") {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        assert!(answer.state.actors.is_empty() && answer.state.events.iter().all(|event| event.sequence > last));
    }
    for host in [served, alone] {
        host.stop().await;
    }
}

/// Whether a state has an actor, and the event of its start.
fn tells(state: &HostState, key: &str) -> bool {
    let is_start = |event: &EventRecord| event.kind == "started" && event.entity.as_deref() == Some(key);
    state.actors.iter().any(|actor| actor.id == key) && state.events.iter().any(is_start)
}
