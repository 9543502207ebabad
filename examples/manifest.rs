//! Runs an application from its manifest.
//!
//! ```text
//! examples/manifests/sign
//! cargo run --release --features providers --example manifest -- examples/manifests/counter.yaml
//! ```
//!
//! Variables such as `${PORT:8081}` come from the environment.

#[path = "support/mod.rs"]
mod support;

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use wasmcloud_host::{HostBuilder, HostManifest};

use support::Shutdown;

/// Runs the actors, providers and links of a manifest, until Ctrl-C or SIGTERM.
#[derive(Parser)]
#[command(after_help = "Example:\n  PORT=9000 manifest examples/manifests/counter.yaml")]
struct Arguments {
    /// The manifest, in YAML or JSON
    manifest: PathBuf,
}

#[actix_rt::main]
async fn main() {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn,wasmcloud_http_server=info"))
        .init();
    if let Err(error) = run(Arguments::parse()).await {
        eprintln!("manifest: {error}");
        std::process::exit(1);
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let mut shutdown = Shutdown::new()?;
    let manifest = HostManifest::from_path(&arguments.manifest, true)?;

    let host = HostBuilder::new().build();
    host.start().await?;
    let applied = host.apply_manifest(manifest).await;
    if applied.is_ok() {
        let inventory = host.inventory()?;
        let (actors, providers) = (inventory.actors.len(), inventory.providers.len());
        println!("{} runs: {actors} actor(s), {providers} provider(s)", arguments.manifest.display());
        shutdown.asked_for("manifest").await;
    }
    host.stop().await;
    Ok(applied?)
}
