//! Other hosts, and operators who ask over the lattice.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use wasmcloud_control::ControlClient;
use wasmcloud_control::message::{StatePage, StatePart};
use wasmcloud_host::{ConnectionOptions, Host, TelemetryOptions};
use wasmcloud_telemetry::state::{EventRecord, HostState};

use super::{ANY, Stream, get, item, state_when};
use crate::lattice::{Lattice, acquainted, run_probe, start, until_seen};
use crate::signing::sign;
use crate::support::{PROBE, kind, soon};

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
    // The metrics tell the same.
    let metrics = get(&here, "/metrics").await.text;
    for (state, links) in [("established", 1), ("pending", 0), ("refused", 0)] {
        let series = format!("wasmcloud_links{{state=\"{state}\"}} {links}\n");
        assert!(metrics.contains(&series), "{series}{metrics}");
    }
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
    let [served, alone] = [watched(&lattice).await, start(lattice.builder().with_metrics()).await];
    let client = client(&lattice).await;
    for host in [&served, &alone] {
        let signing = sign("echo");
        let key = signing.actor().public_key();
        host.start_actor(signing.actor()).await.unwrap();
        host.call_actor(&key, "Echo", b"x").await.unwrap();
        let state = soon(async {
            loop {
                match client.whole_state(&host.id(), None).await {
                    Ok(state) if tells(&state, &key) && calls(&state, &key) == Some(1) => return state,
                    _ => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        })
        .await;
        assert_eq!((state.host.id.as_str(), state.hosts.is_empty()), (host.id().as_str(), false));
        assert!(state.events.iter().any(|event| event.kind == "host_started"), "{:?}", state.events);
        let actor = state.actors.iter().find(|actor| actor.id == key).unwrap();
        assert!(actor.memory_bytes > 0 && state.host.memory_bytes.unwrap() > 1 << 20, "{actor:?}");
        assert_eq!(actor.activity.rate.iter().sum::<u64>(), 1);
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

#[actix_rt::test]
async fn a_host_that_does_not_count_tells_no_figures() {
    let lattice = Lattice::start();
    let host = lattice.host().await;
    let refused = client(&lattice).await.whole_state(&host.id(), None).await;
    assert_eq!(kind(refused), wasmcloud_host::ErrorKind::Unsupported);
    host.stop().await;
}

#[actix_rt::test]
async fn figures_are_of_the_last_minute_though_no_one_asked_before() {
    let lattice = Lattice::start();
    let host = start(lattice.builder().with_metrics()).await;
    let client = client(&lattice).await;
    let actor = sign("echo").actor();
    let key = actor.public_key();
    host.start_actor(actor).await.unwrap();
    for _ in 0..50 {
        host.call_actor(&key, "Echo", b"x").await.unwrap();
    }
    // The figures of these calls are recorded before anyone asks for them, and then are not of the newest second.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let state = client.whole_state(&host.id(), None).await.unwrap();
    let actor = state.actors.iter().find(|actor| actor.id == key).unwrap();
    assert_eq!((actor.activity.calls, actor.activity.rate.iter().sum::<u64>()), (50, 50));
    assert_eq!(actor.activity.rate.last(), Some(&0), "{:?}", actor.activity.rate);
    host.stop().await;
}

/// The way of a host to the NATS server, which can be cut.
struct Way {
    address: std::net::SocketAddr,
    is_open: Arc<watch::Sender<bool>>,
}

impl Way {
    async fn to(server: &str) -> Way {
        let server = server.trim_start_matches("nats://").to_owned();
        let listener = TcpListener::bind(ANY).await.unwrap();
        let way = Way { address: listener.local_addr().unwrap(), is_open: Arc::new(watch::Sender::new(true)) };
        let is_open = way.is_open.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut open = is_open.subscribe();
                let server = server.clone();
                tokio::spawn(async move {
                    if !*open.borrow_and_update() {
                        return;
                    }
                    let mut far = TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = open.changed() => {}
                    }
                });
            }
        });
        way
    }
}

#[actix_rt::test]
async fn a_host_that_fell_silent_is_told_until_it_is_heard_and_one_that_left_is_not() {
    let lattice = Lattice::start();
    let window = Duration::from_secs(2);
    let options = lattice.options().token_window(window);
    let host = start(lattice.builder().with_lattice(options).with_telemetry(TelemetryOptions::new(ANY))).await;
    let way = Way::to(&lattice.server.url()).await;
    let connection =
        ConnectionOptions::new(format!("nats://{}", way.address)).longest_delay(Duration::from_millis(100));
    let options = wasmcloud_host::LatticeOptions::new(connection)
        .heartbeat_interval(Duration::from_millis(500))
        .cluster_seed(lattice.cluster_seed());
    let other = start(lattice.builder().with_lattice(options)).await;
    acquainted(&[host.clone(), other.clone()]).await;

    way.is_open.send_replace(false);
    // The roster forgets it a while after it was heard last.
    until_seen(&host, |view| view.hosts.is_empty()).await;
    let is = |wanted: &'static str| {
        let id = other.id();
        move |state: &Value| {
            let hosts = state["hosts"].as_array().unwrap();
            hosts.iter().any(|peer| peer["id"] == id.as_str() && peer["state"] == wanted)
        }
    };
    // Long after that it is told as down, and since when.
    let silence = |state: &Value| {
        let heard = item(state, "hosts", "id", &other.id())["heard_at"].as_u64().unwrap();
        Duration::from_millis(state["at"].as_u64().unwrap().saturating_sub(heard))
    };
    state_when(&host, |state| is("down")(state) && silence(state) > 3 * window).await;
    let metrics = get(&host, "/metrics").await.text;
    for (state, hosts) in [("up", 1), ("down", 1), ("left", 0)] {
        assert!(metrics.contains(&format!("wasmcloud_lattice_hosts{{state=\"{state}\"}} {hosts}\n")), "{metrics}");
    }

    way.is_open.send_replace(true);
    state_when(&host, is("up")).await;
    other.stop().await;
    state_when(&host, is("left")).await;
    assert!(get(&host, "/metrics").await.text.contains("wasmcloud_lattice_hosts{state=\"down\"} 0\n"));
    state_when(&host, |state| state["hosts"].as_array().unwrap().len() == 1).await;
    host.stop().await;
}

/// The calls of an actor.
fn calls(state: &HostState, key: &str) -> Option<u64> {
    Some(state.actors.iter().find(|actor| actor.id == key)?.activity.calls)
}

/// Whether a state has an actor, and the event of its start.
fn tells(state: &HostState, key: &str) -> bool {
    let is_start = |event: &EventRecord| event.kind == "started" && event.entity.as_deref() == Some(key);
    state.actors.iter().any(|actor| actor.id == key) && state.events.iter().any(is_start)
}
