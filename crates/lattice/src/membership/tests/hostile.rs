//! Messages of others than the hosts they name.

use super::super::beat::tests::beat;
use super::*;
use crate::testing::{Server, run};

/// Publishes on the subject of heartbeats, and waits until all of it is heard.
async fn publish(host: &Host, server: &Server, messages: impl IntoIterator<Item = Vec<u8>>) {
    let heard = |counts: MembershipCounts| {
        let MembershipCounts { heartbeats, malformed, wrong_time, untrusted, replayed, forged, full, .. } = counts;
        heartbeats + malformed + wrong_time + untrusted + replayed + forged + full
    };
    let before = heard(host.membership.counts());
    let client = server.client().await;
    let mut count = 0;
    for message in messages {
        client.publish(Namespace::default().peer("heartbeat"), message.into()).await.unwrap();
        count += 1;
    }
    eventually("all is heard", || heard(host.membership.counts()) >= before + count).await;
    assert_eq!(heard(host.membership.counts()), before + count);
}

/// Starts a host and waits until it has joined.
async fn started(server: &Server, set: impl FnOnce(LatticeOptions) -> LatticeOptions) -> Host {
    let host = Host::with(&server.address(), |options| set(options).heartbeat_interval(LONG), KeyPair::new_server());
    eventually("it takes part", || host.membership.0.sequence.load(Ordering::Relaxed) > 0).await;
    host
}

#[test]
fn forged_replayed_foreign_and_garbage_heartbeats_are_refused_and_counted() {
    run(async {
        let server = Server::start();
        let host = started(&server, |options| options).await;
        let (key, other) = (KeyPair::new_server(), KeyPair::new_server());
        let now = clock();
        let valid = beat(&key, 5, now).sign("default", &key).unwrap();
        publish(&host, &server, [valid.clone()]).await;
        let counts = host.membership.counts();
        assert_eq!((counts.heartbeats, host.membership.peers().len()), (1, 1));

        let day = 24 * 60 * 60 * 1000;
        let mut changed = beat(&key, 6, now).sign("default", &key).unwrap();
        changed[100] ^= 1;
        let hostile = [
            valid,
            beat(&key, 4, now).sign("default", &key).unwrap(),
            beat(&key, 6, now).sign("default", &other).unwrap(),
            beat(&key, 6, now).sign("elsewhere", &key).unwrap(),
            changed,
            beat(&key, 6, now - day).sign("default", &key).unwrap(),
            beat(&key, 6, now + day).sign("default", &key).unwrap(),
            Heartbeat { interval: 0, ..beat(&key, 6, now) }.sign("default", &key).unwrap(),
            Vec::new(),
            b"wcHB".to_vec(),
            vec![0xff; 64 * 1024],
        ];
        publish(&host, &server, hostile).await;
        let expected = MembershipCounts {
            heartbeats: 1,
            replayed: 2,
            forged: 3,
            wrong_time: 2,
            malformed: 4,
            failed_inventories: counts.failed_inventories,
            ..MembershipCounts::default()
        };
        let counts = host.membership.counts();
        assert_eq!(MembershipCounts { failed_inventories: counts.failed_inventories, ..expected }, counts);
        let peer = host.membership.peer(&key.public_key()).unwrap();
        assert_eq!((peer.status, host.membership.peers().len()), (PeerStatus::Up, 1));
    });
}

#[test]
fn only_hosts_that_are_trusted_or_vouched_for_are_known() {
    run(async {
        let server = Server::start();
        let (trusted, stranger) = (KeyPair::new_server(), KeyPair::new_server());
        let (cluster, other_cluster) = (KeyPair::new_cluster(), KeyPair::new_cluster());
        let (host_key, cluster_key) = (trusted.public_key(), cluster.public_key());
        let mut host = started(&server, |options| options.trusted_host(&host_key).trusted_cluster(&cluster_key)).await;
        let member = KeyPair::new_server();
        let vouched = |cluster: &KeyPair, for_host: &KeyPair, key: &KeyPair| {
            let endorsement = Endorsement::new(cluster, "default", &for_host.public_key());
            Heartbeat { endorsement, ..beat(key, 1, clock()) }.sign("default", key).unwrap()
        };
        let messages = [
            beat(&stranger, 1, clock()).sign("default", &stranger).unwrap(),
            vouched(&other_cluster, &stranger, &stranger),
            vouched(&cluster, &member, &stranger),
            beat(&trusted, 1, clock()).sign("default", &trusted).unwrap(),
            vouched(&cluster, &member, &member),
        ];
        publish(&host, &server, messages).await;
        let counts = host.membership.counts();
        assert_eq!((counts.heartbeats, counts.untrusted), (2, 3));
        let seed = cluster.seed().unwrap();
        let real = started(&server, |options| options.cluster_seed(seed)).await;
        host.sees(&real).await;
        assert_eq!(host.membership.peers().len(), 3);
    });
}

#[test]
fn a_flood_of_garbage_and_requests_keeps_a_host_from_nothing() {
    run(async {
        let server = Server::start();
        let mut host = started(&server, |options| options).await;
        publish(&host, &server, (0..5_000_u32).map(|number| number.to_be_bytes().to_vec())).await;
        let client = server.client().await;
        let own = |name: &str| Namespace::default().peer(&format!("host.{}.{name}", host.key()));
        for _ in 0..5_000 {
            client.publish_with_reply(own("ping"), "nowhere", Bytes::new()).await.unwrap();
            client.publish_with_reply(own("inventory"), "nowhere", vec![0xc1; 300].into()).await.unwrap();
            client.publish(own("inventory"), vec![0xc1; 300].into()).await.unwrap();
        }
        crate::testing::settled(&client).await;
        let counts = || host.membership.counts();
        eventually("requests are refused", || counts().throttled > 5_000 && counts().malformed_requests >= 400).await;
        let other = started(&server, |options| options).await;
        host.sees(&other).await;
    });
}

#[test]
fn a_host_that_cannot_keep_up_declares_none_dead() {
    run(async {
        let server = Server::start();
        let interval = Duration::from_millis(100);
        let narrow = |mut options: LatticeOptions| {
            options.calls = options.calls.subscription_capacity(2);
            options.heartbeat_interval(interval)
        };
        let mut observer = Host::with(&server.address(), narrow, KeyPair::new_server());
        let other = Host::start(&server.address(), interval);
        observer.sees(&other).await;
        let client = server.client().await;
        let beats = || other.membership.0.sequence.load(Ordering::Relaxed);
        let start = beats();
        while beats() < start + 40 {
            for _ in 0..200 {
                let garbage = Bytes::from_static(b"garbage");
                client.publish(Namespace::default().peer("heartbeat"), garbage).await.unwrap();
            }
            crate::testing::settled(&client).await;
            tokio::task::yield_now().await;
        }
        assert!(observer.connection.counts().slow_consumers > 0);
        let has_erred = std::iter::from_fn(|| observer.events.try_recv().ok()).any(|event| event == down(&other.key()));
        assert!(!has_erred && observer.is_up(&other.key()));
        other.connection.close(PATIENCE).await.unwrap();
        observer.event(down(&other.key())).await;
    });
}
