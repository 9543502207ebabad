//! `wasmcloud ctl update`: replaces a running actor with another revision.

use futures_util::FutureExt;

use super::Session;
use super::lookup::{Kind, Targets};
use super::orders::{Order, Waiting};
use crate::outcome::CommandResult;

/// Replaces a running actor with another revision.
///
/// No call is lost. If the host refuses the revision, the previous one runs on.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud ctl update echo registry.example/echo:1.3.0
  wasmcloud ctl update MBCFOPM6 registry.example/echo:1.3.0 --all")]
pub(super) struct Update {
    /// The actor, by its public key, the beginning of it, its call alias, or the reference that it was started by.
    #[arg(value_name = "ACTOR")]
    actor: String,

    /// The reference of the other revision in a registry.
    #[arg(value_name = "REFERENCE")]
    reference: String,

    #[command(flatten)]
    targets: Targets,

    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(command: Update, session: &Session) -> CommandResult {
    let Update { actor, reference, targets, waiting } = command;
    let running = session.targets(Kind::Actor, &actor, &targets).await?;
    let orders = running.iter().map(|running| Order {
        host: Some(running.host.clone()),
        target: running.entry.id.clone(),
        doing: format!("updating actor {} to {reference}", running.entry.id),
        done: format!("updated actor {} to {reference} on host {}", running.entry.id, running.host),
        give: session.client().update_actor(&running.host, &running.entry.id, &reference).boxed_local(),
    });
    session.carry_out(orders.collect(), &waiting).await
}
