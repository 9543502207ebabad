//! Measures the lattice: calls between hosts against requests of async-nats without hosts, and what hosts do on bad days.
//!
//! `cargo bench --features lattice,providers --bench lattice` prints the table and writes `target/figures/lattice.json`.
//! Arguments that name sections (`-- sequential kill`) run only those. With `--quick`, each of the 20 outages lasts through
//! 6 s of calls instead of 60 s, and the largest registry has 100,000 links instead of 1,000,000. `nats-server` has to be on
//! the PATH.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a benchmark that cannot run should end at once")]

#[path = "lattice/bare.rs"]
mod bare;
#[path = "lattice/calls.rs"]
mod calls;
#[path = "lattice/convergence.rs"]
mod convergence;
#[path = "lattice/garbage.rs"]
mod garbage;
#[path = "lattice/hosts.rs"]
mod hosts;
#[path = "lattice/joining.rs"]
mod joining;
#[path = "lattice/kill.rs"]
mod kill;
#[path = "lattice/load.rs"]
mod load;
#[path = "lattice/local.rs"]
mod local;
#[path = "lattice/outages.rs"]
mod outages;
#[path = "lattice/processes.rs"]
mod processes;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../crates/lattice/src/testing/proxy.rs"]
mod proxy;
#[path = "lattice/recorder.rs"]
mod recorder;
#[path = "lattice/server.rs"]
mod server;
#[path = "lattice/tokens.rs"]
mod tokens;

#[allow(dead_code, reason = "other benchmarks use more of it")]
mod support;

#[path = "../tests/support/signing.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod signing;

use outages::Outage;
use support::{name_of_run, report, wanted};

fn main() {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("error")).init();
    actix_rt::System::new().block_on(async {
        match processes::role().as_deref() {
            Some(kill::ROLE) => kill::serve().await,
            Some(garbage::ROLE) => garbage::send().await,
            Some(joining::ROLE) => joining::serve().await,
            _ => measure().await,
        }
    });
}

async fn measure() {
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let mut table = Vec::new();
    if wanted("sequential") {
        table.extend(calls::sequential().await);
    }
    if wanted("tokens") {
        table.extend(calls::tokens().await);
    }
    if wanted("sessions") {
        table.extend(calls::sessions().await);
    }
    if wanted("local") {
        table.extend(local::rows().await);
    }
    if wanted("convergence") {
        table.extend(convergence::rows().await);
    }
    if wanted("joining") {
        table.extend(joining::rows(is_quick).await);
    }
    if wanted("kill") {
        table.extend(kill::rows().await);
    }
    if wanted("restarts") {
        table.extend(outages::rows(Outage::Restart, is_quick).await);
    }
    if wanted("partitions") {
        table.extend(outages::rows(Outage::Partition, is_quick).await);
    }
    if wanted("garbage") {
        table.extend(garbage::rows().await);
    }
    report(&name_of_run("lattice"), "The lattice", &table).expect("the figures can be written");
}
