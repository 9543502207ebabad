//! Measures how long 50 hosts with 1,000 actors and 5,000 links take to agree, and how long a change of a link takes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::join_all;
use wasmcloud_host::{AsyncCapabilityProvider, Binding, BoxedError, Host, LinkState, ProviderCallContext};

use crate::hosts::{PATIENCE, builder, lattice};
use crate::recorder::{CONTRACT, capability};
use crate::server::NatsServer;
use crate::signing;
use crate::support::{Row, Target, is_real_run};

/// The size of a lattice.
#[derive(Clone, Copy)]
struct Size {
    hosts: usize,
    actors_each: usize,
    links_each: usize,
    changes: usize,
}

/// A provider that records when it was told of each value.
#[derive(Clone, Default)]
struct Witness(Arc<Mutex<HashMap<String, Instant>>>);

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Witness {
    async fn bind(&self, mut binding: Binding) -> Result<(), BoxedError> {
        if let Some(number) = binding.values.remove("number") {
            self.0.lock().expect("no holder panics").insert(number, Instant::now());
        }
        Ok(())
    }

    async fn unbind(&self, _: &str) -> Result<(), BoxedError> {
        Ok(())
    }

    async fn handle_call(&self, _: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        Err("it serves no calls".into())
    }

    async fn stop(&self) {}
}

/// A host of the lattice, and what it runs.
struct Member {
    host: Host,
    actors: Vec<String>,
    provider: String,
    link_name: String,
}

/// A link, and where it matters.
struct Link {
    actor: String,
    /// The host that runs the actor.
    at_actor: usize,
    /// The host that runs the provider.
    at_provider: usize,
}

struct Cluster {
    server: NatsServer,
    members: Vec<Member>,
    links: Vec<Link>,
    witness: Witness,
}

/// Returns the rows of this section.
pub(crate) async fn rows() -> Vec<Row> {
    let size = if is_real_run() {
        Size { hosts: 50, actors_each: 20, links_each: 5, changes: 200 }
    } else {
        Size { hosts: 3, actors_each: 2, links_each: 2, changes: 4 }
    };
    let mut table = Vec::new();
    let growing = Cluster::grow(size).await;
    let name = format!("{} hosts, {} actors, {} links", size.hosts, growing.actors(), growing.links.len());
    let seconds = growing.converge(Instant::now()).await;
    println!("{name}: converged in {seconds:.2} s");
    table.push(row(format!("{name}: converged after the last of them joined"), seconds, " s", 5.0));
    let mut latencies = growing.change_links(size.changes).await;
    latencies.sort_by(f64::total_cmp);
    let p99 = latencies[latencies.len() * 99 / 100 - usize::from(latencies.len() < 100)];
    println!(
        "a change of a link: median {:.1} ms, most {:.1} ms",
        latencies[latencies.len() / 2],
        latencies.last().unwrap()
    );
    table.push(row(format!("{name}: a change of a link in effect, p99 of {}", size.changes), p99, " ms", 250.0));
    growing.stop().await;
    let sudden = Cluster::wait_for_server(size).await;
    let seconds = sudden.joined_and_converged().await;
    table.push(row(format!("{name}: converged after all joined at once"), seconds, " s", 5.0));
    sudden.stop().await;
    table
}

fn row(what: String, figure: f64, unit: &'static str, most: f64) -> Row {
    Row { what, per_call: None, figure, unit, target: Some(Target::AtMost(most)) }
}

impl Cluster {
    fn new(server: NatsServer) -> Cluster {
        Cluster { server, members: Vec::new(), links: Vec::new(), witness: Witness::default() }
    }

    /// Starts hosts that join one after the other, with the links of all. The last one has been prepared, so that its join is
    /// the last thing that happens.
    async fn grow(size: Size) -> Cluster {
        let mut cluster = Cluster::new(NatsServer::start());
        let url = cluster.server.url();
        for number in 0..size.hosts - 1 {
            cluster.add(number, size, &url).await;
            let host = &cluster.members[number].host;
            wait_until("it joins", || is_joined(host)).await;
        }
        // The last one joins by a port that listens when everything else is there.
        let gate = crate::server::free_port();
        cluster.add(size.hosts - 1, size, &format!("nats://127.0.0.1:{gate}")).await;
        cluster.link(size).await;
        let _ = crate::joining::open_gate(gate, cluster.server.address()).await;
        let last = &cluster.members[size.hosts - 1].host;
        wait_until("the last one joins", || is_joined(last)).await;
        cluster
    }

    /// Starts hosts that know all their actors, providers and links, and no server yet.
    async fn wait_for_server(size: Size) -> Cluster {
        let mut cluster = Cluster::new(NatsServer::prepare());
        let url = cluster.server.url();
        for number in 0..size.hosts {
            cluster.add(number, size, &url).await;
        }
        cluster.link(size).await;
        cluster.server.restart();
        cluster
    }

