//! Values of links whose names mean nothing: the link is refused, whichever provider that comes with the host it leads to.

use std::collections::HashMap;

use wasmcloud_host::builtin::{BlobStore, Extras, HttpClient, KeyValue, Logging, Messaging};
use wasmcloud_host::{Error, ErrorKind, Host, NativeCapability, Result};

use crate::signing::sign;
use crate::support::{soon, values, with_host};

/// Starts a provider and tries to link an actor to it.
async fn link(host: &Host, contract: &'static str, capability: NativeCapability, pairs: &[(&str, &str)]) -> Result<()> {
    let actor = sign("host_call").capability(contract).actor();
    let (key, provider) = (actor.public_key(), capability.id());
    host.start_actor(actor).await.unwrap();
    host.start_native_capability(capability).await.unwrap();
    let linked = soon(host.set_link(&key, contract, None, provider.clone(), values(pairs))).await;
    host.stop_actor(&key).await.unwrap();
    host.stop_provider(&provider, contract, None).await.unwrap();
    linked
}

fn assert_refused(refusal: &Error, name: &str, meant: Option<&str>) {
    assert_eq!(refusal.kind(), ErrorKind::LinkRefused, "{refusal}");
    let text = refusal.to_string();
    assert!(text.contains(&format!("{name:?} is unknown")) && !text.contains("hunter2"), "{text}");
    assert_eq!(text.contains("did you mean"), meant.is_some(), "{text}");
    assert!(meant.is_none_or(|meant| text.contains(&format!("did you mean {meant}?"))), "{text}");
}

#[actix_rt::test]
async fn a_mistyped_value_refuses_the_link_in_every_provider() {
    with_host(async |host| {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        let providers = [
            ("wasmcloud:blobstore", BlobStore::new(None).capability(), vec![("ROOT", root)], "ROTO", Some("ROOT")),
            ("wasmcloud:extras", Extras::new(None).capability(), vec![], "SEED", None),
            ("wasmcloud:httpclient", HttpClient::new(None).capability(), vec![], "TIMEOUT_M", Some("TIMEOUT_MS")),
            ("wasmcloud:keyvalue", KeyValue::new(None).capability(), vec![("PATH", ":memory:")], "url", Some("URL")),
            ("wasmcloud:logging", Logging::new(None).capability(), vec![], "LEVELS", Some("LEVEL")),
            ("wasmcloud:messaging", Messaging::new(None).capability(), vec![], "SUBSCRIPTIONS", Some("SUBSCRIPTION")),
        ];
        for (contract, capability, good, mistyped, meant) in providers {
            let capability = capability.unwrap();
            link(&host, contract, capability.clone(), &good).await.unwrap();
            let bad = [good, vec![(mistyped, "hunter2")]].concat();
            let refusal = link(&host, contract, capability, &bad).await.unwrap_err();
            assert_refused(&refusal, mistyped, meant);
        }
    })
    .await;
}

#[actix_rt::test]
async fn values_of_providers_of_2021_make_links_without_effect() {
    with_host(async |host| {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        let capability = BlobStore::new(None).capability().unwrap();
        let pairs = [("ROOT", root), ("TOKEN_VALID_FOR", "3600"), ("HTTP_PROXY", "")];
        link(&host, "wasmcloud:blobstore", capability, &pairs).await.unwrap();
    })
    .await;
}

#[actix_rt::test]
async fn what_was_in_effect_stays_when_a_change_names_an_unknown_value() {
    with_host(async |host| {
        let capability = Logging::new(None).capability().unwrap();
        let actor = sign("host_call").capability("wasmcloud:logging").actor();
        let (key, provider) = (actor.public_key(), capability.id());
        host.start_actor(actor).await.unwrap();
        host.start_native_capability(capability).await.unwrap();
        host.set_link(&key, "wasmcloud:logging", None, provider.clone(), HashMap::new()).await.unwrap();
        let changed = host.set_link(&key, "wasmcloud:logging", None, provider, values(&[("TEXT_LIMITS", "1")])).await;
        assert_refused(&changed.unwrap_err(), "TEXT_LIMITS", Some("TEXT_LIMIT"));
        let line = b"\x82\xa5level\xa5debug\xa4text\xa2hi";
        let call = crate::support::host_call("", "wasmcloud:logging", "WriteLog", line);
        let answer = host.call_actor(&key, "Call", &call).await.unwrap();
        assert_eq!(crate::support::host_answer(&answer), Ok(Vec::new()));
    })
    .await;
}
