//! `wasmcloud plan`: prints what a manifest would change.

use wasmcloud_host::ManifestPlan;

use crate::ctl::Progress;
use crate::manifest::rollout::{self, Hosts, Rollout};
use crate::outcome::CommandResult;
use crate::runtime::in_runtime;

/// Prints the difference between a manifest and what hosts run, over NATS.
///
/// Nothing is changed. `+` is started or set, `~` is changed, `-` is removed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud plan shop.yaml
  wasmcloud plan shop.yaml --prune
  wasmcloud plan shop.yaml --host NCG4IPZS --host NDQX2V3A --output json")]
pub(crate) struct Plan {
    #[command(flatten)]
    rollout: Rollout,
}

pub(crate) fn run(command: Plan) -> CommandResult {
    in_runtime(async {
        let hosts = command.rollout.connect().await?;
        let plans = plans(&hosts).await?;
        hosts.print(&plans)
    })?
}

async fn plans(hosts: &Hosts) -> CommandResult<Vec<(String, ManifestPlan)>> {
    let manifest = hosts.manifest()?;
    let mut plans = Vec::new();
    for host in &hosts.hosts {
        let _progress = Progress::begin(format!("planning on host {host}"));
        let plan = hosts.session.client().plan(host, manifest.clone(), hosts.prune, hosts.wait).await?;
        plans.push((host.clone(), rollout::answer(host, plan)?));
    }
    Ok(plans)
}
