//! `wasmcloud ctl links`: lists the links that the lattice knows.

use wasmcloud_control::message::LinkDefinition;

use super::Session;
use super::hosts::pairs;
use crate::outcome::CommandResult;
use crate::table::Table;

/// Lists the links of the lattice with their values.
///
/// Secret values are shown as `(secret)`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud ctl links
  wasmcloud ctl links --actor MBCFOPM6 --output json")]
pub(super) struct Links {
    /// The only actor, by its public key or the beginning of it.
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,

    /// The only provider, by its public key or the beginning of it.
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<String>,
}

pub(super) async fn run(command: Links, session: &Session) -> CommandResult {
    let mut links = session.client().links().await?;
    let is_wanted = |wanted: &Option<String>, key: &str| wanted.as_ref().is_none_or(|wanted| key.starts_with(wanted));
    links.retain(|link| is_wanted(&command.actor, &link.actor_id) && is_wanted(&command.provider, &link.provider_id));
    session.print(&links, || table(&links))
}

fn table(links: &[LinkDefinition]) -> Table {
    let mut table = Table::new(&["ACTOR", "CONTRACT", "LINK NAME", "PROVIDER", "VALUES"]);
    for link in links {
        table.row([
            link.actor_id.clone(),
            link.contract_id.clone(),
            link.link_name.clone(),
            link.provider_id.clone(),
            pairs(&link.values),
        ]);
    }
    table
}
