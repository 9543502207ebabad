//! Random histories of changes of links, claims and an alias from three hosts with disconnections: they converge, and respect
//! what was acknowledged.

mod ledger;

use proptest::prelude::*;
use wasmcloud_core::error::ErrorKind;

use super::super::*;
use super::*;
use crate::registry::entry::Value;
use crate::testing::Proxy;
use ledger::{Ledger, Stated};

const ALIAS: &str = "shop/cart";

/// The actors of the links.
const OWNERS: [usize; 3] = [0, 0, 1];

/// A step of a history.
#[derive(Debug, Clone, Copy)]
enum Step {
    Change {
        host: usize,
        what: What,
    },
    /// Two hosts set one link at once.
    Race(usize),
    /// A host loses its connection while it sets a link, and connects again.
    Break {
        host: usize,
        link: usize,
    },
    /// A host is cut off.
    Cut(usize),
    /// A host is connected again and publishes what it has changed meanwhile.
    Mend(usize),
    /// The server is killed and started again.
    Restart,
}

/// A change by a host.
#[derive(Debug, Clone, Copy)]
enum What {
    Set(usize),
    Remove(usize),
    Token(usize),
    Withdraw(usize),
    Claim(usize),
    Release(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let what = prop_oneof![
        6 => (0..OWNERS.len()).prop_map(What::Set),
        3 => (0..OWNERS.len()).prop_map(What::Remove),
        3 => (0..2_usize).prop_map(What::Token),
        1 => (0..2_usize).prop_map(What::Withdraw),
        2 => (0..2_usize).prop_map(What::Claim),
        1 => (0..2_usize).prop_map(What::Release),
    ];
    let step = prop_oneof![
        16 => (0..3_usize, what).prop_map(|(host, what)| Step::Change { host, what }),
        2 => (0..OWNERS.len()).prop_map(Step::Race),
        1 => (0..3_usize, 0..OWNERS.len()).prop_map(|(host, link)| Step::Break { host, link }),
        3 => (0..3_usize).prop_map(Step::Cut),
        3 => (0..3_usize).prop_map(Step::Mend),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..32)
}

/// The keys of a history.
struct Names {
    actors: [String; 2],
    provider: String,
    account: KeyPair,
}

impl Names {
    fn link(&self, link: usize, value: usize) -> LinkRecord {
        super::link(&self.actors[OWNERS[link]], &self.provider, &link.to_string(), &value.to_string())
    }

    fn token(&self, actor: usize, number: usize) -> String {
        token(&self.account, &self.actors[actor], i32::try_from(number).unwrap(), Some(ALIAS))
    }

    /// Returns the links of an actor, whose providers hear of its claims.
    fn links(&self, actor: usize) -> Vec<LinkRecord> {
        (0..OWNERS.len()).filter(|link| OWNERS[*link] == actor).map(|link| self.link(link, 0)).collect()
    }

    /// Returns the key that a change concerns, and what it states about it.
    fn stated(&self, what: What, number: usize) -> (Key, Stated) {
        let link_key = |link| Key::Link(self.link(link, 0).key().unwrap());
        let claims_key = |actor: usize| Key::Claims(self.actors[actor].clone());
        let alias = || Key::Alias(ALIAS.to_owned());
        match what {
            What::Set(link) => (link_key(link), Stated::Is(Value::Link(self.link(link, number)))),
            What::Remove(link) => (link_key(link), Stated::Removed),
            What::Token(actor) => (claims_key(actor), Stated::Token(i32::try_from(number).unwrap())),
            What::Withdraw(actor) => (claims_key(actor), Stated::Removed),
            What::Claim(actor) => (alias(), Stated::Holder(self.actors[actor].clone())),
            What::Release(actor) => (alias(), Stated::NotHolder(self.actors[actor].clone())),
        }
    }

    /// Returns a change as one that can wait, or `None` for those of aliases, which cannot.
    fn pending(&self, what: What, number: usize) -> Option<Change> {
        Some(match what {
            What::Set(link) => Change::SetLink(self.link(link, number)),
            What::Remove(link) => Change::RemoveLink(self.link(link, 0).key().unwrap()),
            What::Token(actor) => Change::PutClaims { token: self.token(actor, number), links: self.links(actor) },
            What::Withdraw(actor) => {
                Change::RemoveClaims { entity: self.actors[actor].clone(), links: self.links(actor) }
            }
            What::Claim(_) | What::Release(_) => return None,
        })
    }
}

/// A change that waits, and what it states.
struct Waiting {
    change: PendingChange,
    key: Key,
    stated: Stated,
}

/// A host: its registry, what it has learned, and what it could not publish.
struct Host {
    peer: Peer,
    proxy: Proxy,
    follower: Follower,
    revisions: BTreeMap<Key, u64>,
    is_cut: bool,
    waiting: Vec<Waiting>,
}

impl Host {
    async fn join(server: &NatsServer) -> Host {
        let proxy = Proxy::to(server.address()).await;
        let peer = Peer::join_at(&format!("nats://{}", proxy.address()), Arc::new(|_: &str| true), options()).await;
        let follower = peer.follow();
        follower.interest.add_alias(ALIAS).unwrap();
        Host { peer, proxy, follower, revisions: BTreeMap::new(), is_cut: false, waiting: Vec::new() }
    }

