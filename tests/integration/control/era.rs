//! The control client of 2021, unchanged, through every operation and all events.

use nkeys::KeyPair;
use serde_json::{Value, json};
use wasmcloud_host::LinkState;

use super::{Scene, start};
use crate::era_client::EraClient;
use crate::lattice::{run_actor, run_probe};
use crate::signing::sign;
use crate::support::{PROBE, until};

/// The public key and the contract of the provider that the client starts.
const LOGGING: &str = "builtin:logging";
const CONTRACT: &str = "wasmcloud:logging";

#[actix_rt::test]
async fn the_client_of_2021_starts_updates_and_stops_actors() {
    let mut scene = Scene::new().await;
    let Some(mut client) = EraClient::start(scene.lattice.server.port).await else { return scene.host.stop().await };
    let (host, mut signing) = (scene.id(), sign("tiny_echo"));
    let first = scene.images.push("actors/echo:1", &signing.bytes()).await;
    signing.set_revision(2);
    let second = scene.images.push("actors/echo:2", &signing.bytes()).await;
    let key = signing.actor().public_key();

    let auction =
        |zone: &str| json!({"op": "actor_auction", "ref": first, "constraints": {"zone": zone}, "wait_ms": 300});
    let offers = client.tell(auction("a")).await.unwrap();
    assert_eq!(offers, json!([{"actor_ref": first, "constraints": {"zone": "a"}, "host_id": host}]));
    assert_eq!(client.tell(auction("q")).await.unwrap(), json!([]), "a host with other labels is silent");

    let started = client.order("start_actor", &host, json!({"ref": first})).await;
    assert_eq!(started, json!({"host_id": host, "actor_ref": first, "failure": null}));
    assert_eq!(client.event("ActorStarted").await, json!({"actor": key, "image_ref": first}));
    let again = client.order("start_actor", &host, json!({"ref": first})).await;
    let text = format!("Actor with image ref '{first}' is already running on this host");
    assert_eq!(again["failure"], text);
    assert_eq!(client.tell(auction("a")).await.unwrap(), json!([]), "a host that runs it already is silent");

    let inventory = client.order("inventory", &host, json!({})).await;
    assert_eq!(inventory["actors"], json!([{"id": key, "image_ref": first, "name": "tiny_echo", "revision": 1}]));
    assert_eq!(inventory["labels"]["zone"], "a");
    assert!(client.tell(json!({"op": "get_claims"})).await.unwrap().to_string().contains(&key));

    let update = |actor: &str, reference: &str| json!({"actor": actor, "ref": reference});
    let updated = client.order("update_actor", &host, update(&key, &second)).await;
    assert_eq!(updated, json!({"accepted": true}));
    let revisions = json!({"actor": key, "old_revision": 1, "new_revision": 2});
    assert_eq!(client.event("ActorUpdateBegan").await, revisions);
    assert_eq!(client.event("ActorUpdateCompleted").await, revisions);
    for (actor, reference) in [(&key, &first), (&KeyPair::new_module().public_key(), &second)] {
        let refused = client.order("update_actor", &host, update(actor, reference)).await;
        assert_eq!(refused, json!({"accepted": false}), "{actor} {reference}");
    }

    assert_eq!(client.order("stop_actor", &host, json!({"ref": key})).await, json!({"failure": null}));
    assert_eq!(client.event("ActorStopped").await, json!({"actor": key}));
    assert!(client.order("stop_actor", &host, json!({"ref": key})).await["failure"].is_string());
    scene.host.stop().await;
    scene.client.close().await.unwrap();
    client.event("HostStopped").await;
    scene.host = start(scene.lattice.builder()).await;
    client.event("HostStarted").await;
    scene.host.stop().await;
}

