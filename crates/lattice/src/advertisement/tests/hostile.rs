//! Messages that are not what they should be.

use std::time::Instant as Clock;

use super::*;

/// Returns messages that are no advertisements.
fn garbage() -> Vec<Vec<u8>> {
    let valid = link("default");
    let mut messages = vec![
        Vec::new(),
        vec![0xc1],
        vec![0xff; 100_000],
        vec![0x91; 200_000],
        b"{\"actor_id\":\"M\"}".to_vec(),
        vec![0xdf, 0xff, 0xff, 0xff, 0xff],
        vec![0x85, 0xa8],
        LinkDefinition { actor_id: "M1".to_owned(), ..valid.clone() }.encode(),
        LinkDefinition { contract_id: "c".repeat(10_000), ..valid.clone() }.encode(),
        LinkDefinition { link_name: "l".repeat(300), ..valid.clone() }.encode(),
        LinkDefinition { values: vec![LinkValue { name: String::new(), value: "v".repeat(300_000) }], ..valid.clone() }
            .encode(),
    ];
    let whole = valid.encode();
    messages.extend((1..whole.len()).step_by(7).map(|length| whole[..length].to_vec()));
    messages
}

#[test]
fn garbage_is_counted_and_what_is_valid_goes_on() {
    with_servers(|server| async move {
        let mut scene = Scene::new(&server).await;
        let before = scene.advertisements.counts().malformed;
        let mut sent = 0;
        for kind in ["claims", "links", "remlinks"] {
            for message in garbage() {
                scene.publish(kind, message).await;
                sent += 1;
            }
        }
        let wrong_provider = LinkDefinition { provider_id: KeyPair::new_module().public_key(), ..link("default") };
        scene.publish("links", wrong_provider.encode()).await;
        let mut wrong_issuer = claims("a");
        wrong_issuer.issuer = KeyPair::new_server().public_key();
        scene.publish("claims", wrong_issuer.encode().unwrap()).await;
        scene.until(|counts| counts.malformed == before + sent + 2).await;
        assert!(scene.received.try_recv().is_err());
        let expected = claims("valid");
        scene.publish("claims", expected.encode().unwrap()).await;
        assert_eq!(scene.next().await, Advertised::Claims(expected));
    });
}

#[test]
fn an_answer_never_goes_to_a_subject_of_the_server_or_of_the_lattice() {
    with_servers(|server| async move {
        let scene = Scene::new(&server).await;
        let before = scene.advertisements.counts();
        let subjects = [
            "$JS.API.STREAM.PURGE.KV_WASMCLOUD_default",
            "$KV.WASMCLOUD_default.alias.YQ",
            "wasmbus.rpc.default.links",
        ];
        let mut reflected = Vec::new();
        for subject in subjects {
            reflected.push(scene.client.subscribe(subject).await.unwrap());
        }
        for request in ["get.hosts", "get.links", "get.claims", &format!("get.{}.inv", scene.host)] {
            let request = format!("wasmbus.ctl.default.{request}");
            for reply in subjects {
                scene.client.publish_with_reply(request.clone(), reply, Bytes::new()).await.unwrap();
            }
            // A request without a subject for the answer.
            scene.client.publish(request, "garbage".into()).await.unwrap();
        }
        scene.until(|counts| counts.refused == before.refused + 12 && counts.malformed == before.malformed + 4).await;
        assert_eq!(scene.advertisements.counts().answered, before.answered);
        scene.connection.round_trip(PATIENCE).await.unwrap();
        crate::testing::settled(&scene.client).await;
        for mut subscriber in reflected {
            assert!(timeout(Duration::from_millis(50), futures_util::StreamExt::next(&mut subscriber)).await.is_err());
        }
    });
}

#[test]
fn requests_with_content_are_answered_as_in_2021() {
    with_servers(|server| async move {
        let scene = Scene::new(&server).await;
        let request = async_nats::Request::new().payload(vec![0xff; 100_000].into());
        let answer = scene.client.send_request("wasmbus.ctl.default.get.hosts", request).await.unwrap();
        assert!(answer.payload.starts_with(b"{\"id\":\"N"));
    });
}

#[test]
fn the_rate_of_answers_is_bounded() {
    with_servers(|server| async move {
        let scene = Scene::new(&server).await;
        let (before, began) = (scene.advertisements.counts(), Clock::now());
        let inbox = scene.client.new_inbox();
        for _ in 0..2_000 {
            let subject = "wasmbus.ctl.default.get.links";
            scene.client.publish_with_reply(subject, inbox.clone(), Bytes::new()).await.unwrap();
        }
        scene.until(|counts| counts.received == before.received + 2_000).await;
        let counts = scene.advertisements.counts();
        let most = 20 + began.elapsed().as_secs() * 10 + 10;
        assert!(counts.answered - before.answered <= most, "{counts:?}");
        assert!(counts.throttled > 0);
        assert_eq!(counts.answered + counts.throttled, before.answered + 2_000);
    });
}

#[test]
fn a_receiver_that_is_behind_loses_the_rest_and_nothing_waits() {
    with_servers(|server| async move {
        let mut scene = Scene::with(&server, true, 100).await;
        let before = scene.advertisements.counts();
        for number in 0..1_000 {
            scene.publish("links", link(&number.to_string()).encode()).await;
        }
        scene.until(|counts| counts.dropped == before.dropped + 900).await;
        for number in 0..100 {
            let Advertised::Link(link) = scene.next().await else { panic!("a link") };
            assert_eq!(link.link_name, number.to_string());
        }
    });
}
