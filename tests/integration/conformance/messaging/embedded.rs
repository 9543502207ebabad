//! What is true of the embedded broker alone.

use std::time::Duration;

use wasmcloud_host::{ActorOptions, HostBuilder, Limits};

use super::super::kit::{Backend as _, Caller, with_provider};
use super::{CONTRACT, Embedded, messenger, publish, request, with};
use crate::signing::sign_module;
use crate::support::{keep_log, logged, until, values, with_host_of};

/// An actor that is done with nothing before its time is up.
const STUCK: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "__guest_call") (param i32 i32) (result i32) (loop (br 0)) (unreachable)))"#;

#[actix_rt::test]
async fn an_actor_that_is_too_slow_loses_messages_and_is_told_of_on_the_log() {
    keep_log();
    with_provider(&Embedded, async |host, provider| {
        let slow = sign_module("stuck", wat::parse_str(STUCK).unwrap()).capability(CONTRACT).actor();
        let slow_key = slow.public_key();
        let options = ActorOptions::new().limits(Limits::new().call_deadline(Duration::from_secs(3)));
        host.start_actor_with(slow, options).await.unwrap();
        let subscribed = with(&Embedded, &[("SUBSCRIPTION", "all.>"), ("QUEUE_LIMIT", "4"), ("CONCURRENCY", "1")]);
        host.set_link(&slow_key, CONTRACT, None, provider.clone(), subscribed).await.unwrap();
        messenger(&host, &provider, with(&Embedded, &[("SUBSCRIPTION", "all.>")])).await;
        let caller = Caller::start(&host, CONTRACT, 1).await;
        caller.link(&provider, with(&Embedded, &[])).await.unwrap();
        for number in 0..40 {
            let answer = request(&caller, "all.echo", &[number]).await.unwrap();
            assert_eq!(answer.body, [number], "others are served as ever");
        }
        let told = |line: &String| line.contains(&slow_key) && line.contains("slow consumer");
        assert!(logged().iter().any(told));
    })
    .await;
}

#[actix_rt::test]
async fn messages_come_in_order_to_who_wants_one_at_a_time() {
    with_provider(&Embedded, async |host, provider| {
        messenger(&host, &provider, with(&Embedded, &[("SUBSCRIPTION", "in.*"), ("CONCURRENCY", "1")])).await;
        let caller = Caller::start(&host, CONTRACT, 1).await;
        caller.link(&provider, with(&Embedded, &[])).await.unwrap();
        for number in 0..200 {
            publish(&caller, "in.keep", "", number.to_string().as_bytes()).await.unwrap();
        }
        let kept = request(&caller, "in.list", b"").await.unwrap().body;
        let expected: Vec<_> = (0..200).map(|number| number.to_string()).collect();
        assert_eq!(String::from_utf8(kept).unwrap(), expected.join("\n"));
    })
    .await;
}

#[actix_rt::test]
async fn providers_of_two_hosts_share_nothing() {
    let builder = || HostBuilder::new().with_shards(1).with_health_interval(None);
    with_host_of(builder(), async |first| {
        with_host_of(builder(), async |second| {
            let mut callers = Vec::new();
            for host in [&first, &second] {
                let capability = Embedded.provider();
                let provider = capability.id();
                host.start_native_capability(capability).await.unwrap();
                let caller = Caller::start(host, CONTRACT, 1).await;
                caller.link(&provider, values(&[])).await.unwrap();
                callers.push((caller, provider));
            }
            messenger(&first, &callers[0].1, values(&[("SUBSCRIPTION", "a")])).await;
            assert!(request(&callers[0].0, "a", b"x").await.is_ok());
            assert!(request(&callers[1].0, "a", b"x").await.unwrap_err().contains("no subscriber"));
            until(async || publish(&callers[1].0, "a", "", b"x").await.is_ok()).await;
        })
        .await;
    })
    .await;
}
