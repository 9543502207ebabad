//! `wasmcloud ctl link`: links an actor with a provider.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, timeout_at};
use wasmcloud_control::message::{EntityEntry, LinkDefinition};
use wasmcloud_control::{ControlEvent, ControlEvents, EventFilter, Settled, kinds};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::Session;
use super::lookup::Kind;
use super::orders::{Order, Waiting};
use super::values::Pair;
use crate::input;
use crate::outcome::{CommandError, CommandResult};

/// The value of a link that names those that are not to be listed, separated by commas.
const SECRETS: &str = "__wasmcloud_secrets";

/// How long the provider may take to answer after the order has ended.
const ANSWER: Duration = Duration::from_secs(5);

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
    let place = Place::of(&link, session).await?;
    let description = format!("actor {} with provider {} for {}", link.actor_id, link.provider_id, link.contract_id);
    let order = Order {
        host: place.as_ref().map(|place| place.host.clone()),
        target: link.actor_id.clone(),
        doing: format!("linking {description}"),
        done: format!("linked {description}"),
        give: put(&link, place, session).boxed_local(),
    };
    session.carry_out(vec![order], &waiting).await
}

/// The host that tells the real outcome of a link.
struct Place {
    host: String,
    /// Whether the host runs the provider, and some host runs the actor.
    has_both_ends: bool,
}

impl Place {
    /// Returns a host that runs the provider, or else one that runs the actor. Hosts of 2021 take no orders about links.
    /// Without such a host the link is kept for its ends, and any host keeps it.
    async fn of(link: &LinkDefinition, session: &Session) -> CommandResult<Option<Place>> {
        let mut inventories = session.inventories(&session.all_hosts().await?).await?;
        inventories.retain(|inventory| inventory.version.is_some());
        let is_provider = |entry: &EntityEntry| {
            entry.id == link.provider_id && entry.link_name.as_ref().is_some_and(|name| *name == link.link_name)
        };
        let of_provider = inventories.iter().find(|inventory| inventory.providers.iter().any(is_provider));
        let of_actor = inventories.iter().find(|inventory| inventory.actors.iter().any(|it| it.id == link.actor_id));
        let has_both_ends = of_provider.is_some() && of_actor.is_some();
        let host = of_provider.or(of_actor).map(|inventory| inventory.host_id.clone());
        Ok(host.map(|host| Place { host, has_both_ends }))
    }
}

async fn put(link: &LinkDefinition, place: Option<Place>, session: &Session) -> Result<Settled> {
    let client = session.client();
    let Some(Place { host, has_both_ends }) = place else { return client.put_link(link).await };
    let mut events = client.events(&EventFilter { host: Some(host.clone()), kind: None }).await?;
    let settled = client.put_link_on(&host, link).await?;
    if has_both_ends && settled == Settled::Done { answered(&mut events, link).await } else { Ok(settled) }
}

/// Waits for the provider's answer. It comes after the order has ended if the host of the provider does not know the actor of
/// another host yet.
async fn answered(events: &mut ControlEvents, link: &LinkDefinition) -> Result<Settled> {
    let end = Instant::now() + ANSWER;
    let is_of_link = |event: &ControlEvent| {
        event.actor.as_ref() == Some(&link.actor_id)
            && event.contract_id.as_ref() == Some(&link.contract_id)
            && event.link_name.as_ref() == Some(&link.link_name)
    };
    while let Ok(Some(event)) = timeout_at(end, events.next()).await {
        match event {
            Ok(event) if is_of_link(&event) && event.kind == kinds::LINK_ESTABLISHED => break,
            Ok(event) if is_of_link(&event) && event.kind == kinds::LINK_REFUSED => {
                let reason = event.failure.unwrap_or_else(|| "the provider refuses the link".to_owned());
                return Err(Error::new(ErrorKind::LinkRefused, reason));
            }
            _ => {}
        }
    }
    Ok(Settled::Done)
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
