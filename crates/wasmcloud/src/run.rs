//! `wasmcloud run`: runs a host with the manifests that are named, until it is told to end.
//!
//! # Layout
//! - `catalogue`: the list of all settings
//! - `settings`, `settings_file`, `origin`: the settings of one run, and where each comes from
//! - `quantity`: durations and sizes
//! - `configure`, `connection`: the host that the settings describe
//! - `operation`: what the host does from its start to its end
//! - `service`: reports to systemd
//! - `spans`: the export of spans
//! - `telemetry`: the port of the dashboard, metrics and health

mod catalogue;
mod configure;
mod connection;
mod operation;
mod origin;
mod quantity;
mod service;
mod settings;
mod settings_file;
mod spans;
mod telemetry;

use std::path::PathBuf;

use clap::ValueEnum as _;

use crate::logging;
use crate::outcome::CommandResult;
use crate::runtime::in_runtime;
use crate::state_folder::StateFolder;
#[cfg(test)]
pub(crate) use catalogue::{ALL as ALL_SETTINGS, Setting};
use catalogue::{LOG_FORMAT, LOG_LEVEL, MANIFEST, STATE_FOLDER};
pub(crate) use configure::{absolute, compiler, default_cache};
use settings::{Flags, Settings};
use settings_file::SettingsFile;
use spans::SpanExport;

/// Runs a host, and applies manifests. The host runs alone, unless a NATS server is named.
///
/// Each setting is a flag, a variable of the environment or a key of the settings file, in this order of precedence. The
/// settings are printed at the start. SIGINT and SIGTERM finish the work in progress and end the host; a second signal ends
/// it at once. SIGHUP applies the manifests again, unless standard input is a terminal: then the host ends with its terminal.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud run counter.yaml
  wasmcloud run counter.yaml --watch --label zone=cellar
  wasmcloud run counter.yaml --rpc-host nats.example.com --rpc-creds host.creds --host-seed-file host.seed
  wasmcloud run counter.yaml --log-format json --log-level warn,wasmcloud=debug
  RPC_HOST=127.0.0.1 wasmcloud run

The variables of the environment are listed with the flags.")]
pub(crate) struct Run {
    /// Manifests to apply, in this order.
    #[arg(value_name = "MANIFEST")]
    manifests: Vec<PathBuf>,

    /// The settings file. Default: wasmcloud.toml in the working folder, if it is there.
    #[arg(long, value_name = "FILE", env = "WASMCLOUD_CONFIG")]
    config: Option<PathBuf>,

    #[command(flatten)]
    flags: Flags,
}

pub(crate) fn run(command: Run) -> CommandResult {
    let file = SettingsFile::find(command.config.as_deref())?;
    let mut settings = Settings::resolve(command.flags, |name| std::env::var_os(name), file)?;
    settings.add_manifests(&MANIFEST, command.manifests)?;
    start_log(&settings)?;
    settings.tell();
    let spans = SpanExport::begin(&settings)?;
    let mut configured = configure::configure(&settings)?;
    configured.builder = spans.counted_by(configured.builder);
    let manifests = settings.paths(&MANIFEST);
    let folder =
        StateFolder::lock(&settings.path(&STATE_FOLDER).unwrap_or_else(|| crate::state_folder::DEFAULT.into()))?;
    let operated = in_runtime(operation::operate(&settings, configured, manifests)).and_then(|operated| operated);
    spans.end();
    if operated.is_err() {
        folder.remove_if_new();
    }
    operated
}

/// Logs to standard error as the settings say.
///
/// # Errors
/// `Usage` if a setting of the log is invalid.
fn start_log(settings: &Settings) -> CommandResult<()> {
    let selected = settings.text(&LOG_LEVEL).unwrap_or(LOG_LEVEL.default);
    let filter = logging::filter(selected).map_err(|reason| settings.invalid(&LOG_LEVEL, reason))?;
    let format = settings.read(&LOG_FORMAT, |text| {
        logging::Format::from_str(text, false).map_err(|_| "the formats are text and json")
    })?;
    logging::start(filter, format.unwrap_or(logging::Format::Text));
    Ok(())
}
