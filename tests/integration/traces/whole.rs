//! Whole traces, as a collector receives them.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use wasmcloud_host::builtin::{HttpClient, KeyValue};
use wasmcloud_host::otlp::{OtlpExport, OtlpOptions};
use wasmcloud_host::{Host, TraceContext};

use super::collector::{Collector, Received};
use super::runs_elsewhere;
use crate::http::serve;
use crate::lattice::{Lattice, run_actor, stop};
use crate::signing::sign;
use crate::support::{soon, until, values, with_host};

const KEY_VALUE: &str = "wasmcloud:keyvalue";
const HTTP_CLIENT: &str = "wasmcloud:httpclient";

/// Starts a collector to which all spans of this process are exported.
fn collector() -> Collector {
    let collector = Collector::start();
    let options = OtlpOptions::new(collector.url()).with_delay(Duration::from_millis(20));
    let export = OtlpExport::start(options.with_service_name("tests")).unwrap();
    tracing_subscriber::registry().with(export.layer()).try_init().unwrap();
    collector
}

/// Begins a trace as a client would.
fn begin() -> (TraceContext, String) {
    let context = TraceContext::begin(true);
    (context, data_encoding::HEXLOWER.encode(&context.trace_id()))
}

fn id_of(context: &TraceContext) -> String {
    data_encoding::HEXLOWER.encode(&context.span_id())
}

/// Follows a trace from one span to the next, each of which has one child.
fn in_order(mut spans: Vec<Received>, root: &str) -> Vec<Received> {
    let mut chain = Vec::new();
    let mut parent = root.to_owned();
    while let Some(at) = spans.iter().position(|span| span.parent() == parent) {
        let span = spans.swap_remove(at);
        parent = span.id();
        chain.push(span);
    }
    assert!(spans.is_empty(), "these spans hang in the air: {spans:#?}");
    chain
}

/// The name, kind and host of a span.
fn facts(span: &Received) -> (String, i32, String) {
    (span.span.name.clone(), span.span.kind, span.get("wasmcloud.host"))
}

async fn start_store(host: &Host, actor: &str) {
    let store = KeyValue::new(None).capability().unwrap();
    let provider = store.id();
    host.start_native_capability(store).await.unwrap();
    host.set_link(actor, KEY_VALUE, None, provider, values(&[("PATH", ":memory:")])).await.unwrap();
}

#[actix_rt::test]
async fn a_trace_leads_from_a_request_through_two_actors_on_two_hosts_to_a_store() {
    let [internal, server, client_kind] = [1, 2, 3];
    if runs_elsewhere() {
        return;
    }
    let collector = collector();
    let lattice = Lattice::start();
    let [front, back] = lattice.hosts().await;
    let counting = sign("kvcounter").alias("fixtures/backend").capability(KEY_VALUE);
    let counter = run_actor(&back, &counting, &[&front]).await;
    start_store(&back, &counter).await;
    let relay = serve(&front, "relay", &[]).await;
    let client = reqwest::Client::new();
    // The alias is known once the registry holds it.
    until(async || client.get(relay.url("/first")).send().await.unwrap().status() == 200).await;

    let (context, trace_id) = begin();
    let request = client.get(relay.url("/some/path")).header("traceparent", context.to_string());
    let response = soon(request.header("tracestate", "vendor=1").send()).await.unwrap();
    assert_eq!(response.status(), 200);

    let spans = in_order(collector.trace(&trace_id, 9).await, &id_of(&context));
    let [front_id, back_id] = [front.id(), back.id()];
    let short = &counter[..12];
    let expected = [
        ("GET".to_owned(), server, &front_id),
        (format!("call {}/HandleRequest", &relay.actor[..12]), internal, &front_id),
        ("relay/HandleRequest".to_owned(), internal, &front_id),
        ("call fixtures/backend/HandleRequest".to_owned(), internal, &front_id),
        (format!("send {short}/HandleRequest"), client_kind, &front_id),
        (format!("receive {short}/HandleRequest"), server, &back_id),
        ("kvcounter/HandleRequest".to_owned(), internal, &back_id),
        ("call wasmcloud:keyvalue/Add".to_owned(), internal, &back_id),
        ("wasmcloud:keyvalue/Add".to_owned(), internal, &back_id),
    ];
    let found: Vec<_> = spans.iter().map(facts).collect();
    assert_eq!(found, expected.map(|(name, kind, host)| (name, kind, host.clone())));
    for pair in spans.windows(2) {
        let [outer, inner] = [&pair[0].span, &pair[1].span];
        assert!(outer.start_time_unix_nano <= inner.start_time_unix_nano);
        assert!(inner.end_time_unix_nano <= outer.end_time_unix_nano);
    }
    for span in &spans {
        assert_eq!(
            (span.get("wasmcloud.outcome").as_str(), span.failure(), span.service.as_str()),
            ("ok", None, "tests")
        );
    }
    assert_eq!(spans[0].get("http.response.status_code"), "200");
    assert_eq!((spans[0].get("http.request.method"), spans[0].get("url.path")), ("GET".into(), "/some/path".into()));
    assert_eq!(spans[6].get("wasmcloud.actor"), counter);
    assert_eq!((spans[8].get("wasmcloud.link_name"), spans[8].get("rpc.method")), ("default".into(), "Add".into()));
    stop(&[front, back]).await;
}

