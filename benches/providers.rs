//! Measures the built-in providers against the libraries that they are built on, called without a host, and plugins
//! against providers of the program.
//!
//! `cargo bench --bench providers` prints the table and writes `target/figures/providers.json`. Arguments that name
//! parts (`-- keyvalue`) run only those.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a benchmark that cannot run should end at once")]

mod blob_store;
mod key_value;
mod messaging;
mod plugins;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/integration/conformance/server_process.rs"]
mod server_process;
#[allow(dead_code, reason = "other benchmarks use more of it")]
mod support;

#[path = "../tests/support/signing.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod signing;

use std::process::ExitCode;

use support::{name_of_run, report, wanted};

/// The argument that makes this program a plugin process.
const PLUGIN_HOST: &str = "plugin-host";

fn main() -> ExitCode {
    if std::env::args_os().skip(1).eq([PLUGIN_HOST]) {
        return wasmcloud_host::serve_plugin();
    }
    actix_rt::System::new().block_on(measure());
    ExitCode::SUCCESS
}

async fn measure() {
    let mut table = Vec::new();
    if wanted("blobstore") {
        table.extend(blob_store::rows().await);
    }
    if wanted("keyvalue") {
        table.extend(key_value::rows().await);
    }
    if wanted("plugins") {
        table.extend(plugins::rows().await);
    }
    if wanted("messaging") {
        table.extend(messaging::rows().await);
    }
    report(&name_of_run("providers"), "The providers", &table).expect("the figures can be written");
}
