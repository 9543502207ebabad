//! Addresses, tokens, names and hostile peers.

use std::net::{SocketAddr, TcpListener};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wasmcloud_host::{ErrorKind, HostBuilder, TelemetryOptions};

use super::{ANY, Stream, builder, get, request, send};
use crate::support::{kind, soon, with_host_of};

const TOKEN: &str = "Ohg3eiW7quoh5aeF";

#[actix_rt::test]
async fn the_page_is_served_and_may_do_nothing_but_show_what_comes_from_here() {
    with_host_of(builder(), async |host| {
        for (path, kind) in
            [("/", "text/html"), ("/dashboard/app.js", "text/javascript"), ("/dashboard/style.css", "text/css")]
        {
            let answer = get(&host, path).await;
            assert_eq!((answer.status, answer.header("x-content-type-options")), (200, "nosniff"), "{path}");
            assert!(answer.header("content-type").starts_with(kind), "{path}");
            assert!(answer.header("content-security-policy").starts_with("default-src 'none'; script-src 'self'"));
            assert_eq!(answer.header("referrer-policy"), "no-referrer");
            let known = request(host.telemetry_address().unwrap(), path).header("if-none-match", answer.header("etag"));
            assert_eq!(send(known).await.status, 304, "{path}");
        }
        for nothing in ["/dashboard/", "/dashboard/../Cargo.toml", "/dashboard/%2e%2e/state.rs", "/x", "//", "/api/v1/"]
        {
            assert_eq!(get(&host, nothing).await.status, 404, "{nothing}");
        }
        let address = host.telemetry_address().unwrap();
        let posted = reqwest::Client::new().post(format!("http://{address}/api/v1/state"));
        let posted = send(posted).await;
        assert_eq!((posted.status, posted.header("allow")), (405, "GET, HEAD"));
        let head = send(reqwest::Client::new().head(format!("http://{address}/metrics"))).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""));
    })
    .await;
}

