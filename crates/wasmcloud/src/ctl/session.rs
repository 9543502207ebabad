//! The connection of a command with the lattice, and how its result is printed.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;
use wasmcloud_control::ControlClient;
use wasmcloud_lattice::{ConnectionOptions, Namespace};
use zeroize::Zeroizing;

use super::connection::Servers;
use super::values;
use crate::description;
use crate::outcome::CommandResult;
use crate::secret::Secret;
use crate::table::Table;

/// Where the lattice is, and how results are printed.
#[derive(Debug, clap::Args)]
pub(crate) struct LatticeOptions {
    /// How results are printed.
    #[arg(long, short, global = true, value_enum, value_name = "FORMAT", default_value_t = Output::Table)]
    output: Output,

    #[command(flatten)]
    servers: Servers,

    /// The namespace of the lattice.
    #[arg(long, global = true, value_name = "NAMESPACE", default_value = "default", help_heading = "Connection")]
    nsprefix: String,

    /// How long to wait for a connection, and for the answers of hosts: 500ms, 5s or 2m.
    #[arg(long, global = true, value_name = "TIME", default_value = "5s", value_parser = values::duration,
          help_heading = "Connection")]
    timeout: Duration,

    /// The file that contains the seed of the account that signs orders, for hosts that are controlled by certain accounts
    /// only. Default: the seed in the environment variable WASMCLOUD_CONTROL_SEED, or else orders are not signed.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Connection")]
    seed_file: Option<PathBuf>,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// A table for people.
    Table,
    /// JSON for programs.
    Json,
}

/// A connection with a lattice.
#[derive(Debug)]
pub(crate) struct Session {
    client: ControlClient,
    options: LatticeOptions,
}

impl Session {
    /// Connects with the lattice.
    ///
    /// # Errors
    /// `Unreachable` without a connection in time.
    pub(crate) async fn open(options: LatticeOptions) -> CommandResult<Session> {
        let mut client = ControlClient::connect(options.servers.control()?, &options.nsprefix, options.timeout).await?;
        if let Some(seed) = Secret::optional(options.seed_file.as_deref(), "WASMCLOUD_CONTROL_SEED")? {
            client = client.sign_with(&seed.seed())?;
        }
        Ok(Session { client, options })
    }

    /// Returns the client of the control interface.
    pub(crate) fn client(&self) -> &ControlClient {
        &self.client
    }

    /// Returns the options of the connection for calls.
    pub(super) fn calls(&self) -> CommandResult<ConnectionOptions> {
        self.options.servers.calls()
    }

    /// Returns the namespace.
    pub(crate) fn namespace(&self) -> CommandResult<Namespace> {
        Ok(Namespace::new(&self.options.nsprefix)?)
    }

    /// Returns how long answers are waited for.
    pub(super) fn timeout(&self) -> Duration {
        self.options.timeout
    }

    /// Returns whether results are printed as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.options.output == Output::Json
    }

    /// Returns a result as it is printed.
    pub(crate) fn print(&self, result: &impl Serialize, table: impl FnOnce() -> Table) -> CommandResult {
        match self.options.output {
            Output::Json => description::json(result),
            Output::Table => Ok(Zeroizing::new(table().to_text())),
        }
    }
}