    /// Learns all changes that are there.
    async fn learn(&mut self) {
        while let Ok(Some(change)) = timeout(Duration::from_millis(1), self.follower.changes.next()).await {
            let (key, revision) = match &change {
                RegistryChange::Link { definition, revision } => (Key::Link(definition.key().unwrap()), *revision),
                RegistryChange::LinkRemoved { key, revision } => (Key::Link(key.clone()), *revision),
                RegistryChange::Claims(record) => (Key::Claims(record.entity.clone()), record.revision),
                RegistryChange::ClaimsRemoved { entity, revision } => (Key::Claims(entity.clone()), *revision),
                other => {
                    self.follower.learn(other.clone());
                    continue;
                }
            };
            self.know(key, revision);
            self.follower.learn(change);
        }
    }

    fn know(&mut self, key: Key, revision: u64) {
        let known = self.revisions.entry(key).or_insert(0);
        *known = revision.max(*known);
    }

    async fn perform(&self, names: &Names, what: What, number: usize) -> Result<u64> {
        let registry = &self.peer.registry;
        match what {
            What::Set(link) => registry.put_link(&names.link(link, number)).await,
            What::Remove(link) => registry.remove_link(&names.link(link, 0).key().unwrap()).await,
            What::Token(actor) => registry.put_claims(&names.token(actor, number), &names.links(actor)).await,
            What::Withdraw(actor) => registry.remove_claims(&names.actors[actor], &names.links(actor)).await,
            What::Claim(actor) => registry.claim_alias(ALIAS, &names.actors[actor]).await,
            What::Release(actor) => registry.release_alias(ALIAS, &names.actors[actor]).await,
        }
    }

    async fn change(&mut self, names: &Names, what: What, number: usize, ledger: &mut Ledger) {
        let (key, stated) = names.stated(what, number);
        match self.perform(names, what, number).await {
            Ok(revision) => {
                assert!(!self.is_cut, "a host that is cut off acknowledges nothing");
                self.know(key.clone(), revision);
                ledger.acknowledge(key, revision, stated);
            }
            Err(error) if self.is_cut => {
                assert_eq!(error.kind(), ErrorKind::LatticeUnavailable, "{error}");
                let base = self.revisions.get(&key).copied().unwrap_or(0);
                if let Some(change) = names.pending(what, number) {
                    self.waiting.push(Waiting { change: PendingChange { change, base }, key, stated });
                }
            }
            // Another actor holds the alias, or this one has no token that carries it.
            Err(error) => {
                assert!(matches!(what, What::Claim(_)), "{what:?}: {error}");
                assert!(matches!(error.kind(), ErrorKind::AliasTaken | ErrorKind::InvalidArgument), "{error}");
            }
        }
    }

    /// Sets a link and loses the connection meanwhile: what became of it may be unknown.
    async fn break_off(&mut self, names: &Names, link: usize, number: usize, ledger: &mut Ledger) {
        let before = self.peer.connections();
        let what = What::Set(link);
        let cut = async {
            tokio::time::sleep(Duration::from_micros(500 * (number as u64 % 8))).await;
            self.proxy.cut();
        };
        let (outcome, ()) = tokio::join!(self.perform(names, what, number), cut);
        let (key, stated) = names.stated(what, number);
        match outcome {
            Ok(revision) => {
                self.know(key.clone(), revision);
                ledger.acknowledge(key, revision, stated);
            }
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => ledger.leave_open(key, stated),
            Err(error) => assert_eq!(error.kind(), ErrorKind::LatticeUnavailable, "{error}"),
        }
        self.peer.until_reconnected(before).await;
    }

    async fn cut(&mut self) {
        self.is_cut = true;
        self.proxy.partition();
        self.proxy.cut();
        self.peer.until_disconnected().await;
    }

