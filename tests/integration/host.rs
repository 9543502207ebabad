//! The `Host` handle.

use std::collections::HashMap;

use actix_web::{App, HttpResponse, HttpServer, web};
use wasmcloud_host::{ErrorKind, Host, HostBuilder};

use crate::signing::sign;
use crate::support::{
    PROBE, Probe, Seen, host_answer, host_call, kind, probed_caller, refuses_calls, soon, until, with_host,
    with_host_of,
};

fn is_send_sync_clone<T: Send + Sync + Clone>(_: &T) {}

#[test]
fn a_host_can_be_handed_around() {
    is_send_sync_clone(&HostBuilder::new().build());
}

#[actix_rt::test]
async fn a_host_has_a_key_and_labels() {
    let host = HostBuilder::new().with_label("zone", "cellar").with_label("hostcore.os", "plan9").build();
    let labels = host.labels().await;
    assert_eq!(labels["zone"], "cellar");
    assert_eq!(labels["hostcore.os"], std::env::consts::OS);
    assert_eq!(labels["hostcore.arch"], std::env::consts::ARCH);
    assert_eq!((host.id().len(), host.id().starts_with('N')), (56, true));
    assert_ne!(host.id(), HostBuilder::default().build().id());
}

#[test]
fn without_an_actix_system_the_error_says_what_is_missing() {
    let host = HostBuilder::new().build();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for attempt in [runtime.block_on(host.start()), futures_executor::block_on(host.start())] {
        let error = attempt.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoActixSystem);
        assert!(error.to_string().contains("#[actix_rt::main]"), "{error}");
        assert!(error.to_string().contains("Host::start_on_own_thread"), "{error}");
    }
}

#[actix_rt::test]
async fn a_host_that_does_not_run_says_so() {
    let host = HostBuilder::new().build();
    let actor = sign("tiny_echo").actor();
    async fn refuses(host: &Host, actor: &wasmcloud_host::Actor) {
        assert_eq!(kind(host.start_actor(actor.clone()).await), ErrorKind::HostNotRunning);
        assert_eq!(kind(host.call_actor(&actor.public_key(), "Echo", b"").await), ErrorKind::HostNotRunning);
        assert_eq!(kind(host.actors().await), ErrorKind::HostNotRunning);
        assert_eq!(kind(host.link_definitions().await), ErrorKind::HostNotRunning);
    }
    refuses(&host, &actor).await;
    host.start().await.unwrap();
    assert_eq!(kind(host.start().await), ErrorKind::HostAlreadyStarted);
    host.start_actor(actor.clone()).await.unwrap();
    host.stop().await;
    refuses(&host, &actor).await;
    assert_eq!(kind(host.start().await), ErrorKind::HostAlreadyStarted);
    host.stop().await;
}

#[actix::test]
async fn a_host_works_under_actix_too() {
    with_host(async |host| {
        let actor = sign("tiny_echo").actor();
        host.start_actor(actor.clone()).await.unwrap();
        assert_eq!(host.call_actor(&actor.public_key(), "Echo", b"x").await.unwrap(), b"x");
    })
    .await;
}

#[actix_rt::test]
async fn two_hosts_of_one_process_do_not_meet() {
    with_host(async |one| {
        with_host(async |two| {
            let actor = sign("tiny_echo").alias("echo").actor();
            let key = actor.public_key();
            one.start_actor(actor.clone()).await.unwrap();
            assert_eq!(kind(two.call_actor(&key, "Echo", b"").await), ErrorKind::ActorNotFound);
            assert_eq!(kind(two.call_actor("echo", "Echo", b"").await), ErrorKind::ActorNotFound);
            two.start_actor(actor).await.unwrap();
            two.stop_actor(&key).await.unwrap();
            assert_eq!(one.call_actor("echo", "Echo", b"x").await.unwrap(), b"x");
        })
        .await;
    })
    .await;
}

