//! The options of a lattice: where it is, how the host logs in, which hosts it trusts.
//!
//! ```
//! use wasmcloud_lattice::{ConnectionOptions, LatticeOptions};
//!
//! let connection = ConnectionOptions::new("nats://127.0.0.1:4222").user_and_password("host", "hunter2");
//! let options = LatticeOptions::new(connection).namespace("cellar");
//! assert!(options.validate().is_ok());
//! assert!(!format!("{options:?}").contains("hunter2"));
//! ```

mod check;
mod connection;
mod trust;

use std::time::Duration;

use nkeys::{KeyPair, KeyPairType};
use wasmcloud_core::error::Result;

use crate::namespace::{DEFAULT_NAMESPACE, Namespace};
use check::{expect_between, expect_issuer, expect_public_key, expect_seed};

pub use connection::ConnectionOptions;
pub(crate) use connection::{Login, Source};
pub use trust::HostTrust;
pub(crate) use trust::Secret;

/// The options of a lattice. `HostBuilder::with_lattice` takes them.
#[derive(Debug, Clone)]
#[non_exhaustive]
#[must_use = "options have no effect until a host is built with them"]
pub struct LatticeOptions {
    pub(crate) namespace: String,
    pub(crate) calls: ConnectionOptions,
    pub(crate) control: Option<ConnectionOptions>,
    pub(crate) trusted_hosts: Vec<String>,
    pub(crate) trusted_clusters: Vec<String>,
    pub(crate) cluster_seed: Option<Secret>,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) registry_replicas: usize,
    pub(crate) accept_unsigned_claims: bool,
    pub(crate) control_issuers: Vec<String>,
    pub(crate) token_window: Duration,
    pub(crate) session_lifetime: Duration,
    pub(crate) session_messages: u64,
}

impl LatticeOptions {
    /// Returns options for a connection with a NATS server, or for a client that is connected already. It serves calls and
    /// control.
    pub fn new(connection: impl Into<ConnectionOptions>) -> LatticeOptions {
        LatticeOptions {
            namespace: DEFAULT_NAMESPACE.to_owned(),
            calls: connection.into(),
            control: None,
            trusted_hosts: Vec::new(),
            trusted_clusters: Vec::new(),
            cluster_seed: None,
            heartbeat_interval: Duration::from_secs(30),
            registry_replicas: 1,
            accept_unsigned_claims: false,
            control_issuers: Vec::new(),
            token_window: Duration::from_secs(60),
            session_lifetime: Duration::from_secs(60 * 60),
            session_messages: 1 << 24,
        }
    }

