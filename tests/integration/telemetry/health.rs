//! Whether a host is alive and ready.

use wasmcloud_host::{ActorOptions, HostBuilder, Restart, RestartPolicy, TelemetryOptions, TrustPolicy};

use super::{ANY, Answer, builder, get};
use crate::signing::sign;
use crate::support::{until, with_host_of};

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
