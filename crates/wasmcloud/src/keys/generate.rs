//! `wasmcloud keys gen`: generates a key and writes its seed to a file.

use std::path::PathBuf;

use clap::ValueEnum;
use nkeys::KeyPairType;
use zeroize::Zeroizing;

use crate::outcome::CommandResult;
use crate::output::Written;
use crate::secret::Secret;

/// Generates a key.
///
/// Writes its seed to a file that only you can read (mode 0600), and prints its public key.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud keys gen account --output account.seed
  wasmcloud keys gen service --output provider.seed --force
  wasmcloud keys gen user --print-seed")]
pub(crate) struct Generate {
    /// The kind of the key.
    kind: Kind,

    /// The file for the seed, or `-` for standard output. An existing file is not replaced.
    #[arg(long, short, value_name = "FILE", required_unless_present = "print_seed")]
    output: Option<PathBuf>,

    /// Replaces an existing file. The seed in it is lost.
    #[arg(long, requires = "output")]
    force: bool,

    /// Prints the seed too. Make sure that no other person can see it.
    #[arg(long)]
    print_seed: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// A... Signs modules and provider archives.
    Account,
    /// U... A user who connects to a lattice.
    User,
    /// M... An actor.
    Module,
    /// V... A capability provider.
    Service,
    /// N... A host.
    Server,
    /// O... Signs accounts.
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

pub(super) fn run(command: &Generate) -> CommandResult {
    let secret = Secret::generate(command.kind.into())?;
    let written = match &command.output {
        Some(path) => secret.write(path, command.force)?,
        None => Written::File,
    };
    // A buffer that grows would leave a copy of the seed behind.
    let mut text = Zeroizing::new(String::with_capacity(256));
    text.push_str(&written.report(format!("{}\n", secret.public_key())));
    if command.print_seed {
        text.push_str(&secret.seed());
        text.push('\n');
    }
    Ok(text)
}
