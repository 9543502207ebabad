//! `wasmcloud keys gen`: a new key, its seed in a file.

use std::path::PathBuf;

use clap::ValueEnum;
use nkeys::KeyPairType;
use zeroize::Zeroizing;

use crate::outcome::Outcome;
use crate::output::Written;
use crate::secret::Secret;

/// Makes a new key. Its seed goes into a file that only you can read (0600); its public key is printed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud keys gen account --output account.seed
  wasmcloud keys gen service --output provider.seed --force
  wasmcloud keys gen user --print-seed")]
pub(crate) struct Generate {
    /// What the key is for.
    kind: Kind,

    /// The file for the seed, or `-` for standard output. A file that is there is not replaced.
    #[arg(long, short, value_name = "FILE", required_unless_present = "print_seed")]
    output: Option<PathBuf>,

    /// Replaces the file if it is there. The seed in it is lost.
    #[arg(long, requires = "output")]
    force: bool,

    /// Prints the seed, too: mind who can see it.
    #[arg(long)]
    print_seed: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// A... Signs modules and provider archives.
    Account,
    /// U... Somebody who connects to a lattice.
    User,
    /// M... An actor.
    Module,
    /// V... A capability provider.
    Service,
    /// N... A host.
    Server,
    /// O... Vouches for accounts.
    Operator,
    /// C... A group of servers.
    Cluster,
}

impl From<Kind> for KeyPairType {
    fn from(kind: Kind) -> KeyPairType {
        match kind {
            Kind::Account => KeyPairType::Account,
            Kind::User => KeyPairType::User,
            Kind::Module => KeyPairType::Module,
            Kind::Service => KeyPairType::Service,
            Kind::Server => KeyPairType::Server,
            Kind::Operator => KeyPairType::Operator,
            Kind::Cluster => KeyPairType::Cluster,
        }
    }
}

pub(super) fn run(command: &Generate) -> Outcome {
    let secret = Secret::generate(command.kind.into())?;
    let written = match &command.output {
        Some(path) => secret.write(path, command.force)?,
        None => Written::File,
    };
    // Large enough from the beginning: growing would leave a copy of the seed behind.
    let mut text = Zeroizing::new(String::with_capacity(256));
    text.push_str(&written.report(format!("{}\n", secret.public_key())));
    if command.print_seed {
        text.push_str(&secret.seed());
        text.push('\n');
    }
    Ok(text)
}
