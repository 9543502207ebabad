//! What is true of Redis alone, and its bad days.

use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use serde_json::json;
use wasmcloud_host::{ErrorKind, Health, HostBuilder, WasmCloudEntity};

use super::super::kit::{Backend, Caller, Tenant, with_provider};
use super::super::redis_server::RedisServer;
use super::{CONTRACT, Embedded, Redis, ask};
use crate::support::{kind, until, values, with_host_of};

#[actix_rt::test]
async fn a_server_that_is_down_has_the_link_refused() {
    let redis = Redis::new();
    redis.server.kill();
    with_provider(&redis, async |host, provider| {
        let caller = Caller::start(&host, CONTRACT, 1).await;
        let refusal = caller.link(&provider, redis.values(Tenant::A)).await.unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::LinkRefused);
        let address = format!("127.0.0.1:{}", redis.server.port);
        assert!(refusal.to_string().contains("URL") && refusal.to_string().contains(&address), "{refusal}");
        redis.server.start_again();
        caller.link(&provider, redis.values(Tenant::A)).await.unwrap();
    })
    .await;
}

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
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    std::fs::write(path("certificate"), signed.cert.pem()).unwrap();
    std::fs::write(path("key"), signed.signing_key.serialize_pem()).unwrap();
    let plain = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let tls_port = plain.local_addr().unwrap().port().to_string();
    drop(plain);
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
async fn a_server_that_dies_under_load_costs_errors_and_is_used_again_by_itself() {
    let redis = Redis::new();
    with_provider(&redis, async |host, provider| {
        let caller = Caller::start(&host, CONTRACT, 16).await;
        caller.link(&provider, redis.values(Tenant::A)).await.unwrap();
        let add = async || ask(&caller, "Add", json!({"key": "n", "value": 1})).await;
        let load = async || join_all((0..64).map(|_| add())).await;
        assert!(load().await.iter().all(Result::is_ok));
        for _ in 0..3 {
            let begin = Instant::now();
            let (outcomes, ()) = join(load(), async { redis.server.kill() }).await;
            assert!(outcomes.iter().any(Result::is_err), "nothing was under way");
            let outcomes = load().await;
            assert!(outcomes.iter().all(Result::is_err));
            let text = outcomes[0].as_ref().unwrap_err();
            assert!(text.contains("not available"), "{text}");
            assert!(begin.elapsed() < Duration::from_secs(25), "errors came by no call's deadline");
            let entity = entity(&provider);
            assert!(matches!(host.health_of(entity.clone()).await.unwrap(), Health::Unhealthy { .. }));
            redis.server.start_again();
            until(async || add().await.is_ok()).await;
            assert!(load().await.iter().all(Result::is_ok));
            assert_eq!(host.health_of(entity).await.unwrap(), Health::Healthy);
        }
    })
    .await;
}

#[actix_rt::test]
async fn a_server_that_does_not_answer_costs_its_own_calls_their_deadline_and_others_nothing() {
    let (redis, embedded) = (Redis::new(), Embedded::new());
    let builder = HostBuilder::new().with_shards(1).with_call_deadline(Duration::from_secs(2));
    with_host_of(builder.with_health_interval(None), async |host| {
        let capability = redis.provider();
        let provider = capability.id();
        host.start_native_capability(capability).await.unwrap();
        let slow = Caller::start(&host, CONTRACT, 8).await;
        let other = Caller::start(&host, CONTRACT, 1).await;
        slow.link(&provider, redis.values(Tenant::A)).await.unwrap();
        other.link(&provider, embedded.values(Tenant::A)).await.unwrap();
        redis.server.freeze();
        let add = async |caller: &Caller| ask(caller, "Add", json!({"key": "n", "value": 1})).await;
        let begin = Instant::now();
        let stalled = async { (join_all((0..8).map(|_| add(&slow))).await, begin.elapsed()) };
        let bystander = async {
            for sum in 1..=20 {
                assert_eq!(add(&other).await.unwrap(), json!({"value": sum}));
            }
            begin.elapsed()
        };
        let ((outcomes, stalled), bystander) = join(stalled, bystander).await;
        assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
        assert!(bystander < stalled, "the other link waited: {bystander:?} of {stalled:?}");
        redis.server.thaw();
        until(async || add(&slow).await.is_ok()).await;
    })
    .await;
}

fn entity(provider: &str) -> WasmCloudEntity {
    WasmCloudEntity::Capability {
        id: provider.to_owned(),
        contract_id: CONTRACT.to_owned(),
        link_name: "default".to_owned(),
    }
}