#[actix_rt::test]
async fn a_failure_far_away_is_seen_in_each_span_on_the_way() {
    if runs_elsewhere() {
        return;
    }
    let collector = collector();
    let lattice = Lattice::start();
    let [front, back] = lattice.hosts().await;
    // It has the capability, and no link.
    let counting = sign("kvcounter").alias("fixtures/backend").capability(KEY_VALUE);
    run_actor(&back, &counting, &[&front]).await;
    let relay = serve(&front, "relay", &[]).await;
    let client = reqwest::Client::new();
    until(async || {
        let (context, trace_id) = begin();
        let request = client.get(relay.url("/")).header("traceparent", context.to_string());
        assert_eq!(soon(request.send()).await.unwrap().status(), 500);
        // As long as the alias is not known, the call goes nowhere.
        let spans = in_order(collector.trace(&trace_id, 4).await, &id_of(&context));
        let last = spans.last().unwrap();
        if spans.len() != 8 || last.get("error.type") != "NotLinked" {
            return false;
        }
        assert_eq!(last.span.name, "call wasmcloud:keyvalue/Add");
        assert!(spans.iter().all(|span| span.failure().is_some() && span.get("wasmcloud.outcome") == "error"));
        assert_eq!(spans[0].get("error.type"), "500");
        assert_eq!(spans[6].get("error.type"), "ActorFailed");
        true
    })
    .await;
    stop(&[front, back]).await;
}

/// A server that answers each connection's request, and keeps the header lines of the last one.
async fn backend() -> (String, tokio::sync::watch::Receiver<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (asked, heard) = tokio::sync::watch::channel(Vec::new());
    actix_rt::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let mut head = Vec::new();
            let mut line = String::new();
            while stream.read_line(&mut line).await.is_ok_and(|read| read > 2) {
                head.push(std::mem::take(&mut line).trim_end().to_owned());
            }
            asked.send_replace(head);
            let answer = b"HTTP/1.1 418 I'm a teapot\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.get_mut().write_all(answer).await.unwrap();
        }
    });
    (url, heard)
}

/// Serves an actor that passes each request on, and answers with its URL.
pub(super) async fn proxy(host: &Host) -> String {
    let client = HttpClient::new(None).capability().unwrap();
    let provider = client.id();
    host.start_native_capability(client).await.unwrap();
    let (http, server) = crate::http::start_server(host).await;
    let actor = crate::http::start_actor(host, sign("proxy").capability(HTTP_CLIENT)).await;
    let local = values(&[("ALLOWED_NETWORKS", "127.0.0.1")]);
    host.set_link(&actor, HTTP_CLIENT, None, provider, local).await.unwrap();
    let address = crate::http::link(host, &http, &server, &actor, &[]).await;
    format!("http://{address}/")
}

fn header<'a>(head: &'a [String], name: &str) -> Option<&'a str> {
    head.iter().find_map(|line| line.split_once(": ").filter(|(found, _)| *found == name).map(|(_, value)| value))
}

