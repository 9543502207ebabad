//! The configuration of a host.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nkeys::{KeyPair, KeyPairType};
use wasmcloud_claims::TrustPolicy;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::limits::Limits;
use wasmcloud_engine::{ArtifactCache, CompilationConfig, Compiler};
#[cfg(feature = "telemetry")]
use wasmcloud_telemetry::TelemetryOptions;

use super::Host;
#[cfg(feature = "lattice")]
use super::lattice::LatticeConfiguration;
use super::registries::RegistryConfiguration;
use crate::authorizer::Authorizer;
use crate::dispatch::authority::InstalledAuthorizer;
use crate::event;
#[cfg(feature = "experiments")]
use crate::experiment::Experiment;
use crate::instruments::Instruments;
use crate::labels::is_reserved;
use crate::middleware::Middleware;
use crate::middleware::chain::InstalledMiddleware;
use crate::supervisor::health::CheckPolicy;
use crate::supervisor::restart::RestartPolicy;
use crate::supervisor::updates::UpdatePolicy;
#[cfg(feature = "experiments")]
use wasmcloud_core::entity::WasmCloudEntity;
#[cfg(feature = "otlp")]
use wasmcloud_telemetry::otlp::OtlpExport;

/// The configuration of a host, without its key.
#[derive(Debug, Clone)]
pub(super) struct Configuration {
    pub(super) labels: HashMap<String, String>,
    pub(super) limits: Limits,
    pub(super) shards: usize,
    pub(super) compilation: CompilationConfig,
    /// `None` if the embedder sets no policy: the host then warns at its start.
    pub(super) trust: Option<TrustPolicy>,
    pub(super) authorizer: Option<InstalledAuthorizer>,
    pub(super) middlewares: Vec<InstalledMiddleware>,
    pub(super) restart: RestartPolicy,
    pub(super) updates: UpdatePolicy,
    pub(super) grace: Option<Duration>,
    pub(super) event_buffer: usize,
    /// The share of traces that are sampled.
    pub(super) trace_sampling: f64,
    #[cfg(feature = "experiments")]
    pub(super) experiments: Vec<(WasmCloudEntity, Experiment)>,
    pub(super) health: CheckPolicy,
    /// `None` if the host makes a key of its own.
    pub(super) key: Option<Arc<KeyPair>>,
    #[cfg(feature = "lattice")]
    pub(super) lattice: LatticeConfiguration,
    pub(super) registries: RegistryConfiguration,
    /// The folder of the secrets that manifests from elsewhere may name.
    pub(super) secrets_folder: Option<PathBuf>,
    /// Whether calls and events are counted.
    #[cfg(feature = "telemetry")]
    pub(super) metrics: bool,
    /// The export whose counts are among the metrics.
    #[cfg(feature = "otlp")]
    pub(super) span_export: Option<OtlpExport>,
    /// `None` if the host has no port for telemetry.
    #[cfg(feature = "telemetry")]
    pub(super) telemetry: Option<TelemetryOptions>,
}

