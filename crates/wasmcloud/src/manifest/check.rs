//! `wasmcloud manifest check`: reads a manifest without a host.

use std::path::PathBuf;

use wasmcloud_host::HostManifest;

use crate::outcome::{self, CommandResult};
use crate::output::shown;

/// Reads a manifest, and says what is wrong with it.
///
/// Keys, values and variables are checked. Modules, archives and secrets are not read: `wasmcloud plan` checks them on the host
/// that would run them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud manifest check host.yaml
  PORT=8080 wasmcloud manifest check host.toml")]
pub(crate) struct Check {
    /// The manifest: YAML, TOML (.toml) or JSON (.json).
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(command: &Check) -> CommandResult {
    let manifest = HostManifest::from_path(&command.file, true)?;
    if let Err(local) = manifest.to_json() {
        outcome::warn(&format!("hosts on other machines refuse it: {local}"));
    }
    let counts = [
        count(manifest.labels.len(), "label"),
        count(manifest.actors.len(), "actor"),
        count(manifest.capabilities.len(), "provider"),
        count(manifest.links.len(), "link"),
    ];
    Ok(format!("{} is a manifest: {}\n", shown(&command.file), counts.join(", ")).into())
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
