//! Idle connections. Their clients run in another process, so that only the server's side is measured.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use super::{Connection, runtime};
use crate::support::{Row, Target, is_real_run};

const CHILD: &str = "WASMCLOUD_BENCH_IDLE_CLIENTS";

/// Returns whether this process is the clients' process.
pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Opens the connections and uses each once, and again after a line on standard input.
pub(crate) fn run_child() {
    let target = std::env::var(CHILD).expect("it is set");
    let (server, count) = target.split_once(' ').expect("an address and a number");
    let server = server.parse().expect("an address");
    let count = count.parse().expect("a number");
    runtime().block_on(async {
        let mut connections = Vec::new();
        for _ in 0..count {
            let mut connection = Connection::open(server).await;
            connection.send_request().await.expect("the server answers");
            connections.push(connection);
        }
        println!("idle");
        std::io::stdin().read_line(&mut String::new()).expect("the parent process writes a line");
        let mut served = 0;
        for connection in &mut connections {
            served += usize::from(connection.send_request().await.is_ok());
        }
        println!("{served}");
    });
}

/// Measures the memory of idle connections, and whether all are served again.
pub(crate) fn rows(server: SocketAddr) -> Vec<Row> {
    let count: usize = if is_real_run() { 10_000 } else { 100 };
    let before = resident();
    let own = std::env::current_exe().expect("this program has a file");
    let mut child = Command::new(own)
        .env(CHILD, format!("{server} {count}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the clients can be started");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut line = || lines.next().expect("the clients say how they are").expect("in text");
    assert_eq!(line(), "idle");
    let each = (resident() - before) / count as f64 / 1024.0;
    writeln!(child.stdin.take().expect("it is piped")).expect("the clients listen");
    let served: usize = line().parse().expect("a number");
    child.wait().expect("the clients end");
    let row = |what: &str, figure, unit, target| Row {
        what: format!("{count} idle connections: {what}"),
        per_call: None,
        figure,
        unit,
        target: Some(target),
    };
    vec![
        row("resident for each", each, "KiB", Target::AtMost(20.0)),
        row("served again", served as f64, "", Target::AtLeast(count as f64)),
    ]
}

/// Returns the resident memory of the process, or 0 if the system does not report it. Unit: bytes.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.map_or(0.0, |line| line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") * 1024.0)
}
