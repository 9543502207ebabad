//! How a host is configured.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use nkeys::KeyPair;

use super::Host;
use crate::engine::{ArtifactCache, Compilation, Compiler};
use crate::limits::Limits;
use crate::middleware::Middleware;
use crate::middleware::chain::Installed;

/// Everything a host is built from.
pub(super) struct Configuration {
    pub(super) key: KeyPair,
    pub(super) labels: HashMap<String, String>,
    pub(super) limits: Limits,
    pub(super) shards: usize,
    pub(super) compilation: Compilation,
    pub(super) middlewares: Vec<Installed>,
}

/// Configures a [`Host`].
///
/// ```
/// use std::time::Duration;
/// use wasmcloud_host::HostBuilder;
///
/// let host = HostBuilder::new().with_label("zone", "cellar").with_call_deadline(Duration::from_secs(5)).build();
/// ```
#[derive(Clone)]
pub struct HostBuilder {
    labels: HashMap<String, String>,
    limits: Limits,
    shards: usize,
    compilation: Compilation,
    middlewares: Vec<Installed>,
}

impl HostBuilder {
    /// A builder with the defaults.
    pub fn new() -> HostBuilder {
        let labels = [
            ("hostcore.arch", std::env::consts::ARCH),
            ("hostcore.os", std::env::consts::OS),
            ("hostcore.osfamily", std::env::consts::FAMILY),
        ];
        HostBuilder {
            labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            limits: Limits::default(),
            shards: std::thread::available_parallelism().map_or(1, usize::from),
            compilation: Compilation::default(),
            middlewares: Vec::new(),
        }
    }

    /// Adds a label to the host, or replaces one. Labels that begin with `hostcore.` say what the host is and cannot be
    /// replaced; an attempt is ignored, with a line on the log.
    pub fn with_label(mut self, key: &str, value: &str) -> HostBuilder {
        if key.starts_with("hostcore.") {
            log::warn!("the label {key:?} is ignored: labels beginning with hostcore. are the host's own");
        } else {
            self.labels.insert(key.to_owned(), value.to_owned());
        }
        self
    }

    /// What guests and calls may use; see [`Limits`] for the defaults. Actors may be started with limits of their own.
    pub fn with_limits(mut self, limits: Limits) -> HostBuilder {
        self.limits = limits;
        self
    }

    /// How long a call may take, with all the calls that it leads to; 30 s by default. It is one of the [`Limits`].
    pub fn with_call_deadline(mut self, deadline: Duration) -> HostBuilder {
        self.limits = self.limits.call_deadline(deadline);
        self
    }

    /// The same as [`HostBuilder::with_call_deadline`], under the name that it had in 0.19.
    pub fn with_rpc_timeout(self, timeout: Duration) -> HostBuilder {
        self.with_call_deadline(timeout)
    }

    /// How many threads run actors and providers, the one that starts the host included; one for each core by
    /// default, and at least one.
    pub fn with_shards(mut self, shards: usize) -> HostBuilder {
        self.shards = shards.max(1);
        self
    }

    /// Which compiler makes machine code of modules; Cranelift by default, where this crate was built with it.
    pub fn with_compiler(mut self, compiler: Compiler) -> HostBuilder {
        self.compilation.compiler = compiler;
        self
    }

    /// Keeps compiled modules in a folder, so that actors start from there the next time. By default none are kept: a host
    /// writes no files unless it is told to.
    pub fn with_artifact_cache(mut self, artifacts: ArtifactCache) -> HostBuilder {
        self.compilation.artifacts = Some(artifacts);
        self
    }

    /// Keeps no compiled modules beyond the life of the host, whatever was asked for before.
    pub fn without_artifact_cache(mut self) -> HostBuilder {
        self.compilation.artifacts = None;
        self
    }

    /// Puts a middleware between the callers and the targets of the host, further in than those installed before. Hosts
    /// built from clones of this builder share it.
    pub fn with_middleware(mut self, middleware: impl Middleware + 'static) -> HostBuilder {
        self.middlewares.push(Installed::new(middleware));
        self
    }

    /// Builds the host, with a new key. It does not run yet: see [`Host::start`].
    pub fn build(self) -> Host {
        let HostBuilder { labels, limits, shards, compilation, middlewares } = self;
        Host::new(Configuration { key: KeyPair::new_server(), labels, limits, shards, compilation, middlewares })
    }
}

impl Default for HostBuilder {
    fn default() -> Self {
        HostBuilder::new()
    }
}

impl fmt::Debug for HostBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostBuilder")
            .field("labels", &self.labels)
            .field("limits", &self.limits)
            .field("shards", &self.shards)
            .field("compilation", &self.compilation)
            .field("middlewares", &self.middlewares)
            .finish()
    }
}
