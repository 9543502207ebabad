//! Calls to and from hosts of 2021, in their format.

use futures_util::StreamExt;

use super::*;
use crate::testing::{Server, run};
use crate::wire::{Digester, Invocation, PayloadForm, Response};

/// Returns a call as a host of 2021 sends it.
fn era_call(operation: &str) -> Invocation {
    let key = KeyPair::new_server();
    let mut call = Invocation {
        origin: WasmCloudEntity::Host,
        target: actor(),
        operation: operation.to_owned(),
        payload: vec![200, 1],
        id: uuid::Uuid::new_v4().to_string(),
        encoded_claims: String::new(),
        host_id: key.public_key(),
        extension: None,
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let digester = Digester::new(&Namespace::default());
    // The token of a call without an extension is one of 2021, with fields that those hosts ignore.
    call.encoded_claims = crate::token::sign(&call, &key, &digester, u64::try_from(now).unwrap()).unwrap();
    call
}

#[test]
fn a_host_of_2021_is_answered_in_its_format() {
    run(async {
        let server = Server::start();
        let serving = Plan::new(server.address(), &Arc::default()).start().await;
        let client = server.client().await;
        let call = async |operation: &str| {
            let bytes = era_call(operation).encode(PayloadForm::Array);
            let answer = client.request("wasmbus.rpc.default.MACTOR", bytes.into()).await.unwrap();
            Response::decode(&answer.payload, MESSAGE_BYTES).unwrap()
        };
        let echo = call("Echo").await;
        assert_eq!((echo.payload, echo.error), (vec![200, 1], None));
        let failed = call("Fail").await;
        assert!(failed.error.is_some_and(|text| text.contains("on purpose")));
        // It cannot fetch a payload, and must not take an empty one for the answer.
        let large = call("Grow").await;
        assert!(large.error.is_some_and(|text| text.contains("larger than a message")), "{:?}", large.payload.len());
        serving.handler.is_gone.store(true, Ordering::SeqCst);
        assert!(call("Echo").await.error.is_some_and(|text| text.contains("does not run here")));
    });
}

#[test]
fn a_host_of_2021_is_called_in_its_format() {
    run(async {
        let server = Server::start();
        let client = server.client().await;
        let subject = "wasmbus.rpc.default.MACTOR";
        let mut calls = client.queue_subscribe(subject, subject.to_owned()).await.unwrap();
        crate::testing::settled(&client).await;
        let answering = client.clone();
        tokio::spawn(async move {
            while let Some(message) = calls.next().await {
                let call = Invocation::decode(&message.payload, MESSAGE_BYTES).unwrap();
                let error = (call.operation == "Fail").then(|| "it failed".to_owned());
                let answer = Response { payload: call.payload, error, invocation_id: call.id, extension: None };
                let bytes = answer.encode(PayloadForm::Array);
                answering.publish(message.reply.unwrap(), bytes.into()).await.unwrap();
            }
        });
        let caller = Plan::caller(server.address()).start().await;
        assert_eq!(caller.call("Echo", vec![200, 2]).await.unwrap(), [200, 2]);
        let error = caller.call("Fail", vec![]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ActorFailed, "{error}");
    });
}
