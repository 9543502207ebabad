//! `wasmcloud ctl link`: links an actor with a provider.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::FutureExt;
use wasmcloud_control::message::LinkDefinition;

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
    let description = format!("actor {} with provider {} for {}", link.actor_id, link.provider_id, link.contract_id);
    let order = Order {
        host: None,
        target: link.actor_id.clone(),
        doing: format!("linking {description}"),
        done: format!("linked {description}"),
        give: session.client().put_link(&link).boxed_local(),
    };
    session.carry_out(vec![order], &waiting).await
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
