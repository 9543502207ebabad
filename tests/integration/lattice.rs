//! The lattice: hosts that share a real NATS server.
//!
//! # Layout
//! - `calls`, `links`, `leaving`, `bad_days`: what hosts do for each other, and when it fails
//! - `attacks`: what strangers try
//! - `mixed`: hosts and clients of 2021
//! - `namespaces`: hosts in network namespaces of their own, one of which is cut off
//! - `references`: references to registries that all hosts know
//! - `seed_defects`: faults of the host of 2021

mod attacks;
mod bad_days;
mod calls;
mod leaving;
mod links;
mod mixed;
mod namespaces;
mod references;
mod seed_defects;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nkeys::KeyPair;
use tempfile::TempDir;
use wasmcloud_host::{ConnectionOptions, Host, HostBuilder, LatticeOptions, LatticeView};

use crate::conformance::nats_server::NatsServer;
use crate::signing::{Signing, in_repository};
use crate::support::{Probe, until, with_tested_compiler};

/// How often hosts of the tests send heartbeats.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// A NATS server with the hosts of a test.
pub(crate) struct Lattice {
    pub(crate) server: NatsServer,
    _store: Option<Arc<TempDir>>,
    cluster: String,
}

impl Lattice {
    /// Starts a server with JetStream.
    pub(crate) fn start() -> Lattice {
        let store = Arc::new(TempDir::new().unwrap());
        let configuration = format!("jetstream {{ store_dir: {:?} }}\n", store.path());
        Lattice::with(&configuration, Some(store))
    }

    /// Starts a server without JetStream.
    fn without_jetstream() -> Lattice {
        Lattice::with("", None)
    }

    pub(crate) fn with(configuration: &str, store: Option<Arc<TempDir>>) -> Lattice {
        let server = NatsServer::start_program(&program(), configuration);
        Lattice { server, _store: store, cluster: KeyPair::new_cluster().seed().unwrap() }
    }

    /// The options of a host that trusts the hosts of its cluster.
    pub(crate) fn options(&self) -> LatticeOptions {
        self.open_options().cluster_seed(&self.cluster)
    }

    /// The options of a host that trusts any host.
    pub(crate) fn open_options(&self) -> LatticeOptions {
        LatticeOptions::new(ConnectionOptions::new(self.server.url())).heartbeat_interval(HEARTBEAT)
    }

    pub(crate) fn builder(&self) -> HostBuilder {
        with_tested_compiler(HostBuilder::new().with_shards(1)).with_lattice(self.options())
    }

    /// Starts a host and waits until it has joined.
    pub(crate) async fn host(&self) -> Host {
        start(self.builder()).await
    }

    /// Starts hosts, and waits until they know each other.
    pub(crate) async fn hosts<const N: usize>(&self) -> [Host; N] {
        let mut hosts = Vec::new();
        for _ in 0..N {
            hosts.push(self.host().await);
        }
        acquainted(&hosts).await;
        hosts.try_into().unwrap()
    }

    /// The seed of the cluster that the hosts trust.
    pub(crate) fn cluster_seed(&self) -> &str {
        &self.cluster
    }

    /// A client of the server that belongs to no host.
    pub(crate) async fn stranger(&self) -> async_nats::Client {
        async_nats::connect(self.server.url()).await.unwrap()
    }
}

/// The newest NATS server that there is here.
pub(crate) fn program() -> PathBuf {
    let own = in_repository("target/test-tools/bin/nats-server");
    match std::env::var_os("WASMCLOUD_TEST_NATS_SERVER") {
        Some(named) => named.into(),
        None if own.is_file() => own,
        None => "nats-server".into(),
    }
}

pub(crate) async fn start(builder: HostBuilder) -> Host {
    let host = builder.build();
    host.start().await.unwrap();
    joined(&host).await;
    host
}

async fn joined(host: &Host) {
    until_seen(host, |view| view.state.is_joined()).await;
}

/// Waits until the view that a host has of its lattice is as it should be.
pub(crate) async fn until_seen(host: &Host, is_so: impl Fn(&LatticeView) -> bool) {
    until(async || {
        tokio::time::sleep(Duration::from_millis(2)).await;
        is_so(&host.lattice().unwrap())
    })
    .await;
}

/// Waits until each host sees all others up.
pub(crate) async fn acquainted(hosts: &[Host]) {
    for host in hosts {
        until_seen(host, |view| view.hosts.iter().filter(|peer| peer.is_up).count() + 1 >= hosts.len()).await;
    }
}

/// Starts an actor, and waits until other hosts know that it runs there.
pub(crate) async fn run_actor(host: &Host, signing: &Signing, others: &[&Host]) -> String {
    let actor = signing.actor();
    let key = actor.public_key();
    host.start_actor(actor).await.unwrap();
    for other in others {
        until_seen(other, |view| runs(view, &host.id(), &key)).await;
    }
    key
}

/// Starts a probe on a host, and answers with it and the public key of its provider.
pub(crate) async fn run_probe(host: &Host) -> (Probe, String) {
    let probe = Probe::default();
    let capability = probe.capability();
    let provider = capability.id();
    host.start_native_capability(capability).await.unwrap();
    (probe, provider)
}

/// Whether a host is known to run an actor or a provider.
fn runs(view: &LatticeView, host: &str, key: &str) -> bool {
    let peer = view.hosts.iter().find(|peer| peer.host == host);
    peer.is_some_and(|peer| peer.is_up && peer.entities.iter().any(|entity| entity.id == key))
}

pub(crate) async fn stop(hosts: &[Host]) {
    for host in hosts {
        host.stop().await;
    }
}
