//! Connections with real servers: late, refused, restarted, cut off, slow.

mod login;

use std::time::Duration;

use bytes::Bytes;
use wasmcloud_core::error::ErrorKind;

use super::*;
use crate::testing::{PATIENCE, Proxy, Server, ServerOptions, eventually, run};

fn options(server: &str) -> ConnectionOptions {
    ConnectionOptions::new(server)
        .connect_timeout(Duration::from_secs(2))
        .longest_delay(Duration::from_millis(100))
        .ping_interval(Duration::from_millis(100))
}

fn start(options: &ConnectionOptions) -> Connection {
    Connection::start(options, &Namespace::default(), "calls").unwrap()
}

async fn joined(connection: &Connection) {
    assert!(tokio::time::timeout(PATIENCE, connection.joined()).await.expect("the host joins"));
}

async fn alone(connection: &Connection) -> String {
    let mut status = connection.watch();
    let is_alone = |status: &ConnectionStatus| matches!(status.state, LatticeState::Alone { reason: Some(_) });
    let found = tokio::time::timeout(PATIENCE, status.wait_for(is_alone)).await.unwrap().unwrap();
    found.state.to_string()
}

async fn lost(connection: &Connection) {
    let mut status = connection.watch();
    let is_lost = |status: &ConnectionStatus| matches!(status.state, LatticeState::Disconnected { .. });
    tokio::time::timeout(PATIENCE, status.wait_for(is_lost)).await.unwrap().unwrap();
}

/// Checks that messages pass, both ways.
async fn works(connection: &Connection) {
    let mut subscription = connection.subscribe(Subject::new("works")).await.unwrap();
    connection.publish("works", Bytes::from_static(b"yes")).await.unwrap();
    assert_eq!(subscription.next().await.unwrap().unwrap().payload, "yes");
}

#[test]
fn a_host_without_a_server_is_alone_and_joins_later() {
    run(async {
        let mut server = Server::stopped(ServerOptions::default());
        let connection = start(&options(&server.address()));
        assert_eq!(connection.state(), LatticeState::Joining);
        alone(&connection).await;
        assert_eq!(connection.client().unwrap_err().kind(), ErrorKind::LatticeUnavailable);
        assert_eq!(connection.publish("a", Bytes::new()).await.unwrap_err().kind(), ErrorKind::LatticeUnavailable);
        assert!(connection.server().is_none());
        server.restart();
        joined(&connection).await;
        works(&connection).await;
        assert!(connection.counts().failed_attempts > 0 && connection.counts().connects == 1);
        let facts = connection.server().unwrap();
        assert!(facts.is_at_least(2, 9) && facts.has_headers && !facts.has_jetstream);
        assert_eq!(facts.max_payload, 1 << 20);
    });
}

#[test]
fn refused_credentials_are_a_reason_and_right_ones_join() {
    run(async {
        let login = |password: &str| Some(("host".to_owned(), password.to_owned()));
        let mut server = Server::with(ServerOptions { login: login("other"), ..ServerOptions::default() });
        let connection = start(&options(&server.address()).user_and_password("host", "hidden"));
        let reason = alone(&connection).await;
        assert!(reason.contains("authorization violation") && !reason.contains("hidden"), "{reason}");
        server.set_options(ServerOptions { login: login("hidden"), ..ServerOptions::default() });
        server.restart();
        joined(&connection).await;
        // The server refuses it again later: that is no reason to give up either.
        server.set_options(ServerOptions { login: login("other"), ..ServerOptions::default() });
        server.restart();
        let is_refused = |status: &ConnectionStatus| status.state.to_string().contains("authorization violation");
        connection.watch().wait_for(is_refused).await.unwrap();
        assert!(matches!(connection.state(), LatticeState::Disconnected { .. }));
        server.set_options(ServerOptions { login: login("hidden"), ..ServerOptions::default() });
        server.restart();
        joined(&connection).await;
        works(&connection).await;
    });
}