#[actix_rt::test]
async fn seed_defect_37_a_stop_stops_everything_in_reverse_order_and_leaves_the_system_running() {
    let (first, second) = (Probe::default(), Probe::default());
    with_host(async |host| {
        let actor = sign("host_call").capability(PROBE).actor();
        let capability = first.capability();
        host.set_link(&actor.public_key(), PROBE, None, capability.id(), HashMap::new()).await.unwrap();
        host.start_native_capability(capability).await.unwrap();
        host.start_actor(actor).await.unwrap();
        host.start_native_capability(second.capability()).await.unwrap();
    })
    .await;
    assert_eq!(second.seen(), [Seen::Stopped]);
    // The actor was started after its provider, so its link was released before the provider was stopped.
    assert!(
        matches!(first.seen()[..], [Seen::Bound { .. }, Seen::Unbound { .. }, Seen::Stopped]),
        "{:?}",
        first.seen()
    );
    actix_rt::spawn(async {}).await.unwrap();
}

#[actix_rt::test]
async fn a_host_works_inside_an_actix_web_application() {
    with_host(async |host| {
        let actor = sign("tiny_echo").alias("echo").actor();
        host.start_actor(actor).await.unwrap();
        let shared = web::Data::new(host);
        let server = HttpServer::new(move || {
            let call =
                async |host: web::Data<Host>, body: web::Bytes| match host.call_actor("echo", "Echo", &body).await {
                    Ok(answer) => HttpResponse::Ok().body(answer),
                    Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
                };
            App::new().app_data(shared.clone()).route("/", web::post().to(call))
        })
        .workers(2)
        .bind(("127.0.0.1", 0))
        .unwrap();
        let address = server.addrs()[0];
        let running = server.run();
        let handle = running.handle();
        actix_rt::spawn(running);
        let reply = reqwest::Client::new().post(format!("http://{address}/")).body("through actix-web").send().await;
        assert_eq!(reply.unwrap().text().await.unwrap(), "through actix-web");
        handle.stop(true).await;
    })
    .await;
}

#[actix_rt::test]
async fn every_caller_of_stop_waits_for_the_shutdown() {
    let host = HostBuilder::new().with_shards(1).build();
    host.start().await.unwrap();
    let (probe, caller) = probed_caller(&host).await;
    let waits = host_call("", PROBE, "Wait", b"");
    let call = host.call_actor(&caller, "Any", &waits);
    let stops = async {
        probe.arrived.notified().await;
        let stop = async || {
            host.stop().await;
            assert_eq!(probe.seen().last(), Some(&Seen::Stopped));
        };
        let release = async {
            until(async || refuses_calls(&host, &caller).await).await;
            assert_eq!(
                kind(host.start_native_capability(Probe::default().capability()).await),
                ErrorKind::HostNotRunning
            );
            probe.release.add_permits(1);
        };
        futures_util::join!(stop(), stop(), release);
    };
    let (reply, ()) = soon(futures_util::future::join(call, stops)).await;
    assert_eq!(host_answer(&reply.unwrap()).unwrap(), b"released");
}

#[actix_rt::test]
async fn a_stop_waits_for_starts_under_way() {
    let host = HostBuilder::new().build();
    host.start().await.unwrap();
    let actor = sign("echo").actor();
    let (started, ()) = soon(futures_util::future::join(host.start_actor(actor), host.stop())).await;
    if let Err(error) = started {
        assert_eq!(error.kind(), ErrorKind::HostNotRunning);
    }
    assert_eq!(kind(host.actors().await), ErrorKind::HostNotRunning);
}

#[actix_rt::test]
async fn dropping_the_last_handle_stops_the_host() {
    let probe = Probe::default();
    let host = HostBuilder::new().build();
    host.start().await.unwrap();
    host.start_native_capability(probe.capability()).await.unwrap();
    drop(host.clone());
    assert!(probe.seen().is_empty());
    drop(host);
    until(async || probe.seen() == [Seen::Stopped]).await;
}

#[actix_rt::test]
async fn a_deadline_may_be_as_long_as_one_likes() {
    let builder = HostBuilder::new().with_call_deadline(std::time::Duration::MAX);
    with_host_of(builder, async |host| {
        let actor = sign("tiny_echo").actor();
        host.start_actor(actor.clone()).await.unwrap();
        assert_eq!(host.call_actor(&actor.public_key(), "Echo", b"x").await.unwrap(), b"x");
        host.stop_actor(&actor.public_key()).await.unwrap();
    })
    .await;
}
