//! `wasmcloud ctl unlink`: removes a link.

use futures_util::FutureExt;

use super::Session;
use super::lookup::Kind;
use super::orders::{Order, Waiting};
use crate::outcome::CommandResult;

/// Removes the link of an actor with a provider.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud ctl unlink echo wasmcloud:httpserver
  wasmcloud ctl unlink MBCFOPM6 wasmcloud:keyvalue --link-name cache")]
pub(super) struct Unlink {
    /// The actor, by its public key, the beginning of it, or its call alias.
    #[arg(value_name = "ACTOR")]
    actor: String,

    /// The contract.
    #[arg(value_name = "CONTRACT", value_parser = crate::sign::contract)]
    contract: String,

    /// The link name.
    #[arg(long, value_name = "NAME", default_value = "default")]
    link_name: String,

    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(command: Unlink, session: &Session) -> CommandResult {
    let Unlink { actor, contract, link_name, waiting } = command;
    let actor = session.key_of(Kind::Actor, &actor).await?;
    let order = Order {
        host: None,
        target: actor.clone(),
        doing: format!("removing the link of actor {actor} for {contract}"),
        done: format!("removed the link of actor {actor} for {contract}"),
        give: session.client().remove_link(&actor, &contract, Some(&link_name)).boxed_local(),
    };
    session.carry_out(vec![order], &waiting).await
}
