//! The HTTP server provider: how many connections there is room for, what they may have the server hold, and where it listens.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use wasmcloud_host::{ErrorKind, HostBuilder};

use crate::http::{HTTP, raw, serve, start_actor, start_server};
use crate::signing::sign;
use crate::support::{in_own_process, keep_log, logged, soon, values, with_host, with_host_of};

const MIB: usize = 1024 * 1024;

/// A connection from another address of this machine.
async fn connect_from(client: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(client.parse().unwrap(), 0)).unwrap();
    socket.connect(to).await.unwrap()
}

/// A client of HTTP/2 whose window for each answer is this, and a task that speaks for it.
async fn connect_2(client: &str, to: SocketAddr, window: u32) -> (h2::client::SendRequest<Bytes>, h2::PingPong) {
    let stream = connect_from(client, to).await;
    let mut builder = h2::client::Builder::new();
    let (requests, mut connection) =
        builder.initial_window_size(window).initial_connection_window_size(1 << 24).handshake(stream).await.unwrap();
    let pings = connection.ping_pong().unwrap();
    actix_rt::spawn(connection);
    (requests.ready().await.unwrap(), pings)
}

fn post(length: usize) -> ::http::Request<()> {
    ::http::Request::post("http://a/raw").header("content-length", length).body(()).unwrap()
}

#[actix_rt::test]
async fn streams_that_announce_and_send_nothing_block_nobody() {
    with_host(async |host| {
        let served = serve(&host, "echo", &[]).await;
        let mut streams = Vec::new();
        // As many as the server takes, of as much as it takes, on some connections from the same address as the other client.
        for _ in 0..4 {
            let (mut requests, mut pings) = connect_2("127.0.0.1", served.address, 65_535).await;
            for _ in 0..32 {
                streams.push(requests.send_request(post(8 * MIB), false).unwrap());
            }
            // Once this is answered, all of these have arrived.
            soon(pings.ping(h2::Ping::opaque())).await.unwrap();
            streams.push(requests.send_request(post(1), false).unwrap());
        }
        let client = reqwest::Client::new();
        for length in [1, MIB, 8 * MIB] {
            let response = soon(client.post(served.url("/raw")).body(vec![1; length]).send()).await.unwrap();
            assert_eq!(response.status(), 200, "{length} bytes");
            assert_eq!(soon(response.bytes()).await.unwrap().len(), length);
        }
    })
    .await;
}

/// What the process has in memory, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[test]
#[cfg(target_os = "linux")]
fn answers_that_clients_do_not_take_are_bounded_for_all_of_them() {
    in_own_process("http_connections::answers_that_clients_do_not_take_are_bounded_for_all_of_them", || {
        with_host_of(HostBuilder::new().with_shards(1), async |host| {
            let served = serve(&host, "echo", &[]).await;
            // Once through everything, so that it is paid for.
            assert_eq!(answered(served.address).await, 200);
            let before = resident();
            let (mut most, mut kept) = (0, Vec::new());
            let (mut streams, mut pinging) = (Vec::new(), Vec::new());
            // 1 GiB of answers: by HTTP/2 with a window of 0, and by HTTP/1 unread, from four addresses.
            for number in 0..8 {
                let client = format!("127.0.0.{}", 2 + number % 4);
                let (mut requests, pings) = connect_2(&client, served.address, 0).await;
                for _ in 0..32 {
                    let (response, mut body) = requests.send_request(post(4 * MIB), false).unwrap();
                    body.send_data(Bytes::from_static(&[0; 4 * MIB]), true).unwrap();
                    kept.push(response);
                }
                for _ in 0..2 {
                    let mut stream = connect_from(&client, served.address).await;
                    let head = format!("POST /raw HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", 4 * MIB);
                    stream.write_all(head.as_bytes()).await.unwrap();
                    // It may be cut in the middle of that.
                    let _ = tokio::time::timeout(Duration::from_secs(2), stream.write_all(&[0; 4 * MIB])).await;
                    most = most.max(resident().saturating_sub(before));
                    streams.push(stream);
                }
                most = most.max(resident().saturating_sub(before));
                pinging.push(pings);
            }
            assert_eq!(answered(served.address).await, 200, "others are served all the while");
            most = most.max(resident().saturating_sub(before));
            println!("held for clients that take nothing: {} MiB", most / MIB);
            // What bodies and answers may have, and what guest and host need for one of them at a time.
            assert!(most <= 640 * MIB, "{} MiB more than before", most / MIB);
        })
    });
}

async fn answered(address: SocketAddr) -> u16 {
    let response = soon(reqwest::get(format!("http://{address}/demo"))).await.unwrap();
    response.status().as_u16()
}

