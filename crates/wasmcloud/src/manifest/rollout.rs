//! A manifest on its way to hosts.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wasmcloud_host::HostManifest;
use zeroize::Zeroizing;

use crate::ctl::{LatticeOptions, Session, duration};
use crate::description;
use crate::outcome::{CommandError, CommandResult};

/// The longest time that hosts wait for the outcome of an order.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 60);

/// A manifest and the hosts that are to run it.
#[derive(Debug, clap::Args)]
pub(crate) struct Rollout {
    /// The manifest: YAML, TOML (.toml) or JSON (.json). It names modules and archives by their references in registries.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// The host, by its public key or the beginning of it. Repeat it for further hosts. Default: the only host of the lattice.
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,

    /// Also remove what the manifest of the same name once started and no longer names.
    #[arg(long)]
    prune: bool,

    /// How long to wait for each host, which may pull images meanwhile. Maximum: 10m.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    wait: Duration,

    #[command(flatten)]
    lattice: LatticeOptions,
}

/// A connection with the hosts of a rollout.
pub(crate) struct Hosts {
    pub(crate) session: Session,
    /// The public keys of the hosts.
    pub(crate) hosts: Vec<String>,
    file: PathBuf,
    pub(crate) prune: bool,
    pub(crate) wait: Duration,
}

impl Rollout {
    /// Connects with the lattice, and finds the hosts.
    ///
    /// # Errors
    /// `Unreachable` without a connection or a host; `Failed` with the hosts if there are several and none is named.
    pub(crate) async fn connect(self) -> CommandResult<Hosts> {
        let Rollout { file, host, prune, wait, lattice } = self;
        let session = Session::open(lattice).await?;
        let mut hosts = Vec::new();
        for name in &host {
            let key = session.host(name).await?;
            if !hosts.contains(&key) {
                hosts.push(key);
            }
        }
        if hosts.is_empty() {
            hosts.push(session.client().only_host().await?);
        }
        Ok(Hosts { session, hosts, file, prune, wait: wait.min(LONGEST_WAIT) })
    }
}

impl Hosts {
    /// Reads the manifest as it travels: with its variables expanded here, and its secrets as references.
    ///
    /// # Errors
    /// `Failed` if the manifest is malformed, or names files.
    pub(crate) fn manifest(&self) -> CommandResult<Value> {
        let text = HostManifest::from_path(&self.file, true)?.to_json()?;
        serde_json::from_str(&text)
            .map_err(|error| CommandError::Failed(format!("the manifest cannot be sent: {error}")))
    }

    /// Returns the results of all hosts as they are printed.
    pub(crate) fn print<T: Serialize + std::fmt::Display>(&self, results: &[(String, T)]) -> CommandResult {
        if self.session.is_json() {
            return description::json(&results.iter().map(|(_, result)| result).collect::<Vec<_>>());
        }
        let text: String = results.iter().map(|(host, result)| format!("Host {host}:\n{result}\n")).collect();
        Ok(Zeroizing::new(text))
    }
}

/// Reads what a host answers.
///
/// # Errors
/// `Failed` if the host has another release, and answers something else.
pub(crate) fn answer<T: DeserializeOwned>(host: &str, answer: Value) -> CommandResult<T> {
    serde_json::from_value(answer).map_err(|error| {
        CommandError::Failed(format!("the answer of host {host} cannot be read ({error}): it may run another release"))
    })
}
