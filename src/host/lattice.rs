//! The lattice that a host joins: its configuration, its state, and changes of links that other hosts learn of.

use std::collections::HashMap;
use std::sync::Arc;

use actix::Addr;
use async_nats::Client;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_lattice::{ConnectionOptions, LatticeOptions};

use super::control::HostControl;
use super::{Host, HostBuilder};
use crate::child::ChildChanges;
use crate::lattice::{Lattice, LatticeConfig, LatticeView};
use crate::shard::Shards;
use crate::supervisor::Supervisor;

/// The lattice of a builder. The methods of release 0.19 give its parts one by one.
#[derive(Debug, Clone, Default)]
pub(super) struct LatticeConfiguration {
    options: Option<LatticeOptions>,
    namespace: Option<String>,
    calls: Option<Client>,
    control: Option<Client>,
    control_issuers: Vec<String>,
}

impl LatticeConfiguration {
    /// Returns the options, or `None` if the host joins no lattice.
    pub(super) fn options(&self) -> Option<LatticeOptions> {
        let ready = self.calls.clone().or_else(|| self.control.clone());
        let given = self.options.clone().or_else(|| ready.map(LatticeOptions::new));
        let mut options = given?;
        if let Some(namespace) = &self.namespace {
            options = options.namespace(namespace.clone());
        }
        if let Some(calls) = &self.calls {
            options = options.connection(ConnectionOptions::from(calls.clone()));
        }
        if let Some(control) = &self.control
            && (self.calls.is_some() || self.options.is_some())
        {
            options = options.control_connection(ConnectionOptions::from(control.clone()));
        }
        let issuers = self.control_issuers.iter().cloned();
        Some(issuers.fold(options, LatticeOptions::control_issuer))
    }
}

impl HostBuilder {
    /// Joins a lattice: hosts that share a NATS server and a namespace, and with them claims, links and calls.
    ///
    /// A NATS server that cannot be reached does not stop the host. It runs alone, reports that
    /// ([`EventKind::LatticeChanged`](crate::EventKind::LatticeChanged), [`Host::lattice`]), and joins once it can. Default:
    /// the host runs alone.
    #[must_use]
    pub fn with_lattice(mut self, options: LatticeOptions) -> HostBuilder {
        self.0.lattice.options = Some(options);
        self
    }

    /// Sets the namespace of the lattice. Hosts of different namespaces share nothing. Default: `default`.
    #[must_use]
    pub fn with_namespace(mut self, namespace: &str) -> HostBuilder {
        self.0.lattice.namespace = Some(namespace.to_owned());
        self
    }

    /// Joins a lattice over a NATS client of the embedder, which carries calls. It also carries control, unless
    /// [`HostBuilder::with_control_client`] sets another client. See [`HostBuilder::with_lattice`].
    #[must_use]
    pub fn with_rpc_client(mut self, client: Client) -> HostBuilder {
        self.0.lattice.calls = Some(client);
        self
    }

    /// Sets the NATS client that carries the control interface and events of the lattice. Default: the client of the calls.
    #[must_use]
    pub fn with_control_client(mut self, client: Client) -> HostBuilder {
        self.0.lattice.control = Some(client);
        self
    }

    /// Names those who may control the host over its lattice: the public keys of accounts (`A...`), users (`U...`) or clusters
    /// (`C...`). What changes the host must then be signed by one of them. It adds to
    /// [`LatticeOptions::control_issuer`]. Default: none. Any program that can publish on the NATS server may then control the
    /// host, which logs a warning at its start.
    #[must_use]
    pub fn with_control_issuers(mut self, keys: impl IntoIterator<Item = String>) -> HostBuilder {
        self.0.lattice.control_issuers.extend(keys);
        self
    }

    /// Has no effect. Release 0.19 replicated claims and links with a provider; now the lattice's registry holds them, a
    /// bucket of NATS JetStream.
    #[must_use]
    #[deprecated(since = "0.20.0", note = "the registry of the lattice holds claims and links: remove this call")]
    pub fn with_lattice_cache_provider(self, _reference: &str) -> HostBuilder {
        log::warn!("the lattice cache provider is ignored: the registry of the lattice holds claims and links");
        self
    }
}

impl Host {
    /// Returns a point-in-time view of the lattice without blocking: the state of this host's connection, the hosts of the
    /// lattice, and what they run. `None` if the host was built without a lattice or has not been started.
    pub fn lattice(&self) -> Option<LatticeView> {
        self.joined_lattice().map(Lattice::view)
    }

    /// Cordons the host: it accepts no new calls from the lattice. Calls in progress, and local work, go on.
    /// [`Host::uncordon`] reverts it.
    ///
    /// # Errors
    /// `LatticeUnavailable` if the host was built without a lattice; `HostNotRunning`.
    pub async fn cordon(&self) -> Result<()> {
        self.expect_lattice()?.set_cordoned(true).await
    }

    /// Accepts calls from the lattice again, after [`Host::cordon`].
    ///
    /// # Errors
    /// `LatticeUnavailable` if the host was built without a lattice; `HostNotRunning`.
    pub async fn uncordon(&self) -> Result<()> {
        self.expect_lattice()?.set_cordoned(false).await
    }

    /// Returns the lattice, if the host was built with one and has been started.
    pub(super) fn joined_lattice(&self) -> Option<&Lattice> {
        self.0.running.get()?.lattice.as_ref()
    }

    pub(super) fn expect_lattice(&self) -> Result<&Lattice> {
        self.running()?;
        self.joined_lattice().ok_or_else(|| {
            let message = "the host was built without a lattice: see HostBuilder::with_lattice";
            Error::new(ErrorKind::LatticeUnavailable, message)
        })
    }
}

/// What a host prepares before it joins a lattice.
pub(super) struct Joining {
    options: LatticeOptions,
    pub(super) changes: Arc<ChildChanges>,
}

impl Joining {
    /// Returns `None` if the host joins no lattice.
    ///
    /// # Errors
    /// `InvalidArgument` for invalid options.
    pub(super) fn prepare(configuration: &LatticeConfiguration) -> Result<Option<Joining>> {
        let Some(options) = configuration.options() else { return Ok(None) };
        options.validate()?;
        Ok(Some(Joining { options, changes: Arc::default() }))
    }
}

impl Host {
    /// Begins to join a lattice, in the background.
    pub(super) async fn join(
        &self,
        joining: Joining,
        supervisor: &Addr<Supervisor>,
        shards: &Arc<Shards>,
    ) -> Result<Lattice> {
        let Joining { options, changes } = joining;
        // A handle would keep the host alive.
        let host = Arc::downgrade(&self.0);
        let labels = Arc::new(move || host.upgrade().map_or_else(HashMap::new, |host| host.labels.all()));
        Lattice::join(LatticeConfig {
            options,
            key: self.0.key.clone(),
            dispatch: self.0.dispatch.clone(),
            supervisor: supervisor.clone(),
            shards: shards.clone(),
            changes,
            restart: self.0.configuration.restart,
            labels,
            handler: HostControl::of(self),
        })
        .await
    }
}
