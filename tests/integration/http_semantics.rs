//! The HTTP server provider: what a request is, by the RFCs, told over real sockets: who it is addressed to, how it is framed,
//! and what an actor sees of it.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::{raw, serve};
use crate::support::{soon, with_host};

/// The status of an answer, and the description of the request that the actor saw.
fn parsed(answer: &[u8]) -> (u16, serde_json::Value) {
    let text = String::from_utf8_lossy(answer);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[actix_rt::test]
async fn the_actor_sees_the_host_that_a_request_is_addressed_to() {
    with_host(async |host| {
        let served = serve(&host, "echo", &[]).await;
        for (request, status, host) in [
            ("GET /x HTTP/1.1\r\nhost: a.example\r\n", 200, Some("a.example")),
            ("GET /x HTTP/1.1\r\n", 400, None),
            ("GET /x HTTP/1.1\r\nhost: a\r\nHost: b\r\n", 400, None),
            ("GET /x HTTP/1.1\r\nhost: a\r\nhost: a\r\n", 400, None),
            ("GET /x HTTP/1.1\r\nhost:\r\n", 400, None),
            ("GET /x HTTP/1.1\r\nhost: a b\r\n", 400, None),
            ("GET /x HTTP/1.1\r\nhost: user@a\r\n", 400, None),
            ("GET /x HTTP/1.1\r\nhost: a/b\r\n", 400, None),
            ("GET /x HTTP/1.1\r\nhost: a:99999\r\n", 400, None),
            ("GET /x HTTP/1.0\r\n", 200, None),
            ("GET /x HTTP/1.0\r\nhost: a\r\n", 200, Some("a")),
            ("GET http://a.example/x HTTP/1.1\r\nhost: b.example\r\n", 200, Some("a.example")),
            ("GET http://a.example:81/x HTTP/1.1\r\nhost: b.example\r\n", 200, Some("a.example:81")),
            ("GET http://a.example/x HTTP/1.1\r\n", 400, None),
            ("GET http://user:secret@a.example/x HTTP/1.1\r\nhost: a.example\r\n", 400, None),
            ("GET http:///x HTTP/1.1\r\nhost: a\r\n", 400, None),
            ("GET ftp://a.example/x HTTP/1.1\r\nhost: a.example\r\n", 400, None),
            ("GET a.example:80 HTTP/1.1\r\nhost: a.example\r\n", 400, None),
            ("GET * HTTP/1.1\r\nhost: a\r\n", 400, None),
        ] {
            let bytes = format!("{request}connection: close\r\n\r\n");
            let (told, seen) = parsed(&raw(served.address, bytes.as_bytes()).await);
            assert_eq!(told, status, "{request:?}");
            assert_eq!(seen["headers"]["host"].as_str(), host, "{request:?}");
            if status == 200 {
                assert_eq!(seen["path"], "/x", "{request:?}");
            }
        }
        let options = raw(served.address, b"OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        let (status, seen) = parsed(&options);
        assert_eq!((status, &seen["path"], &seen["method"]), (200, &"*".into(), &"OPTIONS".into()));
    })
    .await;
}

#[actix_rt::test]
async fn no_tunnel_is_made_and_the_actor_is_not_asked() {
    crate::support::keep_log();
    with_host(async |host| {
        let served = serve(&host, "echo", &[]).await;
        let behind = "GET /behind-the-tunnel HTTP/1.1\r\nhost: a\r\n\r\n";
        let connect = format!("CONNECT tunnel.example:443 HTTP/1.1\r\nhost: tunnel.example:443\r\n\r\n{behind}");
        let answer = raw(served.address, connect.as_bytes()).await;
        let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        assert!(text.starts_with("http/1.1 501") && text.contains("connection: close"), "{text}");
        assert!(text.contains("content-length: "), "its end is known: {text}");
        assert_eq!(text.matches("http/1.1 ").count(), 1, "what follows is no request: {text}");
        let seen = crate::support::logged().iter().any(|line| line.contains("behind-the-tunnel"));
        assert!(!seen, "what follows is no request");
    })
    .await;
}

#[actix_rt::test]
async fn a_body_is_framed_in_one_way_or_refused() {
    with_host(async |host| {
        let served = serve(&host, "echo", &[]).await;
        let chunks = "3\r\nabc\r\n0\r\n\r\n";
        for (headers, body, status, length) in [
            ("content-length: 3\r\n", "abc", 200, Some("3")),
            ("content-length: 3\r\ncontent-length: 3\r\n", "abc", 200, Some("3")),
            ("content-length: 3\r\ncontent-length: 4\r\n", "abc", 400, None),
            ("content-length: +3\r\n", "abc", 400, None),
            ("content-length: 3, 3\r\n", "abc", 400, None),
            ("transfer-encoding: chunked\r\n", chunks, 200, Some("3")),
            ("Transfer-Encoding: CHUNKED\r\n", chunks, 200, Some("3")),
            ("transfer-encoding: chunked, chunked\r\n", chunks, 400, None),
            ("transfer-encoding: gzip, chunked\r\n", chunks, 501, None),
            ("transfer-encoding: chunked, gzip\r\n", chunks, 400, None),
            ("transfer-encoding: xchunked\r\n", chunks, 400, None),
            // The chunks count, and the connection ends (RFC 9112, section 6.1).
            ("content-length: 3\r\ntransfer-encoding: chunked\r\n", chunks, 200, Some("3")),
            ("transfer-encoding: chunked\r\ncontent-length: 3\r\n", chunks, 200, Some("3")),
            ("transfer-encoding: chunked\r\n", "0\r\n\r\n", 200, Some("0")),
            ("transfer-encoding: chunked\r\n", "g\r\nabc\r\n0\r\n\r\n", 400, None),
            ("transfer-encoding: chunked\r\n", "-1\r\nabc\r\n0\r\n\r\n", 400, None),
            ("transfer-encoding: chunked\r\n", "ffffffffffffffffff\r\nabc", 400, None),
            ("expect: 200-ok\r\ncontent-length: 3\r\n", "abc", 417, None),
            ("", "", 200, None),
        ] {
            let case = format!("{headers}{body}");
            let close =
                if headers.contains("length") && headers.contains("chunked") { "" } else { "connection: close\r\n" };
            let bytes = format!("POST /x HTTP/1.1\r\nhost: a\r\n{close}{headers}\r\n{body}");
            let (told, seen) = parsed(&raw(served.address, bytes.as_bytes()).await);
            assert_eq!(told, status, "{case:?}");
            assert_eq!(seen["headers"]["content-length"].as_str(), length, "{case:?}");
            assert!(seen["headers"].get("transfer-encoding").is_none(), "{case:?}");
            let body = length.filter(|&length| length != "0").map(|_| serde_json::json!([97, 98, 99]));
            assert!(status != 200 || seen["body"] == body.unwrap_or(serde_json::json!([])), "{case:?}");
        }
        let old = raw(served.address, b"POST /x HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n").await;
        assert_eq!(parsed(&old).0, 400);
    })
    .await;
}

#[actix_rt::test]
async fn a_client_that_waits_to_be_asked_for_its_body_is() {
    with_host(async |host| {
        let served = serve(&host, "echo", &[]).await;
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        let head =
            b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let mut told = [0; 25];
        soon(stream.read_exact(&mut told)).await.unwrap();
        assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"abc").await.unwrap();
        let mut answer = Vec::new();
        soon(stream.read_to_end(&mut answer)).await.unwrap();
        let (status, seen) = parsed(&answer);
        assert_eq!((status, &seen["body"]), (200, &serde_json::json!([97, 98, 99])));
    })
    .await;
}

#[actix_rt::test]
async fn headers_of_the_connection_do_not_reach_the_actor() {
    with_host(async |host| {
        let served = serve(&host, "echo", &[]).await;
        let request = "GET /x HTTP/1.1\r\nhost: a\r\nconnection: close, x-mine\r\nkeep-alive: timeout=5\r\nte: trailers\r\n\
                       upgrade: websocket\r\nproxy-connection: keep-alive\r\nx-mine: y\r\n\r\n";
        let (status, seen) = parsed(&raw(served.address, request.as_bytes()).await);
        let mut names: Vec<_> = seen["headers"].as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!((status, names), (200, vec!["host", "x-mine", "x-request-id"]));
    })
    .await;
}

#[actix_rt::test]
async fn a_response_without_a_body_has_none() {
    with_host(async |host| {
        let served = serve(&host, "echo", &[]).await;
        let ask = async |head: &str| {
            let answer =
                raw(served.address, format!("{head} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes())
                    .await;
            String::from_utf8(answer).unwrap().to_ascii_lowercase()
        };
        let (got, headed) = (ask("GET /x").await, ask("HEAD /x").await);
        let length = |answer: &str| answer.lines().find(|line| line.starts_with("content-length: ")).map(str::to_owned);
        // The description of a HEAD has one more letter in it.
        assert!(length(&got).is_some() && length(&headed).is_some(), "{got} {headed}");
        assert!(headed.ends_with("\r\n\r\n"), "{headed}");
        for path in ["/status/204", "/status/304"] {
            let answer = ask(&format!("GET {path}")).await;
            assert!(answer.ends_with("\r\n\r\n") && length(&answer).is_none(), "{answer}");
        }
        assert_eq!(length(&ask("GET /status/205").await).as_deref(), Some("content-length: 0"));
    })
    .await;
}

/// A request of HTTP/2 with the body `abc` or none, and its answer: the status, the length that was told, and the body.
async fn request_2(
    address: SocketAddr,
    request: ::http::request::Builder,
    body: Option<&'static [u8]>,
) -> Result<(u16, Option<String>, Vec<u8>), h2::Error> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (requests, connection) = h2::client::handshake(stream).await?;
    let connection = actix_rt::spawn(connection);
    let mut requests = requests.ready().await?;
    let (response, mut sending) = requests.send_request(request.body(()).unwrap(), body.is_none())?;
    if let Some(body) = body {
        sending.send_data(Bytes::from_static(body), true)?;
    }
    let response = soon(response).await?;
    let status = response.status().as_u16();
    let length = response.headers().get("content-length").map(|length| length.to_str().unwrap().to_owned());
    let (mut body, mut stream) = (Vec::new(), response.into_body());
    while let Some(data) = soon(stream.data()).await {
        body.extend_from_slice(&data?);
    }
    drop(requests);
    connection.abort();
    Ok((status, length, body))
}

#[actix_rt::test]
async fn in_http_2_the_authority_is_the_host() {
    with_host(async |host| {
        let served = serve(&host, "echo", &[]).await;
        let get = |uri: &str| ::http::Request::builder().uri(uri);
        let at = served.address;
        for (request, host) in [
            (get("http://a.example/x"), "a.example"),
            (get("http://a.example:81/x"), "a.example:81"),
            (get("http://a.example/x").header("host", "A.example:80"), "a.example"),
            (get("https://a.example/x").header("host", "a.example:443"), "a.example"),
        ] {
            let (status, _, body) = request_2(at, request, None).await.unwrap();
            let seen: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((status, &seen["headers"]["host"], &seen["path"]), (200, &host.into(), &"/x".into()));
        }
        for (request, status) in [
            (get("http://a.example/x").header("host", "b.example"), 400),
            (get("http://a.example:81/x").header("host", "a.example"), 400),
            (get("http://a.example/x").header("host", "a.example").header("host", "a.example"), 400),
            (get("http://a.example/x").header("host", "a b"), 400),
            (get("http://user@a.example/x"), 400),
            (get("ftp://a.example/x"), 400),
            (::http::Request::builder().method("CONNECT").uri("a.example:443"), 501),
        ] {
            let shown = format!("{request:?}");
            assert_eq!(request_2(at, request, None).await.unwrap().0, status, "{shown}");
        }
    })
    .await;
}

#[actix_rt::test]
async fn in_http_2_bodies_are_framed_alike() {
    with_host(async |host| {
        let served = serve(&host, "echo", &[]).await;
        let post = || ::http::Request::builder().method("POST").uri("http://a/x");
        for request in [post(), post().header("content-length", "3")] {
            let (status, _, body) = request_2(served.address, request, Some(b"abc")).await.unwrap();
            let seen: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((status, &seen["headers"]["content-length"]), (200, &"3".into()));
        }
        // One that lies about its length is no request.
        assert!(request_2(served.address, post().header("content-length", "4"), Some(b"abc")).await.is_err());
        let head = ::http::Request::builder().method("HEAD").uri("http://a/x");
        let (status, length, body) = request_2(served.address, head, None).await.unwrap();
        assert_eq!((status, body.len()), (200, 0));
        assert!(length.is_some_and(|length| length != "0"));
        let failed = ::http::Request::builder().method("HEAD").uri("http://a/fail");
        assert_eq!(request_2(served.address, failed, None).await.unwrap(), (500, Some("21".to_owned()), Vec::new()));
        let empty = ::http::Request::builder().uri("http://a/status/204");
        assert_eq!(request_2(served.address, empty, None).await.unwrap(), (204, None, Vec::new()));
    })
    .await;
}
