//! `wasmcloud keys inspect`: shows the public key and the kind of a key.

use std::path::Path;

use nkeys::KeyPair;
use serde_json::json;

use super::name_of;
use crate::description::Description;
use crate::outcome::CommandResult;
use crate::secret::Secret;

/// Shows the public key and the kind of a key.
///
/// Never shows its seed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud keys inspect account.seed
  wasmcloud keys inspect AAUGUQ3JGTWWZDVPUUSIOLXYFRPSWOIVAMHI7CETTLG5UFARMOCBGGGF --json")]
pub(crate) struct Inspect {
    /// A public key, or a file that contains a seed.
    #[arg(value_name = "PUBLIC KEY or FILE")]
    key: String,

    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Inspect) -> CommandResult {
    let (public_key, kind) = match KeyPair::from_public_key(&command.key) {
        Ok(key) => (key.public_key(), name_of(&key.key_pair_type())),
        Err(_) => {
            let secret = Secret::from_file(Path::new(&command.key))?;
            (secret.public_key(), name_of(&secret.key_pair().key_pair_type()))
        }
    };
    let mut description = Description::default();
    description.add("Public key", "public_key", json!(public_key));
    description.add("Kind", "kind", json!(kind));
    Ok(description.to_text(command.json))
}