impl Configuration {
    /// Returns the instruments of a new host.
    pub(super) fn instruments(&self) -> Instruments {
        #[cfg(feature = "telemetry")]
        if self.metrics {
            return Instruments::on();
        }
        Instruments::off()
    }
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
pub struct HostBuilder(pub(super) Configuration);

impl HostBuilder {
    /// Returns a builder with the defaults.
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
            trace_sampling: 1.0,
            #[cfg(feature = "experiments")]
            experiments: Vec::new(),
            health: CheckPolicy { deadline: Duration::from_secs(1), interval: Some(Duration::from_secs(30)) },
            key: None,
            #[cfg(feature = "lattice")]
            lattice: LatticeConfiguration::default(),
            registries: RegistryConfiguration::default(),
            secrets_folder: None,
            #[cfg(feature = "telemetry")]
            metrics: false,
            #[cfg(feature = "otlp")]
            span_export: None,
            #[cfg(feature = "telemetry")]
            telemetry: None,
        })
    }

    /// Adds a label to the host, or replaces one. Labels that begin with `hostcore.` are reserved: setting one has no
    /// effect and logs a warning.
    #[must_use]
    pub fn with_label(mut self, key: &str, value: &str) -> HostBuilder {
        if is_reserved(key) {
            log::warn!("the label {key:?} is ignored: labels beginning with hostcore. are the host's own");
        } else {
            self.0.labels.insert(key.to_owned(), value.to_owned());
        }
        self
    }

    /// Counts calls, crashes, fuel and the like for [`Host::metrics`]. Default: nothing is counted.
    #[cfg(feature = "telemetry")]
    #[must_use]
    pub fn with_metrics(mut self) -> HostBuilder {
        self.0.metrics = true;
        self
    }

    /// Adds what has become of the spans of an export to the text of [`Host::metrics`]. Default: the metrics say nothing of
    /// spans.
    #[cfg(feature = "otlp")]
    #[must_use]
    pub fn with_span_export(mut self, export: OtlpExport) -> HostBuilder {
        self.0.span_export = Some(export);
        self
    }

    /// Sets the folder of the secrets that manifests from other machines may name, such as those that arrive over the lattice.
    /// They may name no other files of this host. Default: none. See [`ManifestSecret`](crate::ManifestSecret).
    #[must_use]
    pub fn with_secrets_folder(mut self, folder: impl Into<PathBuf>) -> HostBuilder {
        self.0.secrets_folder = Some(folder.into());
        self
    }

    /// Sets the limits of guests and calls. An actor can be started with limits of its own. A field outside of the range of
    /// its method is brought into it. Default: [`Limits::new`].
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> HostBuilder {
        self.0.limits = limits.clamped();
        self
    }

    /// Sets the time that a call may take, including all calls that it makes. It is one of the [`Limits`]. Default: 30
    /// s.
    #[must_use]
    pub fn with_call_deadline(mut self, deadline: Duration) -> HostBuilder {
        self.0.limits = self.0.limits.call_deadline(deadline);
        self
    }

    /// Sets the call deadline under the name that it had in release 0.19. See [`HostBuilder::with_call_deadline`].
    #[must_use]
    pub fn with_rpc_timeout(self, timeout: Duration) -> HostBuilder {
        self.with_call_deadline(timeout)
    }

    /// Sets the number of threads that run actors and providers, including the thread that starts the host. Minimum: 1.
    /// Default: the number of cores.
    #[must_use]
    pub fn with_shards(mut self, shards: usize) -> HostBuilder {
        self.0.shards = shards.max(1);
        self
    }

    /// Sets the compiler of guests. Default: Cranelift, if this crate is built with it.
    #[must_use]
    pub fn with_compiler(mut self, compiler: Compiler) -> HostBuilder {
        self.0.compilation.compiler = compiler;
        self
    }

    /// Keeps compiled modules in a folder, from which later starts load them. Default: no cache; a host writes no files of
    /// its own accord.
    #[must_use]
    pub fn with_artifact_cache(mut self, artifacts: ArtifactCache) -> HostBuilder {
        self.0.compilation.artifacts = Some(artifacts);
        self
    }

    /// Removes the artifact cache: compiled modules are not kept beyond the life of the host.
    #[must_use]
    pub fn without_artifact_cache(mut self) -> HostBuilder {
        self.0.compilation.artifacts = None;
        self
    }

    /// Sets the trust policy. Default: any valid signature; the host then logs a warning when it starts. See also
    /// [`Host::set_trust_policy`].
    #[must_use]
    pub fn with_trust_policy(mut self, policy: TrustPolicy) -> HostBuilder {
        self.0.trust = Some(policy);
        self
    }

    /// Sets the authorizer of starts, calls and links. It replaces one set before. Hosts built from clones of this builder
    /// share it. Default: none.
    #[must_use]
    pub fn with_authorizer(mut self, authorizer: impl Authorizer + 'static) -> HostBuilder {
        self.0.authorizer = Some(InstalledAuthorizer::new(authorizer));
        self
    }

    /// Adds a middleware between callers and targets. It sees calls after the middlewares that were added before it. Hosts
    /// built from clones of this builder share it. Default: none.
    #[must_use]
    pub fn with_middleware(mut self, middleware: impl Middleware + 'static) -> HostBuilder {
        self.0.middlewares.push(InstalledMiddleware::new(middleware));
        self
    }

    /// Sets the restart policy of actors and providers that are started without one of their own. Default:
    /// [`RestartPolicy::new`].
    #[must_use]
    pub fn with_restart_policy(mut self, policy: RestartPolicy) -> HostBuilder {
        self.0.restart = policy;
        self
    }

    /// Sets the grace period: the time that a stop waits for calls in progress before it ends them. Default: the call
    /// deadline.
    #[must_use]
    pub fn with_stop_grace(mut self, grace: Duration) -> HostBuilder {
        self.0.grace = Some(grace);
        self
    }

    /// Enables [`Host::update_actor`]. Default: updates are refused.
    #[must_use]
    pub fn enable_live_updates(mut self) -> HostBuilder {
        self.0.updates.enabled = true;
        self
    }

    /// Lets an update change the capabilities of an actor. Default: they must stay the same.
    #[must_use]
    pub fn disable_strict_update_check(mut self) -> HostBuilder {
        self.0.updates.strict = false;
        self
    }

    /// Sets the number of events that are buffered for each subscriber. See [`Host::events`]. Minimum: 1. Default:
    /// 1,024.
    #[must_use]
    pub fn with_event_buffer(mut self, events: usize) -> HostBuilder {
        self.0.event_buffer = events;
        self
    }

    /// Sets the share of traces that are sampled, among those that begin in this host. Calls of other traces have no spans. A
    /// trace that comes with a request, or from another host, says itself whether it is sampled. Range: 0 to 1. Default: 1.
    #[must_use]
    pub fn with_trace_sampling(mut self, share: f64) -> HostBuilder {
        self.0.trace_sampling = share;
        self
    }

    /// Begins an experiment with an actor or provider at the host's start, as [`Host::experiment`] does. An experiment that
    /// [`Host::experiment`] would refuse has no effect and logs a warning.
    #[must_use]
    #[cfg(feature = "experiments")]
    pub fn with_experiment(mut self, entity: &WasmCloudEntity, experiment: Experiment) -> HostBuilder {
        self.0.experiments.push((entity.clone(), experiment));
        self
    }

    /// Sets the time that an actor or provider has to answer a health check. A guest that exceeds it is replaced, as after
    /// a call that exceeds its deadline. Maximum: 1 hour. Default: 1 s.
    #[must_use]
    pub fn with_health_deadline(mut self, deadline: Duration) -> HostBuilder {
        self.0.health.deadline = deadline.min(Duration::from_secs(60 * 60));
        self
    }

    /// Sets the interval at which the host checks the health of all actors and providers. With `None`, only
    /// [`Host::health`] and [`Host::health_of`] check it. Minimum: 1 ms. Default: 30 s.
    #[must_use]
    pub fn with_health_interval(mut self, interval: Option<Duration>) -> HostBuilder {
        self.0.health.interval = interval.map(|interval| interval.max(Duration::from_millis(1)));
        self
    }

    /// Sets the key of the host, so that other hosts of a lattice can trust it. Hosts built from clones of this builder have
    /// the same key and must not join one lattice. Default: a new key for each host.
    ///
    /// # Errors
    /// `InvalidArgument` unless it is a host's key pair with its seed (`SN...`).
    pub fn with_host_key(mut self, key: KeyPair) -> Result<HostBuilder> {
        let is_whole = key.key_pair_type() == KeyPairType::Server && key.seed().is_ok();
        if !is_whole {
            let message = "the key is not a host's key pair with its seed (SN...): KeyPair::new_server makes one";
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        self.0.key = Some(Arc::new(key));
        Ok(self)
    }

    /// Builds the host. [`Host::start`] starts it.
    #[must_use]
    pub fn build(self) -> Host {
        Host::new(self.0)
    }
}

impl Default for HostBuilder {
    fn default() -> Self {
        HostBuilder::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_brought_into_their_ranges() {
        let mut limits = Limits::new();
        (limits.message_bytes, limits.table_elements) = (usize::MAX, u64::MAX);
        assert_eq!(HostBuilder::new().with_limits(limits).0.limits, limits.clamped());
        assert_ne!(limits, limits.clamped());
    }
}
