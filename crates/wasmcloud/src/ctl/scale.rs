//! `wasmcloud ctl scale`: changes the number of an actor's instances.

use futures_util::FutureExt;

use super::Session;
use super::lookup::{Kind, Targets};
use super::orders::{Order, Waiting};
use crate::outcome::CommandResult;

/// Changes the number of an actor's instances on a host.
///
/// No call is lost.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud ctl scale echo 4
  wasmcloud ctl scale MBCFOPM6 2 --host NCG4IPZS")]
pub(super) struct Scale {
    /// The actor, by its public key, the beginning of it, its call alias, or the reference that it was started by.
    #[arg(value_name = "ACTOR")]
    actor: String,

    /// The number of instances. Minimum: 1.
    #[arg(value_name = "NUMBER")]
    instances: usize,

    #[command(flatten)]
    targets: Targets,

    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(command: Scale, session: &Session) -> CommandResult {
    let Scale { actor, instances, targets, waiting } = command;
    let running = session.targets(Kind::Actor, &actor, &targets).await?;
    let orders = running.iter().map(|running| Order {
        host: Some(running.host.clone()),
        target: running.entry.id.clone(),
        doing: format!("scaling actor {} to {instances}", running.entry.id),
        done: format!("scaled actor {} to {instances} on host {}", running.entry.id, running.host),
        give: session.client().scale_actor(&running.host, &running.entry.id, instances).boxed_local(),
    });
    session.carry_out(orders.collect(), &waiting).await
}