#[test]
fn ten_restarts_of_the_server_keep_subscriptions() {
    run(async {
        let mut server = Server::start();
        let connection = start(&options(&server.address()));
        joined(&connection).await;
        let mut subscription = connection.subscribe(Subject::new("kept")).await.unwrap();
        for round in 1..=10 {
            let mark = connection.mark().unwrap();
            server.restart();
            connection.broken(mark).await;
            joined(&connection).await;
            assert_eq!(connection.watch().borrow().epoch, round + 1);
            connection.round_trip(PATIENCE).await.unwrap();
            connection.publish("kept", Bytes::from(round.to_string())).await.unwrap();
            let message = subscription.next().await.unwrap().unwrap();
            assert_eq!(message.payload, round.to_string());
        }
        let counts = connection.counts();
        assert_eq!((counts.connects, counts.disconnects), (11, 10));
    });
}

#[test]
fn a_partition_breaks_requests_in_flight_and_heals() {
    run(async {
        let server = Server::start();
        let proxy = Proxy::to(server.socket()).await;
        let connection = start(&options(&proxy.address()));
        joined(&connection).await;
        let mut events = connection.events();
        let _silent = server.client().await.subscribe("silent").await.unwrap();
        server.client().await.flush().await.unwrap();
        let mark = connection.mark().unwrap();
        let client = server.client().await;
        let mut silent = client.subscribe("silent.two").await.unwrap();
        crate::testing::settled(&client).await;
        let in_flight = tokio::spawn({
            let connection = connection.clone();
            async move { connection.request("silent.two", Bytes::from_static(b"once"), PATIENCE).await }
        });
        assert_eq!(futures_util::StreamExt::next(&mut silent).await.unwrap().payload, "once");
        proxy.partition();
        assert_eq!(in_flight.await.unwrap().unwrap_err().kind(), ErrorKind::OutcomeUnknown);
        assert!(!connection.is_unbroken(mark));
        assert_eq!(connection.mark().unwrap_err().kind(), ErrorKind::LatticeUnavailable);
        assert_eq!(events.recv().await.unwrap(), ConnectionEvent::Disconnected);
        proxy.heal();
        joined(&connection).await;
        works(&connection).await;
        assert!(!connection.is_unbroken(mark));
    });
}

#[test]
fn a_request_without_a_responder_fails_at_once() {
    run(async {
        let server = Server::start();
        let connection = start(&options(&server.address()));
        joined(&connection).await;
        let error = connection.request("none", Bytes::new(), PATIENCE * 10).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LatticeUnavailable);
        let large = Bytes::from(vec![0; (1 << 20) + 1]);
        let error = connection.request("none", large.clone(), PATIENCE).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MessageTooLarge);
        assert_eq!(connection.publish("none", large).await.unwrap_err().kind(), ErrorKind::MessageTooLarge);
    });
}

#[test]
fn a_slow_consumer_is_an_event_and_a_count() {
    run(async {
        let server = Server::start();
        let connection = start(&options(&server.address()).subscription_capacity(4));
        joined(&connection).await;
        let mut events = connection.events();
        let mut slow = connection.subscribe(Subject::new("slow")).await.unwrap();
        for _ in 0..64 {
            connection.publish("slow", Bytes::new()).await.unwrap();
        }
        connection.round_trip(PATIENCE).await.unwrap();
        assert_eq!(events.recv().await.unwrap(), ConnectionEvent::SlowConsumer);
        eventually("the count", || connection.counts().slow_consumers == 60).await;
        assert!(slow.next().await.unwrap().is_ok());
    });
}

#[test]
fn seed_defect_28_a_refused_subscription_is_an_error() {
    run(async {
        let config = r#"authorization { users: [
            { user: host, password: hidden, permissions: { subscribe: { deny: ["no.>"] }, publish: { deny: "mute" } } }
        ] }"#;
        let server = Server::with(ServerOptions { config: Some(config.to_owned()), ..ServerOptions::default() });
        let connection = start(&options(&server.address()).user_and_password("host", "hidden"));
        joined(&connection).await;
        let mut events = connection.events();
        for subject in [Subject::new("no.way"), Subject::shared("no.queue")] {
            let error = connection.subscribe(subject.clone()).await.unwrap_err();
            assert!(error.to_string().contains(&subject.subject), "{error}");
            assert_eq!(error.kind(), ErrorKind::LatticeUnavailable);
            let event = ConnectionEvent::PermissionDenied { is_subscription: true, subject: subject.subject };
            assert_eq!(events.recv().await.unwrap(), event);
        }
        connection.publish("mute", Bytes::new()).await.unwrap();
        let event = ConnectionEvent::PermissionDenied { is_subscription: false, subject: "mute".to_owned() };
        assert_eq!(events.recv().await.unwrap(), event);
        assert_eq!(connection.counts().permissions_denied, 3);
        assert_eq!(connection.subscribe(Subject::new("a b")).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
        works(&connection).await;
    });
}

