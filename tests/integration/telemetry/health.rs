//! Whether a host is alive and ready.

use std::collections::HashMap;
use std::sync::{Mutex, mpsc};

use async_trait::async_trait;
use wasmcloud_host::{
    ActorOptions, AsyncCapabilityProvider, Binding, BoxedError, HostBuilder, NativeCapability, ProviderCallContext,
    Restart, RestartPolicy, TelemetryOptions, TrustPolicy,
};

use super::{ANY, Answer, builder, get};
use crate::signing::sign;
use crate::support::{PROBE, host_call, provider_claims, soon, until, with_host_of};

/// The check of a report.
fn check(answer: &Answer, name: &str) -> (String, String) {
    let report = answer.json();
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["check"] == name).unwrap_or_else(|| panic!("{report}"));
    let text = |field: &str| check[field].as_str().unwrap_or_default().to_owned();
    (text("condition"), text("reason"))
}

#[actix_rt::test]
async fn a_host_is_alive_and_ready_while_it_runs() {
    let host = builder().build();
    assert_eq!(host.telemetry_address(), None);
    host.start().await.unwrap();
    for path in ["/livez", "/readyz", "/healthz", "/readyz?strict"] {
        let answer = get(&host, path).await;
        assert_eq!((answer.status, &answer.json()["status"]), (200, &"ok".into()), "{path}: {}", answer.text);
    }
    let address = host.telemetry_address().unwrap();
    host.stop().await;
    assert!(std::net::TcpStream::connect(address).is_err(), "the port is closed with the host");
}

#[test]
fn a_thread_that_is_held_is_told_and_those_who_ask_do_not_pile_up_before_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let host = builder().with_shards(1).build();
        host.start_on_own_thread().await.unwrap();
        let (release, held) = mpsc::channel();
        let capability = NativeCapability::from_async(Held(Mutex::new(held)), None, provider_claims(PROBE)).unwrap();
        let actor = sign("host_call").capability(PROBE).actor();
        let (key, provider) = (actor.public_key(), capability.id());
        host.start_native_capability(capability).await.unwrap();
        host.start_actor(actor).await.unwrap();
        host.set_link(&key, PROBE, None, provider, HashMap::new()).await.unwrap();
        let call = tokio::spawn({
            let host = host.clone();
            async move { host.call_actor(&key, "Any", &host_call("default", PROBE, "Hold", b"")).await.is_ok() }
        });
        until(async || get(&host, "/livez").await.status == 503).await;
        // It is known to be held, and no one waits for it any more.
        for _ in 0..200 {
            let answer = get(&host, "/livez").await;
            let (condition, reason) = check(&answer, "shards");
            assert!(answer.status == 503 && condition == "failed" && reason.contains("shard 0"), "{reason}");
        }
        release.send(()).unwrap();
        until(async || get(&host, "/livez").await.status == 200).await;
        soon(call).await.unwrap();
        host.stop().await;
    });
}

/// A provider that holds its thread until it is released.
struct Held(Mutex<mpsc::Receiver<()>>);

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Held {
    async fn bind(&self, _: Binding) -> Result<(), BoxedError> {
        Ok(())
    }

    async fn unbind(&self, _: &str) -> Result<(), BoxedError> {
        Ok(())
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        self.0.lock().unwrap().recv()?;
        Ok(call.message)
    }

    async fn stop(&self) {}
}

#[actix_rt::test]
async fn a_program_says_that_its_host_is_not_ready_yet() {
    let options = TelemetryOptions::new(ANY).unready("the seeds are not sown");
    with_host_of(HostBuilder::new().with_telemetry(options), async |host| {
        let answer = get(&host, "/readyz").await;
        assert_eq!((answer.status, check(&answer, "host").1.as_str()), (503, "the seeds are not sown"));
        assert_eq!(get(&host, "/livez").await.status, 200);
        host.set_unready(None);
        assert_eq!(get(&host, "/readyz").await.status, 200);
        host.set_unready(Some("once more\u{1b}[31m"));
        assert_eq!(check(&get(&host, "/readyz").await, "host").1, "once more\\u{1b}[31m");
    })
    .await;
}

#[actix_rt::test]
async fn one_actor_that_has_failed_degrades_the_host() {
    with_host_of(builder(), async |host| {
        let actor = sign("trap").actor();
        let key = actor.public_key();
        let policy = RestartPolicy::new().restart(Restart::Temporary);
        host.start_actor_with(actor, ActorOptions::new().restart(policy)).await.unwrap();
        host.call_actor(&key, "Trap", b"").await.unwrap_err();
        until(async || get(&host, "/readyz").await.json()["status"] == "degraded").await;
        let answer = get(&host, "/readyz").await;
        let (condition, reason) = check(&answer, "actors");
        assert!(condition == "degraded" && reason.contains(&key) && reason.contains("trap"), "{reason}");
        assert_eq!((answer.status, get(&host, "/readyz?strict").await.status), (200, 503));
        assert_eq!(get(&host, "/livez").await.status, 200);
        host.stop_actor(&key).await.unwrap();
        until(async || get(&host, "/readyz?strict").await.status == 200).await;
    })
    .await;
}

#[actix_rt::test]
async fn one_actor_that_is_not_trusted_degrades_the_host() {
    with_host_of(builder(), async |host| {
        host.start_actor(sign("echo").actor()).await.unwrap();
        let policy =
            TrustPolicy::builder().accept_issuers([nkeys::KeyPair::new_account().public_key()]).build().unwrap();
        host.set_trust_policy(policy).await.unwrap();
        until(async || get(&host, "/readyz").await.json()["status"] == "degraded").await;
        assert!(check(&get(&host, "/readyz").await, "actors").1.contains("not trusted"));
    })
    .await;
}