#[actix_rt::test]
async fn a_trace_goes_on_with_an_outgoing_request() {
    if runs_elsewhere() {
        return;
    }
    let collector = collector();
    with_host(async |host| {
        let proxy = proxy(&host).await;
        let (backend, heard) = backend().await;
        let (context, trace_id) = begin();
        let request = reqwest::Client::new().get(format!("{proxy}{backend}"));
        let request = request.header("traceparent", context.to_string()).header("tracestate", "a=1,b=2");
        assert_eq!(soon(request.send()).await.unwrap().status(), 418);

        let spans = in_order(collector.trace(&trace_id, 6).await, &id_of(&context));
        let last = spans.last().unwrap();
        assert_eq!((last.span.name.as_str(), last.span.kind), ("GET", 3));
        assert_eq!(
            (last.get("server.address"), last.get("http.response.status_code")),
            ("127.0.0.1".into(), "418".into())
        );
        assert!(last.failure().is_some(), "the client's error is the fault of the request");
        let head = heard.borrow().clone();
        // The proxy passes on the headers that it was sent; the server continues the trace from the last span.
        assert_eq!(
            header(&head, "traceparent").unwrap(),
            format!("00-{trace_id}-{}-{:02x}", last.id(), context.flags())
        );
        assert_eq!(header(&head, "tracestate").unwrap(), "a=1,b=2");
    })
    .await;
}

#[actix_rt::test]
async fn hostile_headers_begin_a_trace_of_their_own() {
    if runs_elsewhere() {
        return;
    }
    let collector = collector();
    with_host(async |host| {
        let served = serve(&host, "echo", &[]).await;
        let valid = begin().0.to_string();
        for (number, headers) in [
            vec!["00-00000000000000000000000000000000-b7ad6b7169203331-01".to_owned()],
            vec!["ff".to_owned() + &valid[2..]],
            vec![valid.to_uppercase()],
            vec![valid.clone(), valid.clone()],
            vec![valid.clone() + "-x"],
        ]
        .into_iter()
        .enumerate()
        {
            let path = format!("/hostile/{number}/{}", served.actor);
            let request = headers.iter().fold(reqwest::Client::new().get(served.url(&path)), |request, header| {
                request.header("traceparent", header)
            });
            assert_eq!(soon(request.send()).await.unwrap().status(), 200);
            until(async || !collector.matching(|received| received.get("url.path") == path).is_empty()).await;
            let [span] = collector.matching(|received| received.get("url.path") == path).try_into().unwrap();
            assert_eq!(span.parent(), "");
            assert!(!valid.contains(&data_encoding::HEXLOWER.encode(&span.span.trace_id)));
        }
        // Not sampled: the trace is passed on, and has no spans here.
        let unsampled = format!("{}00", &valid[..53]);
        let request = reqwest::Client::new().get(served.url("/unsampled")).header("traceparent", &unsampled);
        assert_eq!(soon(request.send()).await.unwrap().status(), 200);
        let (context, trace_id) = begin();
        let request = reqwest::Client::new().get(served.url("/after")).header("traceparent", context.to_string());
        soon(request.send()).await.unwrap();
        collector.trace(&trace_id, 3).await;
        assert!(collector.matching(|received| received.get("url.path") == "/unsampled").is_empty());
    })
    .await;
}

#[actix_rt::test]
async fn without_a_subscriber_a_trace_is_passed_on_as_it_is() {
    if runs_elsewhere() {
        return;
    }
    with_host(async |host| {
        let proxy = proxy(&host).await;
        let (backend, heard) = backend().await;
        let context = begin().0;
        for parent in [context.to_string(), format!("{}00", &context.to_string()[..53])] {
            let request = reqwest::Client::new().get(format!("{proxy}{backend}")).header("traceparent", &parent);
            soon(request.header("tracestate", "a=1").send()).await.unwrap();
            let head = heard.borrow().clone();
            let passed_on = header(&head, "traceparent").unwrap();
            assert_eq!(passed_on, parent);
            assert_eq!(header(&head, "tracestate").unwrap(), "a=1");
        }
        let request = reqwest::Client::new().get(format!("{proxy}{backend}"));
        soon(request.send()).await.unwrap();
        assert_eq!(header(&heard.borrow(), "traceparent"), None);
    })
    .await;
}
