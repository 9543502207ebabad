//! `wasmcloud manifest`: checks manifests, and prints their JSON Schema.
//!
//! # Layout
//! - `check`, `schema`: the commands
//! - `rollout`: a manifest on its way to hosts, for `wasmcloud plan` and `wasmcloud apply`

mod check;
pub(crate) mod rollout;

use clap::Subcommand;
use wasmcloud_host::HostManifest;

use crate::outcome::CommandResult;

/// Checks manifests, and prints their JSON Schema.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  wasmcloud manifest check host.yaml
  wasmcloud manifest schema > manifest.schema.json")]
pub(crate) enum Command {
    Check(check::Check),
    Schema(Schema),
}

/// Prints the JSON Schema of manifests, for editors.
///
/// It holds for manifests in YAML, JSON and TOML.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud manifest schema > manifest.schema.json

In an editor with a language server for YAML, begin a manifest with:
  # yaml-language-server: $schema=manifest.schema.json")]
pub(crate) struct Schema {}

pub(crate) fn run(command: Command) -> CommandResult {
    match command {
        Command::Check(command) => check::run(&command),
        Command::Schema(_) => Ok(HostManifest::json_schema().to_owned().into()),
    }
}
