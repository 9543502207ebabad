//! The HTTP server provider, through its front door.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::{join_all, join3};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wasmcloud_host::builtin::HttpServer;
use wasmcloud_host::{ErrorKind, Host, HostBuilder};

use crate::signing::{Signing, sign};
use crate::support::{PROBE, Probe, kind, soon, until, values, with_host, with_host_of};

pub(crate) const HTTP: &str = "wasmcloud:httpserver";

/// A server with one actor behind it.
pub(crate) struct Served {
    pub(crate) http: HttpServer,
    pub(crate) provider: String,
    pub(crate) actor: String,
    pub(crate) address: SocketAddr,
}

impl Served {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

pub(crate) async fn start_server(host: &Host) -> (HttpServer, String) {
    let http = HttpServer::new(None);
    let capability = http.capability().unwrap();
    let provider = capability.id();
    host.start_native_capability(capability).await.unwrap();
    (http, provider)
}

pub(crate) async fn start_actor(host: &Host, signing: Signing) -> String {
    let actor = signing.capability(HTTP).actor();
    let key = actor.public_key();
    host.start_actor(actor).await.unwrap();
    key
}

pub(crate) async fn link(
    host: &Host,
    http: &HttpServer,
    provider: &str,
    actor: &str,
    more: &[(&str, &str)],
) -> SocketAddr {
    let mut link = values(&[("PORT", "0"), ("BIND", "127.0.0.1")]);
    link.extend(values(more));
    host.set_link(actor, HTTP, None, provider.to_owned(), link).await.unwrap();
    http.address(actor).unwrap()
}

pub(crate) async fn serve(host: &Host, guest: &str, link_values: &[(&str, &str)]) -> Served {
    let (http, provider) = start_server(host).await;
    let actor = start_actor(host, sign(guest)).await;
    let address = link(host, &http, &provider, &actor, link_values).await;
    Served { http, provider, actor, address }
}

/// Sends bytes as they are and reads the answer to its end.
pub(crate) async fn raw(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    answer
}

#[actix_rt::test]
async fn a_request_reaches_the_actor_and_its_answer_the_client() {
    with_host(async |host| {
        let served = serve(&host, "echo", &[]).await;
        let response = reqwest::get(served.url("/demo?test=kthxbye")).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/json");
        let body: serde_json::Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        assert_eq!(body["method"], "GET");
        assert_eq!(body["path"], "/demo");
        assert_eq!(body["query_string"], "test=kthxbye");
        assert_eq!(body["body"], serde_json::json!([]));
        assert!(body["headers"]["host"].is_string());
    })
    .await;
}

#[actix_rt::test]
async fn headers_and_bodies_pass_unchanged_both_ways() {
    with_host(async |host| {
        let served = serve(&host, "echo", &[]).await;
        let client = reqwest::Client::new();
        let every_byte: Vec<u8> = (0..=255).collect();
        let large: Vec<u8> = every_byte.iter().copied().cycle().take(1024 * 1024).collect();
        for body in [vec![], every_byte, large] {
            let request = client.put(served.url("/raw")).header("X-Echo", "söme välue").body(body.clone());
            let response = request.send().await.unwrap();
            assert_eq!(response.headers()["x-echo"], "söme välue");
            assert_eq!(response.bytes().await.unwrap(), body);
        }
        let repeated = b"GET / HTTP/1.1\r\nhost: h\r\naccept: a\r\naccept: b\r\ncookie: x=1\r\ncookie: y=2\r\nconnection: close\r\n\r\n";
        let answer = String::from_utf8(raw(served.address, repeated).await).unwrap();
        assert!(answer.contains(r#""accept":"a, b""#) && answer.contains(r#""cookie":"x=1; y=2""#), "{answer}");
        let head = client.head(served.url("/demo")).send().await.unwrap();
        assert_eq!(head.status(), 200);
        assert!(head.bytes().await.unwrap().is_empty());
    })
    .await;
}

#[actix_rt::test]
async fn the_actors_status_is_the_clients() {
    with_host(async |host| {
        let served = serve(&host, "echo", &[]).await;
        for (path, status) in [("/status/201", 201), ("/status/404", 404), ("/status/503", 503), ("/empty", 204)] {
            assert_eq!(reqwest::get(served.url(path)).await.unwrap().status(), status, "{path}");
        }
        for path in ["/status/0", "/status/100", "/status/99999"] {
            assert_eq!(reqwest::get(served.url(path)).await.unwrap().status(), 500, "{path}");
        }
    })
    .await;
}

#[actix_rt::test]
async fn failures_are_told_by_status_alone_and_in_full_on_the_log() {
    crate::support::keep_log();
    with_host(async |host| {
        let served = serve(&host, "echo", &[]).await;
        let failed = reqwest::get(served.url("/fail")).await.unwrap();
        assert_eq!(failed.status(), 500);
        assert_eq!(failed.text().await.unwrap(), "Internal Server Error");
        assert_eq!(reqwest::get(served.url("/demo")).await.unwrap().status(), 200);
        // An answer that is no response of the contract.
        let odd = start_actor(&host, sign("tiny_echo")).await;
        let address = link(&host, &served.http, &served.provider, &odd, &[]).await;
        assert_eq!(reqwest::get(format!("http://{address}/")).await.unwrap().status(), 500);
        // Why is on the log.
        let logged = crate::support::logged();
        let told = |actor: &str, why: &str| logged.iter().any(|line| line.contains(actor) && line.contains(why));
        assert!(told(&served.actor, "deliberate failure"), "{logged:?}");
        assert!(told(&odd, "its answer is not a valid response"), "{logged:?}");
    })
    .await;
}

#[actix_rt::test]
async fn an_actor_that_is_not_in_time_is_a_504_and_serves_on() {
    let builder = HostBuilder::new().with_shards(1).with_call_deadline(Duration::from_millis(200));
    with_host_of(builder, async |host| {
        let (address, store) = serve_with_slow_store(&host).await;
        let late = soon(reqwest::get(format!("http://{address}/a"))).await.unwrap();
        assert_eq!(late.status(), 504);
        assert_eq!(late.text().await.unwrap(), "Gateway Timeout");
        store.release.add_permits(1);
        let in_time = soon(reqwest::get(format!("http://{address}/a"))).await.unwrap();
        assert_eq!(in_time.status(), 200);
    })
    .await;
}

/// Serves an actor that needs a store for each request, one that answers when its probe is released.
pub(crate) async fn serve_with_slow_store(host: &Host) -> (SocketAddr, Probe) {
    let (http, provider) = start_server(host).await;
    let actor = start_actor(host, sign("kvcounter").capability("wasmcloud:keyvalue")).await;
    let address = link(host, &http, &provider, &actor, &[]).await;
    // The store is started last, so it would be stopped first: requests need it to the end.
    let store = Probe::default();
    let claims = crate::support::provider_claims("wasmcloud:keyvalue");
    let slow = wasmcloud_host::NativeCapability::from_async(SlowStore(store.clone()), None, claims).unwrap();
    let slow_id = slow.id();
    host.start_native_capability(slow).await.unwrap();
    host.set_link(&actor, "wasmcloud:keyvalue", None, slow_id, HashMap::new()).await.unwrap();
    (address, store)
}

struct SlowStore(Probe);

#[async_trait::async_trait(?Send)]
impl wasmcloud_host::AsyncCapabilityProvider for SlowStore {
    async fn bind(&self, _: wasmcloud_host::Binding) -> Result<(), wasmcloud_host::BoxedError> {
        Ok(())
    }
    async fn unbind(&self, _: &str) -> Result<(), wasmcloud_host::BoxedError> {
        Ok(())
    }
    async fn handle_call(&self, _: wasmcloud_host::ProviderCallContext) -> Result<Vec<u8>, wasmcloud_host::BoxedError> {
        self.0.arrived.notify_one();
        self.0.release.acquire().await?.forget();
        Ok(b"\x81\xa5value\x01".to_vec())
    }
    async fn stop(&self) {}
}

#[actix_rt::test]
async fn a_body_beyond_the_limit_is_a_413_and_never_reaches_the_actor() {
    with_host(async |host| {
        let served = serve(&host, "echo", &[("BODY_LIMIT", "1000")]).await;
        let client = reqwest::Client::new();
        let post = async |length: usize| client.post(served.url("/raw")).body(vec![1; length]).send().await.unwrap();
        assert_eq!(post(1000).await.status(), 200);
        assert_eq!(post(1001).await.status(), 413);
        assert_eq!(post(5_000_000).await.status(), 413);
        let chunked = b"POST /raw HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n";
        let chunks = [
            chunked.to_vec(),
            b"200\r\n".to_vec(),
            vec![b'x'; 0x200],
            b"\r\n200\r\n".to_vec(),
            vec![b'x'; 0x200],
            b"\r\n0\r\n\r\n".to_vec(),
        ]
        .concat();
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(&chunks).await.unwrap();
        let mut status = [0; 12];
        soon(stream.read_exact(&mut status)).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 413");
    })
    .await;
}

#[actix_rt::test]
async fn what_is_no_http_is_answered_with_an_error_or_a_closed_connection() {
    with_host(async |host| {
        let served = serve(&host, "echo", &[]).await;
        for garbage in [
            &b"\0\0\0\0\r\n\r\n"[..],
            b"GET\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        ] {
            let answer = raw(served.address, garbage).await;
            assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{garbage:?}: {answer:?}");
        }
        assert_eq!(reqwest::get(served.url("/demo")).await.unwrap().status(), 200);
    })
    .await;
}

#[actix_rt::test]
async fn several_actors_are_served_on_several_ports() {
    with_host(async |host| {
        let (http, provider) = start_server(&host).await;
        let (one, two) = (start_actor(&host, sign("echo")).await, start_actor(&host, sign("echo")).await);
        let first = link(&host, &http, &provider, &one, &[]).await;
        let second = link(&host, &http, &provider, &two, &[]).await;
        assert_ne!(first, second);
        host.stop_actor(&one).await.unwrap();
        assert!(TcpStream::connect(first).await.is_err());
        assert_eq!(reqwest::get(format!("http://{second}/")).await.unwrap().status(), 200);
    })
    .await;
}

#[actix_rt::test]
async fn a_port_in_use_is_an_error_of_the_link_that_names_it() {
    with_host(async |host| {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let (http, provider) = start_server(&host).await;
        let actor = start_actor(&host, sign("echo")).await;
        let link = values(&[("PORT", &address.port().to_string()), ("BIND", "127.0.0.1")]);
        let refusal = host.set_link(&actor, HTTP, None, provider.clone(), link).await.unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::LinkRefused);
        assert!(refusal.to_string().contains(&address.to_string()), "{refusal}");
        assert_eq!(http.address(&actor), None);
        let bad = host.set_link(&actor, HTTP, None, provider, values(&[("PORT", "eighty")])).await.unwrap_err();
        assert!(bad.to_string().contains("PORT=\"eighty\""), "{bad}");
    })
    .await;
}

#[actix_rt::test]
async fn a_released_link_closes_its_port() {
    with_host(async |host| {
        let served = serve(&host, "echo", &[]).await;
        assert_eq!(reqwest::get(served.url("/")).await.unwrap().status(), 200);
        host.remove_link(&served.actor, HTTP, None).await.unwrap();
        assert!(TcpStream::connect(served.address).await.is_err());
        // The very same port can be opened again.
        let again = [("PORT", served.address.port().to_string())];
        let address = link(&host, &served.http, &served.provider, &served.actor, &[("PORT", &again[0].1)]).await;
        assert_eq!(address, served.address);
        host.stop_provider(&served.provider, HTTP, None).await.unwrap();
        assert!(TcpStream::connect(served.address).await.is_err());
    })
    .await;
}

#[actix_rt::test]
async fn new_values_move_the_port_and_a_refused_change_leaves_it_open() {
    with_host(async |host| {
        let served = serve(&host, "echo", &[]).await;
        let moved =
            link(&host, &served.http, &served.provider, &served.actor, &[("PORT", "0"), ("BIND", "127.0.0.2")]).await;
        assert_ne!(moved, served.address);
        assert!(TcpStream::connect(served.address).await.is_err());
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = taken.local_addr().unwrap().port().to_string();
        let change = host
            .set_link(
                &served.actor,
                HTTP,
                None,
                served.provider.clone(),
                values(&[("PORT", &port), ("BIND", "127.0.0.1")]),
            )
            .await;
        assert_eq!(kind(change), ErrorKind::LinkRefused);
        assert_eq!(reqwest::get(format!("http://{moved}/")).await.unwrap().status(), 200);
        // The same address with another limit: the port stays open, the limit changes.
        let limited = [("PORT", "0"), ("BIND", "127.0.0.2"), ("BODY_LIMIT", "3")];
        assert_eq!(link(&host, &served.http, &served.provider, &served.actor, &limited).await, moved);
        let post = reqwest::Client::new().post(format!("http://{moved}/raw")).body("1234").send().await.unwrap();
        assert_eq!(post.status(), 413);
    })
    .await;
}

#[actix_rt::test]
async fn a_stop_closes_the_port_and_lets_the_requests_in_flight_end() {
    with_host_of(HostBuilder::new().with_shards(1), async |host| {
        let (address, store) = serve_with_slow_store(&host).await;
        let mut streams = Vec::new();
        for _ in 0..3 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /a HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
            streams.push(stream);
        }
        store.arrived.notified().await;
        let answers = join_all(streams.into_iter().map(async |mut stream| {
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            answer
        }));
        let release = async {
            until(async || TcpStream::connect(address).await.is_err()).await;
            store.release.add_permits(3);
        };
        let (answers, (), ()) = soon(join3(answers, host.stop(), release)).await;
        for answer in answers {
            assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        }
    })
    .await;
}

#[actix_rt::test]
async fn the_address_of_a_port_can_be_changed() {
    with_host(async |host| {
        let served = serve(&host, "echo", &[("BIND", "0.0.0.0")]).await;
        let port = served.address.port().to_string();
        let only_here = [("PORT", port.as_str()), ("BIND", "127.0.0.1")];
        let address = link(&host, &served.http, &served.provider, &served.actor, &only_here).await;
        assert_eq!(address.to_string(), format!("127.0.0.1:{port}"));
        assert_eq!(reqwest::get(format!("http://{address}/")).await.unwrap().status(), 200);
        // An address that this machine does not have: the old one is served again.
        let elsewhere = values(&[("PORT", &port), ("BIND", "192.0.2.1")]);
        let refused = host.set_link(&served.actor, HTTP, None, served.provider.clone(), elsewhere).await;
        assert_eq!(kind(refused), ErrorKind::LinkRefused);
        assert_eq!(served.http.address(&served.actor), Some(address));
        assert_eq!(reqwest::get(format!("http://{address}/")).await.unwrap().status(), 200);
    })
    .await;
}

#[actix_rt::test]
async fn a_client_that_asks_first_is_told_that_its_body_is_too_large() {
    with_host(async |host| {
        let served = serve(&host, "echo", &[("BODY_LIMIT", "1000")]).await;
        let request = b"POST /raw HTTP/1.1\r\nhost: h\r\ncontent-length: 5000\r\nexpect: 100-continue\r\n\r\n";
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut status = [0; 12];
        soon(stream.read_exact(&mut status)).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 413");
    })
    .await;
}

#[actix_rt::test]
async fn many_clients_are_served_at_once() {
    with_host(async |host| {
        let served = serve(&host, "echo", &[]).await;
        let client = reqwest::Client::new();
        let requests = (0..200).map(|number| {
            let (client, url) = (client.clone(), served.url("/raw"));
            async move {
                let body = format!("request {number}");
                let response = client.post(url).body(body.clone()).send().await.unwrap();
                assert_eq!(response.text().await.unwrap(), body);
            }
        });
        soon(join_all(requests)).await;
    })
    .await;
}

#[actix_rt::test]
async fn the_server_has_nothing_for_actors_to_call() {
    with_host(async |host| {
        let (_, provider) = start_server(&host).await;
        let caller = start_actor(&host, sign("host_call").capability(PROBE)).await;
        let link = values(&[("PORT", "0"), ("BIND", "127.0.0.1")]);
        host.set_link(&caller, HTTP, None, provider, link).await.unwrap();
        let call = crate::support::host_call("", HTTP, "HandleRequest", b"");
        let refusal = crate::support::host_answer(&host.call_actor(&caller, "Any", &call).await.unwrap()).unwrap_err();
        assert!(refusal.contains("no operation"), "{refusal}");
    })
    .await;
}
