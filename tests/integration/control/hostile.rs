//! Requests that are not what they should be.

use futures_util::StreamExt as _;
use serde_json::json;
use wasmcloud_control::ControlCounts;
use wasmcloud_host::Host;

use super::{Scene, ask};
use crate::lattice::run_actor;
use crate::signing::sign;
use crate::support::{soon, until};

fn counts(host: &Host) -> ControlCounts {
    host.lattice().unwrap().counts.control
}

#[actix_rt::test]
async fn each_malformed_request_gets_an_error_and_the_next_one_is_served() {
    let scene = Scene::new().await;
    let stranger = scene.lattice.stranger().await;
    let host = scene.id();
    let commands =
        ["la", "sa", "upd", "lp", "sp", "scale", "labels", "plan", "apply", "cordon", "drain", "stop", "none"];
    let mut subjects: Vec<String> = commands.iter().map(|command| format!("cmd.{host}.{command}")).collect();
    subjects.extend(["auction.actor", "auction.provider", "link.put", "link.del"].map(str::to_owned));
    subjects.push(format!("get.{host}.inventory"));
    let deep = "[".repeat(50_000);
    for subject in &subjects {
        for content in
            ["garbage", "null", "[1]", "{\"actor_ref\":1}", "\u{0}", &deep, "{\"request\":\"a b\"}", "{\"offset\":-1}"]
        {
            let is_harmless = content.starts_with("{\"") || content == "null" || content == "[1]";
            if is_harmless && (subject.ends_with("inventory") || subject.ends_with("cordon")) {
                continue;
            }
            if is_harmless && ["drain", "stop", "labels"].iter().any(|name| subject.ends_with(name)) {
                continue;
            }
            let answer = ask(&stranger, subject, content).await;
            assert!(answer["failure"].is_string(), "{subject} {content:.20}: {answer}");
        }
    }
    assert!(counts(&scene.host).malformed > 80);
    assert_eq!(scene.client.hosts().await.unwrap().len(), 1);
    scene.host.stop().await;
}

#[actix_rt::test]
async fn requests_that_want_no_answer_or_one_elsewhere_do_nothing() {
    let scene = Scene::new().await;
    let stranger = scene.lattice.stranger().await;
    let cordon = format!("wasmbus.ctl.default.cmd.{}.cordon", scene.id());
    let mut reflected = stranger.subscribe("wasmbus.rpc.default.links").await.unwrap();
    stranger.publish(cordon.clone(), "".into()).await.unwrap();
    for reply in ["$JS.API.STREAM.PURGE.KV_WASMCLOUD_default", "wasmbus.rpc.default.links"] {
        stranger.publish_with_reply(cordon.clone(), reply, "".into()).await.unwrap();
    }
    stranger.flush().await.unwrap();
    until(async || {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        let counts = counts(&scene.host);
        counts.refused == 2 && counts.malformed == 1
    })
    .await;
    assert!(!scene.host.lattice().unwrap().is_cordoned);
    scene.host.stop().await;
    scene.client.close().await.unwrap();
    assert!(futures_util::FutureExt::now_or_never(reflected.next()).is_none());
}

#[actix_rt::test]
async fn ten_thousand_garbage_requests_leave_calls_unharmed() {
    const GARBAGE: u64 = 10_000;
    let scene = Scene::new().await;
    let echo = run_actor(&scene.host, &sign("tiny_echo"), &[]).await;
    let stranger = scene.lattice.stranger().await;
    let inbox = stranger.new_inbox();
    let mut answers = stranger.subscribe(inbox.clone()).await.unwrap();
    let before = counts(&scene.host);
    let subjects = [
        format!("wasmbus.ctl.default.cmd.{}.la", scene.id()),
        "wasmbus.ctl.default.auction.actor".to_owned(),
        "wasmbus.ctl.default.link.put".to_owned(),
        format!("wasmbus.ctl.default.get.{}.inventory", scene.id()),
    ];
    let flood = async {
        for number in 0..GARBAGE {
            let subject = subjects[number as usize % subjects.len()].clone();
            stranger.publish_with_reply(subject, inbox.clone(), "{garbage".into()).await.unwrap();
        }
        stranger.flush().await.unwrap();
    };
    let calls = async {
        for _ in 0..1_000 {
            assert_eq!(scene.host.call_actor(&echo, "Echo", b"x").await.unwrap(), b"x");
        }
    };
    futures_util::future::join(flood, calls).await;
    until(async || {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        counts(&scene.host).received >= before.received + GARBAGE
    })
    .await;
    let counts = counts(&scene.host);
    assert_eq!(counts.malformed, before.malformed + GARBAGE);
    assert!(counts.answered > before.answered && counts.answered - before.answered < GARBAGE, "{counts:?}");
    let answer: serde_json::Value = serde_json::from_slice(&soon(answers.next()).await.unwrap().payload).unwrap();
    assert_eq!(answer["kind"], json!("InvalidArgument"));
    assert_eq!(scene.client.hosts().await.unwrap().len(), 1);
    scene.host.stop().await;
}
