//! `wasmcloud registry`: pushes actors and provider archives to OCI registries, and pulls them.

mod access;
mod progress;
mod pull;
mod push;
mod resolve;

use clap::Subcommand;

use crate::outcome::CommandResult;

/// Pushes actors and provider archives to OCI registries, and pulls them.
///
/// References are written registry/repository:tag or registry/repository@sha256:DIGEST.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  wasmcloud registry push echo_signed.wasm registry.example/actors/echo:1.0.0
  wasmcloud registry resolve registry.example/actors/echo:1.0.0
  wasmcloud registry pull registry.example/actors/echo:1.0.0 --output echo.wasm

Credentials are those of `docker login REGISTRY`, with its credential helpers, or OCI_REGISTRY_USER and
OCI_REGISTRY_PASSWORD. OCI_REGISTRY names the registry that gets them. Default: the first that asks.")]
pub(crate) enum Command {
    Push(push::Push),
    Pull(pull::Pull),
    Resolve(resolve::Resolve),
}

pub(crate) fn run(command: Command) -> CommandResult {
    match command {
        Command::Push(command) => push::run(command),
        Command::Pull(command) => pull::run(command),
        Command::Resolve(command) => resolve::run(command),
    }
}
