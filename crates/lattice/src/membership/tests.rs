//! Memberships on real servers: hosts that come, fall silent, leave, lie, and change.

mod era;
mod hostile;
mod inventories;
mod presence;

use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::beat::{Heartbeat, PROTOCOL};
use super::*;
use crate::options::ConnectionOptions;
use crate::testing::{PATIENCE, eventually};

/// An interval that passes within a test.
const SHORT: Duration = Duration::from_millis(200);

/// An interval that does not pass within a test.
const LONG: Duration = Duration::from_secs(3600);

/// What a host of a test runs.
#[derive(Debug, Default)]
struct Source {
    version: AtomicU64,
    entities: Mutex<Vec<InventoryEntity>>,
}

impl Source {
    fn set(&self, ids: impl IntoIterator<Item = String>) {
        let entity = |id| InventoryEntity { id, ..InventoryEntity::default() };
        *self.entities.lock().unwrap() = ids.into_iter().map(entity).collect();
        self.version.fetch_add(1, Ordering::SeqCst);
    }
}

impl InventorySource for Source {
    fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    fn counts(&self) -> EntityCounts {
        EntityCounts::new(u32::try_from(self.entities.lock().unwrap().len()).unwrap(), 0, 0)
    }

    fn part(&self, offset: usize, limit: usize) -> InventoryPart {
        let entities = self.entities.lock().unwrap();
        let part = entities.iter().skip(offset).take(limit).cloned().collect();
        InventoryPart { version: self.version(), entities: part }
    }

    fn labels(&self) -> std::collections::BTreeMap<String, String> {
        [("zone".to_owned(), "cellar".to_owned())].into()
    }
}

/// A host of a test.
struct Host {
    connection: Connection,
    membership: Membership,
    source: Arc<Source>,
    events: broadcast::Receiver<MembershipEvent>,
}

impl Host {
    /// Starts a host.
    fn start(server: &str, interval: Duration) -> Host {
        Host::with(server, |options| options.heartbeat_interval(interval), KeyPair::new_server())
    }

    fn with(server: &str, set: impl FnOnce(LatticeOptions) -> LatticeOptions, key: KeyPair) -> Host {
        let connection = ConnectionOptions::new(server)
            .connect_timeout(Duration::from_secs(2))
            .longest_delay(Duration::from_millis(100))
            .ping_interval(Duration::from_secs(60));
        let options = set(LatticeOptions::new(connection));
        let namespace = Namespace::new(options.namespace_name()).unwrap();
        let connection = Connection::start(options.calls_connection(), &namespace, "calls").unwrap();
        let source = Arc::new(Source::default());
        source.set([]);
        let settings = MembershipSettings {
            connection: connection.clone(),
            control: connection.clone(),
            key: key.into(),
            software: "0.20.0".to_owned(),
            source: Arc::<Source>::clone(&source),
            era_source: Some(Arc::new(era::Source)),
        };
        let membership = Membership::start(&options, settings).unwrap();
        let events = membership.events();
        Host { connection, membership, source, events }
    }

    fn key(&self) -> String {
        self.membership.host().to_owned()
    }

    /// Waits for an event. Returns those before it.
    async fn event(&mut self, expected: MembershipEvent) -> Vec<MembershipEvent> {
        let mut before = Vec::new();
        loop {
            let event = tokio::time::timeout(PATIENCE, self.events.recv()).await;
            let event = event.unwrap_or_else(|_| panic!("{expected:?} after {before:?}")).unwrap();
            if event == expected {
                return before;
            }
            before.push(event);
        }
    }

    async fn sees(&mut self, other: &Host) {
        let host = other.key();
        eventually("the other host is up", || self.is_up(&host)).await;
    }

    fn is_up(&self, host: &str) -> bool {
        self.membership.peer(host).is_some_and(|peer| peer.status == PeerStatus::Up)
    }

    /// Returns whether only this host is known to run an actor, and nothing else is to be learned.
    fn finds(&self, actor: &str, hosts: &[&Host]) -> bool {
        let found = self.membership.hosts_of(&WasmCloudEntity::Actor(actor.to_owned()));
        let mut expected: Vec<String> = hosts.iter().map(|host| host.key()).collect();
        expected.sort_unstable();
        found == EntityHosts { hosts: expected, is_complete: true }
    }
}

fn up(host: &str) -> MembershipEvent {
    MembershipEvent::Up { host: host.to_owned() }
}

fn down(host: &str) -> MembershipEvent {
    MembershipEvent::Down { host: host.to_owned() }
}
