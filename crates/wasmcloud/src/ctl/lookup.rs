//! Finds hosts, actors and providers by what people call them: a public key or the beginning of one, a call alias, the
//! reference of an image, or `builtin:` and the name of a provider that comes with hosts.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;
use wasmcloud_control::message::{EntityEntry, HostSummary, WholeInventory};
use wasmcloud_lattice::is_host_key;

use super::Session;
use crate::outcome::{CommandError, CommandResult};

/// The length of a public key.
const KEY: usize = 56;

/// The fewest characters of a public key by which an actor or a provider can be named.
const SHORTEST: usize = 4;

/// An actor or provider that runs on a host.
#[derive(Debug, Clone)]
pub(super) struct Running {
    /// The public key of the host.
    pub(super) host: String,
    /// The actor or provider.
    pub(super) entry: EntityEntry,
}

/// The hosts that an order concerns.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Targets {
    /// The host, by its public key or the beginning of it. Repeat it for further hosts. Default: the only host that runs it.
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,

    /// All hosts that run it.
    #[arg(long, conflicts_with = "host")]
    all: bool,

    /// The only link name.
    #[arg(skip)]
    link_name: Option<String>,
}

impl Targets {
    /// Leaves only what runs under a link name.
    pub(super) fn with_link_name(self, link_name: &str) -> Targets {
        Targets { link_name: Some(link_name.to_owned()), ..self }
    }
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Actor,
    Provider,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Actor => "actor",
            Kind::Provider => "provider",
        }
    }

    /// Returns whether a text is a public key of this kind.
    fn is_key(self, text: &str) -> bool {
        let letter = if self == Kind::Actor { 'M' } else { 'V' };
        text.len() == KEY && text.starts_with(letter) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    }

    fn of(self, inventory: WholeInventory) -> Vec<EntityEntry> {
        if self == Kind::Actor { inventory.actors } else { inventory.providers }
    }
}

impl Session {
    /// Returns the hosts of the lattice, in the order of their keys.
    ///
    /// # Errors
    /// `Unreachable` if no host answers.
    pub(crate) async fn hosts(&self) -> CommandResult<Vec<HostSummary>> {
        let mut hosts = self.client().hosts().await?;
        if hosts.is_empty() {
            return Err(CommandError::Unreachable(format!(
                "no host has answered in the namespace {}: check --nsprefix and the NATS server, and that a host runs",
                self.namespace()?
            )));
        }
        hosts.sort_by(|left, right| left.id.cmp(&right.id));
        Ok(hosts)
    }

    /// Returns the public key of the host whose public key begins with a text.
    ///
    /// # Errors
    /// `Usage` unless there is one such host.
    pub(crate) async fn host(&self, beginning: &str) -> CommandResult<String> {
        if is_host_key(beginning) {
            return Ok(beginning.to_owned());
        }
        let hosts = self.hosts().await?;
        let found: Vec<&HostSummary> = hosts.iter().filter(|host| host.id.starts_with(beginning)).collect();
        match found.as_slice() {
            [host] => Ok(host.id.clone()),
            [] => {
                Err(CommandError::Usage(format!("no host has a key that begins with {beginning}: {}", listed(&hosts))))
            }
            several => {
                let keys: Vec<&str> = several.iter().map(|host| host.id.as_str()).collect();
                Err(CommandError::Usage(format!(
                    "several hosts have keys that begin with {beginning}: {}",
                    keys.join(", ")
                )))
            }
        }
    }

    /// Returns the inventories of hosts.
    pub(super) async fn inventories(&self, hosts: &[String]) -> CommandResult<Vec<WholeInventory>> {
        Ok(try_join_all(hosts.iter().map(|host| self.client().whole_inventory(host))).await?)
    }

    /// Returns the public keys of all hosts.
    pub(super) async fn all_hosts(&self) -> CommandResult<Vec<String>> {
        Ok(self.hosts().await?.into_iter().map(|host| host.id).collect())
    }

    /// Returns where among some hosts an actor or a provider runs.
    ///
    /// # Errors
    /// `Failed` if none runs it, `Usage` if the name fits several.
    pub(super) async fn running(&self, kind: Kind, name: &str, hosts: &[String]) -> CommandResult<Vec<Running>> {
        let key = builtin(kind, name)?;
        let name = key.as_deref().unwrap_or(name);
        let mut found = Vec::new();
        for inventory in self.inventories(hosts).await? {
            let host = inventory.host_id.clone();
            let entries = kind.of(inventory).into_iter().filter(|entry| is_named(entry, name));
            found.extend(entries.map(|entry| Running { host: host.clone(), entry }));
        }
        unambiguous(found, kind, name)
    }

