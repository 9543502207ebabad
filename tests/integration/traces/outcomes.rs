//! The outcomes of spans whose calls were not answered, and spans that several exports take.

use std::time::Duration;

use tokio::net::TcpListener;
use tracing::subscriber;
use tracing_subscriber::layer::SubscriberExt as _;
use wasmcloud_host::HostBuilder;
use wasmcloud_host::otlp::{OtlpExport, OtlpOptions};

use super::collector::Collector;
use super::whole::proxy;
use super::with_spans;
use crate::http::{serve, serve_with_slow_store};
use crate::support::{soon, until, with_host_of};

#[actix_rt::test]
async fn a_request_whose_client_leaves_is_cancelled_and_what_serves_it_ends_by_itself() {
    with_spans(HostBuilder::new(), async |host, keeper| {
        let (address, store) = serve_with_slow_store(&host).await;
        let request = actix_rt::spawn(reqwest::get(format!("http://{address}/")));
        soon(store.arrived.notified()).await;
        request.abort();
        let given_up = ["wasmcloud::http", "wasmcloud::call"];
        until(async || given_up.iter().all(|target| !keeper.of(target).is_empty())).await;
        for span in given_up.iter().flat_map(|target| keeper.of(target)) {
            assert_eq!((span.get("outcome"), span.get("error.type")), ("cancelled", ""), "{}", span.target);
        }
        store.release.add_permits(1);
        let serving = ["wasmcloud::actor", "wasmcloud::provider"];
        until(async || serving.iter().all(|target| !keeper.of(target).is_empty())).await;
        assert!(serving.iter().flat_map(|target| keeper.of(target)).all(|span| span.get("outcome") == "ok"));
    })
    .await;
}

#[actix_rt::test]
async fn an_outgoing_request_that_is_late_fails_and_is_not_cancelled() {
    let builder = HostBuilder::new().with_call_deadline(Duration::from_millis(300));
    with_spans(builder, async |host, keeper| {
        // It accepts connections and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = proxy(&host).await;
        let late = soon(reqwest::get(format!("{proxy}http://{}/", silent.local_addr().unwrap()))).await.unwrap();
        assert_eq!(late.status(), 504);
        let mut requests = keeper.of("wasmcloud::http");
        requests.retain(|span| span.get("otel.kind") == "client");
        let [request] = &requests[..] else { panic!("{requests:?}") };
        assert_eq!((request.get("outcome"), request.get("error.type")), ("error", "DeadlineExceeded"));
        assert_eq!(request.get("otel.status_code"), "ERROR");
    })
    .await;
}

#[actix_rt::test]
async fn each_export_of_a_subscriber_receives_all_spans() {
    let collectors = [Collector::start(), Collector::start()];
    let exports = collectors.each_ref().map(|collector| OtlpExport::start(OtlpOptions::new(collector.url())).unwrap());
    let layers = tracing_subscriber::registry().with(exports[0].layer()).with(exports[1].layer());
    let subscribed = subscriber::set_default(layers);
    with_host_of(HostBuilder::new().with_shards(1), async |host| {
        let served = serve(&host, "echo", &[]).await;
        let state = "vendor=1";
        let request = reqwest::Client::new().get(served.url("/")).header("tracestate", state);
        let parent = wasmcloud_host::TraceContext::begin(true).to_string();
        assert_eq!(soon(request.header("traceparent", parent).send()).await.unwrap().status(), 200);
    })
    .await;
    drop(subscribed);
    for (export, collector) in exports.into_iter().zip(&collectors) {
        // The thread of the collector answers, not this one.
        export.shutdown(Duration::from_secs(20)).unwrap();
        let [request] = collector.matching(|received| received.get("url.path") == "/").try_into().unwrap();
        assert_eq!(request.get("http.response.status_code"), "200");
        assert_eq!(request.span.attributes.iter().filter(|field| field.key == "http.response.status_code").count(), 1);
        assert_eq!(request.span.trace_state, "vendor=1");
    }
}

#[actix_rt::test]
async fn a_link_can_begin_traces_of_its_own_whatever_clients_name() {
    with_spans(HostBuilder::new(), async |host, keeper| {
        let served = serve(&host, "echo", &[("TRACE", "restart")]).await;
        let parent = wasmcloud_host::TraceContext::begin(true);
        let request = reqwest::Client::new().get(served.url("/")).header("tracestate", "vendor=1");
        let answer = soon(request.header("traceparent", parent.to_string()).send()).await.unwrap();
        let echoed = answer.text().await.unwrap();
        assert!(!echoed.contains("traceparent") && !echoed.contains("tracestate"), "{echoed}");
        let [span] = keeper.of("wasmcloud::http").try_into().unwrap();
        assert_eq!((span.get("parent_span_id"), span.get("trace_state")), ("", ""));
        assert!(!parent.to_string().contains(span.get("trace_id")));
    })
    .await;
}