#[actix_rt::test]
async fn a_client_with_nothing_in_flight_does_not_delay_a_stop() {
    keep_log();
    with_host(async |host| {
        let served = serve(&host, "echo", &[]).await;
        let stream = connect_from("127.0.0.1", served.address).await;
        let (requests, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = actix_rt::spawn(connection);
        let mut requests: h2::client::SendRequest<Bytes> = requests.ready().await.unwrap();
        let (response, _) =
            requests.send_request(::http::Request::get("http://a/empty").body(()).unwrap(), true).unwrap();
        assert_eq!(soon(response).await.unwrap().status(), 204);
        // It stays connected, and neither reads nor answers any more.
        std::mem::forget(connection);
        let frozen = requests;
        soon(host.stop()).await;
        drop(frozen);
        let cut = logged().iter().any(|line| line.contains("requests took too long to end"));
        assert!(!cut, "the stop has waited for it as long as it waits for anything");
    })
    .await;
}

/// The example `echo`, built with the tests, with a limit of open files of its own. It ends with this.
#[cfg(unix)]
struct Echo {
    process: std::process::Child,
    address: SocketAddr,
    _output: std::io::BufReader<std::process::ChildStdout>,
}

#[cfg(unix)]
impl Echo {
    fn start(files: usize) -> Echo {
        use std::io::BufRead;
        let tests = std::env::current_exe().unwrap();
        let example = tests.ancestors().nth(2).unwrap().join("examples/echo");
        let mut process = std::process::Command::new("sh")
            .arg("-c")
            .arg(format!("ulimit -n {files} && exec \"$0\" --port 0"))
            .arg(example)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = std::io::BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "the example has ended");
            let found = line.split_whitespace().find_map(|word| word.strip_prefix("http://"));
            if let Some(address) = found.and_then(|word| word.split('/').next()?.parse().ok()) {
                break address;
            }
        };
        Echo { process, address, _output: output }
    }
}

#[cfg(unix)]
impl Drop for Echo {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[actix_rt::test]
#[cfg(unix)]
async fn idle_connections_do_not_keep_new_clients_out() {
    let echo = Echo::start(160);
    let mut idle = Vec::new();
    // More than there are files for, most of which say nothing.
    for number in 0..400 {
        let mut stream = connect_from("127.0.0.1", echo.address).await;
        if number % 10 == 0 {
            let _ = stream.write_all(b"GET / HTTP/1.1\r\n").await;
        }
        idle.push(stream);
        if number % 50 == 49 {
            let answer = soon(raw(echo.address, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).await;
            assert!(answer.starts_with(b"HTTP/1.1 200"), "after {number}: {}", String::from_utf8_lossy(&answer));
        }
    }
    // The first ones have been closed.
    let mut rest = Vec::new();
    let _ = soon(idle[1].read_to_end(&mut rest)).await;
}

#[actix_rt::test]
async fn the_address_is_told_and_is_the_machines_own_unless_a_link_says_otherwise() {
    keep_log();
    with_host(async |host| {
        let (http, provider) = start_server(&host).await;
        for (bind, ip) in
            [(None, "127.0.0.1"), (Some("localhost"), "127.0.0.1"), (Some("[::1]"), "::1"), (Some("::1"), "::1")]
        {
            let actor = start_actor(&host, sign("echo")).await;
            let mut link = values(&[("PORT", "0")]);
            link.extend(bind.map(|bind| ("BIND".to_owned(), bind.to_owned())));
            host.set_link(&actor, HTTP, None, provider.clone(), link).await.unwrap();
            let address = http.address(&actor).unwrap();
            assert_eq!(address.ip().to_string(), ip);
            assert_eq!(answered(address).await, 200);
            let told = logged().iter().any(|line| line.contains(&actor) && line.contains(&format!("http://{address}")));
            assert!(told, "the log tells the address");
        }
    })
    .await;
}

#[actix_rt::test]
async fn a_mistyped_value_refuses_the_link() {
    with_host(async |host| {
        let (http, provider) = start_server(&host).await;
        let actor = start_actor(&host, sign("echo")).await;
        for (name, meant) in [
            ("PORTS", "PORT"),
            ("bind", "BIND"),
            ("TLS_CERTS", "TLS_CERT"),
            ("CORS_ALLOWED_ORIGIN", "CORS_ALLOWED_ORIGINS"),
        ] {
            let link = values(&[("PORT", "0"), (name, "secret")]);
            let refusal = host.set_link(&actor, HTTP, None, provider.clone(), link).await.unwrap_err();
            assert_eq!(refusal.kind(), ErrorKind::LinkRefused);
            let text = refusal.to_string();
            assert!(text.contains(name) && text.contains(&format!("did you mean {meant}?")), "{text}");
            assert!(!text.contains("secret") && http.address(&actor).is_none(), "{text}");
        }
    })
    .await;
}
