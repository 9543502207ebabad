//! `wasmcloud ctl cordon` and `uncordon`: whether a host accepts anything new from the lattice.

use futures_util::FutureExt;

use super::Session;
use super::orders::{Order, Waiting};
use crate::outcome::CommandResult;

/// Makes a host accept nothing new from the lattice.
///
/// It takes no calls of other hosts and starts nothing. What it runs goes on.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud ctl cordon NCG4IPZS")]
pub(super) struct Cordon {
    /// The host, by its public key or the beginning of it.
    #[arg(value_name = "HOST")]
    host: String,

    #[command(flatten)]
    waiting: Waiting,
}

/// Makes a host accept calls and starts from the lattice again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud ctl uncordon NCG4IPZS")]
pub(super) struct Uncordon {
    /// The host, by its public key or the beginning of it.
    #[arg(value_name = "HOST")]
    host: String,

    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn cordon(Cordon { host, waiting }: Cordon, session: &Session) -> CommandResult {
    let host = session.host(&host).await?;
    let order = Order {
        host: Some(host.clone()),
        target: host.clone(),
        doing: format!("cordoning host {host}"),
        done: format!("cordoned host {host}"),
        give: session.client().cordon(&host).boxed_local(),
    };
    session.carry_out(vec![order], &waiting).await
}

pub(super) async fn uncordon(Uncordon { host, waiting }: Uncordon, session: &Session) -> CommandResult {
    let host = session.host(&host).await?;
    let order = Order {
        host: Some(host.clone()),
        target: host.clone(),
        doing: format!("uncordoning host {host}"),
        done: format!("uncordoned host {host}"),
        give: session.client().uncordon(&host).boxed_local(),
    };
    session.carry_out(vec![order], &waiting).await
}
