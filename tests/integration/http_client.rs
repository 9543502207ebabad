//! The HTTP client provider: an actor's requests against real servers of every temper, and what links let them reach.

#[cfg(unix)]
mod server_failures;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wasmcloud_host::builtin::HttpClient;
use wasmcloud_host::{ErrorKind, Host};

use crate::http::serve;
use crate::signing::sign;
use crate::support::{certificate, host_answer, host_call, soon, values, with_host};

const CLIENT: &str = "wasmcloud:httpclient";

/// What lets a link reach the servers of these tests.
const LOCAL: (&str, &str) = ("ALLOWED_NETWORKS", "127.0.0.1");

#[derive(Serialize)]
struct Request<'a> {
    method: &'a str,
    url: &'a str,
    headers: BTreeMap<&'a str, &'a str>,
    #[serde(with = "serde_bytes")]
    body: &'a [u8],
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    status_code: u32,
    status: String,
    header: BTreeMap<String, String>,
    body: serde_bytes::ByteBuf,
}

/// An actor that is linked to the client.
struct Client {
    host: Host,
    provider: String,
    actor: String,
}

impl Client {
    async fn start(host: &Host, link: &[(&str, &str)]) -> Client {
        let capability = HttpClient::new(None).capability().unwrap();
        let provider = capability.id();
        host.start_native_capability(capability).await.unwrap();
        Client::beside(host, &provider, link).await
    }

    /// Another actor of the same client.
    async fn beside(host: &Host, provider: &str, link: &[(&str, &str)]) -> Client {
        let actor = sign("host_call").capability(CLIENT).actor();
        let key = actor.public_key();
        host.start_actor(actor).await.unwrap();
        let client = Client { host: host.clone(), provider: provider.to_owned(), actor: key };
        client.link(link).await.unwrap();
        client
    }

    async fn link(&self, link: &[(&str, &str)]) -> wasmcloud_host::Result<()> {
        self.host.set_link(&self.actor, CLIENT, None, self.provider.clone(), values(link)).await
    }

    /// Has the actor send these very bytes to the client.
    async fn send(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let call = host_call("", CLIENT, "Request", message);
        host_answer(&soon(self.host.call_actor(&self.actor, "Any", &call)).await.unwrap())
    }