#[actix_rt::test]
async fn the_client_of_2021_starts_and_stops_providers() {
    let scene = Scene::new().await;
    let Some(mut client) = EraClient::start(scene.lattice.server.port).await else { return scene.host.stop().await };
    let host = scene.id();
    let auction =
        json!({"op": "provider_auction", "ref": LOGGING, "link": "default", "constraints": {}, "wait_ms": 300});
    let offers = client.tell(auction.clone()).await.unwrap();
    assert_eq!(offers, json!([{"provider_ref": LOGGING, "link_name": "default", "host_id": host}]));
    let start = json!({"ref": LOGGING, "link": "default"});
    let started = client.order("start_provider", &host, start.clone()).await;
    assert_eq!(started, json!({"host_id": host, "provider_ref": LOGGING, "failure": null}));
    let told = client.event("ProviderStarted").await;
    let provider = told["provider_id"].as_str().unwrap().to_owned();
    assert_eq!((&told["contract_id"], &told["link_name"]), (&json!(CONTRACT), &json!("default")));
    assert_eq!(client.tell(auction).await.unwrap(), json!([]), "a host that runs it already is silent");
    let again = client.order("start_provider", &host, start).await;
    assert_eq!(again["failure"], format!("Provider with image ref '{LOGGING}' is already running on this host."));
    let inventory = client.order("inventory", &host, json!({})).await;
    assert_eq!(inventory["providers"][0]["id"], provider.as_str());

    let stop = |contract: &str| json!({"ref": provider, "link": "default", "contract": contract});
    let refused = client.order("stop_provider", &host, stop("wasmcloud:keyvalue")).await;
    assert!(refused["failure"].is_string(), "{refused}");
    assert_eq!(scene.host.providers().await.unwrap().len(), 1);
    assert_eq!(client.order("stop_provider", &host, stop(CONTRACT)).await, json!({"failure": null}));
    let stopped = client.event("ProviderStopped").await;
    assert_eq!(stopped, json!({"contract_id": CONTRACT, "link_name": "default", "provider_id": provider}));
    let again = client.order("stop_provider", &host, stop(CONTRACT)).await;
    assert_eq!(again["failure"], format!("Provider {provider}/default is not running on this host"));
    scene.host.stop().await;
}

#[actix_rt::test]
async fn the_client_of_2021_outlives_events_that_it_does_not_know() {
    let scene = Scene::new().await;
    let Some(mut client) = EraClient::start(scene.lattice.server.port).await else { return scene.host.stop().await };
    let stranger = scene.lattice.stranger().await;
    let mut raw = stranger.subscribe("wasmbus.ctl.default.events").await.unwrap();
    stranger.flush().await.unwrap();
    let missing = format!("{}/actors/none:1", scene.images.address());
    let refused = client.order("start_actor", &scene.id(), json!({"ref": missing})).await;
    assert!(refused["failure"].is_string(), "{refused}");
    let told: Value = loop {
        let message = crate::support::soon(futures_util::StreamExt::next(&mut raw)).await.unwrap();
        let told: Value = serde_json::from_slice(&message.payload).unwrap();
        if told["event"].get("ActorStartFailed").is_some() {
            break told;
        }
    };
    assert_eq!(told["event"]["ActorStartFailed"]["actor_ref"], missing.as_str());
    assert_eq!(told["header"]["host_origin"], scene.id());
    client.order("start_provider", &scene.id(), json!({"ref": LOGGING, "link": "default"})).await;
    client.event("ProviderStarted").await;
    scene.host.stop().await;
}

#[actix_rt::test]
async fn the_client_of_2021_hears_heartbeats_and_changes_links() {
    let scene = Scene::new().await;
    let Some(mut client) = EraClient::start(scene.lattice.server.port).await else { return scene.host.stop().await };
    let actor = run_actor(&scene.host, &sign("host_call").capability(PROBE), &[]).await;
    let (_probe, provider) = run_probe(&scene.host).await;
    // The first one may be older than the actor.
    let mut heartbeat = client.event("Heartbeat").await;
    while heartbeat["entities"][&actor] != "Running" {
        heartbeat = client.event("Heartbeat").await;
    }
    assert_eq!(heartbeat["claims"][0]["sub"], actor.as_str());

    let link = json!({
        "op": "advertise_link", "actor": actor, "provider": provider, "contract": PROBE, "link": "default", "values": {"A": "1"},
    });
    client.tell(link).await.unwrap();
    until(async || scene.host.link_state(&actor, PROBE, None) == Some(LinkState::Established)).await;
    let removed = json!({"op": "remove_link", "actor": actor, "contract": PROBE, "link": "default"});
    client.tell(removed).await.unwrap();
    until(async || scene.host.link_state(&actor, PROBE, None).is_none()).await;
    scene.host.stop().await;
}
