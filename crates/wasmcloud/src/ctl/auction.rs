//! `wasmcloud ctl auction`: asks which hosts could run an actor or a provider.

use std::collections::BTreeMap;

use clap::Subcommand;
use serde::Serialize;

use super::Session;
use super::values::Pair;
use crate::outcome::CommandResult;
use crate::table::Table;

/// Asks which hosts could run an actor or a provider.
///
/// Nothing is started. A host that could not run it does not answer.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  wasmcloud ctl auction actor registry.example/echo:1.2.0 --constraint zone=east
  wasmcloud ctl auction provider builtin:httpserver")]
pub(super) enum Auction {
    Actor(ActorAuction),
    Provider(ProviderAuction),
}

/// Asks which hosts could run an actor.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud ctl auction actor registry.example/echo:1.2.0 --constraint zone=east")]
pub(super) struct ActorAuction {
    /// The reference of the actor in a registry.
    #[arg(value_name = "REFERENCE")]
    reference: String,

    #[command(flatten)]
    constraints: Constraints,
}

/// Asks which hosts could run a provider.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud ctl auction provider builtin:httpserver --link-name public")]
pub(super) struct ProviderAuction {
    /// The reference of the provider in a registry, or `builtin:` and the name of one that comes with the host.
    #[arg(value_name = "REFERENCE")]
    reference: String,

    /// The link name that it is to run under.
    #[arg(long, value_name = "NAME", default_value = "default")]
    link_name: String,

    #[command(flatten)]
    constraints: Constraints,
}

/// The labels that a host must have.
#[derive(Debug, clap::Args)]
pub(super) struct Constraints {
    /// A label that the host must have. Repeat it for further labels.
    #[arg(long, short = 'l', value_name = "NAME=VALUE")]
    constraint: Vec<Pair>,
}

impl Constraints {
    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        self.constraint.iter().map(|pair| (pair.name.clone(), pair.value.clone())).collect()
    }
}

pub(super) async fn run(command: Auction, session: &Session) -> CommandResult {
    match command {
        Auction::Actor(ActorAuction { reference, constraints }) => {
            let acks = session.client().auction_actor(&reference, constraints.labels()).await?;
            print(session, &acks, acks.iter().map(|ack| ack.host_id.clone()))
        }
        Auction::Provider(ProviderAuction { reference, link_name, constraints }) => {
            let acks = session.client().auction_provider(&reference, &link_name, constraints.labels()).await?;
            print(session, &acks, acks.iter().map(|ack| ack.host_id.clone()))
        }
    }
}

fn print(session: &Session, acks: &impl Serialize, hosts: impl Iterator<Item = String>) -> CommandResult {
    session.print(acks, || {
        let mut table = Table::new(&["HOST"]);
        hosts.for_each(|host| table.row([host]));
        table
    })
}
