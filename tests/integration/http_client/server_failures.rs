//! Bad days of a server that requests go to, the example `echo` in a process of its own: it dies under load, or does not
//! answer.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};

use super::{Client, LOCAL, OK, answering};
use crate::conformance::server_process::ServerProcess;
use crate::support::{until, with_host};

/// How long a request may take.
const TIMEOUT: (&str, &str) = ("TIMEOUT_MS", "2000");

fn start_echo() -> ServerProcess {
    let tests = std::env::current_exe().unwrap();
    let example = tests.ancestors().nth(2).unwrap().join("examples/echo");
    let command = move |port: u16| {
        let mut command = Command::new(&example);
        command.args(["--port", &port.to_string()]);
        command
    };
    ServerProcess::start(command, answers)
}

fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut answer = [0; 12];
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && answer.ends_with(b" 200")
}

fn url_of(server: &ServerProcess) -> String {
    format!("http://127.0.0.1:{}/", server.port)
}

#[actix_rt::test]
async fn a_server_that_dies_under_load_costs_errors_and_is_asked_again_by_itself() {
    let server = start_echo();
    with_host(async |host| {
        let client = Client::start(&host, &[LOCAL, TIMEOUT]).await;
        let mut clients = Vec::new();
        for _ in 0..4 {
            clients.push(Client::beside(&host, &client.provider, &[LOCAL, TIMEOUT]).await);
        }
        let url = url_of(&server);
        let load = async || join_all((0..16).map(|number| clients[number % 4].get(&url))).await;
        let all_is_well = async || load().await.iter().all(Result::is_ok);
        assert!(all_is_well().await);
        for _ in 0..3 {
            let (_, ()) = join(load(), async { server.kill() }).await;
            for outcome in load().await {
                let refusal = outcome.unwrap_err();
                assert!(refusal.contains(&format!("127.0.0.1:{}", server.port)), "{refusal}");
                assert!(!refusal.contains("not done in time"), "the error is that of the connection: {refusal}");
            }
            server.start_again();
            // A connection that the old server had may be tried first.
            until(async || all_is_well().await).await;
        }
    })
    .await;
}

#[actix_rt::test]
async fn a_server_that_does_not_answer_costs_its_own_requests_alone_and_is_asked_again_by_itself() {
    let server = start_echo();
    with_host(async |host| {
        let quick = answering(OK).await;
        let slow = Client::start(&host, &[LOCAL, TIMEOUT]).await;
        let other = Client::beside(&host, &slow.provider, &[LOCAL]).await;
        let (slow_url, quick_url) = (url_of(&server), quick.url("/"));
        assert!(slow.get(&slow_url).await.is_ok());
        server.freeze();
        let begin = Instant::now();
        let stalled = async { (slow.get(&slow_url).await.unwrap_err(), begin.elapsed()) };
        let bystander = async {
            for _ in 0..20 {
                assert_eq!(other.get(&quick_url).await.unwrap().status_code, 200);
            }
            begin.elapsed()
        };
        let ((refusal, stalled), bystander) = join(stalled, bystander).await;
        assert!(refusal.contains("not done in time"), "{refusal}");
        assert!(bystander < stalled, "the other link waited: {bystander:?} of {stalled:?}");
        server.thaw();
        until(async || slow.get(&slow_url).await.is_ok()).await;
    })
    .await;
}