#[actix_rt::test]
async fn metrics_are_served_in_both_formats() {
    with_host_of(builder(), async |host| {
        let plain = get(&host, "/metrics").await;
        assert!(plain.header("content-type").starts_with("text/plain; version=0.0.4"), "{:?}", plain.headers);
        assert!(plain.text.contains(&host.id()) && plain.text.contains("wasmcloud_host_info"), "{}", plain.text);
        let open = request(host.telemetry_address().unwrap(), "/metrics");
        let open =
            send(open.header("accept", "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.3")).await;
        assert!(open.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
        assert!(open.text.ends_with("# EOF\n"));
    })
    .await;
}

#[actix_rt::test]
async fn strangers_learn_the_bare_health_alone_if_there_is_a_token() {
    let options = TelemetryOptions::new(ANY).token(TOKEN).unwrap();
    with_host_of(HostBuilder::new().with_telemetry(options), async |host| {
        let address = host.telemetry_address().unwrap();
        for open in ["/", "/dashboard/app.js", "/livez", "/readyz"] {
            let answer = get(&host, open).await;
            assert_eq!(answer.status, 200, "{open}");
            assert!(!answer.text.contains(&host.id()) && !answer.text.contains("checks"), "{}", answer.text);
        }
        for closed in ["/metrics", "/api/v1/state", "/api/v1/stream"] {
            let refused = get(&host, closed).await;
            assert_eq!((refused.status, refused.header("www-authenticate")), (401, "Bearer"), "{closed}");
            assert!(refused.json()["error"].as_str().unwrap().contains("token"));
            let wrong = send(request(address, closed).bearer_auth("Ohg3eiW7quoh5aeE")).await;
            assert_eq!(wrong.status, 401, "{closed}");
        }
        let ready = send(request(address, "/readyz").bearer_auth(TOKEN)).await;
        assert_eq!(ready.json()["checks"][0]["check"], "host");
        assert_eq!(send(request(address, "/api/v1/state").bearer_auth(TOKEN)).await.json()["host"]["id"], host.id());
        let guess = async || send(request(address, "/livez").bearer_auth("guess")).await.status;
        soon(async { while guess().await != 429 {} }).await;
        assert_eq!(get(&host, "/livez").await.status, 200, "probes are answered while someone guesses");
    })
    .await;
}

#[actix_rt::test]
async fn an_address_that_others_can_reach_needs_a_token() {
    let everywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
    let host = HostBuilder::new().with_telemetry(TelemetryOptions::new(everywhere)).build();
    assert_eq!(kind(host.start().await), ErrorKind::InvalidArgument);
    let options = TelemetryOptions::new(everywhere).token(TOKEN).unwrap();
    with_host_of(HostBuilder::new().with_telemetry(options), async |host| {
        assert_ne!(host.telemetry_address().unwrap().port(), 0);
    })
    .await;
}

#[actix_rt::test]
async fn a_port_in_use_fails_the_start_or_gives_way() {
    let taken = TcpListener::bind(ANY).unwrap();
    let address = taken.local_addr().unwrap();
    let named = HostBuilder::new().with_telemetry(TelemetryOptions::new(address)).build();
    let failure = named.start().await.unwrap_err();
    assert!(failure.kind() == ErrorKind::Io && failure.to_string().contains(&address.to_string()), "{failure}");
    assert_eq!(named.telemetry_address(), None);
    let options = TelemetryOptions::new(address).or_another_port();
    with_host_of(HostBuilder::new().with_telemetry(options), async |host| {
        let another = host.telemetry_address().unwrap();
        assert!(another.ip() == address.ip() && another != address);
        assert_eq!(get(&host, "/livez").await.status, 200);
    })
    .await;
}

#[actix_rt::test]
async fn a_host_without_telemetry_has_no_port() {
    with_host_of(HostBuilder::new(), async |host| assert_eq!(host.telemetry_address(), None)).await;
}

#[actix_rt::test]
async fn no_page_of_another_site_is_answered() {
    with_host_of(builder(), async |host| {
        let address = host.telemetry_address().unwrap();
        for (name, value) in [("host", "evil.example"), ("sec-fetch-site", "cross-site")] {
            let answer = send(request(address, "/api/v1/state").header(name, value)).await;
            assert!(matches!(answer.status, 403 | 421), "{name}: {}", answer.status);
            assert!(!answer.text.contains(&host.id()), "{}", answer.text);
        }
        let answer = get(&host, "/api/v1/state").await;
        assert_eq!(answer.header("access-control-allow-origin"), "");
    })
    .await;
}

#[actix_rt::test]
async fn garbage_harms_no_one_else() {
    with_host_of(builder(), async |host| {
        let address = host.telemetry_address().unwrap();
        let long = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
        let many = format!("GET / HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: y\r\n".repeat(1_000));
        for garbage in ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &long, &many] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // The port may close the connection while it is written to.
            let _ = stream.write_all(garbage.as_bytes()).await;
            let mut answer = Vec::new();
            let _ = soon(stream.read_to_end(&mut answer)).await;
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
        }
        // Peers that say nothing occupy no more than their share.
        let silent: Vec<TcpStream> = {
            let mut silent = Vec::new();
            for _ in 0..200 {
                silent.push(TcpStream::connect(address).await.unwrap());
            }
            silent
        };
        assert_eq!(get(&host, "/livez").await.status, 200);
        drop(silent);
    })
    .await;
}

#[actix_rt::test]
async fn more_connections_than_there_are_places_take_no_probe_away() {
    const PLACES: usize = 256;
    with_host_of(builder(), async |host| {
        let address = host.telemetry_address().unwrap();
        let mut viewer = Stream::open(&host).await;
        let mut taken = Vec::new();
        for number in 0..PLACES + 20 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            if number % 2 == 0 {
                stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
                let mut answer = [0; 15];
                soon(stream.read_exact(&mut answer)).await.unwrap();
                assert_eq!(&answer, b"HTTP/1.1 200 OK");
            }
            taken.push(stream);
        }
        assert_eq!(get(&host, "/livez").await.status, 200);
        viewer.until(|kind, _| kind == "delta").await;
        drop(taken);
    })
    .await;
}
