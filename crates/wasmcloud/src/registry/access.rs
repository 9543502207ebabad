//! How registries are reached: the arguments that all commands of `wasmcloud registry` have.

use std::path::PathBuf;
use std::str::FromStr;

use wasmcloud_core::error::Error;
use wasmcloud_host::oci::{Reference, RegistryClient, RegistryOptions};

use crate::input;
use crate::outcome::{CommandError, CommandResult};
use crate::runtime::in_runtime;

/// How registries are reached.
#[derive(Debug, clap::Args)]
pub(super) struct Access {
    /// Allows references with the tag latest or without a tag, which name other content after each push.
    #[arg(long)]
    allow_latest: bool,

    /// A registry that is reached by HTTP without TLS, as host or host:port. Can be given several times. Default: none.
    #[arg(long = "insecure", value_name = "REGISTRY")]
    insecure: Vec<String>,

    /// A file with certificates of authorities in PEM, that registries are trusted by beside those of this machine.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// The folder that keeps what was pulled. Default: $XDG_CACHE_HOME/wasmcloud/oci or $HOME/.cache/wasmcloud/oci.
    #[arg(long = "cache", value_name = "DIR")]
    cache: Option<PathBuf>,
}

impl Access {
    /// Returns a client for a reference.
    ///
    /// # Errors
    /// `Usage` if the reference is not pinned, or no folder for the cache is known.
    pub(super) fn client(self, reference: &Reference) -> CommandResult<RegistryClient> {
        if !self.allow_latest {
            let pinned = reference.check_pinned();
            pinned.map_err(|error| CommandError::Usage(format!("{error}: see --allow-latest")))?;
        }
        let cache = self.cache.or_else(RegistryOptions::default_cache).ok_or_else(|| {
            let message = "neither XDG_CACHE_HOME nor HOME names a folder for the cache: set one of them, or --cache";
            CommandError::Usage(message.to_owned())
        })?;
        let mut options = RegistryOptions::new(cache).allow_latest(self.allow_latest);
        if let Some(path) = &self.ca_file {
            options = options.trust_certificates(input::read(path, "the certificates in")?);
        }
        let options = self.insecure.into_iter().fold(options, RegistryOptions::allow_insecure);
        Ok(RegistryClient::new(options)?)
    }
}

/// Reads a reference on the command line.
pub(super) fn reference(text: &str) -> Result<Reference, String> {
    Reference::from_str(text).map_err(|error| error.to_string())
}

/// Carries out a transfer on this thread. It ends with this process at SIGINT; nothing half-written is left in its place.
pub(super) fn carry_out<T>(transfer: impl Future<Output = Result<T, Error>>) -> CommandResult<T> {
    Ok(in_runtime(transfer)??)
}