#[test]
fn seed_defect_28_a_close_waits_for_the_server_or_says_that_it_did_not() {
    run(async {
        let server = Server::start();
        let proxy = Proxy::to(server.socket()).await;
        let listener = server.client().await;
        let mut heard = listener.subscribe("last").await.unwrap();
        crate::testing::settled(&listener).await;
        let connection = start(&options(&proxy.address()));
        joined(&connection).await;
        for _ in 0..1000 {
            connection.publish("last", Bytes::from(vec![7; 1000])).await.unwrap();
        }
        connection.close(PATIENCE).await.unwrap();
        for _ in 0..1000 {
            assert_eq!(futures_util::StreamExt::next(&mut heard).await.unwrap().payload.len(), 1000);
        }
        assert!(!connection.joined().await && connection.client().is_err());
        let cut_off = start(&options(&proxy.address()));
        joined(&cut_off).await;
        proxy.partition();
        let error = cut_off.close(Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LatticeUnavailable);
        let never = start(&options("127.0.0.1:1"));
        never.close(PATIENCE).await.unwrap();
    });
}

#[test]
fn a_drained_subscription_loses_no_message() {
    run(async {
        const MESSAGES: usize = 5000;
        let server = Server::start();
        let (first, second) = (start(&options(&server.address())), start(&options(&server.address())));
        joined(&first).await;
        joined(&second).await;
        let mut leaving = first.subscribe(Subject::shared("work")).await.unwrap();
        let mut staying = second.subscribe(Subject::shared("work")).await.unwrap();
        let publisher = server.client().await;
        let publishing = tokio::spawn(async move {
            for _ in 0..MESSAGES {
                publisher.publish("work", "x".into()).await.unwrap();
                tokio::task::yield_now().await;
            }
            crate::testing::settled(&publisher).await;
        });
        // The leaving host goes on to publish, as it answers calls: that must not end the subscription early.
        let answering = tokio::spawn({
            let first = first.clone();
            async move {
                while first.publish("answers", Bytes::new()).await.is_ok() {
                    tokio::task::yield_now().await;
                }
            }
        });
        let mut received = 0;
        while received < 100 {
            leaving.next().await.unwrap().unwrap();
            received += 1;
        }
        leaving.drain(&first).await.unwrap();
        while leaving.next().await.is_some() {
            received += 1;
        }
        publishing.await.unwrap();
        answering.abort();
        while received < MESSAGES {
            let next = tokio::time::timeout(PATIENCE, staying.next()).await;
            next.unwrap_or_else(|_| panic!("only {received} messages")).unwrap().unwrap();
            received += 1;
        }
    });
}

#[test]
fn a_ready_client_is_watched_and_not_closed() {
    run(async {
        let mut server = Server::start();
        let client = server.client().await;
        let connection = start(&ConnectionOptions::ready(client.clone()));
        joined(&connection).await;
        works(&connection).await;
        let mark = connection.mark().unwrap();
        server.kill();
        lost(&connection).await;
        server.restart();
        joined(&connection).await;
        assert!(!connection.is_unbroken(mark));
        connection.close(PATIENCE).await.unwrap();
        client.publish("open", Bytes::new()).await.unwrap();
        let closed = start(&ConnectionOptions::ready(client.clone()));
        joined(&closed).await;
        client.drain().await.unwrap();
        lost(&closed).await;
        assert!(closed.state().to_string().contains("closed"), "{}", closed.state());
    });
}