    async fn request(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response, String> {
        let request = Request { method, url, headers: headers.iter().copied().collect(), body };
        let answer = self.send(&rmp_serde::to_vec_named(&request).unwrap()).await?;
        Ok(rmp_serde::from_slice(&answer).unwrap())
    }

    async fn get(&self, url: &str) -> Result<Response, String> {
        self.request("GET", url, &[], b"").await
    }
}

/// A server that answers each connection's request with bytes of the test's choosing, and keeps what it was asked.
struct Backend {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Backend {
    /// `answer` is given the head of the request and writes to the connection, which is closed afterwards.
    async fn start(answer: impl AsyncFn(String, TcpStream) + 'static) -> Backend {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (seen, answer) = (asked.clone(), std::rc::Rc::new(answer));
        actix_rt::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (seen, answer) = (seen.clone(), answer.clone());
                actix_rt::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = stream.read_u8().await else { return };
                        head.push(byte);
                    }
                    let head = String::from_utf8(head).unwrap();
                    seen.lock().unwrap().push(head.clone());
                    answer(head, stream).await;
                });
            }
        });
        Backend { address, asked }
    }

    /// A server that sends everybody to the URL in its path, after the first slash.
    async fn redirecting() -> Backend {
        Backend::start(async |head, mut stream| {
            let to = head.split(' ').nth(1).unwrap().trim_start_matches('/').to_owned();
            let to = if to.is_empty() { "/".to_owned() } else { to };
            let answer =
                format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// A server that answers like this.
async fn answering(answer: &'static [u8]) -> Backend {
    Backend::start(async |_, mut stream| stream.write_all(answer).await.unwrap()).await
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

#[actix_rt::test]
async fn a_request_reaches_the_server_and_its_response_the_actor() {
    with_host(async |host| {
        let served = serve(&host, "echo", &[]).await;
        let client = Client::start(&host, &[LOCAL]).await;
        let url = served.url("/demo?a=b");
        let response = client.request("PATCH", &url, &[("X-One", "söme")], b"hi").await.unwrap();
        assert_eq!((response.status_code, response.status.as_str()), (200, "OK"));
        assert_eq!(response.header["content-type"], "application/json");
        let seen: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!((&seen["method"], &seen["query_string"]), (&"PATCH".into(), &"a=b".into()));
        assert_eq!((&seen["headers"]["x-one"], &seen["body"]), (&"söme".into(), &serde_json::json!([104, 105])));

        let every_byte: Vec<u8> = (0..=255).cycle().take(1024 * 1024).collect();
        let echoed = client.request("POST", &served.url("/raw"), &[], &every_byte).await.unwrap();
        assert_eq!(echoed.body.as_slice(), every_byte);
        assert_eq!(client.get(&served.url("/status/404")).await.unwrap().status_code, 404);
        assert_eq!(client.request("HEAD", &served.url("/demo"), &[], b"").await.unwrap().body.len(), 0);
    })
    .await;
}

#[actix_rt::test]
async fn only_public_addresses_are_reached_unless_a_link_says_so() {
    with_host(async |host| {
        let backend = answering(OK).await;
        let port = backend.address.port();
        let client = Client::start(&host, &[]).await;
        for host in ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0", "[::1]", "[::ffff:127.0.0.1]"] {
            let refusal = client.get(&format!("http://{host}:{port}/")).await.unwrap_err();
            assert!(refusal.contains("ALLOWED_NETWORKS"), "{host}: {refusal}");
        }
        let metadata = client.get("http://169.254.169.254/latest/meta-data/").await.unwrap_err();
        assert!(metadata.contains("ALLOWED_NETWORKS"), "{metadata}");
        assert_eq!(backend.asked(), [""; 0], "nobody has got through");

        client.link(&[LOCAL]).await.unwrap();
        assert_eq!(client.get(&backend.url("/")).await.unwrap().body.as_slice(), b"ok");
        assert_eq!(client.get(&format!("http://localhost:{port}/")).await.unwrap().status_code, 200);
        assert!(client.get(&format!("http://127.0.0.2:{port}/")).await.is_err(), "it lets in that one alone");

        client.link(&[LOCAL, ("ALLOWED_HOSTS", "localhost, example.com:80")]).await.unwrap();
        assert_eq!(client.get(&format!("http://localhost:{port}/")).await.unwrap().status_code, 200);
        let unlisted = client.get(&backend.url("/")).await.unwrap_err();
        assert!(unlisted.contains("ALLOWED_HOSTS"), "{unlisted}");
    })
    .await;
}

#[actix_rt::test]
async fn redirects_lead_only_where_requests_may_go() {
    with_host(async |host| {
        let (target, redirecting) = (answering(OK).await, Backend::redirecting().await);
        let client = Client::start(&host, &[LOCAL]).await;
        let by = |to: &str| redirecting.url(&format!("/{to}"));
        assert_eq!(client.get(&by(&target.url("/a"))).await.unwrap().status_code, 200);
        for (to, why) in [
            (format!("http://127.0.0.2:{}/", target.address.port()), "ALLOWED_NETWORKS"),
            (format!("http://[::1]:{}/", target.address.port()), "ALLOWED_NETWORKS"),
            ("http://169.254.169.254/latest/".to_owned(), "ALLOWED_NETWORKS"),
            (String::new(), "more than 5 redirects"),
        ] {
            let refusal = client.get(&by(&to)).await.unwrap_err();
            assert!(refusal.contains(why), "{to}: {refusal}");
        }
        let elsewhere = client.get(&by("file:///etc/passwd")).await.unwrap();
        assert_eq!((elsewhere.status_code, elsewhere.body.len()), (302, 0), "no redirect of HTTP");
        client.link(&[LOCAL, ("ALLOWED_HOSTS", "127.0.0.1")]).await.unwrap();
        let by_name = by(&format!("http://localhost:{}/", target.address.port()));
        assert!(client.get(&by_name).await.unwrap_err().contains("ALLOWED_HOSTS"));
        client.link(&[LOCAL, ("MAX_REDIRECTS", "0")]).await.unwrap();
        let unfollowed = client.get(&by(&target.url("/b"))).await.unwrap();
        assert_eq!((unfollowed.status_code, &unfollowed.header["location"]), (302, &target.url("/b")));
        assert_eq!(target.asked().len(), 1, "{:?}", target.asked());
    })
    .await;
}

#[actix_rt::test]
async fn credentials_do_not_follow_a_redirect_to_another_server() {
    with_host(async |host| {
        let (target, redirecting) = (answering(OK).await, Backend::redirecting().await);
        let client = Client::start(&host, &[LOCAL]).await;
        let url = redirecting.url(&format!("/{}", target.url("/a")));
        let headers = [("authorization", "Bearer secret"), ("cookie", "a=secret")];
        assert_eq!(client.request("GET", &url, &headers, b"").await.unwrap().status_code, 200);
        assert!(redirecting.asked()[0].contains("secret") && !target.asked()[0].contains("secret"));
        assert!(!target.asked()[0].to_lowercase().contains("referer"), "{:?}", target.asked());
    })
    .await;
}

#[actix_rt::test]
async fn responses_beyond_the_limit_are_errors_and_not_memory() {
    with_host(async |host| {
        let client = Client::start(&host, &[LOCAL, ("RESPONSE_LIMIT", "100000")]).await;
        let announced = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\nx").await;
        let (cut, was_cut) = tokio::sync::mpsc::unbounded_channel::<()>();
        let endless = Backend::start(async move |_, mut stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
            while stream.write_all(b"400\r\n").await.is_ok()
                && stream.write_all(&[b'x'; 0x400]).await.is_ok()
                && stream.write_all(b"\r\n").await.is_ok()
            {}
            cut.send(()).unwrap();
        })
        .await;
        let endless_head = Backend::start(async |_, mut stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
            while stream.write_all(b"x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n").await.is_ok() {}
        })
        .await;
        for backend in [&announced, &endless] {
            let refusal = client.get(&backend.url("/")).await.unwrap_err();
            assert!(refusal.contains("RESPONSE_LIMIT of 100000"), "{refusal}");
        }
        let mut was_cut = was_cut;
        soon(was_cut.recv()).await.unwrap();
        assert!(client.get(&endless_head.url("/")).await.is_err());
        // Small on the wire stays small: what says that it is compressed is passed on as it is.
        let zipped =
            answering(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x8b\x08").await;
        assert_eq!(client.get(&zipped.url("/")).await.unwrap().body.as_slice(), b"\x1f\x8b\x08");
    })
    .await;
}

#[actix_rt::test]
async fn servers_that_answer_badly_are_errors_that_tell_no_secrets() {
    with_host(async |host| {
        let client = Client::start(&host, &[LOCAL]).await;
        let gone = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap()
        };
        let (garbage, cut) =
            (answering(b"\0\0\0\r\n\r\n").await, answering(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx").await);
        for address in [gone, garbage.address, cut.address] {
            let url = format!("http://user:hunter2@{address}/hunter2?token=hunter2");
            let refusal = client.request("GET", &url, &[("x", "hunter2")], b"hunter2").await.unwrap_err();
            assert!(refusal.contains(&address.to_string()) && !refusal.contains("hunter2"), "{refusal}");
        }
        let unreachable = client.get("http://no-such-host.invalid/hunter2").await.unwrap_err();
        assert!(unreachable.contains("no-such-host.invalid") && !unreachable.contains("hunter2"), "{unreachable}");
    })
    .await;
}

#[actix_rt::test]
async fn a_slow_server_costs_its_own_request_alone() {
    with_host(async |host| {
        let (arrived, mut has_arrived) = tokio::sync::mpsc::unbounded_channel();
        let silent = Backend::start(async move |_, mut stream| {
            arrived.send(()).unwrap();
            // Until the client gives up.
            let _ = stream.read_u8().await;
            arrived.send(()).unwrap();
        })
        .await;
        let quick = answering(OK).await;
        let client = Client::start(&host, &[LOCAL, ("TIMEOUT_MS", "1000")]).await;
        let other = Client::beside(&host, &client.provider, &[LOCAL]).await;
        let (silent_url, quick_url) = (silent.url("/"), quick.url("/"));
        let meanwhile = async {
            soon(has_arrived.recv()).await.unwrap();
            assert_eq!(other.get(&quick_url).await.unwrap().status_code, 200);
        };
        let (late, ()) = join(client.get(&silent_url), meanwhile).await;
        assert!(late.unwrap_err().contains("not done in time"));
        soon(has_arrived.recv()).await.expect("the connection is closed");
        assert_eq!(client.get(&quick_url).await.unwrap().status_code, 200);
    })
    .await;
}

#[actix_rt::test]
async fn the_deadline_of_a_call_ends_its_request() {
    let builder = wasmcloud_host::HostBuilder::new().with_shards(1).with_call_deadline(Duration::from_millis(500));
    crate::support::with_host_of(builder, async |host| {
        let (gone, mut is_gone) = tokio::sync::mpsc::unbounded_channel();
        let silent = Backend::start(async move |_, mut stream| {
            let _ = stream.read_u8().await;
            gone.send(()).unwrap();
        })
        .await;
        let client = Client::start(&host, &[LOCAL]).await;
        let request = Request { method: "GET", url: &silent.url("/"), headers: BTreeMap::new(), body: b"" };
        let call = host_call("", CLIENT, "Request", &rmp_serde::to_vec_named(&request).unwrap());
        // The actor's own time is up as well.
        assert!(soon(host.call_actor(&client.actor, "Any", &call)).await.is_err());
        soon(is_gone.recv()).await.expect("the connection is closed");
    })
    .await;
}

#[actix_rt::test]
async fn an_actor_cannot_forge_what_goes_over_the_wire() {
    with_host(async |host| {
        let backend = answering(OK).await;
        let client = Client::start(&host, &[LOCAL, ("REQUEST_LIMIT", "10")]).await;
        let url = backend.url("/");
        for headers in [("x", "a\r\ny: b"), ("x", "a\nb"), ("x\r\ny", "a"), ("x y", "a"), ("", "a"), ("x:", "a")] {
            let refusal = client.request("GET", &url, &[headers], b"").await.unwrap_err();
            assert!(refusal.contains("header"), "{refusal}");
        }
        for method in ["", "GET /", "GE\r\nT", "CONNECT"] {
            assert!(client.request(method, &url, &[], b"").await.unwrap_err().contains("method"), "{method:?}");
        }
        for url in ["", "no url", "//example.com", "gopher://example.com", "unix:/run/x", "http://", "http://\r\n/"] {
            assert!(client.get(url).await.is_err(), "{url:?}");
        }
        let large = client.request("POST", &url, &[], &[0; 11]).await.unwrap_err();
        assert!(large.contains("REQUEST_LIMIT"), "{large}");
        assert_eq!(backend.asked(), [""; 0], "none of these has been sent");

        let host = [("host", "evil.example"), ("content-length", "10"), ("connection", "keep-alive")];
        assert_eq!(client.request("POST", &url, &host, b"0123456789").await.unwrap().status_code, 200);
        let asked = backend.asked()[0].to_lowercase();
        assert!(asked.contains(&format!("host: {}", backend.address)) && !asked.contains("evil"), "{asked}");
        assert_eq!(asked.matches("content-length: 10\r\n").count(), 1, "{asked}");
        for framing in [
            ("content-length", "0"),
            ("content-length", "11"),
            ("Content-Length", "ten"),
            ("transfer-encoding", "chunked"),
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("te", "trailers"),
            ("proxy-authorization", "Basic c2VjcmV0"),
        ] {
            let refusal = client.request("POST", &url, &[framing], b"0123456789").await.unwrap_err();
            assert!(refusal.contains(&framing.0.to_lowercase()) && !refusal.contains("c2VjcmV0"), "{refusal}");
        }
        assert_eq!(backend.asked().len(), 1, "none of these has been sent");
    })
    .await;
}

#[actix_rt::test]
async fn a_server_is_told_that_there_is_no_body_where_it_may_expect_one() {
    with_host(async |host| {
        let backend = answering(OK).await;
        let client = Client::start(&host, &[LOCAL]).await;
        let url = backend.url("/");
        for (method, headers, length) in [
            ("POST", &[][..], Some("content-length: 0\r\n")),
            ("PUT", &[], Some("content-length: 0\r\n")),
            ("PATCH", &[], Some("content-length: 0\r\n")),
            ("POST", &[("Content-Length", "0")], Some("content-length: 0\r\n")),
            ("DELETE", &[("content-length", "0")], Some("content-length: 0\r\n")),
            ("DELETE", &[], None),
            ("GET", &[], None),
            ("HEAD", &[], None),
        ] {
            client.request(method, &url, headers, b"").await.unwrap();
            let asked = backend.asked().last().unwrap().to_lowercase();
            let (framing, expected) = (asked.matches("content-length").count(), usize::from(length.is_some()));
            assert_eq!((framing, asked.contains("transfer-encoding")), (expected, false), "{asked}");
            assert!(length.is_none_or(|length| asked.contains(length)), "{asked}");
        }
        // Over a redirect, the length goes with the body.
        let redirecting = Backend::redirecting().await;
        let by = redirecting.url(&format!("/{}", backend.url("/last")));
        client.request("POST", &by, &[], b"abc").await.unwrap();
        let last = backend.asked().last().unwrap().to_lowercase();
        assert!(last.starts_with("get /last ") && !last.contains("content-length"), "{last}");
    })
    .await;
}

#[actix_rt::test]
async fn each_link_has_its_own_values() {
    with_host(async |host| {
        let backend = answering(OK).await;
        let url = backend.url("/");
        let one = Client::start(&host, &[LOCAL]).await;
        let two = Client::beside(&host, &one.provider, &[("ALLOWED_NETWORKS", "10.0.0.0/8")]).await;
        assert!(one.get(&url).await.is_ok() && two.get(&url).await.is_err());
        // A refused change leaves what was; one that is taken counts at once, for that link.
        let refused = one.link(&[("ALLOWED_NETWORKS", "everything")]).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::LinkRefused);
        assert!(refused.to_string().contains("ALLOWED_NETWORKS"), "{refused}");
        assert!(one.get(&url).await.is_ok());
        one.link(&[]).await.unwrap();
        two.link(&[LOCAL]).await.unwrap();
        assert!(one.get(&url).await.is_err() && two.get(&url).await.is_ok());
        host.remove_link(&two.actor, CLIENT, None).await.unwrap();
        assert!(two.get(&url).await.is_err());
        // The links outlive the provider.
        one.link(&[LOCAL]).await.unwrap();
        host.stop_provider(&one.provider, CLIENT, None).await.unwrap();
        assert!(one.get(&url).await.is_err());
        host.start_native_capability(HttpClient::new(None).capability().unwrap()).await.unwrap();
        assert!(one.get(&url).await.is_ok() && two.get(&url).await.is_err());
    })
    .await;
}

#[actix_rt::test]
async fn a_released_link_closes_its_connections() {
    with_host(async |host| {
        let (closed, mut is_closed) = tokio::sync::mpsc::unbounded_channel();
        let keeping = Backend::start(async move |_, mut stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            let _ = stream.read_u8().await;
            closed.send(()).unwrap();
        })
        .await;
        let client = Client::start(&host, &[LOCAL]).await;
        assert_eq!(client.get(&keeping.url("/")).await.unwrap().status_code, 200);
        assert!(is_closed.try_recv().is_err(), "it is kept for the next request");
        host.remove_link(&client.actor, CLIENT, None).await.unwrap();
        soon(is_closed.recv()).await.unwrap();
    })
    .await;
}

#[actix_rt::test]
async fn servers_are_trusted_by_the_certificates_that_the_link_names() {
    with_host(async |host| {
        let (certificate, key) = certificate();
        let served = serve(&host, "echo", &[("TLS_CERT", &certificate), ("TLS_KEY", &key)]).await;
        let url = format!("https://localhost:{}/status/201", served.address.port());
        let client = Client::start(&host, &[LOCAL]).await;
        assert!(client.get(&url).await.unwrap_err().contains("certificate"));
        client.link(&[LOCAL, ("CA_CERT", &certificate)]).await.unwrap();
        assert_eq!(client.get(&url).await.unwrap().status_code, 201);
        for bad in ["/nowhere", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN "] {
            let refusal = client.link(&[LOCAL, ("CA_CERT", bad)]).await.unwrap_err();
            assert!(refusal.to_string().contains("CA_CERT"), "{refusal}");
            let names_it = !bad.starts_with('/') || refusal.to_string().contains(bad);
            assert!(names_it, "{refusal}");
        }
    })
    .await;
}

#[actix_rt::test]
async fn what_is_no_request_is_an_error_and_harms_nobody() {
    with_host(async |host| {
        let backend = answering(OK).await;
        let client = Client::start(&host, &[LOCAL]).await;
        let huge_map = b"\xdf\xff\xff\xff\xff".as_slice();
        let huge_body = b"\x83\xa6method\xa3GET\xa3url\xa1x\xa4body\xc6\xff\xff\xff\xff".as_slice();
        for message in [b"".as_slice(), b"\xc0", b"hello", huge_map, huge_body, &[0x81; 10_000]] {
            assert!(client.send(message).await.unwrap_err().contains("request"), "{message:?}");
        }
        let other = host_call("", CLIENT, "Delete", b"");
        let refusal = host_answer(&host.call_actor(&client.actor, "Any", &other).await.unwrap()).unwrap_err();
        assert!(refusal.contains("no operation"), "{refusal}");
        assert_eq!(client.get(&backend.url("/")).await.unwrap().status_code, 200);
    })
    .await;
}

/// The example `proxy`, built with the tests, behind its front door. It ends with this.
struct Proxy {
    process: std::process::Child,
    /// Kept open: the example writes more than its first line.
    _output: std::io::BufReader<std::process::ChildStdout>,
}

impl Proxy {
    /// Starts it, and waits for its first line: where it listens.
    fn start(arguments: &[&str]) -> (Proxy, String) {
        use std::io::BufRead;
        let tests = std::env::current_exe().unwrap();
        let example = tests.ancestors().nth(2).unwrap().join("examples/proxy");
        let mut process = std::process::Command::new(example)
            .args(["--port", "0"])
            .args(arguments)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        let mut output = std::io::BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut first).unwrap();
        (Proxy { process, _output: output }, first.trim().strip_prefix("Listening on ").unwrap().to_owned())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[actix_rt::test]
#[cfg(unix)]
async fn the_proxy_example_fetches_what_it_may() {
    let backend = answering(OK).await;
    let target = backend.url("/a?b=c");
    let (_closed, closed_url) = Proxy::start(&[]);
    let refused = soon(reqwest::get(format!("{closed_url}/{target}"))).await.unwrap();
    assert_eq!(refused.status(), 502);
    assert!(refused.text().await.unwrap().contains("ALLOWED_NETWORKS"));
    assert_eq!(backend.asked(), [""; 0]);

    let (_open, open_url) = Proxy::start(&["--network", "127.0.0.1"]);
    let fetched = soon(reqwest::get(format!("{open_url}/{target}"))).await.unwrap();
    assert_eq!((fetched.status().as_u16(), fetched.text().await.unwrap().as_str()), (200, "ok"));
    assert!(backend.asked()[0].starts_with("GET /a?b=c HTTP/1.1\r\n") && backend.asked()[0].contains("via: proxy"));
}
