//! Connections, offers and hosts that are lost in the middle of a transfer.

use super::*;
use crate::testing::Proxy;

/// Two hosts. The first offers a payload, and its connection is slow, so that tests can act before it has passed.
struct Slow {
    server: Server,
    proxy: Proxy,
    one: Host,
    other: Host,
    payload: Bytes,
}

impl Slow {
    async fn start() -> Slow {
        let server = Server::start();
        let proxy = Proxy::to(server.socket()).await;
        let one = Host::start(&proxy.address(), "one").await;
        let other = Host::start(&server.address(), "other").await;
        proxy.delay(Duration::from_millis(3));
        Slow { server, proxy, one, other, payload: payload(16 * MIB) }
    }

    /// Fetches the payload, and does something when some chunks have been sent.
    async fn fetch(&mut self, act: impl AsyncFnOnce(&mut Server, &Proxy, Offer) -> Option<Offer>) -> Result<Vec<u8>> {
        let offer = self.one.transfers.offer(self.payload.clone()).unwrap();
        let transfer = offer.transfer();
        let chunks = || self.one.transfers.counts().chunks;
        let act = async {
            eventually("some chunks are sent", || chunks() >= 10).await;
            assert!(chunks() < 60, "not all of them");
            act(&mut self.server, &self.proxy, offer).await
        };
        tokio::join!(self.other.fetch("one", transfer), act).0
    }
}

#[test]
fn a_connection_of_the_sender_that_is_lost_in_the_middle_is_no_reason_to_fail() {
    run(async {
        let mut hosts = Slow::start().await;
        let found = hosts.fetch(async |_, proxy, offer| {
            proxy.delay(Duration::ZERO);
            proxy.cut();
            Some(offer)
        });
        assert!(found.await.unwrap() == hosts.payload);
        assert!(hosts.other.transfers.counts().retries > 0);
        assert_eq!(hosts.one.connection.counts().disconnects, 1);
    });
}

#[test]
fn a_server_that_restarts_in_the_middle_is_no_reason_to_fail() {
    run(async {
        let mut hosts = Slow::start().await;
        let found = hosts.fetch(async |server, proxy, offer| {
            proxy.delay(Duration::ZERO);
            server.restart();
            Some(offer)
        });
        assert!(found.await.unwrap() == hosts.payload);
        assert!(hosts.other.transfers.counts().retries > 0 && hosts.other.connection.counts().connects == 2);
    });
}

#[test]
fn an_offer_that_ends_in_the_middle_ends_the_fetch() {
    run(async {
        let mut hosts = Slow::start().await;
        let found = hosts.fetch(async |_, _, offer| {
            drop(offer);
            None
        });
        assert_eq!(found.await.unwrap_err().kind(), ErrorKind::LatticeUnavailable);
        assert!(hosts.one.transfers.counts().unknown > 0);
        assert!(hosts.one.is_idle() && hosts.other.is_idle());
        assert_eq!(hosts.other.transfers.counts().failed_fetches, 1);
    });
}

#[test]
fn a_host_that_vanishes_in_the_middle_ends_the_fetch() {
    run(async {
        let mut hosts = Slow::start().await;
        let connection = hosts.one.connection.clone();
        let found = hosts.fetch(async |_, _, offer| {
            connection.close(PATIENCE).await.unwrap();
            Some(offer)
        });
        let error = found.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LatticeUnavailable, "{error}");
    });
}

#[test]
fn a_deadline_ends_the_fetch_and_returns_the_budget() {
    run(async {
        let hosts = Slow::start().await;
        let offer = hosts.one.transfers.offer(hosts.payload.clone()).unwrap();
        hosts.proxy.partition();
        let deadline = Instant::now() + Duration::from_millis(300);
        let outcome = hosts.other.transfers.fetch("one", &offer.transfer(), deadline).await;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
        assert!(hosts.other.is_idle());
        let past = hosts.other.transfers.fetch("one", &offer.transfer(), Instant::now()).await;
        assert_eq!(past.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    });
}

#[test]
fn a_fetch_that_is_given_up_returns_the_budget_and_one_on_a_closed_connection_fails() {
    run(async {
        let hosts = Slow::start().await;
        let offer = hosts.one.transfers.offer(hosts.payload.clone()).unwrap();
        {
            let mut fetch = std::pin::pin!(hosts.other.fetch("one", offer.transfer()));
            let some = eventually("some chunks are sent", || hosts.one.transfers.counts().chunks >= 3);
            tokio::select! {
                _ = &mut fetch => panic!("it is slow"),
                () = some => {}
            }
            assert!(!hosts.other.is_idle());
        }
        assert!(hosts.other.is_idle());
        hosts.other.connection.close(PATIENCE).await.unwrap();
        assert_eq!(hosts.other.fails("one", offer.transfer()).await, ErrorKind::LatticeUnavailable);
    });
}
