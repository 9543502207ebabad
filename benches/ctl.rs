//! Measures `wasmcloud ctl hosts` with 50 hosts, which run in this process on threads of their own.
//!
//! `cargo bench -p wasmcloud --bench ctl` prints the table and writes `target/figures/ctl.json`. `nats-server` has to be on the
//! PATH.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a benchmark that cannot run should end at once")]

#[path = "lattice/hosts.rs"]
#[allow(dead_code, reason = "the benchmark of the lattice uses more of it")]
mod hosts;
#[path = "lattice/server.rs"]
#[allow(dead_code, reason = "the benchmark of the lattice uses more of it")]
mod server;
#[allow(dead_code, reason = "other benchmarks use more of it")]
mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use wasmcloud_host::Host;

use server::NatsServer;
use support::{Row, Target, is_real_run, median, report};

/// How many hosts there are.
const HOSTS: usize = 50;

/// The longest time that a complete list may take. Unit: milliseconds.
const TARGET: f64 = 300.0;

fn main() {
    let (hosts, rounds) = if is_real_run() { (HOSTS, 25) } else { (3, 1) };
    let rows = actix_rt::System::new().block_on(measure(hosts, rounds));
    report("ctl", "wasmcloud ctl", &rows).expect("the figures can be written");
}

async fn measure(count: usize, rounds: usize) -> Vec<Row> {
    let server = NatsServer::start();
    let mut hosts = Vec::new();
    for _ in 0..count {
        hosts.push(hosts::join(hosts::builder(), hosts::lattice(&server.url())).await);
    }
    acquainted(&hosts).await;
    let mut times = Vec::new();
    let mut complete = 0;
    for _ in 0..rounds {
        let begin = Instant::now();
        let listed = listed(&server);
        times.push(begin.elapsed().as_secs_f64() * 1e3);
        complete += usize::from(listed == count);
    }
    let longest = times.iter().copied().fold(0.0, f64::max);
    for host in &hosts {
        host.stop().await;
    }
    let row = |what: String, figure, target| Row { what, per_call: None, figure, unit: " ms", target };
    vec![
        row(
            format!("ctl hosts, {count} hosts: median of {rounds} processes"),
            median(times),
            Some(Target::AtMost(TARGET)),
        ),
        row(format!("ctl hosts, {count} hosts: longest"), longest, Some(Target::AtMost(TARGET))),
        Row {
            what: format!("ctl hosts, {count} hosts: lists that are complete"),
            per_call: None,
            figure: complete as f64 / rounds as f64 * 100.0,
            unit: " %",
            target: Some(Target::AtLeast(100.0)),
        },
    ]
}

/// Runs the command, and returns how many hosts it lists.
fn listed(server: &NatsServer) -> usize {
    let output = Command::new(env!("CARGO_BIN_EXE_wasmcloud"))
        .args(["ctl", "hosts", "--output", "json", "--nsprefix", "bench", "--control-host"])
        .arg(server.url())
        .output()
        .expect("the command runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let hosts: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    hosts.len()
}

/// Waits until each host knows all others.
async fn acquainted(hosts: &[Host]) {
    let begin = Instant::now();
    let knows_all = |host: &Host| {
        let view = host.lattice().expect("it has a lattice");
        view.hosts.iter().filter(|peer| peer.is_up).count() + 1 >= hosts.len()
    };
    while !hosts.iter().all(knows_all) {
        assert!(begin.elapsed() < hosts::PATIENCE, "the hosts do not know each other");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
