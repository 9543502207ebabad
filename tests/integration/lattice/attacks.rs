//! What strangers on the NATS server try. Each attempt is refused and counted.

use std::collections::HashMap;
use std::time::Duration;

use nkeys::KeyPair;
use wasmcloud_host::{ErrorKind, Host, HostBuilder, LinkState, WasmCloudEntity};
use wasmcloud_lattice::wire::{Digester, Invocation, LinkDefinition, PayloadForm, Response};
use wasmcloud_lattice::{Namespace, token};

use super::{Lattice, run_actor, run_probe, start, stop, until_seen};
use crate::signing::sign;
use crate::support::{PROBE, Seen, kind, until, values, with_tested_compiler};

/// A call in the format of 2021, signed by a key.
fn invocation(origin: WasmCloudEntity, target: WasmCloudEntity, operation: &str, key: &KeyPair) -> Invocation {
    let mut invocation = Invocation {
        origin,
        target,
        operation: operation.to_owned(),
        payload: b"payload".to_vec(),
        id: uuid::Uuid::new_v4().to_string(),
        encoded_claims: String::new(),
        host_id: key.public_key(),
        extension: None,
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let digester = Digester::new(&Namespace::default());
    invocation.encoded_claims = token::sign(&invocation, key, &digester, now.as_millis() as u64).unwrap();
    invocation
}

/// Sends a call to its subject, and returns the answer, if any comes.
async fn send(client: &async_nats::Client, invocation: &Invocation) -> Option<Response> {
    let subject = Namespace::default().call(&invocation.target).unwrap();
    send_bytes(client, subject, invocation.encode(PayloadForm::Array)).await
}

async fn send_bytes(client: &async_nats::Client, subject: String, bytes: Vec<u8>) -> Option<Response> {
    loop {
        let request = async_nats::Request::new().payload(bytes.clone().into()).timeout(Some(Duration::from_secs(3)));
        match client.send_request(subject.clone(), request).await {
            Ok(answer) => return Response::decode(&answer.payload, 1024 * 1024).ok(),
            // The host is about to subscribe.
            Err(error) if error.kind() == async_nats::RequestErrorKind::NoResponders => tokio::task::yield_now().await,
            Err(_) => return None,
        }
    }
}

fn attacks(host: &Host) -> u64 {
    host.lattice().unwrap().counts.edge.attacks()
}

#[actix_rt::test]
async fn a_host_that_is_not_trusted_calls_nothing() {
    let lattice = Lattice::start();
    let host = lattice.host().await;
    let echo = run_actor(&host, &sign("tiny_echo"), &[]).await;
    let stranger = lattice.stranger().await;
    let call = invocation(WasmCloudEntity::Host, WasmCloudEntity::Actor(echo), "Echo", &KeyPair::new_server());
    let answer = send(&stranger, &call).await.unwrap();
    assert!(answer.error.unwrap().contains("not trusted") && answer.payload.is_empty());
    assert_eq!((attacks(&host), host.lattice().unwrap().counts.served), (1, 0));
    host.stop().await;
}

#[actix_rt::test]
async fn a_forged_a_replayed_and_a_foreign_call_are_refused() {
    let lattice = Lattice::start();
    let builder = with_tested_compiler(HostBuilder::new().with_shards(1)).with_lattice(lattice.open_options());
    let host = start(builder).await;
    let echo = run_actor(&host, &sign("tiny_echo"), &[]).await;
    let other = run_actor(&host, &sign("tiny_echo"), &[]).await;
    let stranger = lattice.stranger().await;
    let key = KeyPair::new_server();
    let call = invocation(WasmCloudEntity::Host, WasmCloudEntity::Actor(echo.clone()), "Echo", &key);
    assert_eq!(send(&stranger, &call).await.unwrap().payload, b"payload");
    // Once more.
    let again = send(&stranger, &call).await;
    assert!(again.as_ref().is_none_or(|answer| answer.error.is_some()), "{again:?}");
    assert_eq!((attacks(&host), host.lattice().unwrap().counts.served), (1, 1));
    // With another payload, operation, target, origin, identifier or key.
    let fresh = || invocation(WasmCloudEntity::Host, WasmCloudEntity::Actor(echo.clone()), "Echo", &key);
    let forged = [
        Invocation { payload: b"other".to_vec(), ..fresh() },
        Invocation { operation: "Other".to_owned(), ..fresh() },
        Invocation { target: WasmCloudEntity::Actor(other.clone()), ..fresh() },
        Invocation { origin: WasmCloudEntity::Actor(other.clone()), ..fresh() },
        Invocation { id: uuid::Uuid::new_v4().to_string(), ..fresh() },
        Invocation { host_id: KeyPair::new_server().public_key(), ..fresh() },
        Invocation { encoded_claims: String::new(), ..fresh() },
    ];
    for call in &forged {
        // A call without a token is not answered.
        let answer = send(&stranger, call).await;
        let is_refused = answer.as_ref().is_none_or(|answer| answer.error.is_some() && answer.payload.is_empty());
        assert!(is_refused, "{answer:?}");
    }
    assert_eq!(attacks(&host), 1 + forged.len() as u64);
    // On the subject of another target.
    let subject = Namespace::default().call(&WasmCloudEntity::Actor(other)).unwrap();
    let answer = send_bytes(&stranger, subject, fresh().encode(PayloadForm::Array)).await.unwrap();
    assert!(answer.error.is_some());
    host.stop().await;
}

#[actix_rt::test]
async fn an_actor_without_signed_claims_has_no_capabilities() {
    let lattice = Lattice::start();
    let builder = with_tested_compiler(HostBuilder::new().with_shards(1)).with_lattice(lattice.open_options());
    let host = start(builder).await;
    let (probe, provider) = run_probe(&host).await;
    let stranger = lattice.stranger().await;
    let liar = KeyPair::new_module().public_key();
    // It advertises a link for itself, in the name of a host of 2021.
    let link = LinkDefinition {
        actor_id: liar.clone(),
        provider_id: provider.clone(),
        link_name: "default".to_owned(),
        contract_id: PROBE.to_owned(),
        values: Vec::new(),
    };
    stranger.publish(Namespace::default().advertisement("links"), link.encode().into()).await.unwrap();
    let target =
        WasmCloudEntity::Capability { id: provider, contract_id: PROBE.to_owned(), link_name: "default".to_owned() };
    let call = invocation(WasmCloudEntity::Actor(liar), target, "Echo", &KeyPair::new_server());
    let answer = send(&stranger, &call).await.unwrap();
    assert!(answer.error.unwrap().contains("no signed claims"));
    assert!(!probe.seen().iter().any(|seen| matches!(seen, Seen::Called { .. } | Seen::Bound { .. })));
    host.stop().await;
}

#[actix_rt::test]
async fn a_provider_cannot_be_bound_called_or_stopped_from_outside() {
    let lattice = Lattice::start();
    let builder = with_tested_compiler(HostBuilder::new().with_shards(1)).with_lattice(lattice.open_options());
    let host = start(builder).await;
    let (probe, provider) = run_probe(&host).await;
    let caller = run_actor(&host, &sign("host_call").capability(PROBE), &[]).await;
    host.set_link(&caller, PROBE, None, provider.clone(), HashMap::new()).await.unwrap();
    let before = probe.seen();
    let stranger = lattice.stranger().await;
    let target =
        WasmCloudEntity::Capability { id: provider, contract_id: PROBE.to_owned(), link_name: "default".to_owned() };
    for operation in ["BindActor", "RemoveActor", "HealthRequest", "__halt", "Halt"] {
        for origin in [WasmCloudEntity::Host, target.clone()] {
            let call = invocation(origin, target.clone(), operation, &KeyPair::new_server());
            assert!(send(&stranger, &call).await.unwrap().error.is_some(), "{operation}");
        }
    }
    assert_eq!(probe.seen(), before);
    host.stop().await;
}

#[actix_rt::test]
async fn a_stranger_writes_nothing_into_the_registry() {
    let lattice = Lattice::start();
    let [here, there] = lattice.hosts().await;
    let caller = run_actor(&here, &sign("host_call").capability(PROBE), &[]).await;
    let (_probe, provider) = run_probe(&there).await;
    here.set_link(&caller, PROBE, None, provider, values(&[("GENUINE", "yes")])).await.unwrap();
    until(async || there.link_state(&caller, PROBE, None) == Some(LinkState::Established)).await;
    let stranger = async_nats::jetstream::new(lattice.stranger().await);
    let bucket = stranger.get_key_value("WASMCLOUD_default").await.unwrap();
    let keys: Vec<String> = {
        use futures_util::TryStreamExt as _;
        bucket.keys().await.unwrap().try_collect().await.unwrap()
    };
    assert!(keys.iter().any(|key| key.starts_with("link.")), "{keys:?}");
    for key in &keys {
        bucket.put(key, "garbage".into()).await.unwrap();
        bucket.delete(key).await.unwrap();
    }
    // The hosts have seen it, and go on with what a host has signed.
    let [one_more] = [lattice.host().await];
    let sees_it = here.link_definitions().await.unwrap();
    assert!(sees_it.iter().any(|link| link.values.contains_key("GENUINE")));
    assert_eq!(there.link_state(&caller, PROBE, None), Some(LinkState::Established));
    stop(&[here, there, one_more]).await;
}

#[actix_rt::test]
async fn garbage_on_every_subject_changes_nothing() {
    let lattice = Lattice::start();
    let [here, there] = lattice.hosts().await;
    let echo = run_actor(&there, &sign("tiny_echo"), &[&here]).await;
    let stranger = lattice.stranger().await;
    let own = there.id();
    let subjects = [
        format!("wasmbus.rpc.default.{echo}"),
        "wasmbus.rpc.default.claims".to_owned(),
        "wasmbus.rpc.default.links".to_owned(),
        "wasmbus.rpc.default.remlinks".to_owned(),
        "wasmbus.ctl.default.events".to_owned(),
        "wasmbus.ctl.default.get.claims".to_owned(),
        "wasmbus.peer.default.heartbeat".to_owned(),
        "wasmbus.peer.default.cancel".to_owned(),
        format!("wasmbus.peer.default.host.{own}.call"),
        format!("wasmbus.peer.default.host.{own}.handshake"),
        format!("wasmbus.peer.default.host.{own}.cancel"),
        format!("wasmbus.peer.default.host.{own}.claims"),
        format!("wasmbus.peer.default.host.{own}.ping"),
        format!("wasmbus.peer.default.host.{own}.inventory"),
    ];
    for round in 0..200_usize {
        for subject in &subjects {
            let garbage = vec![round as u8; round * 7 % 1500];
            stranger.publish_with_reply(subject.clone(), "nobody.listens", garbage.clone().into()).await.unwrap();
            stranger.publish(subject.clone(), garbage.into()).await.unwrap();
        }
    }
    stranger.flush().await.unwrap();
    until_seen(&there, |view| view.counts.edge.attacks() >= 200).await;
    assert_eq!(here.call_actor(&echo, "Echo", b"x").await.unwrap(), b"x");
    assert_eq!(kind(here.call_actor(&there.id(), "Echo", b"").await), ErrorKind::ActorNotFound);
    stop(&[here, there]).await;
}
