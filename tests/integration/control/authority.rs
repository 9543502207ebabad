//! Who may give orders.

use async_nats::HeaderMap;
use nkeys::KeyPair;
use serde_json::{Value, json};
use wasmcloud_control::token;
use wasmcloud_host::{ErrorKind, HostBuilder, LinkState};
use wasmcloud_lattice::wire::LinkDefinition;

use super::{PATIENCE, Scene, ask, done};
use crate::lattice::{run_actor, run_probe};
use crate::signing::sign;
use crate::support::{PROBE, kind, soon, until};

async fn closed_scene(issuer: &KeyPair) -> Scene {
    let key = issuer.public_key();
    Scene::with(move |builder: HostBuilder| builder.with_control_issuers([key])).await
}

/// Gives an order with a token, and returns the answer.
async fn order(client: &async_nats::Client, subject: &str, content: &str, token: &str) -> Value {
    let mut headers = HeaderMap::new();
    headers.insert(token::HEADER, token);
    let request = client.request_with_headers(subject.to_owned(), headers, content.to_owned().into());
    serde_json::from_slice(&soon(request).await.unwrap().payload).unwrap()
}

fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_millis() as u64
}

#[actix_rt::test]
async fn orders_need_a_token_of_an_issuer_and_questions_need_none() {
    let issuer = KeyPair::new_account();
    let scene = closed_scene(&issuer).await;
    let host = scene.id();
    assert!(!scene.host.lattice().unwrap().is_control_open);
    assert_eq!(kind(scene.client.cordon(&host).await), ErrorKind::Unauthorized);
    assert_eq!(kind(scene.client.stop_host(&host).await), ErrorKind::Unauthorized);
    let plan = scene.client.plan(&host, json!({}), false, PATIENCE).await;
    assert_eq!(kind(plan), ErrorKind::Unauthorized);
    let link = wasmcloud_control::message::LinkDefinition::default();
    assert_eq!(kind(scene.client.put_link(&link).await), ErrorKind::Unauthorized);
    assert_eq!(scene.client.hosts().await.unwrap().len(), 1);
    let other = scene.client.clone().sign_with(&KeyPair::new_account().seed().unwrap()).unwrap();
    assert_eq!(kind(other.cordon(&host).await), ErrorKind::Unauthorized);
    let trusted = scene.client.clone().sign_with(&issuer.seed().unwrap()).unwrap();
    done(trusted.cordon(&host).await);
    assert!(scene.host.lattice().unwrap().is_cordoned);
    assert!(scene.host.lattice().unwrap().counts.control.refused >= 4);
    scene.host.stop().await;
}

#[actix_rt::test]
async fn a_token_serves_one_request_once() {
    let issuer = KeyPair::new_user();
    let scene = closed_scene(&issuer).await;
    let stranger = scene.lattice.stranger().await;
    let subject = |command: &str| format!("wasmbus.ctl.default.cmd.{}.{command}", scene.id());
    let token = token::sign(&subject("cordon"), b"{}", &issuer, now()).unwrap();
    let refused = |answer: &Value| answer["kind"] == "Unauthorized";
    assert!(refused(&order(&stranger, &subject("uncordon"), "{}", &token).await), "another command");
    assert!(refused(&order(&stranger, &subject("cordon"), "{ }", &token).await), "another content");
    assert_eq!(order(&stranger, &subject("cordon"), "{}", &token).await["failure"], Value::Null);
    assert!(refused(&order(&stranger, &subject("cordon"), "{}", &token).await), "a replay");
    let old = token::sign(&subject("uncordon"), b"{}", &issuer, now() - 3_600_000).unwrap();
    assert!(refused(&order(&stranger, &subject("uncordon"), "{}", &old).await), "an old token");
    assert!(refused(&order(&stranger, &subject("uncordon"), "{}", "garbage").await));
    assert!(refused(&ask(&stranger, &format!("cmd.{}.uncordon", scene.id()), "").await));
    assert!(scene.host.lattice().unwrap().is_cordoned);
    scene.host.stop().await;
}

#[actix_rt::test]
async fn unsigned_links_are_refused_where_orders_are_signed() {
    let issuer = KeyPair::new_account();
    let scene = closed_scene(&issuer).await;
    let actor = run_actor(&scene.host, &sign("host_call").capability(PROBE), &[]).await;
    let (_probe, provider) = run_probe(&scene.host).await;
    let link = LinkDefinition {
        actor_id: actor.clone(),
        provider_id: provider.clone(),
        link_name: "default".to_owned(),
        contract_id: PROBE.to_owned(),
        values: Vec::new(),
    };
    let stranger = scene.lattice.stranger().await;
    let heard = || scene.host.lattice().unwrap().counts.advertisements.received;
    let before = heard();
    stranger.publish("wasmbus.rpc.default.links", link.encode().into()).await.unwrap();
    until(async || {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        heard() > before
    })
    .await;
    let trusted = scene.client.clone().sign_with(&issuer.seed().unwrap()).unwrap();
    // It comes after the unsigned one, and is in effect.
    let mut named = wasmcloud_control::message::LinkDefinition {
        actor_id: actor.clone(),
        provider_id: provider,
        contract_id: PROBE.to_owned(),
        ..Default::default()
    };
    named.link_name = "signed".to_owned();
    assert!(trusted.put_link(&named).await.is_ok());
    assert_eq!(scene.host.link_state(&actor, PROBE, None), None);
    assert!(matches!(
        scene.host.link_state(&actor, PROBE, Some("signed")),
        Some(LinkState::Pending | LinkState::Established)
    ));
    scene.host.stop().await;
}

#[actix_rt::test]
async fn a_key_that_is_no_issuer_stops_the_start_of_a_host() {
    let lattice = crate::lattice::Lattice::start();
    let host = lattice.builder().with_control_issuers(["N".to_owned()]).build();
    assert_eq!(kind(host.start().await), ErrorKind::InvalidArgument);
}
