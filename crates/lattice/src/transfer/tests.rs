//! Transfers between hosts on real servers.

mod hostile;
mod lost;

use std::time::Duration;

use wasmcloud_core::error::Error;

use super::*;
use crate::options::ConnectionOptions;
use crate::testing::{PATIENCE, Server, ServerOptions, eventually, run};

const MIB: usize = 1024 * 1024;

/// A host of a test.
struct Host {
    connection: Connection,
    transfers: Transfers,
}

impl Host {
    async fn start(server: &str, name: &str) -> Host {
        Host::with_budget(server, name, 64 * MIB).await
    }

    async fn with_budget(server: &str, name: &str, bytes: usize) -> Host {
        let options = ConnectionOptions::new(server)
            .longest_delay(Duration::from_millis(100))
            .ping_interval(Duration::from_millis(500));
        let namespace = Namespace::default();
        let connection = Connection::start(&options, &namespace, "calls").unwrap();
        let transfers = Transfers::start(TransferSettings {
            namespace,
            connection: connection.clone(),
            host: name.to_owned(),
            message_bytes: 64 * MIB,
            offered_bytes: bytes,
            fetched_bytes: bytes,
        });
        assert!(connection.joined().await);
        Host { connection, transfers }
    }

    async fn fetch(&self, host: &str, transfer: Transfer) -> Result<Vec<u8>> {
        self.transfers.fetch(host, &transfer, Instant::now() + PATIENCE).await
    }

    async fn fails(&self, host: &str, transfer: Transfer) -> ErrorKind {
        let error: Error = self.fetch(host, transfer).await.unwrap_err();
        error.kind()
    }

    fn is_idle(&self) -> bool {
        let counts = self.transfers.counts();
        (counts.offered_now, counts.fetching_now) == (0, 0)
    }
}

/// Returns a payload without repetitions.
fn payload(size: usize) -> Bytes {
    let mut payload = vec![0; size];
    blake3::Hasher::new().finalize_xof().fill(&mut payload);
    payload.into()
}

#[test]
fn sixty_four_mebibytes_pass_both_ways() {
    run(async {
        let server = Server::start();
        let one = Host::start(&server.address(), "one").await;
        let other = Host::start(&server.address(), "other").await;
        let payload = payload(64 * MIB);
        for (name, sender, receiver) in [("one", &one, &other), ("other", &other, &one)] {
            let offer = sender.transfers.offer(payload.clone()).unwrap();
            assert!(!sender.is_idle());
            let found = receiver.fetch(name, offer.transfer()).await.unwrap();
            assert!(found == payload && found.capacity() == payload.len());
            let (sent, got) = (sender.transfers.counts(), receiver.transfers.counts());
            assert_eq!((sent.offers, sent.chunk_bytes), (1, 64 * MIB as u64));
            assert_eq!((got.fetches, got.fetched_bytes), (1, 64 * MIB as u64));
            drop(offer);
            assert!(sender.is_idle() && receiver.is_idle());
        }
    });
}

#[test]
fn payloads_of_any_size_pass_also_over_servers_with_a_small_limit() {
    run(async {
        for max_payload in [1024, 5_000, 300_000] {
            let config = Some(format!("max_payload: {max_payload}"));
            let server = Server::with(ServerOptions { config, ..ServerOptions::default() });
            let one = Host::start(&server.address(), "one").await;
            let other = Host::start(&server.address(), "other").await;
            assert!(one.transfers.inline_limit() < max_payload);
            for size in [0, 1, max_payload - 1, max_payload, max_payload + 1, 2 * max_payload, 700_001] {
                let payload = payload(size);
                let offer = one.transfers.offer(payload.clone()).unwrap();
                assert_eq!(offer.transfer().size, size as u64);
                assert!(other.fetch("one", offer.transfer()).await.unwrap() == payload, "{size} of {max_payload}");
            }
        }
    });
}

