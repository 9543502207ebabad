//! How a host is configured.

use std::collections::HashMap;
use std::time::Duration;

use nkeys::KeyPair;
use wasmcloud_claims::TrustPolicy;
use wasmcloud_core::limits::Limits;
use wasmcloud_engine::{ArtifactCache, CompilationConfig, Compiler};

use super::Host;
use crate::authorizer::Authorizer;
use crate::dispatch::authority::InstalledAuthorizer;
use crate::event;
#[cfg(feature = "experiments")]
use crate::experiment::Experiment;
use crate::labels::is_reserved;
use crate::middleware::Middleware;
use crate::middleware::chain::InstalledMiddleware;
use crate::supervisor::health::CheckPolicy;
use crate::supervisor::restart::RestartPolicy;
use crate::supervisor::updates::UpdatePolicy;
#[cfg(feature = "experiments")]
use wasmcloud_core::entity::WasmCloudEntity;

/// Everything a host is built from, but its key.
#[derive(Debug, Clone)]
pub(super) struct Configuration {
    pub(super) labels: HashMap<String, String>,
    pub(super) limits: Limits,
    pub(super) shards: usize,
    pub(super) compilation: CompilationConfig,
    /// Nothing where the embedder has not said whom it trusts.
    pub(super) trust: Option<TrustPolicy>,
    pub(super) authorizer: Option<InstalledAuthorizer>,
    pub(super) middlewares: Vec<InstalledMiddleware>,
    pub(super) restart: RestartPolicy,
    pub(super) updates: UpdatePolicy,
    pub(super) grace: Option<Duration>,
    pub(super) event_buffer: usize,
    #[cfg(feature = "experiments")]
    pub(super) experiments: Vec<(WasmCloudEntity, Experiment)>,
    pub(super) health: CheckPolicy,
}

/// Configures a [`Host`].
///
/// ```
/// use std::time::Duration;
/// use wasmcloud_host::HostBuilder;
///
/// let host = HostBuilder::new().with_label("zone", "cellar").with_call_deadline(Duration::from_secs(5)).build();
/// ```
#[derive(Debug, Clone)]
pub struct HostBuilder(Configuration);

impl HostBuilder {
    /// A builder with the defaults.
    pub fn new() -> HostBuilder {
        let labels = [
            ("hostcore.arch", std::env::consts::ARCH),
            ("hostcore.os", std::env::consts::OS),
            ("hostcore.osfamily", std::env::consts::FAMILY),
        ];
        HostBuilder(Configuration {
            labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            limits: Limits::default(),
            shards: std::thread::available_parallelism().map_or(1, usize::from),
            compilation: CompilationConfig::default(),
            trust: None,
            authorizer: None,
            middlewares: Vec::new(),
            restart: RestartPolicy::new(),
            updates: UpdatePolicy { enabled: false, strict: true },
            grace: None,
            event_buffer: event::DEFAULT_BUFFER,
            #[cfg(feature = "experiments")]
            experiments: Vec::new(),
            health: CheckPolicy { deadline: Duration::from_secs(1), interval: Some(Duration::from_secs(30)) },
        })
    }

    /// Adds a label to the host, or replaces one. Labels that begin with `hostcore.` say what the host is and cannot be
    /// replaced; an attempt is ignored, with a line on the log.
    pub fn with_label(mut self, key: &str, value: &str) -> HostBuilder {
        if is_reserved(key) {
            log::warn!("the label {key:?} is ignored: labels beginning with hostcore. are the host's own");
        } else {
            self.0.labels.insert(key.to_owned(), value.to_owned());
        }
        self
    }

    /// What guests and calls may use; see [`Limits`] for the defaults. Actors may be started with limits of their own.
    pub fn with_limits(mut self, limits: Limits) -> HostBuilder {
        self.0.limits = limits;
        self
    }

    /// How long a call may take, with all the calls that it leads to; 30 s by default. It is one of the [`Limits`].
    pub fn with_call_deadline(mut self, deadline: Duration) -> HostBuilder {
        self.0.limits = self.0.limits.call_deadline(deadline);
        self
    }

    /// The same as [`HostBuilder::with_call_deadline`], under the name that it had in 0.19.
    pub fn with_rpc_timeout(self, timeout: Duration) -> HostBuilder {
        self.with_call_deadline(timeout)
    }

