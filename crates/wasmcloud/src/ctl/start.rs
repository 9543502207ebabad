//! `wasmcloud ctl start`: starts actors and providers.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Subcommand;
use futures_util::FutureExt;

use super::Session;
use super::auction::Constraints;
use super::orders::{Order, Waiting};
use crate::outcome::{CommandError, CommandResult};

/// Starts an actor or a provider on a host.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  wasmcloud ctl start actor registry.example/echo:1.2.0
  wasmcloud ctl start provider builtin:httpserver --host NCG4IPZS")]
pub(super) enum Start {
    Actor(StartActor),
    Provider(StartProvider),
}

/// Starts an actor from a registry.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --host, the hosts are asked which of them can run the actor, and the first that answers gets it.

Examples:
  wasmcloud ctl start actor registry.example/echo:1.2.0
  wasmcloud ctl start actor registry.example/echo:1.2.0 --host NCG4IPZS --instances 4
  wasmcloud ctl start actor registry.example/echo:1.2.0 --constraint zone=east")]
pub(super) struct StartActor {
    /// The reference of the actor in a registry.
    #[arg(value_name = "REFERENCE")]
    reference: String,

    /// The number of instances. Default: 1.
    #[arg(long, value_name = "NUMBER")]
    instances: Option<usize>,

    #[command(flatten)]
    place: Place,
}

/// Starts a provider from a registry, or one that comes with the host.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --host, the hosts are asked which of them can run the provider, and the first that answers gets it.

Examples:
  wasmcloud ctl start provider builtin:httpserver
  wasmcloud ctl start provider registry.example/clock:0.3.0 --link-name wall --host NCG4IPZS")]
pub(super) struct StartProvider {
    /// The reference of the provider in a registry, or `builtin:` and the name of one that comes with the host.
    #[arg(value_name = "REFERENCE")]
    reference: String,

    /// The link name that it runs under.
    #[arg(long, value_name = "NAME", default_value = "default")]
    link_name: String,

    #[command(flatten)]
    place: Place,
}

/// The host on which something is started.
#[derive(Debug, clap::Args)]
struct Place {
    /// The host, by its public key or the beginning of it. Default: the first that can run it.
    #[arg(long, value_name = "HOST", conflicts_with = "constraint")]
    host: Option<String>,

    #[command(flatten)]
    constraints: Constraints,

    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(command: Start, session: &Session) -> CommandResult {
    match command {
        Start::Actor(command) => start_actor(command, session).await,
        Start::Provider(command) => start_provider(command, session).await,
    }
}

async fn start_actor(StartActor { reference, instances, place }: StartActor, session: &Session) -> CommandResult {
    refuse_file(&reference)?;
    let constraints = place.constraints.labels();
    let host = match place.host {
        Some(host) => session.host(&host).await?,
        None => {
            let acks = session.client().auction_actor(&reference, constraints.clone()).await?;
            acks.into_iter().next().map(|ack| ack.host_id).ok_or_else(|| nowhere(&reference, &constraints))?
        }
    };
    let order = Order {
        host: Some(host.clone()),
        target: reference.clone(),
        doing: format!("starting actor {reference}"),
        done: format!("started actor {reference} on host {host}"),
        give: session.client().start_actor(&host, &reference, instances).boxed_local(),
    };
    session.carry_out(vec![order], &place.waiting).await
}

async fn start_provider(command: StartProvider, session: &Session) -> CommandResult {
    let StartProvider { reference, link_name, place } = command;
    refuse_file(&reference)?;
    let constraints = place.constraints.labels();
    let host = match place.host {
        Some(host) => session.host(&host).await?,
        None => {
            let acks = session.client().auction_provider(&reference, &link_name, constraints.clone()).await?;
            acks.into_iter().next().map(|ack| ack.host_id).ok_or_else(|| nowhere(&reference, &constraints))?
        }
    };
    let order = Order {
        host: Some(host.clone()),
        target: reference.clone(),
        doing: format!("starting provider {reference}"),
        done: format!("started provider {reference} under the link name {link_name} on host {host}"),
        give: session.client().start_provider(&host, &reference, Some(&link_name)).boxed_local(),
    };
    session.carry_out(vec![order], &place.waiting).await
}

/// Refuses the name of a file: hosts have other files.
fn refuse_file(reference: &str) -> CommandResult<()> {
    if !Path::new(reference).is_file() {
        return Ok(());
    }
    Err(CommandError::Usage(format!(
        "{reference} is a file here, and hosts read other files: push it to a registry with wasmcloud registry push, and start \
         it by its reference"
    )))
}

fn nowhere(reference: &str, constraints: &BTreeMap<String, String>) -> CommandError {
    let labels = match super::hosts::pairs(constraints) {
        labels if labels.is_empty() => String::new(),
        labels => format!(" with the labels {labels}"),
    };
    CommandError::Failed(format!(
        "no host{labels} can run {reference}: the hosts run it already, accept nothing new, or there are none. See them with \
         wasmcloud ctl inventory"
    ))
}
