//! An actor of the era that counts requests, through its front door, and the example that runs it.

use clap::Parser as _;
use serde_json::{Value, json};
use wasmcloud_host::builtin::HttpServer;

use super::super::kit::{Backend, Tenant, with_provider};
use super::{CONTRACT, Embedded, Redis};
use crate::signing::sign;
use crate::support::{values, with_host};

#[path = "../../../../examples/counter.rs"]
#[allow(dead_code, reason = "what belongs to the command line is not run here")]
mod example;

const HTTP: &str = "wasmcloud:httpserver";

async fn count(url: &str) -> Value {
    let response = reqwest::get(url).await.unwrap();
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

/// Has requests counted, by one host and then by another that has the same store.
async fn count_requests(backend: &impl Backend) {
    for host_number in 0..2 {
        with_provider(backend, async |host, provider| {
            let http = HttpServer::new(None);
            let server = http.capability().unwrap();
            let server_id = server.id();
            host.start_native_capability(server).await.unwrap();
            let actor = sign("kvcounter").capability(HTTP).capability(CONTRACT).actor();
            let key = actor.public_key();
            host.start_actor(actor).await.unwrap();
            host.set_link(&key, CONTRACT, None, provider, backend.values(Tenant::A)).await.unwrap();
            let port = values(&[("PORT", "0"), ("BIND", "127.0.0.1")]);
            host.set_link(&key, HTTP, None, server_id, port).await.unwrap();
            let address = http.address(&key).unwrap();
            for turn in 1..=3 {
                let expected = json!({"counter": host_number * 3 + turn});
                assert_eq!(count(&format!("http://{address}/some/path")).await, expected);
            }
            assert_eq!(count(&format!("http://{address}/other")).await, json!({"counter": host_number + 1}));
        })
        .await;
    }
}

#[actix_rt::test]
async fn requests_are_counted_beyond_a_restart_by_the_embedded_store() {
    count_requests(&Embedded::new()).await;
}

#[actix_rt::test]
async fn requests_are_counted_beyond_a_restart_by_redis() {
    count_requests(&Redis::new()).await;
}

#[actix_rt::test]
async fn the_example_counts_beyond_a_restart() {
    let embedded = Embedded::new();
    for counter in 1..=2 {
        with_host(async |host| {
            let store = embedded.path("counts.redb");
            let arguments = example::Arguments::parse_from(["counter", "--port", "0", "--store", &store]);
            let address = example::serve(&host, &arguments).await.unwrap();
            assert_eq!(count(&format!("http://{address}/a")).await, json!({"counter": counter}));
        })
        .await;
    }
}
