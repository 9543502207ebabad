//! Heartbeats and events of 2021, as a program of 2021 sees and sends them.

use futures_util::StreamExt;
use wasmcloud_claims::jwt::{Actor, Claims};

use super::*;
use crate::testing::{Server, run};

/// The claims and the entities of each host of a test.
pub(super) struct Source;

impl EraSource for Source {
    fn claims(&self) -> Vec<Claims<Actor>> {
        vec![Actor { name: Some("echo".to_owned()), ..Actor::default() }.claims("ACCOUNT", "MACTOR".to_owned())]
    }

    fn entities(&self) -> EraEntities {
        let failed = EraHealth::Unhealthy("it \"fails\"".to_owned());
        EraEntities(vec![
            EraEntity { id: "MACTOR".to_owned(), health: EraHealth::Running },
            EraEntity { id: "VPROVIDER".to_owned(), health: failed },
        ])
    }
}

#[test]
fn heartbeats_of_2021_are_those_of_the_contract() {
    run(async {
        let server = Server::start();
        let client = server.client().await;
        let mut events = client.subscribe("wasmbus.ctl.default.events").await.unwrap();
        crate::testing::settled(&client).await;
        let host = Host::start(&server.address(), SHORT);
        let mut next = async || {
            loop {
                let message = tokio::time::timeout(PATIENCE, events.next()).await.unwrap().unwrap();
                let event: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
                if event["header"]["host_origin"] == host.key() {
                    return event;
                }
            }
        };
        let started = next().await;
        assert_eq!((&started["event"], &started["header"]["host_origin"]), (&"HostStarted".into(), &host.key().into()));
        for _ in 0..2 {
            let beat = next().await;
            let told = &beat["event"]["Heartbeat"];
            assert_eq!(told["entities"]["MACTOR"], "Running");
            assert_eq!(told["entities"]["VPROVIDER"]["Unhealthy"], "it \"fails\"");
            assert_eq!(told["claims"][0]["sub"], "MACTOR");
            assert_eq!(told["claims"][0]["wascap"]["name"], "echo");
            let seconds = beat["header"]["timestamp"].as_u64().unwrap();
            assert!(seconds.abs_diff(clock() / 1000) < 3600 && beat["header"]["host_origin"] == host.key());
        }
        host.membership.leave(PATIENCE).await.unwrap();
        while next().await["event"] != "HostStopped" {}
    });
}

#[test]
fn hosts_of_2021_are_known_while_they_send_events_and_ours_are_none() {
    run(async {
        let server = Server::start();
        let host = Host::start(&server.address(), SHORT);
        let mut other = Host::start(&server.address(), SHORT);
        other.sees(&host).await;
        let key = KeyPair::new_server().public_key();
        let client = server.client().await;
        let event = super::super::era::encode(&EraEvent::HostStarted, &key, 1).unwrap();
        let keys = || host.membership.era_hosts().into_iter().map(|host| host.host).collect::<Vec<_>>();
        let mut is_known = false;
        while !is_known {
            client.publish("wasmbus.ctl.default.events", Bytes::from_static(b"{garbage")).await.unwrap();
            client.publish("wasmbus.ctl.default.events", event.clone()).await.unwrap();
            tokio::time::sleep(SHORT / 4).await;
            let found = keys();
            is_known = found == [key.clone()];
            assert!(is_known || found.is_empty(), "{found:?}");
        }
        eventually("it is forgotten", || keys().is_empty()).await;
    });
}

#[test]
fn hosts_of_the_current_protocol_take_no_places_of_hosts_of_2021() {
    run(async {
        let server = Server::start();
        let mut host = Host::start(&server.address(), LONG);
        let other = Host::start(&server.address(), LONG);
        host.sees(&other).await;
        let (first, last) = (KeyPair::new_server().public_key(), KeyPair::new_server().public_key());
        let client = server.client().await;
        let publish = async |key: &str| {
            let event = super::super::era::encode(&EraEvent::HostStarted, key, 1).unwrap();
            client.publish("wasmbus.ctl.default.events", event).await.unwrap();
        };
        // The host may not have subscribed yet.
        while host.membership.era_hosts().is_empty() {
            publish(&first).await;
            tokio::time::sleep(SHORT / 4).await;
        }
        // Messages of one client arrive in their order, so the last one shows that the others have been heard.
        for key in [&host.key(), &other.key(), &last] {
            publish(key).await;
        }
        eventually("the last host of 2021 is known", || host.membership.era_hosts().len() == 2).await;
        assert_eq!(host.membership.0.known().era.iter().count(), 2);
    });
}
