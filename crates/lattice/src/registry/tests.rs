//! Tests of the registry against real servers.

mod attacks;
mod bad_days;
mod basics;
mod cost;
mod histories;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event};
use nkeys::KeyPair;
use tokio::sync::watch;
use tokio::time::timeout;
use wasmcloud_claims::jwt;

use super::*;
use crate::registry::testing::{NatsServer, binaries};

const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a test with each server.
fn with_servers<F: Future<Output = ()>>(test: impl Fn(NatsServer) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for binary in binaries() {
        eprintln!("with {}", binary.display());
        runtime.block_on(test(NatsServer::start(&binary)));
    }
}

/// A host with a registry.
struct Peer {
    key: Arc<KeyPair>,
    client: Client,
    connections: watch::Receiver<u64>,
    registry: Registry,
}

impl Peer {
    async fn join(server: &NatsServer) -> Peer {
        Peer::join_with(server, Arc::new(|_: &str| true), options()).await
    }

    async fn join_with(server: &NatsServer, trust: Arc<dyn TrustedWriters>, options: RegistryOptions) -> Peer {
        Peer::join_at(&server.url(), trust, options).await
    }

    async fn join_at(url: &str, trust: Arc<dyn TrustedWriters>, options: RegistryOptions) -> Peer {
        let (client, connections) = connect_to(url).await;
        let key = Arc::new(KeyPair::new_server());
        let namespace = Namespace::new("test").unwrap();
        let opening = Registry::open(client.clone(), namespace, Arc::clone(&key), trust, options).await.unwrap();
        let Opening::Registry(registry) = opening else { panic!("the server has no JetStream") };
        Peer { key, client, connections, registry }
    }

    fn follow(&self) -> Follower {
        let (interest, changes) = self.registry.watch(self.connections.clone());
        Follower { interest, changes, links: BTreeMap::new(), claims: BTreeMap::new(), others: Vec::new() }
    }

    async fn until_disconnected(&self) {
        let is_connected = || self.client.connection_state() == async_nats::connection::State::Connected;
        wait_until(|| !is_connected()).await;
    }

    /// Returns the number of connections so far.
    fn connections(&self) -> u64 {
        *self.connections.borrow()
    }

    /// Waits for a connection after the first `before`. A short loss would not be seen in the state.
    async fn until_reconnected(&self, before: u64) {
        wait_until(|| self.connections() > before).await;
        self.until_connected().await;
    }

    async fn until_connected(&self) {
        let is_connected = || self.client.connection_state() == async_nats::connection::State::Connected;
        wait_until(is_connected).await;
    }
}

async fn connect(server: &NatsServer) -> (Client, watch::Receiver<u64>) {
    connect_to(&server.url()).await
}

async fn connect_to(url: &str) -> (Client, watch::Receiver<u64>) {
    let (sender, mut connections) = watch::channel(0);
    let sender = Arc::new(sender);
    let client = ConnectOptions::new()
        .reconnect_delay_callback(|_| Duration::from_millis(20))
        .event_callback(move |event| {
            let sender = Arc::clone(&sender);
            async move {
                if matches!(event, Event::Connected) {
                    sender.send_modify(|count| *count += 1);
                }
            }
        })
        .connect(url)
        .await
        .unwrap();
    timeout(PATIENCE, connections.changed()).await.unwrap().unwrap();
    (client, connections)
}

fn options() -> RegistryOptions {
    RegistryOptions {
        audit_interval: Duration::from_secs(3600),
        request_timeout: Duration::from_secs(2),
        ..RegistryOptions::default()
    }
}

async fn wait_until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("the condition holds in time");
}

/// What a host has learned.
struct Follower {
    interest: InterestHandle,
    changes: Changes,
    links: BTreeMap<LinkKey, (LinkRecord, u64)>,
    claims: BTreeMap<String, String>,
    others: Vec<RegistryChange>,
}

impl Follower {
    async fn until(&mut self, condition: impl Fn(&Follower) -> bool) {
        let waiting = async {
            while !condition(self) {
                let change = self.changes.next().await.unwrap();
                self.learn(change);
            }
        };
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("the change comes in time"));
    }

    fn learn(&mut self, change: RegistryChange) {
        match change {
            RegistryChange::Link { definition, revision } => {
                let before = self.links.insert(definition.key().unwrap(), (definition, revision));
                // After a loss revisions start again.
                assert!(
                    self.has_lost() || before.is_none_or(|(_, earlier)| earlier < revision),
                    "changes are in order"
                );
            }
            RegistryChange::LinkRemoved { key, .. } => {
                self.links.remove(&key);
            }
            RegistryChange::Claims(record) => {
                self.claims.insert(record.entity, record.token);
            }
            RegistryChange::ClaimsRemoved { entity, .. } => {
                self.claims.remove(&entity);
            }
            other => self.others.push(other),
        }
    }

    fn has_lost(&self) -> bool {
        self.others.iter().any(|change| matches!(change, RegistryChange::Lost))
    }

    fn resynchronisations(&self) -> usize {
        self.others.iter().filter(|change| matches!(change, RegistryChange::Resynchronised)).count()
    }

    fn has_snapshot(&self) -> bool {
        self.others.iter().any(|change| matches!(change, RegistryChange::SnapshotComplete { .. }))
    }

    fn refusals(&self) -> Vec<Refusal> {
        let reasons = self.others.iter().filter_map(|change| match change {
            RegistryChange::Refused { reason, .. } => Some(*reason),
            _ => None,
        });
        reasons.collect()
    }
}

fn link(actor: &str, provider: &str, name: &str, url: &str) -> LinkRecord {
    LinkRecord {
        actor: actor.to_owned(),
        contract: "wasmcloud:keyvalue".to_owned(),
        link_name: name.to_owned(),
        provider: provider.to_owned(),
        values: BTreeMap::from([("URL".to_owned(), url.to_owned())]),
    }
}

fn actor_key() -> String {
    KeyPair::new_module().public_key()
}

fn provider_key() -> String {
    KeyPair::new_service().public_key()
}

fn token(issuer: &KeyPair, actor: &str, revision: i32, alias: Option<&str>) -> String {
    let claims = jwt::Actor {
        module_hash: "00".repeat(32),
        rev: Some(revision),
        call_alias: alias.map(str::to_owned),
        ..jwt::Actor::default()
    };
    claims.claims(issuer.public_key(), actor).encode(issuer).unwrap()
}
