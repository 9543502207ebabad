//! The export of spans: by the binary, and to collectors that do not answer.

use std::net::TcpListener;
use std::time::Duration;

use tracing::subscriber;
use tracing_subscriber::layer::SubscriberExt as _;
use wasmcloud_host::otlp::{OtlpExport, OtlpOptions};
use wasmcloud_host::{ErrorKind, HostBuilder};

use super::collector::Collector;
use crate::http::serve;
use crate::signing::sign;
use crate::support::{certificate, kind, with_host_of, with_tested_compiler};
use crate::workplace::{Staying, Workplace, get};

/// Makes calls with spans that are exported to `url`, and answers with the export.
async fn call_with_export(options: OtlpOptions, calls: usize) -> OtlpExport {
    let export = OtlpExport::start(options).unwrap();
    let _subscribed = subscriber::set_default(tracing_subscriber::registry().with(export.layer()));
    with_host_of(HostBuilder::new().with_shards(1), async |host| {
        let actor = sign("tiny_echo").actor();
        let key = actor.public_key();
        host.start_actor(actor).await.unwrap();
        for _ in 0..calls {
            assert_eq!(host.call_actor(&key, "Echo", b"x").await.unwrap(), b"x");
        }
    })
    .await;
    export
}

#[actix_rt::test]
async fn a_collector_that_hangs_or_is_not_there_harms_no_call() {
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let absent = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    for address in [hanging.local_addr().unwrap(), absent] {
        let options =
            OtlpOptions::new(format!("http://{address}")).with_queue(10).with_timeout(Duration::from_secs(60));
        let export = call_with_export(options, 100).await;
        let counts = export.counts();
        assert!(counts.waiting <= 10 && counts.dropped + counts.failed + counts.waiting >= 200, "{counts:?}");
        assert_eq!(counts.exported, 0);
        if address == absent {
            // Spans that were refused before are not waited for.
            let _ = export.shutdown(Duration::from_secs(20));
            let counts = export.counts();
            assert_eq!((counts.failed + counts.dropped, counts.waiting), (200, 0));
        } else {
            assert!(counts.dropped >= 180, "{counts:?}");
            assert_eq!(kind(export.shutdown(Duration::from_millis(50))), ErrorKind::Io);
        }
    }
}

#[actix_rt::test]
async fn all_spans_are_exported_at_the_end_and_counted() {
    let collector = Collector::start();
    let options = OtlpOptions::new(collector.url()).with_delay(Duration::from_secs(3600));
    let export = call_with_export(options, 30).await;
    export.shutdown(Duration::from_secs(20)).unwrap();
    let counts = export.counts();
    let received = collector.matching(|received| received.service == "wasmcloud").len() as u64;
    // A span for each call, and one for the actor that serves it.
    assert_eq!((counts.exported, counts.dropped, counts.failed, counts.waiting), (60, 0, 0, 0));
    assert_eq!(received, 60);
    let host = HostBuilder::new().with_metrics().with_span_export(export.clone()).build();
    let text = host.metrics().encode().unwrap();
    assert!(text.contains("wasmcloud_otlp_spans_total{result=\"exported\"} 60\n"), "{text}");
    export.shutdown(Duration::from_secs(1)).unwrap();
}

#[test]
fn the_binary_exports_the_spans_of_its_host() {
    let place = Workplace::with_echo();
    let collector = Collector::start();
    let mut command = place.command("run echo.yaml --otlp-endpoint");
    let host = Staying::start(command.arg(collector.url()).env("OTEL_SERVICE_NAME", "shop"));
    host.line(" runs: ");
    assert_eq!(get(host.port(), "/some/path").0, 200);
    host.stop();
    let requests = collector.matching(|received| received.get("url.path") == "/some/path");
    let [request] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!((request.service.as_str(), request.get("http.response.status_code").as_str()), ("shop", "200"));
    let links = collector.matching(|received| received.span.name == "link wasmcloud:httpserver/bind");
    assert_eq!(links.len(), 1);
}

#[actix_rt::test]
async fn spans_are_exported_over_tls() {
    let (certificate, key) = certificate();
    // The collector is an actor that answers everything. It is served on threads of its own, since this one waits.
    let host = with_tested_compiler(HostBuilder::new()).with_metrics().build();
    host.start_on_own_thread().await.unwrap();
    let collector = serve(&host, "echo", &[("TLS_CERT", &certificate), ("TLS_KEY", &key)]).await;

    let place = Workplace::with_echo();
    place.write("certificate.pem", &certificate);
    let mut command = place.command("run echo.yaml --otlp-endpoint");
    command.arg(format!("https://localhost:{}", collector.address.port()));
    let mut binary = Staying::start(command.env("SSL_CERT_FILE", place.path("certificate.pem")));
    binary.line(" runs: ");
    binary.signal("TERM");
    assert_eq!(binary.code(), 0);
    assert!(!binary.errors().contains(" spans"), "{}", binary.errors());
    let text = host.metrics().encode().unwrap();
    assert!(text.contains("wasmcloud_http_requests_total{status=\"200\"} 1\n"), "{text}");
    host.stop().await;
}

#[test]
fn the_binary_refuses_an_endpoint_that_is_no_url_and_a_share_that_is_none() {
    let place = Workplace::with_echo();
    let (code, errors) = place.ends("run echo.yaml --otlp-endpoint collector:4317");
    assert!(
        code == 2 && errors.contains("--otlp-endpoint") && errors.contains("http://127.0.0.1:4318"),
        "{code} {errors}"
    );
    let (code, errors) = place.ends("run echo.yaml --otlp-endpoint http://user:s3cret@127.0.0.1:4318");
    assert!(code == 2 && errors.contains("--otlp-endpoint") && !errors.contains("s3cret"), "{code} {errors}");
    let (code, errors) = place.ends("run echo.yaml --trace-sampling 1.5");
    assert!(code == 2 && errors.contains("--trace-sampling") && errors.contains("from 0 to 1"), "{code} {errors}");
}
