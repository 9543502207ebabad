//! What is true of Redis alone, and its bad days.

use std::cell::Cell;

use futures_util::future::{join, join_all};
use serde_json::json;
use wasmcloud_host::ErrorKind;

use super::super::disks::on_a_full_disk;
use super::super::kit::{Backend, Caller, Tenant, with_provider};
use super::super::redis_server::RedisServer;
use super::super::server_process::free_port;
use super::{CONTRACT, Redis, ask};
use crate::support::{certificate, kind, until, values};

#[actix_rt::test]
async fn a_password_is_used_and_never_told() {
    let server = RedisServer::start_with(&["--requirepass", "secret-1"]);
    let redis = Redis { server };
    with_provider(&redis, async |host, provider| {
        let caller = Caller::start(&host, CONTRACT, 1).await;
        let url = |password: &str| values(&[("URL", &format!("redis://:{password}@127.0.0.1:{}", redis.server.port))]);
        let refusal = caller.link(&provider, url("secret-2")).await.unwrap_err().to_string();
        assert!(refusal.contains("URL") && !refusal.contains("secret"), "{refusal}");
        assert_eq!(kind(caller.link(&provider, values(&[("URL", &redis.server.url())])).await), ErrorKind::LinkRefused);
        caller.link(&provider, url("secret-1")).await.unwrap();
        assert_eq!(ask(&caller, "Add", json!({"key": "a", "value": 1})).await.unwrap(), json!({"value": 1}));
    })
    .await;
}

#[actix_rt::test]
async fn a_server_behind_tls_is_reached_by_those_who_trust_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (certificate, key) = certificate();
    std::fs::write(path("certificate"), certificate).unwrap();
    std::fs::write(path("key"), key).unwrap();
    let tls_port = free_port().to_string();
    let server = RedisServer::start_with(&[
        "--tls-port",
        &tls_port,
        "--tls-cert-file",
        &path("certificate"),
        "--tls-key-file",
        &path("key"),
        "--tls-auth-clients",
        "no",
    ]);
    let redis = Redis { server };
    with_provider(&redis, async |host, provider| {
        let caller = Caller::start(&host, CONTRACT, 1).await;
        let url = format!("rediss://localhost:{tls_port}");
        let refusal = caller.link(&provider, values(&[("URL", &url)])).await.unwrap_err();
        assert!(refusal.to_string().contains("certificate"), "{refusal}");
        let trusting = values(&[("URL", &url), ("CA_FILE", &path("certificate"))]);
        caller.link(&provider, trusting).await.unwrap();
        assert_eq!(ask(&caller, "Add", json!({"key": "a", "value": 1})).await.unwrap(), json!({"value": 1}));
    })
    .await;
}

#[actix_rt::test]
async fn what_others_put_there_is_no_text_but_an_error() {
    let redis = Redis::new();
    with_provider(&redis, async |host, provider| {
        let caller = Caller::start(&host, CONTRACT, 1).await;
        caller.link(&provider, values(&[("URL", &redis.server.url())])).await.unwrap();
        let client = ::redis::Client::open(redis.server.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let set = ::redis::cmd("SET").arg("a").arg(&b"\xff\xfe"[..]).exec_async(&mut connection).await;
        set.unwrap();
        assert!(ask(&caller, "Get", json!({"key": "a"})).await.is_err());
        assert_eq!(ask(&caller, "KeyExists", json!({"key": "a"})).await.unwrap()["exists"], true);
    })
    .await;
}

#[actix_rt::test]
async fn what_a_server_acknowledged_before_its_end_is_not_lost_and_not_done_twice() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().to_str().unwrap();
    let durable = ["--appendonly", "yes", "--appendfsync", "always", "--dir", directory];
    let redis = Redis { server: RedisServer::start_with(&durable) };
    with_provider(&redis, async |host, provider| {
        let caller = Caller::start(&host, CONTRACT, 16).await;
        caller.link(&provider, redis.values(Tenant::A)).await.unwrap();
        let (sent, acknowledged) = (Cell::new(0), Cell::new(0));
        let add = async || {
            sent.set(sent.get() + 1);
            let added = ask(&caller, "Add", json!({"key": "n", "value": 1})).await;
            acknowledged.set(acknowledged.get() + i64::from(added.is_ok()));
            added.is_ok()
        };
        for round in 1..=3 {
            let adding = join_all((0..16).map(async |_| while add().await {}));
            let kill = async {
                until(async || acknowledged.get() >= round * 100).await;
                redis.server.kill();
            };
            join(adding, kill).await;
            redis.server.start_again();
            until(async || add().await).await;
        }
        let sum = ask(&caller, "Add", json!({"key": "n", "value": 0})).await.unwrap()["value"].as_i64().unwrap();
        assert!((acknowledged.get()..=sent.get()).contains(&sum), "{acknowledged:?} of {sent:?} make {sum}");
        println!("{} of {} Add were acknowledged, and {sum} done", acknowledged.get(), sent.get());
    })
    .await;
}

#[test]
fn a_server_with_a_full_disk_refuses_writes_and_answers_reads() {
    const NAME: &str = "conformance::key_value::redis::a_server_with_a_full_disk_refuses_writes_and_answers_reads";
    on_a_full_disk(NAME, 8, async || {
        let folder = tempfile::tempdir().unwrap();
        let on_disk = ["--appendonly", "yes", "--dir", folder.path().to_str().unwrap()];
        let redis = Redis { server: RedisServer::start_with(&on_disk) };
        with_provider(&redis, async |host, provider| {
            let caller = Caller::start(&host, CONTRACT, 1).await;
            caller.link(&provider, redis.values(Tenant::A)).await.unwrap();
            let large = "x".repeat(900_000);
            let mut acknowledged = 0;
            let refusal = loop {
                let set = json!({"key": format!("key {acknowledged}"), "value": large, "expires": 0});
                match ask(&caller, "Set", set).await {
                    Ok(_) => acknowledged += 1,
                    Err(refusal) => break refusal,
                }
            };
            assert!(refusal.contains("not available") && refusal.contains("AOF"), "{refusal}");
            assert!((4..32).contains(&acknowledged), "{acknowledged} were acknowledged");
            for number in 0..acknowledged {
                let found = ask(&caller, "Get", json!({"key": format!("key {number}")})).await.unwrap();
                assert!(found["value"] == large);
            }
            // Whoever looks after the server helps it.
            let client = ::redis::Client::open(redis.server.url()).unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            let help = ::redis::cmd("CONFIG").arg(&["SET", "appendonly", "no"]).exec_async(&mut connection).await;
            help.unwrap();
            assert_eq!(ask(&caller, "Add", json!({"key": "n", "value": 1})).await.unwrap(), json!({"value": 1}));
        })
        .await;
    });
}
