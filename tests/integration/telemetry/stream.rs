//! What viewers are told.

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{Stream, builder, get};
use crate::signing::sign;
use crate::support::with_host_of;

#[actix_rt::test]
async fn a_viewer_gets_a_snapshot_and_then_what_changes() {
    with_host_of(builder(), async |host| {
        let actor = sign("echo").actor();
        let key = actor.public_key();
        host.start_actor(actor).await.unwrap();
        let mut stream = Stream::open(&host).await;
        let (kind, snapshot) = stream.next().await.unwrap();
        assert_eq!((kind.as_str(), &snapshot["host"]["id"]), ("snapshot", &Value::from(host.id())));
        let last = snapshot["events"].as_array().unwrap().last().unwrap()["sequence"].as_u64().unwrap();

        for _ in 0..5 {
            host.call_actor(&key, "Echo", b"x").await.unwrap();
        }
        let changed = |delta: &Value| delta["actors"].as_array().into_iter().flatten().next().cloned();
        let delta = stream.until(|kind, delta| kind == "delta" && changed(delta).is_some()).await;
        let actor = changed(&delta).unwrap();
        assert_eq!((&actor["id"], &actor["rate"]), (&Value::from(key.as_str()), &Value::from(5)));
        assert_eq!(actor.get("issuer"), None, "what has not changed is not told again: {actor:#}");

        let other = sign("tiny_echo").actor();
        let other_key = other.public_key();
        host.start_actor(other).await.unwrap();
        let event = stream.until(|kind, _| kind == "event").await;
        assert_eq!((&event["kind"], &event["entity"]), (&Value::from("started"), &Value::from(other_key.as_str())));
        assert_eq!(event["sequence"], last + 1);
        let is_told = |delta: &Value| changed(delta).is_some_and(|actor| actor["id"] == other_key.as_str());
        let delta = stream.until(|kind, delta| kind == "delta" && is_told(delta)).await;
        assert_eq!(changed(&delta).unwrap()["name"], "tiny_echo");
        host.stop_actor(&other_key).await.unwrap();
        let removed = stream.until(|kind, delta| kind == "delta" && delta.get("removed").is_some()).await;
        assert_eq!(removed["removed"]["actors"], serde_json::json!([other_key]));
    })
    .await;
}

#[actix_rt::test]
async fn a_stream_ends_with_the_last_word_of_its_host() {
    let host = builder().build();
    host.start().await.unwrap();
    let mut stream = Stream::open(&host).await;
    assert_eq!(stream.next().await.unwrap().0, "snapshot");
    host.stop().await;
    let mut last = None;
    while let Some((kind, value)) = stream.next().await {
        if kind == "event" {
            last = Some(value["kind"].clone());
        }
    }
    assert_eq!(last, Some("host_stopped".into()));
}

#[actix_rt::test]
async fn viewers_who_do_not_read_hold_up_no_one() {
    with_host_of(builder(), async |host| {
        let mut asleep = Vec::new();
        for _ in 0..20 {
            let mut stream = TcpStream::connect(host.telemetry_address().unwrap()).await.unwrap();
            stream.write_all(b"GET /api/v1/stream HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
            asleep.push(stream);
        }
        let mut awake = Stream::open(&host).await;
        let key = {
            let actor = sign("echo").actor();
            let key = actor.public_key();
            host.start_actor(actor).await.unwrap();
            key
        };
        // Events by the thousand: more than the sockets of those who sleep hold.
        for _ in 0..500 {
            host.scale_actor(&key, 2).await.unwrap();
            host.scale_actor(&key, 1).await.unwrap();
        }
        host.stop_actor(&key).await.unwrap();
        awake.until(|kind, event| kind == "event" && event["kind"] == "stopped").await;
        assert_eq!(get(&host, "/livez").await.status, 200);
        drop(asleep);
    })
    .await;
}

#[actix_rt::test]
async fn a_storm_of_events_is_told_in_a_few_messages() {
    with_host_of(builder(), async |host| {
        let actor = sign("echo").actor();
        let key = actor.public_key();
        host.start_actor(actor).await.unwrap();
        let mut stream = Stream::open(&host).await;
        stream.next().await.unwrap();
        for _ in 0..200 {
            host.scale_actor(&key, 2).await.unwrap();
            host.scale_actor(&key, 1).await.unwrap();
        }
        let last = stream.until(|kind, event| kind == "event" && event["kind"] == "scaled").await["sequence"]
            .as_u64()
            .unwrap();
        let mut sequence = last;
        while sequence < last + 399 {
            let event = stream.until(|kind, _| kind == "event").await;
            assert!(event["sequence"].as_u64().unwrap() > sequence, "events are in order");
            sequence = event["sequence"].as_u64().unwrap();
        }
    })
    .await;
}
