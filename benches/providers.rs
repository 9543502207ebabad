//! What the providers that come with the host cost, against what they are built on, called without a host, and what it
//! costs to be a plugin.
//!
//! `cargo bench --bench providers` prints the table and writes `target/figures/providers.json`; with the names of parts
//! behind it (`-- keyvalue`), it runs those alone.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a benchmark that cannot run should end at once")]

#[cfg(feature = "blobstore")]
mod blob_store;
#[cfg(feature = "keyvalue")]
mod key_value;
#[cfg(feature = "messaging")]
mod messaging;
#[cfg(feature = "cli")]
mod plugins;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/integration/conformance/server_process.rs"]
mod server_process;
#[allow(dead_code, reason = "other benchmarks use more of it")]
mod support;

#[path = "../tests/support/signing.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod signing;

use support::{name_of_run, report, wanted};

#[actix_rt::main]
async fn main() {
    let mut table = Vec::new();
    #[cfg(feature = "blobstore")]
    if wanted("blobstore") {
        table.extend(blob_store::rows().await);
    }
    #[cfg(feature = "keyvalue")]
    if wanted("keyvalue") {
        table.extend(key_value::rows().await);
    }
    #[cfg(feature = "cli")]
    if wanted("plugins") {
        table.extend(plugins::rows().await);
    }
    #[cfg(feature = "messaging")]
    if wanted("messaging") {
        table.extend(messaging::rows().await);
    }
    report(&name_of_run("providers"), "The providers", &table).expect("the figures can be written");
}
