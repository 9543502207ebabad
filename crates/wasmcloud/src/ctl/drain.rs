//! `wasmcloud ctl drain`: lets a host finish what it has begun.

use std::time::Duration;

use futures_util::FutureExt;

use super::orders::{Order, Waiting};
use super::{Session, values};
use crate::outcome::CommandResult;

/// Cordons a host, and waits until the calls that are in progress have ended.
///
/// The host runs on: `ctl uncordon` reverts the cordon, and `ctl stop host` ends the host.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud ctl drain NCG4IPZS
  wasmcloud ctl drain NCG4IPZS --limit 30s && wasmcloud ctl stop host NCG4IPZS")]
pub(super) struct Drain {
    /// The host, by its public key or the beginning of it.
    #[arg(value_name = "HOST")]
    host: String,

    /// How long calls may take to end. Default: the grace period of the host.
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    limit: Option<Duration>,

    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(Drain { host, limit, waiting }: Drain, session: &Session) -> CommandResult {
    let host = session.host(&host).await?;
    let order = Order {
        host: Some(host.clone()),
        target: host.clone(),
        doing: format!("draining host {host}"),
        done: format!("drained host {host}"),
        give: session.client().drain(&host, limit).boxed_local(),
    };
    session.carry_out(vec![order], &waiting).await
}
