//! `wasmcloud registry resolve`: from a tag to a digest.

use wasmcloud_host::oci::Reference;

use super::access::{self, Access};
use crate::outcome::{self, CommandResult};

/// Prints the reference with the digest that its tag stands for, by which the same content is pulled ever after.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud registry resolve registry.example/actors/echo:1.0.0
  wasmcloud registry resolve registry.example/actors/echo --allow-latest")]
pub(crate) struct Resolve {
    /// What is resolved: registry/repository:tag.
    #[arg(value_name = "REFERENCE", value_parser = access::reference)]
    reference: Reference,

    #[command(flatten)]
    access: Access,
}

pub(super) fn run(command: Resolve) -> CommandResult {
    let client = command.access.client(&command.reference)?;
    let resolved = access::carry_out(client.resolve(&command.reference))?;
    if resolved.is_stale {
        outcome::warn("the registry cannot be reached: this is what the tag stood for when it was last asked");
    }
    Ok(format!("{}\n", resolved.reference.with_digest(&resolved.digest)).into())
}
