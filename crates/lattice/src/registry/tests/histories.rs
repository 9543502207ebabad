//! Random histories of changes from three registries with disconnections: they converge, and respect what was acknowledged.

use proptest::prelude::*;
use wasmcloud_core::error::ErrorKind;

use super::super::*;
use super::*;

const LINKS: usize = 3;

/// A step of a history.
#[derive(Debug, Clone)]
enum Step {
    Set {
        peer: usize,
        link: usize,
    },
    Remove {
        peer: usize,
        link: usize,
    },
    /// Two registries set one link at once.
    Race {
        link: usize,
    },
    Cut {
        peer: usize,
    },
    Mend {
        peer: usize,
    },
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..3_usize, 0..LINKS).prop_map(|(peer, link)| Step::Set { peer, link }),
        3 => (0..3_usize, 0..LINKS).prop_map(|(peer, link)| Step::Remove { peer, link }),
        2 => (0..LINKS).prop_map(|link| Step::Race { link }),
        2 => (0..3_usize).prop_map(|peer| Step::Cut { peer }),
        2 => (0..3_usize).prop_map(|peer| Step::Mend { peer }),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..24)
}

/// A registry, what it has learned, and what it could not publish.
struct Host {
    peer: Peer,
    follower: Follower,
    revisions: BTreeMap<LinkKey, u64>,
    is_cut: bool,
    pending: Vec<PendingChange>,
}

impl Host {
    /// Learns all changes that are there.
    async fn learn(&mut self) {
        while let Ok(Some(change)) = timeout(Duration::from_millis(1), self.follower.changes.next()).await {
            self.note(&change);
            self.follower.learn(change);
        }
    }

    fn note(&mut self, change: &RegistryChange) {
        match change {
            RegistryChange::Link { definition, revision } => {
                self.revisions.insert(definition.key().unwrap(), *revision);
            }
            RegistryChange::LinkRemoved { key, revision } => {
                self.revisions.insert(key.clone(), *revision);
            }
            _ => {}
        }
    }
}

/// The greatest revision that was acknowledged for each link, and the definition that it has. `None`: removed.
type Acknowledged = BTreeMap<LinkKey, (u64, Option<LinkRecord>)>;

fn acknowledge(acknowledged: &mut Acknowledged, key: LinkKey, revision: u64, record: Option<LinkRecord>) {
    let entry = acknowledged.entry(key).or_insert((0, None));
    if revision > entry.0 {
        *entry = (revision, record);
    }
}

async fn change(host: &mut Host, key: &LinkKey, record: Option<LinkRecord>, acknowledged: &mut Acknowledged) {
    if host.is_cut {
        let base = host.revisions.get(key).copied().unwrap_or(0);
        let change = record.map_or_else(|| Change::RemoveLink(key.clone()), Change::SetLink);
        host.pending.push(PendingChange { change, base });
        return;
    }
    let outcome = match &record {
        Some(record) => host.peer.registry.put_link(record).await,
        None => host.peer.registry.remove_link(key).await,
    };
    acknowledge(acknowledged, key.clone(), outcome.unwrap(), record);
}

async fn mend(host: &mut Host, acknowledged: &mut Acknowledged) {
    host.is_cut = false;
    let pending = std::mem::take(&mut host.pending);
    let outcomes = host.peer.registry.publish_pending(pending.clone()).await;
    for (pending, outcome) in pending.into_iter().zip(outcomes) {
        let (key, record) = match pending.change {
            Change::SetLink(record) => (record.key().unwrap(), Some(record)),
            Change::RemoveLink(key) => (key, None),
            _ => unreachable!(),
        };
        match outcome.outcome {
            Ok(revision) => acknowledge(acknowledged, key, revision, record),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::RegistryConflict, "{error}");
                // A conflict is only reported if something was acknowledged that this host had not known.
                assert!(acknowledged[&key].0 > 0);
            }
        }
    }
}

async fn play(server: &mut NatsServer, steps: Vec<Step>) {
    let (actor, provider) = (actor_key(), provider_key());
    let mut hosts = Vec::new();
    for _ in 0..3 {
        let peer = Peer::join(server).await;
        let follower = peer.follow();
        follower.interest.add_actor(&actor).unwrap();
        hosts.push(Host { peer, follower, revisions: BTreeMap::new(), is_cut: false, pending: Vec::new() });
    }
    let mut acknowledged = Acknowledged::new();
    let record = |link: usize, value: usize| super::link(&actor, &provider, &link.to_string(), &value.to_string());
    for (number, step) in steps.into_iter().enumerate() {
        for host in hosts.iter_mut().filter(|host| !host.is_cut) {
            host.learn().await;
        }
        match step {
            Step::Set { peer, link } => {
                let record = record(link, number);
                change(&mut hosts[peer], &record.key().unwrap(), Some(record), &mut acknowledged).await;
            }
            Step::Remove { peer, link } => {
                change(&mut hosts[peer], &record(link, 0).key().unwrap(), None, &mut acknowledged).await;
            }
            Step::Race { link } => {
                let records = [record(link, 1000 + number), record(link, 2000 + number)];
                let key = records[0].key().unwrap();
                let (left, right) = tokio::join!(
                    hosts[0].peer.registry.put_link(&records[0]),
                    hosts[1].peer.registry.put_link(&records[1])
                );
                let [first, second] = records;
                acknowledge(&mut acknowledged, key.clone(), left.unwrap(), Some(first));
                acknowledge(&mut acknowledged, key, right.unwrap(), Some(second));
            }
            Step::Cut { peer } => hosts[peer].is_cut = true,
            Step::Mend { peer } => mend(&mut hosts[peer], &mut acknowledged).await,
            Step::Restart => {
                server.restart();
                for host in &hosts {
                    host.peer.until_disconnected().await;
                    host.peer.until_connected().await;
                }
            }
        }
    }
    for host in &mut hosts {
        mend(host, &mut acknowledged).await;
    }
    let expected: Vec<(LinkKey, LinkRecord)> =
        acknowledged.into_iter().filter_map(|(key, (_, record))| record.map(|record| (key, record))).collect();
    for host in &mut hosts {
        let is_equal = |follower: &Follower| {
            follower.links.iter().map(|(key, (record, _))| (key.clone(), record.clone())).eq(expected.iter().cloned())
        };
        host.follower.until(is_equal).await;
        assert!(host.follower.refusals().is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn histories_converge_and_respect_acknowledgements(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let binaries = binaries();
        let mut server = NatsServer::start(&binaries[steps.len() % binaries.len()]);
        runtime.block_on(play(&mut server, steps));
    }
}
