//! What hosts run: read in pages, found at once, and only if they signed it.

use futures_util::StreamExt;

use super::super::beat::tests::beat;
use super::*;
use crate::testing::{Server, ServerOptions, run};

fn ids(numbers: std::ops::Range<usize>) -> impl Iterator<Item = String> {
    numbers.map(|number| format!("M{number:0>55}"))
}

fn id(number: usize) -> String {
    format!("M{number:0>55}")
}

#[test]
fn a_thousand_entities_are_found_and_a_change_is_known_without_waiting_for_an_interval() {
    run(async {
        let server = Server::start();
        let observer = Host::start(&server.address(), LONG);
        let host = Host::start(&server.address(), LONG);
        host.source.set(ids(0..1_000));
        host.membership.inventory_changed();
        eventually("all is known", || observer.finds(&id(0), &[&host]) && observer.finds(&id(999), &[&host])).await;
        assert!(ids(0..1_000).all(|id| observer.finds(&id, &[&host])) && observer.finds(&id(1_000), &[]));
        let inventory = observer.membership.inventory(&host.key()).await.unwrap();
        assert_eq!((inventory.entities.len(), inventory.is_truncated), (1_000, false));
        assert!(inventory.entities.iter().map(|entity| entity.id.clone()).eq(ids(0..1_000)));
        assert_eq!(inventory.labels["zone"], "cellar");
        eventually("the count is known", || observer.membership.peer(&host.key()).unwrap().counts.actors == 1_000)
            .await;

        host.source.set(ids(1..1_001));
        host.membership.inventory_changed();
        eventually("the new one is known", || observer.finds(&id(1_000), &[&host])).await;
        assert!(observer.finds(&id(0), &[]));
        // Who joins later knows it, too.
        let late = Host::start(&server.address(), LONG);
        eventually("the late one knows", || late.finds(&id(1_000), &[&host])).await;
    });
}

#[test]
fn many_changes_at_once_are_told_by_few_heartbeats() {
    run(async {
        let server = Server::start();
        let mut observer = Host::start(&server.address(), LONG);
        let host = Host::start(&server.address(), LONG);
        observer.sees(&host).await;
        let start = Instant::now();
        for number in 1..=500 {
            host.source.set(ids(0..number));
            host.membership.inventory_changed();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        eventually("the last is known", || observer.finds(&id(499), &[&host])).await;
        // Ten in a second, and the first and the last.
        let most = 10 + u64::try_from(start.elapsed().as_millis()).unwrap() / 100;
        let sent = host.membership.0.sequence.load(Ordering::Relaxed);
        assert!(sent <= most, "{sent} heartbeats for 500 changes");
    });
}

#[test]
fn two_hosts_that_run_the_same_are_both_found_and_pages_fit_a_small_server() {
    run(async {
        let config = Some("max_payload: 32768".to_owned());
        let server = Server::with(ServerOptions { config, ..ServerOptions::default() });
        let hosts = [Host::start(&server.address(), LONG), Host::start(&server.address(), LONG)];
        let observer = Host::start(&server.address(), LONG);
        for host in &hosts {
            host.source.set(ids(0..600));
            host.membership.inventory_changed();
        }
        eventually("both are found", || observer.finds(&id(599), &[&hosts[0], &hosts[1]])).await;
        let stranger = KeyPair::new_server().public_key();
        let error = observer.membership.inventory(&stranger).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LatticeUnavailable);
    });
}

#[test]
fn an_inventory_that_its_host_did_not_sign_is_refused_and_read_again_later() {
    run(async {
        let server = Server::start();
        let observer = Host::start(&server.address(), LONG);
        let (key, thief) = (KeyPair::new_server(), KeyPair::new_server());
        let host = key.public_key();
        let client = server.client().await;
        let mut requests = client.subscribe(inventory::subject(&Namespace::default(), &host)).await.unwrap();
        crate::testing::settled(&client).await;
        eventually("it takes part", || observer.membership.0.sequence.load(Ordering::Relaxed) > 0).await;
        let beat =
            Heartbeat { is_cordoned: false, interval: 3_600_000, inventory_version: 1, ..beat(&key, 1, clock()) };
        let message = beat.sign("default", &key).unwrap();
        client.publish(Namespace::default().peer("heartbeat"), message.into()).await.unwrap();
        let source = Source::default();
        source.set(["M1".to_owned()]);
        let actor = WasmCloudEntity::Actor("M1".to_owned());
        for attempt in 0..4 {
            let request = tokio::time::timeout(PATIENCE, requests.next()).await.unwrap().unwrap();
            let signed =
                |key, namespace| inventory::answer(&request.payload, &source, namespace, key, 1 << 20).unwrap();
            let answer = match attempt {
                0 => Bytes::from_static(b"garbage"),
                1 => signed(&thief, "default"),
                2 => signed(&key, "elsewhere"),
                _ => signed(&key, "default"),
            };
            assert_eq!(observer.membership.hosts_of(&actor), EntityHosts::default(), "attempt {attempt}");
            client.publish(request.reply.unwrap(), answer).await.unwrap();
        }
        eventually("the signed one is read", || observer.membership.hosts_of(&actor).hosts == [host.clone()]).await;
        assert_eq!(observer.membership.counts().failed_inventories, 3);
    });
}

#[test]
fn texts_and_labels_that_are_too_long_do_not_keep_the_rest_from_being_told() {
    struct Verbose;
    impl InventorySource for Verbose {
        fn version(&self) -> u64 {
            1
        }
        fn counts(&self) -> EntityCounts {
            EntityCounts::default()
        }
        fn part(&self, offset: usize, limit: usize) -> InventoryPart {
            let long = |length: usize| Some("x".repeat(length));
            let entity = |number: usize| InventoryEntity {
                id: id(number),
                name: long(5_000),
                image_ref: long(1_000),
                ..InventoryEntity::default()
            };
            InventoryPart { version: 1, entities: (0..300).skip(offset).take(limit).map(entity).collect() }
        }
        fn labels(&self) -> std::collections::BTreeMap<String, String> {
            (0..100).map(|number| (number.to_string(), "x".repeat(1_000))).collect()
        }
    }
    run(async {
        let server = Server::start();
        let host = Host::start(&server.address(), LONG);
        eventually("it is connected", || host.connection.state().is_joined()).await;
        let key = KeyPair::new_server();
        let namespace = Namespace::default();
        let mut requests =
            server.client().await.subscribe(inventory::subject(&namespace, &key.public_key())).await.unwrap();
        let client = server.client().await;
        host.connection.round_trip(PATIENCE).await.unwrap();
        let public = key.public_key();
        tokio::spawn(async move {
            while let Some(request) = requests.next().await {
                let answer = inventory::answer(&request.payload, &Verbose, "default", &key, 1 << 20).unwrap();
                client.publish(request.reply.unwrap(), answer).await.unwrap();
            }
        });
        let mut inventory = None;
        while inventory.is_none() {
            inventory = host.membership.inventory(&public).await.ok();
        }
        let inventory = inventory.unwrap();
        assert!(inventory.entities.iter().map(|entity| entity.id.clone()).eq(ids(0..300)));
        assert!(inventory.entities.iter().all(|entity| entity.name.is_none() && entity.image_ref.is_some()));
        assert!(!inventory.labels.is_empty() && inventory.labels.len() < 20);
    });
}