    async fn mend(&mut self, ledger: &mut Ledger) {
        if std::mem::take(&mut self.is_cut) {
            let before = self.peer.connections();
            self.proxy.heal();
            self.peer.until_reconnected(before).await;
        }
        let waiting = std::mem::take(&mut self.waiting);
        let changes = waiting.iter().map(|waiting| waiting.change.clone()).collect();
        let outcomes = self.peer.registry.publish_pending(changes).await;
        for (Waiting { change, key, stated }, outcome) in waiting.into_iter().zip(outcomes) {
            assert_eq!(outcome.key.as_ref(), Some(&key));
            match outcome.outcome {
                Ok(revision) => {
                    self.know(key.clone(), revision);
                    ledger.acknowledge(key, revision, stated);
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::RegistryConflict, "{error}");
                    assert!(ledger.has_later(&key, change.base), "a conflict without another change: {key}");
                }
            }
        }
    }
}

async fn play(server: &mut NatsServer, steps: Vec<Step>) {
    let names = Names { actors: [actor_key(), actor_key()], provider: provider_key(), account: KeyPair::new_account() };
    let mut hosts = [Host::join(server).await, Host::join(server).await, Host::join(server).await];
    for host in &hosts[..2] {
        for actor in &names.actors {
            host.follower.interest.add_actor(actor).unwrap();
        }
    }
    for link in 0..OWNERS.len() {
        hosts[2].follower.interest.add_provider(&names.provider, &link.to_string()).unwrap();
    }
    let mut ledger = Ledger::default();
    for (number, step) in steps.into_iter().enumerate() {
        for host in &mut hosts {
            host.learn().await;
        }
        take(server, &mut hosts, &names, step, number + 1, &mut ledger).await;
    }
    for host in &mut hosts {
        host.mend(&mut ledger).await;
    }
    converge(&mut hosts, &names, &ledger).await;
}

async fn take(
    server: &mut NatsServer,
    hosts: &mut [Host; 3],
    names: &Names,
    step: Step,
    number: usize,
    ledger: &mut Ledger,
) {
    match step {
        Step::Change { host, what } => hosts[host].change(names, what, number, ledger).await,
        Step::Race(link) => {
            let [first, second, _] = hosts;
            let mut other = Ledger::default();
            tokio::join!(
                first.change(names, What::Set(link), 1000 + number, ledger),
                second.change(names, What::Set(link), 2000 + number, &mut other)
            );
            ledger.merge(other);
        }
        Step::Break { host, link } if !hosts[host].is_cut => {
            hosts[host].break_off(names, link, number, ledger).await;
        }
        Step::Break { .. } => {}
        Step::Cut(host) => hosts[host].cut().await,
        Step::Mend(host) => hosts[host].mend(ledger).await,
        Step::Restart => {
            let before = hosts.each_ref().map(|host| host.peer.connections());
            server.restart();
            for (host, before) in hosts.iter().zip(before).filter(|(host, _)| !host.is_cut) {
                host.peer.until_reconnected(before).await;
            }
        }
    }
}

/// Checks what the bucket holds, and that all hosts learn just that.
async fn converge(hosts: &mut [Host; 3], names: &Names, ledger: &Ledger) {
    let registry = hosts[0].peer.registry.clone();
    let mut links = BTreeMap::new();
    for link in 0..OWNERS.len() {
        let key = names.link(link, 0).key().unwrap();
        if let Some(Value::Link(record)) = ledger.check(&registry, &Key::Link(key.clone())).await {
            links.insert(key, record);
        }
    }
    let mut claims = BTreeMap::new();
    for actor in &names.actors {
        if let Some(Value::Claims(token)) = ledger.check(&registry, &Key::Claims(actor.clone())).await {
            claims.insert(actor.clone(), token);
        }
    }
    let alias = ledger.check(&registry, &Key::Alias(ALIAS.to_owned())).await;
    let holder = alias.as_ref().and_then(ledger::holder_of);
    for (number, host) in hosts.iter_mut().enumerate() {
        // The host of the provider knows the claims of linked actors.
        let is_known = |actor: &String| number < 2 || links.keys().any(|key| key.actor == *actor);
        let expected: Vec<_> = claims.iter().filter(|(actor, _)| is_known(actor)).collect();
        let has_converged = |follower: &Follower| {
            let own: Vec<_> = follower.claims.iter().filter(|(actor, _)| is_known(actor)).collect();
            follower.links.iter().map(|(key, (record, _))| (key, record)).eq(links.iter())
                && own == expected
                && ledger::holder_at(follower, ALIAS) == holder
        };
        host.follower.until(has_converged).await;
        assert!(host.follower.refusals().is_empty(), "{:?}", host.follower.refusals());
    }
}

fn check_histories(binary: &std::path::Path, cases: u32) {
    let config = ProptestConfig { cases, max_shrink_iters: 12, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(steps in steps())| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut server = NatsServer::start(binary);
        runtime.block_on(play(&mut server, steps));
    });
}

#[test]
fn histories_converge_and_respect_acknowledgements() {
    for binary in binaries() {
        eprintln!("with {}", binary.display());
        check_histories(&binary, 6);
    }
}
