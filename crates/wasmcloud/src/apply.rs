//! `wasmcloud apply`: makes hosts run what a manifest describes.

use wasmcloud_control::Settled;
use wasmcloud_core::error::{Error, ErrorKind};
use wasmcloud_host::ManifestOutcome;

use crate::ctl::Progress;
use crate::manifest::rollout::{self, Hosts, Rollout};
use crate::outcome::{self, CommandError, CommandResult};
use crate::runtime::in_runtime;
use crate::signals::Shutdown;
use crate::watch::Watch;

/// Makes hosts run what a manifest describes, over NATS.
///
/// Only what differs is changed: see `wasmcloud plan`. The whole manifest is checked before anything changes. A new revision
/// that crashes or is unhealthy gives way to the previous one. If this command is interrupted, run it again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud apply shop.yaml
  wasmcloud apply shop.yaml --prune
  wasmcloud apply shop.yaml --watch
  wasmcloud apply shop.yaml --host NCG4IPZS --host NDQX2V3A --output json")]
pub(crate) struct Apply {
    #[command(flatten)]
    rollout: Rollout,

    /// Apply the manifest again whenever it is saved, until the command is interrupted.
    #[arg(long)]
    watch: bool,
}

pub(crate) fn run(command: Apply) -> CommandResult {
    in_runtime(async {
        let file = command.rollout.file.clone();
        // A save during the first application is noticed.
        let watch = if command.watch { Some(Watch::of(vec![file])?) } else { None };
        let hosts = command.rollout.connect().await?;
        match watch {
            None => apply(&hosts).await,
            Some(watch) => apply_on_save(&hosts, watch).await,
        }
    })?
}

/// Applies the manifest now and after each save, until the process is asked to end. Failures are printed.
async fn apply_on_save(hosts: &Hosts, mut watch: Watch) -> CommandResult {
    let mut shutdown = Shutdown::new()?;
    loop {
        match apply(hosts).await {
            Ok(text) => drop(outcome::print(&text)),
            Err(failure) => drop(failure.report()),
        }
        tokio::select! {
            () = watch.changed() => {}
            _ = shutdown.asked_for() => return Ok(Default::default()),
        }
    }
}

/// Applies the manifest on all hosts. A host that fails does not keep the others from applying it.
///
/// # Errors
/// The first failure. What was done is printed before.
async fn apply(hosts: &Hosts) -> CommandResult {
    let manifest = hosts.manifest()?;
    let mut outcomes: Vec<(String, ManifestOutcome)> = Vec::new();
    let mut failure = None;
    for host in &hosts.hosts {
        let progress = Progress::begin(format!("applying on host {host}"));
        let applied = hosts.session.client().apply(host, manifest.clone(), hosts.prune, hosts.wait).await;
        drop(progress);
        let settled = match applied {
            Ok(ack) => {
                if let Some(result) = ack.result {
                    outcomes.push((host.clone(), rollout::answer(host, result)?));
                }
                ack.outcome.settled().and_then(|settled| expect_done(host, settled))
            }
            Err(error) => Err(error),
        };
        failure = failure.or(settled.err());
    }
    let text = hosts.print(&outcomes)?;
    match failure {
        None => Ok(text),
        Some(failure) => {
            outcome::print(&text);
            Err(CommandError::from(failure))
        }
    }
}

fn expect_done(host: &str, settled: Settled) -> Result<(), Error> {
    match settled {
        Settled::Done => Ok(()),
        Settled::Accepted { .. } => {
            let message = format!(
                "host {host} still applies the manifest: wasmcloud plan tells what is left, and --wait waits longer"
            );
            Err(Error::new(ErrorKind::DeadlineExceeded, message))
        }
    }
}
