//! `wasmcloud ctl link`: links an actor with a provider.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::FutureExt;
use wasmcloud_control::Settled;
use wasmcloud_control::message::{EntityEntry, LinkDefinition};
use wasmcloud_core::error::Result;

use super::Session;
use super::lookup::Kind;
use super::orders::{Order, Waiting};
use super::values::Pair;
use crate::input;
use crate::outcome::{CommandError, CommandResult};

/// The value of a link that names those that are not to be listed, separated by commas.
const SECRETS: &str = "__wasmcloud_secrets";

/// The size of the largest file with a value. Unit: bytes.
const LARGEST_SECRET: usize = 64 * 1024;

/// Links an actor with a provider, or replaces the values of a link.
///
/// The provider is configured before the command ends.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud ctl link echo builtin:httpserver wasmcloud:httpserver PORT=8080
  wasmcloud ctl link counter VAZVC4RX wasmcloud:keyvalue --link-name cache URL=redis://redis.example \\
      --secret PASSWORD=redis.password")]
pub(super) struct Link {
    /// The actor, by its public key, the beginning of it, or its call alias.
    #[arg(value_name = "ACTOR")]
    actor: String,

    /// The provider, by its public key, the beginning of it, or the reference that it was started by.
    #[arg(value_name = "PROVIDER")]
    provider: String,

    /// The contract.
    #[arg(value_name = "CONTRACT", value_parser = crate::sign::contract)]
    contract: String,

    /// A value for the provider. Values are visible to the other users of this machine, and in lists: see --secret.
    #[arg(value_name = "NAME=VALUE")]
    values: Vec<Pair>,

    /// A value that is read from a file, and shown in no list.
    #[arg(long, value_name = "NAME=FILE")]
    secret: Vec<Pair>,

    /// The link name that the provider runs under.
    #[arg(long, value_name = "NAME", default_value = "default")]
    link_name: String,

    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(command: Link, session: &Session) -> CommandResult {
    let values = values(&command)?;
    let Link { actor, provider, contract, link_name, waiting, .. } = command;
    let link = LinkDefinition {
        actor_id: session.key_of(Kind::Actor, &actor).await?,
        provider_id: session.key_of(Kind::Provider, &provider).await?,
        link_name,
        contract_id: contract,
        values,
    };
    let host = host_for(&link, session).await?;
    let description = format!("actor {} with provider {} for {}", link.actor_id, link.provider_id, link.contract_id);
    let order = Order {
        host: host.clone(),
        target: link.actor_id.clone(),
        doing: format!("linking {description}"),
        done: format!("linked {description}"),
        give: put(&link, host, session).boxed_local(),
    };
    session.carry_out(vec![order], &waiting).await
}

async fn put(link: &LinkDefinition, host: Option<String>, session: &Session) -> Result<Settled> {
    match host {
        Some(host) => session.client().put_link_on(&host, link).await,
        None => session.client().put_link(link).await,
    }
}

/// Returns the host that tells the real outcome: one that runs the provider, or else the actor. Hosts of 2021 take no orders
/// about links. Without such a host the link is kept for the provider, and any host keeps it.
async fn host_for(link: &LinkDefinition, session: &Session) -> CommandResult<Option<String>> {
    let mut inventories = session.inventories(&session.all_hosts().await?).await?;
    inventories.retain(|inventory| inventory.version.is_some());
    let runs_provider = |entry: &EntityEntry| {
        entry.id == link.provider_id && entry.link_name.as_ref().is_some_and(|name| *name == link.link_name)
    };
    let of_provider = inventories.iter().find(|inventory| inventory.providers.iter().any(runs_provider));
    let of_actor = || inventories.iter().find(|inventory| inventory.actors.iter().any(|it| it.id == link.actor_id));
    Ok(of_provider.or_else(of_actor).map(|inventory| inventory.host_id.clone()))
}

/// Returns the values of the link, with those in files.
fn values(command: &Link) -> CommandResult<BTreeMap<String, String>> {
    let mut values = BTreeMap::new();
    let mut add = |name: &str, value: String| match values.insert(name.to_owned(), value) {
        Some(_) => Err(CommandError::Usage(format!("the value {name} is given twice"))),
        None => Ok(()),
    };
    for Pair { name, value } in &command.values {
        add(name, value.clone())?;
    }
    for Pair { name, value: file } in &command.secret {
        let bytes = input::read_secret(Path::new(file), "the value", LARGEST_SECRET)?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| CommandError::Failed(format!("the file {file} for the value {name} is no text")))?;
        add(name, text.trim_end_matches(['\r', '\n']).to_owned())?;
    }
    if !command.secret.is_empty() {
        let names: Vec<&str> = command.secret.iter().map(|secret| secret.name.as_str()).collect();
        add(SECRETS, names.join(","))?;
    }
    Ok(values)
}