#[test]
fn payloads_pass_between_servers_of_a_cluster_with_different_limits() {
    run(async {
        let cluster = |port: u16, route: u16, max_payload: usize| ServerOptions {
            config: Some(format!(
                "server_name: s{port}\nmax_payload: {max_payload}\n\
                 cluster {{ name: c, listen: \"127.0.0.1:{port}\", routes: [\"nats://127.0.0.1:{route}\"] }}"
            )),
            ..ServerOptions::default()
        };
        let ports = [Server::stopped(ServerOptions::default()), Server::stopped(ServerOptions::default())];
        let ports = ports.map(|server| server.socket().port());
        let large = Server::with(cluster(ports[0], ports[1], 1 << 20));
        let small = Server::with(cluster(ports[1], ports[0], 50_000));
        let one = Host::start(&large.address(), "one").await;
        let other = Host::start(&small.address(), "other").await;
        let payload = payload(MIB);
        // The receiver knows the smaller limit in one direction, the sender in the other.
        for (name, sender, receiver) in [("one", &one, &other), ("other", &other, &one)] {
            let offer = sender.transfers.offer(payload.clone()).unwrap();
            assert!(receiver.fetch(name, offer.transfer()).await.unwrap() == payload);
        }
    });
}

#[test]
fn many_payloads_pass_at_a_time() {
    run(async {
        let server = Server::start();
        let one = Host::start(&server.address(), "one").await;
        let other = Host::start(&server.address(), "other").await;
        let payloads: Vec<Bytes> = (0..30).map(|number| payload(MIB + number)).collect();
        let offers: Vec<Offer> = payloads.iter().map(|payload| one.transfers.offer(payload.clone()).unwrap()).collect();
        let fetches = offers.iter().map(|offer| other.fetch("one", offer.transfer()));
        let found = futures_util::future::join_all(fetches).await;
        assert!(found.into_iter().map(Result::unwrap).eq(payloads));
        drop(offers);
        assert!(one.is_idle() && other.is_idle());
    });
}

#[test]
fn what_exceeds_a_budget_or_a_limit_is_refused_before_anything_is_sent() {
    run(async {
        let server = Server::start();
        let one = Host::with_budget(&server.address(), "one", 3 * MIB).await;
        let other = Host::with_budget(&server.address(), "other", 2 * MIB).await;
        let first = one.transfers.offer(payload(2 * MIB)).unwrap();
        assert_eq!(one.transfers.offer(payload(2 * MIB)).unwrap_err().kind(), ErrorKind::Busy);
        assert_eq!(one.transfers.offer(payload(65 * MIB)).unwrap_err().kind(), ErrorKind::MessageTooLarge);
        let second = one.transfers.offer(payload(MIB)).unwrap();

        // One of the two is first, and the other does not fit beside it.
        let (large, small) = tokio::join!(other.fetch("one", first.transfer()), other.fetch("one", second.transfer()));
        assert_eq!((large.unwrap().len(), small.unwrap_err().kind()), (2 * MIB, ErrorKind::Busy));
        assert_eq!(other.fetch("one", second.transfer()).await.unwrap().len(), MIB);

        let requests = one.transfers.counts().chunks;
        for size in [64 * MIB as u64 + 1, u64::MAX] {
            let lie = Transfer { size, ..first.transfer() };
            assert_eq!(other.fails("one", lie).await, ErrorKind::MessageTooLarge);
        }
        assert_eq!(one.transfers.counts().chunks, requests);
        assert_eq!((one.transfers.counts().busy, other.transfers.counts().busy), (1, 1));
        drop((first, second));
        assert!(one.is_idle() && other.is_idle());
    });
}

#[test]
fn the_task_ends_with_the_last_handle() {
    run(async {
        let server = Server::start();
        let host = Host::start(&server.address(), "one").await;
        let counters = Arc::downgrade(&host.transfers.0.counters);
        let offer = host.transfers.offer(payload(10)).unwrap();
        drop(host.transfers);
        eventually("the task is gone", || counters.strong_count() == 0).await;
        assert!(host.connection.state().is_joined());
        drop(offer);
    });
}

/// Prints the rate: `cargo nextest run -p wasmcloud-lattice --run-ignored only --no-capture rate`.
#[test]
#[ignore = "it measures and asserts nothing"]
fn the_rate_of_a_large_payload() {
    run(async {
        let server = Server::start();
        let one = Host::start(&server.address(), "one").await;
        let other = Host::start(&server.address(), "other").await;
        let payload = payload(64 * MIB);
        for _ in 0..5 {
            let start = Instant::now();
            let offer = one.transfers.offer(payload.clone()).unwrap();
            let offered = start.elapsed();
            other.fetch("one", offer.transfer()).await.unwrap();
            let rate = 64.0 / start.elapsed().as_secs_f64();
            println!("{rate:.0} MiB/s, of which the offer took {offered:?}");
        }
    });
}
