//! Other clients of the server that send garbage, copies and forgeries.

use bytes::Bytes;
use futures_util::StreamExt;

use super::*;
use crate::edge::Refusal;
use crate::testing::{Server, run};
use crate::wire::{Invocation, PayloadForm};

const GARBAGE: u64 = 10_000;

/// Returns the resident memory of this process. Unit: bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[test]
fn garbage_is_refused_and_counted_and_calls_go_on() {
    run(async {
        let server = Server::start();
        let serving = Plan::new(server.address(), &Arc::default()).start().await;
        let caller = Plan::caller(server.address()).start().await;
        caller.finds(&serving).await;
        caller.call("Echo", vec![1]).await.unwrap();
        let stranger = server.client().await;
        let host = format!("wasmbus.peer.default.host.{}", serving.key);
        let subjects = ["call", "handshake", "cancel"].map(|purpose| format!("{host}.{purpose}"));
        let before = memory();
        for number in 0..GARBAGE {
            let garbage = Bytes::from([vec![0xff], number.to_le_bytes().repeat(20)].concat());
            for subject in subjects.iter().map(String::as_str).chain(["wasmbus.rpc.default.MACTOR"]) {
                stranger.publish_with_reply(subject.to_owned(), "nowhere", garbage.clone()).await.unwrap();
            }
            if number % 500 == 0 {
                crate::testing::settled(&stranger).await;
                assert_eq!(caller.call("Echo", vec![2, 3]).await.unwrap(), [2, 3]);
            }
        }
        crate::testing::settled(&stranger).await;
        let malformed = || serving.rpc.counts().edge.refused(Refusal::Malformed);
        eventually("all is refused", || malformed() == 2 * GARBAGE).await;
        let handshakes = || serving.rpc.0.edge.sessions().counts().refused.malformed;
        eventually("all handshakes are refused", || handshakes() == GARBAGE).await;
        assert!(memory() < before + (32 << 20), "{} more bytes", memory() - before);
        assert_eq!(caller.call("Echo", vec![4]).await.unwrap(), [4]);
        assert_eq!((serving.rpc.counts().cancelled, serving.rpc.in_progress()), (0, 0));
    });
}

#[test]
fn a_stranger_without_a_trusted_key_reaches_nothing() {
    run(async {
        let server = Server::start();
        let cluster = KeyPair::new_cluster().seed().unwrap();
        let serving = Plan { cluster: Some(cluster.clone()), ..Plan::new(server.address(), &Arc::default()) };
        let serving = serving.start().await;
        let member = Plan { cluster: Some(cluster), ..Plan::caller(server.address()) }.start().await;
        member.finds(&serving).await;
        assert_eq!(member.call("Echo", vec![1]).await.unwrap(), [1]);
        eventually("there is a session", || member.rpc.0.edge.sessions().has(&serving.key)).await;
        assert_eq!(member.call("Echo", vec![2]).await.unwrap(), [2]);
        let executed = serving.handler.ledger.executed();
        let stranger = Plan::caller(server.address()).start().await;
        let error = stranger.call("Echo", vec![3]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LatticeRefused, "{error}");
        let host: Arc<str> = serving.key.as_str().into();
        stranger.rpc.0.handshake(&host, Instant::now() + Duration::from_secs(5)).await;
        assert!(!stranger.rpc.0.edge.sessions().has(&host));
        assert!(serving.rpc.0.edge.sessions().counts().refused.untrusted > 0);
        assert!(serving.rpc.counts().edge.refused(Refusal::Untrusted) > 0);
        assert_eq!(serving.handler.ledger.executed(), executed);
    });
}

/// Answers each call on a subject with the answer that is made from it.
async fn answer_all(client: &async_nats::Client, subject: &str, answer: fn(&Invocation) -> Vec<u8>) {
    let mut calls = client.subscribe(subject.to_owned()).await.unwrap();
    crate::testing::settled(client).await;
    let client = client.clone();
    tokio::spawn(async move {
        while let Some(call) = calls.next().await {
            let invocation = Invocation::decode(&call.payload, MESSAGE_BYTES).unwrap();
            client.publish(call.reply.unwrap(), answer(&invocation).into()).await.unwrap();
        }
    });
}

#[test]
fn answers_of_a_stranger_are_refused() {
    run(async {
        let server = Server::start();
        let serving = Plan::new(server.address(), &Arc::default()).start().await;
        let caller = Plan::caller(server.address()).start().await;
        caller.finds(&serving).await;
        let stranger = server.client().await;
        // It hears the calls of the host, and is sometimes faster.
        answer_all(&stranger, &format!("wasmbus.peer.default.host.{}.call", serving.key), |call| {
            let extension = crate::wire::ResponseExtension::new(&call.host_id);
            let answer = crate::wire::Response {
                payload: b"forged".to_vec(),
                error: None,
                invocation_id: call.id.clone(),
                extension: Some(extension),
            };
            answer.encode(PayloadForm::Binary)
        })
        .await;
        for number in 0..100_u8 {
            match caller.call("Echo", vec![number]).await {
                Ok(answer) => assert_eq!(answer, [number]),
                Err(error) => assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}"),
            }
        }
        assert_eq!(serving.handler.ledger.executed_twice(), 0);
    });
}

#[test]
fn copies_of_calls_are_executed_once_and_do_not_end_the_wait() {
    run(async {
        let server = Server::start();
        let serving = Plan::new(server.address(), &Arc::default()).start().await;
        let caller = Plan::caller(server.address()).start().await;
        caller.finds(&serving).await;
        let stranger = server.client().await;
        let subject = format!("wasmbus.peer.default.host.{}.call", serving.key);
        let mut calls = stranger.subscribe(subject.clone()).await.unwrap();
        crate::testing::settled(&stranger).await;
        let copier = stranger.clone();
        tokio::spawn(async move {
            while let Some(call) = calls.next().await {
                let Ok(mut copy) = Invocation::decode(&call.payload, MESSAGE_BYTES) else { continue };
                if copy.operation != "Wait"
                    || copy.encoded_claims.is_empty() && copy.extension.as_ref().unwrap().authenticators.is_empty()
                {
                    continue;
                }
                let reply = call.reply.clone().unwrap();
                copier.publish_with_reply(subject.clone(), reply.clone(), call.payload.clone()).await.unwrap();
                copy.encoded_claims.clear();
                copy.extension.as_mut().unwrap().authenticators.clear();
                let stripped = copy.encode(PayloadForm::Binary);
                copier.publish_with_reply(subject.clone(), reply, stripped.into()).await.unwrap();
            }
        });
        for number in 0..50_u8 {
            let payload = vec![number; 20];
            assert_eq!(caller.call("Wait", payload.clone()).await.unwrap(), payload);
        }
        let ledger = &serving.handler.ledger;
        assert_eq!((ledger.executed(), ledger.executed_twice()), (50, 0));
        let counts = serving.rpc.counts().edge;
        assert!(counts.refused(Refusal::Replayed) >= 45, "{counts:?}");
        assert_eq!(caller.rpc.counts().sent_again, 0);
    });
}
