//! The text that is served: all metrics of the table and no others, as Prometheus reads them.

use std::io::Write;
use std::process::{Command, Stdio};

use wasmcloud_host::builtin::HttpServer;
use wasmcloud_host::otlp::{OtlpExport, OtlpOptions};
use wasmcloud_host::prometheus_client::encoding::prometheus_text;
use wasmcloud_host::prometheus_client::registry::Registry;
use wasmcloud_host::telemetry::{METRICS, MetricKind};

use super::*;
use crate::http::{HTTP, serve};
use crate::lattice::Lattice;
use crate::signing::in_repository;

/// Gives a program this input, and fails with what it says unless it succeeds. Returns whether it is installed.
fn check_with(program: &mut Command, input: &str) -> bool {
    let Ok(mut child) = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() else {
        return false;
    };
    // A program that ends early says why.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program:?}: {said}");
    true
}

#[actix_rt::test]
async fn all_metrics_of_the_table_are_served_and_promtool_finds_nothing() {
    let lattice = Lattice::start();
    let export = OtlpExport::start(OtlpOptions::new("http://127.0.0.1:1")).unwrap();
    let host = lattice.builder().with_metrics().with_span_export(export.clone()).build();
    host.start().await.unwrap();
    let served = serve(&host, "echo", &[]).await;
    assert_eq!(reqwest::get(served.url("/demo")).await.unwrap().status(), 200);

    let text = host.metrics().encode().unwrap();
    let series = Series::read(&text);
    let table: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    let served_ones = series.families();
    assert_eq!(served_ones, table);
    for metric in METRICS {
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
            _ => panic!("a kind that the test does not know"),
        };
        assert!(text.contains(&format!("# TYPE {} {kind}\n", metric.name)), "{}", metric.name);
        assert!(text.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "{}", metric.name);
    }
    if check_with(Command::new("promtool").args(["check", "metrics"]), &text) {
        // The dashboard and the rules name what is served.
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &text).unwrap();
        let script = in_repository("tests/dashboard/check_metrics");
        assert!(check_with(Command::new(script).arg("--metrics").arg(file.path()), ""));
    }
    assert!(host.metrics().encode_open_metrics().unwrap().ends_with("# EOF\n"));
    host.stop().await;
    // Nothing listens there.
    let _ = export.shutdown(Duration::from_millis(10));
}

#[actix_rt::test]
async fn http_requests_are_counted_by_status() {
    with_host_of(builder(), async |host| {
        assert_eq!(Series::of(&host).get("wasmcloud_http_request_duration_seconds_count"), Some(0.0));
        let served = serve(&host, "echo", &[("BODY_LIMIT", "10")]).await;
        for _ in 0..3 {
            assert_eq!(reqwest::get(served.url("/demo")).await.unwrap().status(), 200);
        }
        let large = reqwest::Client::new().post(served.url("/demo")).body("more than ten bytes").send().await.unwrap();
        assert_eq!(large.status(), 413);
        let series = Series::of(&host);
        assert_eq!(series.get("wasmcloud_http_requests_total{status=\"200\"}"), Some(3.0));
        assert_eq!(series.get("wasmcloud_http_requests_total{status=\"413\"}"), Some(1.0));
        assert_eq!(series.get("wasmcloud_http_request_duration_seconds_count"), Some(4.0));
        assert!(series.get("wasmcloud_http_request_duration_seconds_sum").unwrap() > 0.0);
        assert_eq!(series.get("wasmcloud_links{state=\"established\"}"), Some(1.0));
    })
    .await;
}

#[actix_rt::test]
async fn no_count_of_http_falls_when_a_server_stops() {
    with_host_of(builder(), async |host| {
        let first = serve(&host, "echo", &[]).await;
        let other = HttpServer::new(Some("other".to_owned()));
        host.start_native_capability(other.capability().unwrap()).await.unwrap();
        let values = crate::support::values(&[("PORT", "0"), ("BIND", "127.0.0.1")]);
        let link_name = || Some("other".to_owned());
        host.set_link(&first.actor, HTTP, link_name(), first.provider.clone(), values).await.unwrap();
        let second = format!("http://{}/demo", other.address(&first.actor).unwrap());
        let get = async |url: &str| assert_eq!(reqwest::get(url).await.unwrap().status(), 200);
        let metrics = host.metrics();
        let read = || {
            let series = Series::read(&metrics.encode().unwrap());
            let contract = "wasmcloud_provider_call_duration_seconds_count{contract=\"wasmcloud:httpserver\"}";
            let counts =
                ["wasmcloud_http_requests_total{status=\"200\"}", "wasmcloud_http_request_duration_seconds_count"];
            (counts.map(|count| series.get(count).unwrap()), series.get(contract))
        };
        for _ in 0..3 {
            get(&first.url("/demo")).await;
        }
        get(&second).await;
        let before = read();
        assert_eq!(before.0, [4.0, 4.0]);
        host.stop_provider(&first.provider, HTTP, None).await.unwrap();
        assert_eq!(read(), before);
        get(&second).await;
        assert_eq!(read().0, [5.0, 5.0]);
        host.stop_provider(&first.provider, HTTP, link_name()).await.unwrap();
        assert_eq!(read().0, [5.0, 5.0]);
    })
    .await;
}

#[actix_rt::test]
async fn an_embedder_merges_the_metrics_of_two_hosts() {
    let hosts = [builder().build(), builder().build()];
    let mut registry = Registry::default();
    for (host, name) in hosts.iter().zip(["one", "two"]) {
        host.start().await.unwrap();
        let part = registry.sub_registry_with_label(("part".into(), name.into()));
        part.register_collector(Box::new(host.metrics()));
    }
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).unwrap();
    for part in ["one", "two"] {
        let series = format!("wasmcloud_events_total{{part=\"{part}\",kind=\"host_started\"}} 1\n");
        assert!(text.contains(&series), "{text}");
    }
    let [first, second] = hosts;
    first.stop().await;
    second.stop().await;
    // The registry does not keep hosts alive.
    drop((first, second));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).unwrap();
    assert_eq!(text, "");
}

#[actix_rt::test]
async fn compilations_and_the_artifact_cache_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let cache = || wasmcloud_host::ArtifactCache::in_folder(folder.path().join("cache"));
    for (result, compiled) in [("miss", 1.0), ("hit", 0.0)] {
        with_host_of(builder().with_artifact_cache(cache()), async |host| {
            start(&host, &sign("tiny_echo")).await;
            let series = Series::of(&host);
            let requests = format!("wasmcloud_artifact_cache_requests_total{{result=\"{result}\"}}");
            assert_eq!(series.get(&requests), Some(1.0));
            let counts = |name: &str| name.starts_with("wasmcloud_compile_duration_seconds_count{");
            let all: f64 = series.0.iter().filter(|(name, _)| counts(name)).map(|(_, count)| count).sum();
            assert_eq!(all, compiled);
        })
        .await;
    }
}
