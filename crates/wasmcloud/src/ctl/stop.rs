//! `wasmcloud ctl stop`: stops actors, providers and hosts.

use clap::Subcommand;
use futures_util::FutureExt;

use super::Session;
use super::lookup::{Kind, Targets};
use super::orders::{Order, Waiting};
use crate::outcome::CommandResult;

/// Stops an actor, a provider or a host.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  wasmcloud ctl stop actor echo --all
  wasmcloud ctl stop provider VAG3QITQ
  wasmcloud ctl stop host NCG4IPZS")]
pub(super) enum Stop {
    Actor(StopActor),
    Provider(StopProvider),
    Host(StopHost),
}

/// Stops an actor, with all its instances on a host.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud ctl stop actor echo
  wasmcloud ctl stop actor MBCFOPM6 --host NCG4IPZS
  wasmcloud ctl stop actor registry.example/echo:1.2.0 --all")]
pub(super) struct StopActor {
    /// The actor, by its public key, the beginning of it, its call alias, or the reference that it was started by.
    #[arg(value_name = "ACTOR")]
    actor: String,

    #[command(flatten)]
    targets: Targets,

    #[command(flatten)]
    waiting: Waiting,
}

/// Stops a provider.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud ctl stop provider VAG3QITQ
  wasmcloud ctl stop provider builtin:httpserver --link-name public --host NCG4IPZS")]
pub(super) struct StopProvider {
    /// The provider, by its public key, the beginning of it, or the reference that it was started by.
    #[arg(value_name = "PROVIDER")]
    provider: String,

    /// The link name that it runs under.
    #[arg(long, value_name = "NAME", default_value = "default")]
    link_name: String,

    #[command(flatten)]
    targets: Targets,

    #[command(flatten)]
    waiting: Waiting,
}

/// Stops a host, with all that it runs.
///
/// It finishes the calls that are in progress.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud ctl stop host NCG4IPZS")]
pub(super) struct StopHost {
    /// The host, by its public key or the beginning of it.
    #[arg(value_name = "HOST")]
    host: String,

    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(command: Stop, session: &Session) -> CommandResult {
    match command {
        Stop::Actor(command) => stop_actor(command, session).await,
        Stop::Provider(command) => stop_provider(command, session).await,
        Stop::Host(command) => stop_host(command, session).await,
    }
}

async fn stop_actor(StopActor { actor, targets, waiting }: StopActor, session: &Session) -> CommandResult {
    let running = session.targets(Kind::Actor, &actor, &targets).await?;
    let orders = running.iter().map(|running| Order {
        host: Some(running.host.clone()),
        target: running.entry.id.clone(),
        doing: format!("stopping actor {}", running.entry.id),
        done: format!("stopped actor {} on host {}", running.entry.id, running.host),
        give: session.client().stop_actor(&running.host, &running.entry.id).boxed_local(),
    });
    session.carry_out(orders.collect(), &waiting).await
}

async fn stop_provider(command: StopProvider, session: &Session) -> CommandResult {
    let StopProvider { provider, link_name, targets, waiting } = command;
    let targets = targets.with_link_name(&link_name);
    let running = session.targets(Kind::Provider, &provider, &targets).await?;
    let orders = running.iter().map(|running| {
        let contract = running.entry.contract_id.as_deref().unwrap_or_default();
        let stopped = session.client().stop_provider(&running.host, &running.entry.id, Some(&link_name), contract);
        Order {
            host: Some(running.host.clone()),
            target: running.entry.id.clone(),
            doing: format!("stopping provider {}", running.entry.id),
            done: format!("stopped provider {} ({link_name}) on host {}", running.entry.id, running.host),
            give: stopped.boxed_local(),
        }
    });
    session.carry_out(orders.collect(), &waiting).await
}

async fn stop_host(StopHost { host, waiting }: StopHost, session: &Session) -> CommandResult {
    let host = session.host(&host).await?;
    let order = Order {
        host: Some(host.clone()),
        target: host.clone(),
        doing: format!("stopping host {host}"),
        done: format!("stopped host {host}"),
        give: session.client().stop_host(&host).boxed_local(),
    };
    session.carry_out(vec![order], &waiting).await
}
