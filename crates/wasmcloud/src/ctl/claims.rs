//! `wasmcloud ctl claims`: lists the claims of actors that the lattice knows.

use wasmcloud_control::message::ClaimsValues;

use super::Session;
use crate::outcome::CommandResult;
use crate::table::Table;

/// Lists the claims of all actors that the lattice knows.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud ctl claims
  wasmcloud ctl claims --actor MBCFOPM6")]
pub(super) struct Claims {
    /// The only actor, by its public key or the beginning of it.
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
}

pub(super) async fn run(command: Claims, session: &Session) -> CommandResult {
    let mut claims = session.client().claims().await?.claims;
    if let Some(actor) = &command.actor {
        claims.retain(|claims| value(claims, "sub").starts_with(actor.as_str()));
    }
    let values: Vec<_> = claims.iter().map(|claims| &claims.values).collect();
    session.print(&values, || table(&claims))
}

fn table(claims: &[ClaimsValues]) -> Table {
    let mut table = Table::new(&["ACTOR", "ISSUER", "REVISION", "VERSION", "CAPABILITIES"]);
    for claims in claims {
        let value = |name: &str| value(claims, name).to_owned();
        table.row([value("sub"), value("iss"), value("rev"), value("version"), value("caps").replace(',', " ")]);
    }
    table
}

fn value<'a>(claims: &'a ClaimsValues, name: &str) -> &'a str {
    claims.values.get(name).map(String::as_str).unwrap_or_default()
}
