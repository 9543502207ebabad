//! What is true of NATS alone, and its bad days.

use futures_util::StreamExt as _;

use super::super::kit::{Backend as _, Caller, Tenant, with_provider};
use super::super::nats_server::NatsServer;
use super::super::server_process::free_port;
use super::{CONTRACT, Nats, messenger, publish, request, request_within, with};
use crate::support::{soon, until, values};

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
async fn what_is_refused_while_the_server_is_down_is_not_sent_later() {
    let nats = Nats::new();
    with_provider(&nats, async |host, provider| {
        messenger(&host, &provider, with(&nats, &[("SUBSCRIPTION", "load.*")])).await;
        let caller = Caller::start(&host, CONTRACT, 1).await;
        caller.link(&provider, nats.values(Tenant::A)).await.unwrap();
        nats.a.kill();
        until(async || publish(&caller, "load.other", "", b"x").await.is_err()).await;
        assert!(publish(&caller, "load.keep", "", b"x").await.unwrap_err().contains("not available"));
        nats.a.start_again();
        until(async || request_within(&caller, "load.echo", b"x", 2_000).await.is_ok()).await;
        assert!(request(&caller, "load.list", b"").await.unwrap().body.is_empty());
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
