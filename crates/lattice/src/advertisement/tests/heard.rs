//! What is advertised, and what is heard of it.

use super::*;
use futures_util::StreamExt;

#[test]
fn captured_advertisements_are_heard_and_sent_byte_for_byte() {
    with_servers(|server| async move {
        let mut scene = Scene::new(&server).await;
        let mut heard = scene.client.subscribe("wasmbus.rpc.default.*").await.unwrap();
        crate::testing::settled(&scene.client).await;
        let is_advertisement = |message: &Captured| {
            let subjects = ["wasmbus.rpc.default.claims", "wasmbus.rpc.default.links", "wasmbus.rpc.default.remlinks"];
            subjects.contains(&message.subject.as_str())
        };
        let messages = captured(is_advertisement);
        assert_eq!(messages.len(), 8);
        for message in messages {
            scene.client.publish(message.subject.clone(), message.bytes().into()).await.unwrap();
            assert_eq!(heard.next().await.unwrap().payload, message.bytes());
            match scene.next().await {
                Advertised::Claims(claims) => scene.advertisements.claims(&claims).await.unwrap(),
                Advertised::Link(link) => scene.advertisements.link_set(&link).await.unwrap(),
                Advertised::LinkRemoved(link) => scene.advertisements.link_removed(&link).await.unwrap(),
            }
            let sent = heard.next().await.unwrap();
            assert_eq!((sent.subject.as_str(), &sent.payload[..]), (message.subject.as_str(), &message.bytes()[..]));
            assert_eq!(sent.reply, None, "{}", message.step);
        }
        scene.until(|counts| counts.own == 8).await;
        assert!(scene.received.try_recv().is_err(), "the own ones are not heard");
    });
}

#[test]
fn the_same_from_another_host_is_heard() {
    with_servers(|server| async move {
        let mut scene = Scene::new(&server).await;
        let own = link("default");
        scene.advertisements.link_set(&own).await.unwrap();
        scene.until(|counts| counts.own == 1).await;
        scene.publish("links", own.encode()).await;
        assert_eq!(scene.next().await, Advertised::Link(own.clone()));
        // A removal tells the key only.
        scene.advertisements.link_removed(&own).await.unwrap();
        scene.publish("remlinks", own.encode()).await;
        let removal = LinkDefinition { provider_id: String::new(), values: Vec::new(), ..own };
        assert_eq!(scene.next().await, Advertised::LinkRemoved(removal));
        scene.until(|counts| counts.own == 2 && counts.published == 2).await;
    });
}

#[test]
fn unsigned_claims_are_refused_unless_the_options_accept_them() {
    with_servers(|server| async move {
        let mut scene = Scene::with(&server, false, 16).await;
        let before = scene.advertisements.counts().refused;
        scene.publish("claims", claims("forged").encode().unwrap()).await;
        scene.until(|counts| counts.refused == before + 1).await;
        let expected = link("default");
        scene.publish("links", expected.encode()).await;
        assert_eq!(scene.next().await, Advertised::Link(expected));
    });
}

#[test]
fn everything_goes_on_after_a_restart_of_the_server() {
    with_servers(|mut server| async move {
        let mut scene = Scene::new(&server).await;
        let before = scene.connection.watch().borrow().epoch;
        server.kill();
        let waiting = async {
            while scene.connection.state().is_joined() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, waiting).await.unwrap();
        let error = scene.advertisements.link_set(&link("default")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LatticeUnavailable);
        server.restart();
        let mut status = scene.connection.watch();
        let is_back = status.wait_for(|status| status.epoch > before && status.state.is_joined());
        let _ = timeout(PATIENCE, is_back).await.unwrap();
        scene.client = async_nats::connect(server.url()).await.unwrap();
        scene.until_served().await;
        for kind in ["claims", "links", "remlinks"] {
            let payload = if kind == "claims" { claims("a").encode().unwrap() } else { link("default").encode() };
            scene.publish(kind, payload).await;
            scene.next().await;
        }
        assert!(scene.ask("get.hosts").await.contains(&scene.host));
    });
}

#[test]
fn all_that_is_known_can_be_advertised_at_once() {
    with_servers(|server| async move {
        let scene = Scene::new(&server).await;
        let mut other = Scene::new(&server).await;
        let (known, sample) = (claims("a"), link("default"));
        *scene.told.claims.lock().unwrap() = vec![known; 5];
        *scene.told.links.lock().unwrap() = vec![sample; 1000];
        assert_eq!(scene.advertisements.advertise_all().await.unwrap(), 1005);
        for _ in 0..1005 {
            other.next().await;
        }
        scene.until(|counts| counts.own == 1005).await;
    });
}
