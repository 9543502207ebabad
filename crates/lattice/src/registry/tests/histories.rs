//! Random histories of changes of links, claims and an alias from three hosts with disconnections: they converge, and respect
//! what was acknowledged.

mod ledger;
mod plan;

use proptest::prelude::*;
use wasmcloud_core::error::ErrorKind;

use super::super::*;
use super::*;
use crate::registry::entry::Value;
use crate::testing::Proxy;
use ledger::{Ledger, Stated};
use plan::{Names, OWNERS, Step, What, steps};

const ALIAS: &str = "shop/cart";

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