    /// How many threads run actors and providers, the one that starts the host included; one for each core by
    /// default, and at least one.
    pub fn with_shards(mut self, shards: usize) -> HostBuilder {
        self.0.shards = shards.max(1);
        self
    }

    /// Which compiler makes machine code of modules; Cranelift by default, where this crate was built with it.
    pub fn with_compiler(mut self, compiler: Compiler) -> HostBuilder {
        self.0.compilation.compiler = compiler;
        self
    }

    /// Keeps compiled modules in a folder, so that actors start from there the next time. By default none are kept: a host
    /// writes no files unless it is told to.
    pub fn with_artifact_cache(mut self, artifacts: ArtifactCache) -> HostBuilder {
        self.0.compilation.artifacts = Some(artifacts);
        self
    }

    /// Keeps no compiled modules beyond the life of the host, whatever was asked for before.
    pub fn without_artifact_cache(mut self) -> HostBuilder {
        self.0.compilation.artifacts = None;
        self
    }

    /// Whose signature counts. By default everybody's does, and the host says so on the log when it is started. See also
    /// [`Host::set_trust_policy`].
    pub fn with_trust_policy(mut self, policy: TrustPolicy) -> HostBuilder {
        self.0.trust = Some(policy);
        self
    }

    /// Has an authorizer decide about starts, calls and links, in the place of one given before. By default there is none.
    /// Hosts built from clones of this builder share it.
    pub fn with_authorizer(mut self, authorizer: impl Authorizer + 'static) -> HostBuilder {
        self.0.authorizer = Some(InstalledAuthorizer::new(authorizer));
        self
    }

    /// Puts a middleware between the callers and the targets of the host, further in than those installed before. Hosts
    /// built from clones of this builder share it.
    pub fn with_middleware(mut self, middleware: impl Middleware + 'static) -> HostBuilder {
        self.0.middlewares.push(InstalledMiddleware::new(middleware));
        self
    }

    /// When actors and providers that crash are restarted, unless they are started with a policy of their own; see
    /// [`RestartPolicy`] for the default.
    pub fn with_restart_policy(mut self, policy: RestartPolicy) -> HostBuilder {
        self.0.restart = policy;
        self
    }

    /// How long a stop waits for the calls that are under way before it ends them; as long as a call may take by default.
    pub fn with_stop_grace(mut self, grace: Duration) -> HostBuilder {
        self.0.grace = Some(grace);
        self
    }

    /// Allows [`Host::update_actor`], which is refused by default.
    pub fn enable_live_updates(mut self) -> HostBuilder {
        self.0.updates.enabled = true;
        self
    }

    /// Lets an update change the capabilities that an actor's signed claims include. By default they must be the same.
    pub fn disable_strict_update_check(mut self) -> HostBuilder {
        self.0.updates.strict = false;
        self
    }

    /// How many events are kept for a subscriber that is slow; 1,024 by default, and at least one. See [`Host::events`].
    pub fn with_event_buffer(mut self, events: usize) -> HostBuilder {
        self.0.event_buffer = events;
        self
    }

    /// Makes an experiment with an actor or provider from its start on, as [`Host::experiment`] does. One with what cannot be
    /// experimented with is ignored, with a line on the log.
    #[cfg(feature = "experiments")]
    pub fn with_experiment(mut self, entity: &WasmCloudEntity, experiment: Experiment) -> HostBuilder {
        self.0.experiments.push((entity.clone(), experiment));
        self
    }

    /// How long an actor or provider has to answer a health check; 1 s by default, an hour at most. A guest that has
    /// worked on one so long without an answer is lost, like one that does not answer a call in time.
    pub fn with_health_deadline(mut self, deadline: Duration) -> HostBuilder {
        self.0.health.deadline = deadline.min(Duration::from_secs(60 * 60));
        self
    }

    /// How often the host asks all actors and providers how they are; every 30 s by default, every millisecond at most.
    /// With `None`, they are asked only when the embedder does; see [`Host::health`].
    pub fn with_health_interval(mut self, interval: Option<Duration>) -> HostBuilder {
        self.0.health.interval = interval.map(|interval| interval.max(Duration::from_millis(1)));
        self
    }

    /// Builds the host, with a new key. It does not run yet: see [`Host::start`].
    pub fn build(self) -> Host {
        Host::new(self.0, KeyPair::new_server())
    }
}

impl Default for HostBuilder {
    fn default() -> Self {
        HostBuilder::new()
    }
}
