//! Runs an application from its manifest: nothing of it is in the program.
//!
//! ```text
//! examples/manifests/sign
//! cargo run --release --example manifest -- examples/manifests/counter.yaml
//! ```
//!
//! Variables such as `${PORT:8081}` come from the environment.

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use wasmcloud_host::{HostBuilder, HostManifest};

/// Runs what a manifest names, until Ctrl-C or SIGTERM.
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
    // Signals that come from here on are waited for, even while things are still being started.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let manifest = HostManifest::from_path(&arguments.manifest, true)?;

    let host = HostBuilder::new().build();
    host.start().await?;
    let applied = host.apply_manifest(manifest).await;
    if applied.is_ok() {
        let inventory = host.inventory()?;
        let (actors, providers) = (inventory.actors.len(), inventory.providers.len());
        println!("{} runs: {actors} actor(s), {providers} provider(s)", arguments.manifest.display());
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        eprintln!("manifest: finishing what is in flight");
    }
    host.stop().await;
    Ok(applied?)
}