    /// Returns where something runs that an order concerns: on the hosts that are named, on all, or on the only one.
    ///
    /// # Errors
    /// As [`running`](Session::running), and `Usage` if several hosts run it and none is named.
    pub(super) async fn targets(&self, kind: Kind, name: &str, targets: &Targets) -> CommandResult<Vec<Running>> {
        let mut hosts = Vec::new();
        for host in &targets.host {
            hosts.push(self.host(host).await?);
        }
        if hosts.is_empty() {
            hosts = self.all_hosts().await?;
        }
        let mut running = self.running(kind, name, &hosts).await?;
        if let Some(link_name) = &targets.link_name {
            running.retain(|running| running.entry.link_name.as_ref() == Some(link_name));
        }
        let found: BTreeSet<&str> = running.iter().map(|running| running.host.as_str()).collect();
        if running.is_empty() {
            let message = format!("no host of the lattice runs the {} {name} under this link name", kind.name());
            return Err(CommandError::Failed(message));
        }
        if let Some(host) = hosts.iter().find(|host| !targets.host.is_empty() && !found.contains(host.as_str())) {
            return Err(CommandError::Failed(format!("host {host} does not run the {} {name}", kind.name())));
        }
        if found.len() > 1 && targets.host.is_empty() && !targets.all {
            let found: Vec<&str> = found.into_iter().collect();
            return Err(CommandError::Usage(format!(
                "several hosts run the {} {name}: choose some with --host, or --all. They are {}",
                kind.name(),
                found.join(", ")
            )));
        }
        Ok(running)
    }

    /// Returns the public key of an actor or a provider. A whole key need not run anywhere.
    ///
    /// # Errors
    /// As [`running`](Session::running).
    pub(super) async fn key_of(&self, kind: Kind, name: &str) -> CommandResult<String> {
        if kind.is_key(name) {
            return Ok(name.to_owned());
        }
        if let Some(key) = builtin(kind, name)? {
            return Ok(key);
        }
        let running = self.running(kind, name, &self.all_hosts().await?).await?;
        Ok(running.into_iter().next().map(|running| running.entry.id).unwrap_or_default())
    }
}

/// Returns the public key of a provider that comes with hosts, if a name begins with `builtin:`.
fn builtin(kind: Kind, name: &str) -> CommandResult<Option<String>> {
    match name.strip_prefix("builtin:") {
        Some(name) if kind == Kind::Provider => Ok(Some(wasmcloud_host::builtin::named(name, None)?.id())),
        _ => Ok(None),
    }
}

/// Returns what a name stands for. A whole name counts more than the beginning of a key.
fn unambiguous(mut found: Vec<Running>, kind: Kind, name: &str) -> CommandResult<Vec<Running>> {
    if found.iter().any(|running| is_named_wholly(&running.entry, name)) {
        found.retain(|running| is_named_wholly(&running.entry, name));
    }
    let keys: BTreeSet<&str> = found.iter().map(|running| running.entry.id.as_str()).collect();
    match keys.len() {
        0 => Err(CommandError::Failed(format!("no host that was asked runs the {} {name}", kind.name()))),
        1 => Ok(found),
        _ => {
            let keys: Vec<&str> = keys.into_iter().collect();
            Err(CommandError::Usage(format!("{name} names several {}s: {}", kind.name(), keys.join(", "))))
        }
    }
}

fn is_named(entry: &EntityEntry, name: &str) -> bool {
    is_named_wholly(entry, name) || (name.len() >= SHORTEST && entry.id.starts_with(name))
}

fn is_named_wholly(entry: &EntityEntry, name: &str) -> bool {
    entry.id == name || entry.call_alias.as_deref() == Some(name) || entry.image_ref.as_deref() == Some(name)
}

fn listed(hosts: &[HostSummary]) -> String {
    let keys: Vec<&str> = hosts.iter().map(|host| host.id.as_str()).collect();
    format!("The hosts are {}", keys.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(id: &str, alias: Option<&str>) -> Running {
        let entry = EntityEntry { id: id.to_owned(), call_alias: alias.map(str::to_owned), ..EntityEntry::default() };
        Running { host: "N".to_owned(), entry }
    }

    fn found(names: &[Running], name: &str) -> CommandResult<Vec<String>> {
        let found: Vec<Running> = names.iter().filter(|running| is_named(&running.entry, name)).cloned().collect();
        let found = unambiguous(found, Kind::Actor, name)?;
        Ok(found.into_iter().map(|running| running.entry.id).collect())
    }

    #[test]
    fn a_name_is_a_key_its_beginning_or_an_alias() {
        let names = [running("MABCDEF", Some("echo")), running("MABCXYZ", None), running("MABCDEF", Some("echo"))];
        for name in ["MABCDEF", "MABCD", "echo"] {
            assert_eq!(found(&names, name).unwrap(), ["MABCDEF", "MABCDEF"], "{name}");
        }
        assert!(matches!(found(&names, "MABC"), Err(CommandError::Usage(_))));
        assert!(matches!(found(&names, "MAB"), Err(CommandError::Failed(_))), "three letters are too few");
        assert!(matches!(found(&names, "other"), Err(CommandError::Failed(_))));
    }

    #[test]
    fn an_alias_counts_more_than_the_beginning_of_a_key() {
        let names = [running("MABCDEF", None), running("MXYZ", Some("MABC"))];
        assert_eq!(found(&names, "MABC").unwrap(), ["MXYZ"]);
    }
}