    /// Sets the namespace. Hosts of different namespaces share nothing. Default: `default`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> LatticeOptions {
        self.namespace = namespace.into();
        self
    }

    /// Sets the connection of the calls, instead of the one that the options were made with.
    pub fn connection(mut self, connection: impl Into<ConnectionOptions>) -> LatticeOptions {
        self.calls = connection.into();
        self
    }

    /// Sets a connection of its own for control, events and heartbeats of 2021. Default: the connection of the calls.
    pub fn control_connection(mut self, connection: impl Into<ConnectionOptions>) -> LatticeOptions {
        self.control = Some(connection.into());
        self
    }

    /// Adds the public key (`N...`) of a host whose messages are accepted. Default: none. Without trusted hosts and clusters,
    /// any host is accepted.
    pub fn trusted_host(mut self, key: impl Into<String>) -> LatticeOptions {
        self.trusted_hosts.push(key.into());
        self
    }

    /// Adds the public key (`C...`) of a cluster. Hosts that its seed vouches for are accepted. Default: none.
    pub fn trusted_cluster(mut self, key: impl Into<String>) -> LatticeOptions {
        self.trusted_clusters.push(key.into());
        self
    }

    /// Sets the seed (`SC...`) of the cluster that this host belongs to. Its public key is trusted. Default: none.
    pub fn cluster_seed(mut self, seed: impl Into<String>) -> LatticeOptions {
        self.cluster_seed = Some(Secret::new(seed));
        self
    }

    /// Sets the time between heartbeats. A host that is silent for two intervals is down. All hosts of a namespace should have
    /// the same interval. Default: 30 s.
    pub fn heartbeat_interval(mut self, interval: Duration) -> LatticeOptions {
        self.heartbeat_interval = interval;
        self
    }

    /// Sets how many servers of a NATS cluster hold the registry: 1 to 5. Default: 1.
    pub fn registry_replicas(mut self, replicas: usize) -> LatticeOptions {
        self.registry_replicas = replicas;
        self
    }

    /// Sets whether the unsigned claims that hosts of 2021 advertise are believed. Any program that can publish on the server
    /// can then grant capabilities to actors. Default: no.
    pub fn accept_unsigned_claims(mut self, accept: bool) -> LatticeOptions {
        self.accept_unsigned_claims = accept;
        self
    }

    /// Adds the public key of an issuer who may control the host from afar: of an account (`A...`), a user (`U...`) or a cluster
    /// (`C...`). Default: none. Without one, any program that can publish on the server may control the host.
    pub fn control_issuer(mut self, key: impl Into<String>) -> LatticeOptions {
        self.control_issuers.push(key.into());
        self
    }

    /// Sets how far the time of a message may differ from the time of this host. Default: 60 s.
    pub fn token_window(mut self, window: Duration) -> LatticeOptions {
        self.token_window = window;
        self
    }

    /// Sets how long the keys of a session are used. Default: 1 h.
    pub fn session_lifetime(mut self, lifetime: Duration) -> LatticeOptions {
        self.session_lifetime = lifetime;
        self
    }

    /// Sets how many messages the keys of a session protect. Default: 16,777,216.
    pub fn session_messages(mut self, messages: u64) -> LatticeOptions {
        self.session_messages = messages;
        self
    }

    /// Returns the name of the namespace.
    pub fn namespace_name(&self) -> &str {
        &self.namespace
    }

    /// Returns the options of the connection of the calls.
    pub fn calls_connection(&self) -> &ConnectionOptions {
        &self.calls
    }

    /// Returns the options of the control connection. Default: those of the calls.
    pub fn control_connection_options(&self) -> &ConnectionOptions {
        self.control.as_ref().unwrap_or(&self.calls)
    }

    /// Returns whether control has a connection of its own.
    pub fn is_control_separate(&self) -> bool {
        self.control.is_some()
    }

    /// Returns how long the keys of a session are used.
    pub fn session_time(&self) -> Duration {
        self.session_lifetime
    }

    /// Returns how many messages the keys of a session protect.
    pub fn session_message_count(&self) -> u64 {
        self.session_messages
    }

    /// Returns how far the time of a message may differ from the time of this host.
    pub fn window(&self) -> Duration {
        self.token_window
    }

    /// Returns the public keys of the issuers who may control the host.
    pub fn control_issuer_keys(&self) -> &[String] {
        &self.control_issuers
    }

    /// Returns how many servers of a NATS cluster hold the registry.
    pub fn replicas(&self) -> usize {
        self.registry_replicas
    }

    /// Checks all options. Files are read when the connection is made, and again for each attempt.
    ///
    /// # Errors
    /// `InvalidArgument` with the name of the option that is invalid.
    pub fn validate(&self) -> Result<()> {
        Namespace::new(&self.namespace)?;
        self.calls.validate("connection")?;
        if let Some(control) = &self.control {
            control.validate("control_connection")?;
        }
        for key in &self.trusted_hosts {
            expect_public_key("trusted_host", key, KeyPairType::Server, "a host's public key (N...)")?;
        }
        for key in &self.trusted_clusters {
            expect_public_key("trusted_cluster", key, KeyPairType::Cluster, "a cluster's public key (C...)")?;
        }
        for key in &self.control_issuers {
            expect_issuer("control_issuer", key)?;
        }
        self.cluster_key()?;
        let hour = Duration::from_secs(60 * 60);
        expect_between("heartbeat_interval", &self.heartbeat_interval, &Duration::from_millis(50), &hour)?;
        expect_between("registry_replicas", &self.registry_replicas, &1, &5)?;
        expect_between("token_window", &self.token_window, &Duration::from_secs(1), &(hour * 24))?;
        expect_between("session_lifetime", &self.session_lifetime, &Duration::from_secs(1), &(hour * 24))?;
        expect_between("session_messages", &self.session_messages, &16, &(1 << 32))
    }

    /// Returns the hosts that are trusted.
    ///
    /// # Errors
    /// `InvalidArgument` for an invalid key or seed.
    pub fn host_trust(&self) -> Result<HostTrust> {
        let own = self.cluster_key()?.map(|key| key.public_key());
        let clusters = self.trusted_clusters.iter().cloned().chain(own);
        Ok(HostTrust::new(self.trusted_hosts.iter().cloned(), clusters))
    }

    /// Returns the key of the cluster that this host belongs to.
    ///
    /// # Errors
    /// `InvalidArgument` for an invalid seed.
    pub fn cluster_key(&self) -> Result<Option<KeyPair>> {
        let seed = |seed: &Secret| expect_seed("cluster_seed", seed, KeyPairType::Cluster, "a cluster's seed (SC...)");
        self.cluster_seed.as_ref().map(seed).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> LatticeOptions {
        LatticeOptions::new(ConnectionOptions::new("127.0.0.1:4222"))
    }

    #[test]
    fn the_error_of_an_invalid_option_names_it() {
        let user = KeyPair::new_user().seed().unwrap();
        let cases = [
            (options().trusted_host("N123"), "trusted_host"),
            (options().trusted_host(KeyPair::new_cluster().public_key()), "trusted_host"),
            (options().trusted_cluster("C"), "trusted_cluster"),
            (options().cluster_seed(user), "cluster_seed"),
            (options().control_issuer(KeyPair::new_server().public_key()), "control_issuer"),
            (options().control_issuer("A"), "control_issuer"),
            (options().heartbeat_interval(Duration::ZERO), "heartbeat_interval"),
            (options().heartbeat_interval(Duration::MAX), "heartbeat_interval"),
            (options().registry_replicas(0), "registry_replicas"),
            (options().registry_replicas(6), "registry_replicas"),
            (options().token_window(Duration::ZERO), "token_window"),
            (options().session_lifetime(Duration::ZERO), "session_lifetime"),
            (options().session_messages(0), "session_messages"),
            (options().namespace("a.b"), "namespace"),
            (options().control_connection(ConnectionOptions::default()), "control_connection"),
        ];
        assert!(options().validate().is_ok());
        for (invalid, name) in cases {
            let error = invalid.validate().unwrap_err();
            assert!(error.to_string().contains(name), "{name}: {error}");
        }
    }

    #[test]
    fn a_cluster_seed_implies_its_public_key() {
        let cluster = KeyPair::new_cluster();
        let trust = options().cluster_seed(cluster.seed().unwrap()).host_trust().unwrap();
        assert!(trust.trusts_cluster(&cluster.public_key()));
        assert!(!trust.trusts_any() && options().host_trust().unwrap().trusts_any());
    }

    #[test]
    fn control_uses_the_connection_of_the_calls_unless_it_has_its_own() {
        let shared = options().namespace("cellar").registry_replicas(3);
        assert_eq!((shared.namespace_name(), shared.replicas()), ("cellar", 3));
        assert!(!shared.is_control_separate());
        assert!(std::ptr::eq(shared.control_connection_options(), shared.calls_connection()));
        let separate = options().control_connection(ConnectionOptions::new("127.0.0.1:4223"));
        assert!(separate.is_control_separate());
        assert!(format!("{:?}", separate.control_connection_options()).contains("4223"));
        assert!(format!("{:?}", separate.calls_connection()).contains("4222"));
    }

    #[test]
    fn a_client_that_is_connected_already_is_a_connection() {
        crate::testing::run(async {
            let server = crate::testing::Server::start();
            let client = server.client().await;
            let options = LatticeOptions::new(client.clone()).control_connection(client);
            assert!(options.validate().is_ok() && options.is_control_separate());
            assert!(matches!(options.calls_connection().source, Source::Ready(_)));
        });
    }

    #[test]
    fn no_secret_is_printed() {
        let seed = KeyPair::new_cluster().seed().unwrap();
        let printed = format!("{:?}", options().cluster_seed(seed.clone()));
        assert!(!printed.contains(&seed), "{printed}");
    }
}