    /// Starts a host with its actors and its provider.
    async fn add(&mut self, number: usize, size: Size, url: &str) {
        let host = builder().with_lattice(lattice(url)).build();
        host.start_on_own_thread().await.expect("the host starts");
        let link_name = format!("host-{number}");
        let provider = capability(self.witness.clone(), Some(link_name.clone()));
        let provider_id = provider.id();
        host.start_native_capability(provider).await.expect("the provider starts");
        let mut actors = Vec::new();
        for _ in 0..size.actors_each {
            let actor = signing::sign("tiny_echo").capability(CONTRACT).actor();
            actors.push(actor.public_key());
            host.start_actor(actor).await.expect("the actor starts");
        }
        self.members.push(Member { host, actors, provider: provider_id, link_name });
    }

    /// Links each actor to the providers of several other hosts. The host of the actor sets its links.
    async fn link(&mut self, size: Size) {
        for (at_actor, member) in self.members.iter().enumerate() {
            for (number, actor) in member.actors.iter().enumerate() {
                for step in 1..=size.links_each {
                    let at_provider = (at_actor + number + step) % size.hosts;
                    self.links.push(Link { actor: actor.clone(), at_actor, at_provider });
                }
            }
        }
        let of_each_host = self.links.chunks(size.actors_each * size.links_each);
        join_all(of_each_host.map(async |links| {
            for link in links {
                self.set(link, "0").await;
            }
        }))
        .await;
    }

    async fn set(&self, link: &Link, number: &str) {
        let values = HashMap::from([("number".to_owned(), number.to_owned())]);
        let Member { provider, link_name, .. } = &self.members[link.at_provider];
        let host = &self.members[link.at_actor].host;
        let set = host.set_link(&link.actor, CONTRACT, Some(link_name.clone()), provider.clone(), values);
        set.await.expect("the link is set");
    }

    fn actors(&self) -> usize {
        self.members.iter().map(|member| member.actors.len()).sum()
    }

    /// Waits until every host knows all others and their entities, and all links that concern it. Returns the seconds since
    /// the beginning.
    async fn converge(&self, begin: Instant) -> f64 {
        let mut open: Vec<usize> = (0..self.members.len()).collect();
        loop {
            open.retain(|number| !self.has_converged(*number));
            if open.is_empty() {
                return begin.elapsed().as_secs_f64();
            }
            assert!(begin.elapsed() < PATIENCE, "{} hosts do not converge: {}", open.len(), self.missing(open[0]));
            actix_rt::time::sleep(Duration::from_millis(25)).await;
        }
    }

    fn has_converged(&self, number: usize) -> bool {
        let host = &self.members[number].host;
        let entities = self.members[0].actors.len() + 1;
        let view = host.lattice().expect("it has a lattice");
        let known = view.hosts.iter().filter(|peer| peer.is_up && peer.entities.len() == entities).count();
        known == self.members.len() - 1 && self.links.iter().all(|link| self.is_known(link, number))
    }

    /// Returns whether a link is in effect on a host, if it matters there.
    fn is_known(&self, link: &Link, number: usize) -> bool {
        let host = &self.members[number].host;
        let state = || host.link_state(&link.actor, CONTRACT, Some(&self.members[link.at_provider].link_name));
        (link.at_actor != number || state().is_some())
            && (link.at_provider != number || state() == Some(LinkState::Established))
    }

    fn missing(&self, number: usize) -> String {
        let view = self.members[number].host.lattice().expect("it has a lattice");
        let up = view.hosts.iter().filter(|peer| peer.is_up).count();
        let entities: usize = view.hosts.iter().map(|peer| peer.entities.len()).sum();
        let links = self.links.iter().filter(|link| !self.is_known(link, number)).count();
        format!("host {number} knows {up} others up and {entities} entities; {links} links are missing")
    }

    /// Waits until all hosts have joined, and then until they agree. Returns the seconds between.
    async fn joined_and_converged(&self) -> f64 {
        let begin = Instant::now();
        let all_joined = || self.members.iter().all(|member| is_joined(&member.host));
        wait_until("all hosts join", all_joined).await;
        println!(
            "all {} hosts joined {:.1} s after the server started",
            self.members.len(),
            begin.elapsed().as_secs_f64()
        );
        self.converge(Instant::now()).await
    }

    /// Changes links one after the other. Returns how long each change took to reach its provider, in milliseconds.
    async fn change_links(&self, changes: usize) -> Vec<f64> {
        let mut latencies = Vec::new();
        for number in 1..=changes {
            let link = &self.links[number * 7919 % self.links.len()];
            let begin = Instant::now();
            let number = number.to_string();
            self.set(link, &number).await;
            let arrived = || self.witness.0.lock().expect("no holder panics").get(&number).copied();
            wait_until("the provider learns of the change", || arrived().is_some()).await;
            latencies.push(arrived().map_or(0.0, |at| at.duration_since(begin).as_secs_f64() * 1e3));
        }
        latencies
    }

    async fn stop(self) {
        join_all(self.members.iter().map(|member| member.host.stop())).await;
    }
}

fn is_joined(host: &Host) -> bool {
    host.lattice().is_some_and(|view| view.state.is_joined())
}

async fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "it takes too long until {what}");
        actix_rt::time::sleep(Duration::from_millis(1)).await;
    }
}
