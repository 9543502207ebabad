//! What is true of NATS alone, and its bad days.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::{join, join_all};
use wasmcloud_host::{ErrorKind, Health, WasmCloudEntity};

use super::super::kit::{Backend as _, Caller, Tenant, with_provider};
use super::super::nats_server::{NatsServer, free_port};
use super::{CONTRACT, Nats, messenger, publish, request, with};
use crate::support::{soon, until, values};

fn entity(provider: &str) -> WasmCloudEntity {
    WasmCloudEntity::Capability {
        id: provider.to_owned(),
        contract_id: CONTRACT.to_owned(),
        link_name: "default".to_owned(),
    }
}

#[actix_rt::test]
async fn a_server_that_is_down_has_the_link_refused() {
    let nats = Nats::new();
    with_provider(&nats, async |host, provider| {
        nats.a.kill();
        let caller = Caller::start(&host, CONTRACT, 1).await;
        let refusal = caller.link(&provider, nats.values(Tenant::A)).await.unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::LinkRefused);
        let address = format!("127.0.0.1:{}", nats.a.port);
        assert!(refusal.to_string().contains("URL") && refusal.to_string().contains(&address), "{refusal}");
        nats.a.start_again();
        caller.link(&provider, nats.values(Tenant::A)).await.unwrap();
    })
    .await;
}

#[actix_rt::test]
async fn actors_and_other_clients_of_the_server_hear_each_other() {
    let nats = Nats::new();
    with_provider(&nats, async |host, provider| {
        messenger(&host, &provider, with(&nats, &[("SUBSCRIPTION", "to.actor.*")])).await;
        let caller = Caller::start(&host, CONTRACT, 1).await;
        caller.link(&provider, nats.values(Tenant::A)).await.unwrap();
        let client = async_nats::connect(nats.a.url()).await.unwrap();
        let answer = soon(client.request("to.actor.echo", "hello".into())).await.unwrap();
        assert_eq!(&answer.payload[..], b"hello");
        let mut heard = client.subscribe("to.client").await.unwrap();
        client.flush().await.unwrap();
        until(async || {
            publish(&caller, "to.client", "some.inbox", b"\x00\xff").await.unwrap();
            futures_util::FutureExt::now_or_never(heard.next()).is_some()
        })
        .await;
        publish(&caller, "to.client", "some.inbox", b"\x00\xff").await.unwrap();
        let message = soon(heard.next()).await.unwrap();
        assert_eq!((&message.payload[..], message.reply.as_deref()), (&b"\x00\xff"[..], Some("some.inbox")));
    })
    .await;
}

#[actix_rt::test]
async fn a_server_that_dies_under_load_costs_errors_and_is_used_again_by_itself() {
    let nats = Nats::new();
    with_provider(&nats, async |host, provider| {
        messenger(&host, &provider, with(&nats, &[("SUBSCRIPTION", "load.*")])).await;
        let caller = Caller::start(&host, CONTRACT, 16).await;
        caller.link(&provider, nats.values(Tenant::A)).await.unwrap();
        let ask = async || super::request_within(&caller, "load.echo", b"x", 2_000).await;
        let load = async || join_all((0..32).map(|_| ask())).await;
        assert!(load().await.iter().all(Result::is_ok));
        for _ in 0..2 {
            let begin = Instant::now();
            let (_, ()) = join(load(), async { nats.a.kill() }).await;
            until(async || matches!(host.health_of(entity(&provider)).await.unwrap(), Health::Unhealthy { .. })).await;
            let outcomes = load().await;
            assert!(outcomes.iter().all(Result::is_err));
            let text = outcomes[0].as_ref().unwrap_err();
            assert!(text.contains("not available"), "{text}");
            assert!(publish(&caller, "load.keep", "", b"x").await.is_err(), "nothing is acknowledged that is not sent");
            assert!(begin.elapsed() < Duration::from_secs(25), "errors came by no call's deadline");
            nats.a.start_again();
            until(async || ask().await.is_ok()).await;
            assert!(load().await.iter().all(Result::is_ok));
            until(async || host.health_of(entity(&provider)).await.unwrap() == Health::Healthy).await;
        }
        let kept = request(&caller, "load.list", b"").await.unwrap().body;
        assert!(kept.is_empty(), "what was refused was not sent later");
    })
    .await;
}

#[actix_rt::test]
async fn a_link_has_a_connection_of_its_own_that_ends_with_it() {
    let monitoring = free_port();
    let server = NatsServer::start_with(&format!("http: \"127.0.0.1:{monitoring}\"\n"));
    let nats = Nats { a: server, b: NatsServer::start() };
    with_provider(&nats, async |host, provider| {
        let connections = async || {
            let report = reqwest::get(format!("http://127.0.0.1:{monitoring}/connz")).await.unwrap();
            report.json::<serde_json::Value>().await.unwrap()["num_connections"].as_u64().unwrap()
        };
        // One keeps the marks of this tenant.
        until(async || connections().await == 1).await;
        let caller = Caller::start(&host, CONTRACT, 1).await;
        for _ in 0..3 {
            caller.link(&provider, nats.values(Tenant::A)).await.unwrap();
            until(async || connections().await == 2).await;
        }
        caller.link(&provider, nats.values(Tenant::B)).await.unwrap();
        until(async || connections().await == 1).await;
        caller.link(&provider, nats.values(Tenant::A)).await.unwrap();
        caller.unlink().await;
        until(async || connections().await == 1).await;
        host.stop_provider(&provider, CONTRACT, None).await.unwrap();
        until(async || connections().await == 0).await;
    })
    .await;
}

#[actix_rt::test]
async fn any_of_several_servers_will_do() {
    let nats = Nats::new();
    with_provider(&nats, async |host, provider| {
        let caller = Caller::start(&host, CONTRACT, 1).await;
        let url = format!("nats://127.0.0.1:{}, {}", free_port(), nats.a.url());
        caller.link(&provider, values(&[("URL", &url)])).await.unwrap();
        assert!(request(&caller, "marks.list", b"").await.is_ok());
    })
    .await;
}
