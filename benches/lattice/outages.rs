//! Restarts the NATS server, and cuts hosts off from it, during calls and changes of links.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use wasmcloud_host::{Actor, Host};
use wasmcloud_lattice::registry::{Opening, Registry, RegistryOptions};
use wasmcloud_lattice::{LatticeOptions, Namespace};

use crate::hosts::{builder, join, joined, knows, on_own_thread};
use crate::load::{CONTRACT, Calls, Links, State};
use crate::proxy::Proxy;
use crate::recorder::{self, Recorder};
use crate::server::NatsServer;
use crate::signing;
use crate::support::{Row, Target, is_real_run};

/// How often the server is restarted, and hosts are cut off.
const OUTAGES: u32 = 10;

/// How long the hosts may take to agree after the last outage.
const RECOVERY: Duration = Duration::from_secs(60);

/// A kind of outage.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Outage {
    Restart,
    Partition,
}

/// Three hosts: one that calls, one with the actor, one with the provider that the actor calls. Each has a proxy of its own
/// in front of the server.
struct Hosts {
    server: NatsServer,
    proxies: Vec<Proxy>,
    hosts: Vec<Host>,
    recorder: Recorder,
    actor: String,
    local: String,
    provider: String,
}

impl Hosts {
    async fn start() -> Hosts {
        let server = NatsServer::start();
        let mut proxies = Vec::new();
        let mut hosts = Vec::new();
        for _ in 0..3 {
            let proxy = Proxy::to(server.address()).await;
            let builder = builder().with_call_deadline(Duration::from_secs(2));
            hosts.push(join(builder, options(&proxy.address())).await);
            proxies.push(proxy);
        }
        let recorder = Recorder::default();
        let provider = recorder.start_on(&hosts[2]).await;
        let module = recorder::calling_actor();
        let actor = recorder::key_of(&module);
        hosts[1].start_actor(Actor::from_slice(&module).expect("it is signed")).await.expect("the actor starts");
        let echo = signing::sign("echo").actor();
        let local = echo.public_key();
        hosts[0].start_actor(echo).await.expect("the actor starts");
        let values = std::collections::HashMap::new();
        hosts[0].set_link(&actor, CONTRACT, None, provider.clone(), values).await.expect("the link is set");
        knows(&hosts[0], &actor, 1).await;
        knows(&hosts[1], &provider, 1).await;
        let begin = Instant::now();
        while recorder::record(&hosts[0], &actor, u64::MAX).await.is_err() {
            assert!(begin.elapsed() < RECOVERY, "the actor does not reach the provider");
            actix_rt::time::sleep(Duration::from_millis(10)).await;
        }
        Hosts { server, proxies, hosts, recorder, actor, local, provider }
    }

    /// Makes an outage, and ends it.
    async fn suffer(&mut self, outage: Outage, number: u32, spell: Duration) {
        let length = (spell / 2).min(Duration::from_secs(if number.is_multiple_of(2) { 1 } else { 8 }));
        match outage {
            Outage::Restart => {
                self.server.kill();
                actix_rt::time::sleep(length / 2).await;
                self.server.restart();
            }
            Outage::Partition => {
                // Each host alone, and then all of them.
                let number = number as usize % 4;
                let cut = if number == 3 { &self.proxies[..] } else { &self.proxies[number..=number] };
                cut.iter().for_each(Proxy::partition);
                actix_rt::time::sleep(length).await;
                cut.iter().for_each(Proxy::heal);
            }
        }
    }
}

fn options(address: &str) -> LatticeOptions {
    let connection = wasmcloud_host::ConnectionOptions::new(format!("nats://{address}"))
        .longest_delay(Duration::from_millis(500))
        .connect_timeout(Duration::from_secs(1))
        .ping_interval(Duration::from_millis(500));
    LatticeOptions::new(connection).namespace("bench").heartbeat_interval(Duration::from_millis(500))
}

/// Returns the rows of one kind of outage. `is_quick` shortens the time between them from 60 s to 6 s.
pub(crate) async fn rows(outage: Outage, is_quick: bool) -> Vec<Row> {
    let (count, spell) = match (is_real_run(), is_quick) {
        (false, _) => (1, Duration::from_secs(1)),
        (true, true) => (OUTAGES, Duration::from_secs(6)),
        (true, false) => (OUTAGES, Duration::from_secs(60)),
    };
    let name = if outage == Outage::Restart { "restarts of NATS" } else { "partitions" };
    let mut hosts = Hosts::start().await;
    let calls = Arc::new(Calls::default());
    let links: Vec<Arc<Links>> = (0..3).map(|host| Arc::new(Links::new(host))).collect();
    let mut tasks = vec![tokio::task::spawn_local(call(&hosts, &calls))];
    for (host, links) in hosts.hosts.iter().zip(&links) {
        let changes = links.clone().change_until_over(host.clone(), hosts.actor.clone(), hosts.provider.clone());
        tasks.push(tokio::task::spawn_local(changes));
    }
    for number in 0..count {
        let begin = Instant::now();
        actix_rt::time::sleep(spell / 4).await;
        hosts.suffer(outage, number, spell).await;
        actix_rt::time::sleep(spell.saturating_sub(begin.elapsed())).await;
        let changed: u64 = links.iter().map(|links| links.acknowledged.load(Ordering::Relaxed)).sum();
        println!("{name}: {} of {count}: {}, {changed} links acknowledged", number + 1, calls.summary());
    }
    calls.is_over.store(true, Ordering::Relaxed);
    links.iter().for_each(|links| links.is_over.store(true, Ordering::Relaxed));
    for task in tasks {
        task.await.expect("the work ends");
    }
    for host in &hosts.hosts {
        joined(host).await;
    }
    let lost = lost_links(&hosts, &links).await;
    println!("{name}: {}", calls.summary());
    let table = table(&format!("{count} {name}"), &hosts, &calls, &links, &lost);
    for host in &hosts.hosts {
        host.stop().await;
    }
    table
}

fn call(hosts: &Hosts, calls: &Arc<Calls>) -> impl Future<Output = ()> + 'static {
    let calls = calls.clone();
    let front = hosts.hosts[0].clone();
    let actor = hosts.actor.clone();
    let local = hosts.local.clone();
    async move { on_own_thread(async move || calls.call_until_over(&front, &actor, &local).await).await }
}

/// What is not as it was acknowledged, after the hosts had time to agree.
struct Lost {
    in_registry: usize,
    on_host: usize,
}

/// Compares the registry, and the host that runs the actor, with what was acknowledged.
async fn lost_links(hosts: &Hosts, links: &[Arc<Links>]) -> Lost {
    let begin = Instant::now();
    loop {
        let in_registry = wrong(links, &registered(hosts).await);
        let definitions = hosts.hosts[1].link_definitions().await.expect("the host runs");
        let of_actor = definitions.into_iter().filter(|link| link.actor_id == hosts.actor);
        let on_host: Vec<_> =
            of_actor.map(|mut link| (link.link_name, link.values.remove("number").unwrap_or_default())).collect();
        let on_host = wrong(links, &on_host);
        if in_registry.len() + on_host.len() == 0 || begin.elapsed() > RECOVERY {
            println!("the hosts agreed {:.1} s after the last outage", begin.elapsed().as_secs_f64());
            in_registry.iter().chain(&on_host).take(10).for_each(|wrong| println!("lost: {wrong}"));
            return Lost { in_registry: in_registry.len(), on_host: on_host.len() };
        }
        actix_rt::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Returns the names and numbers of the actor's links in the registry.
async fn registered(hosts: &Hosts) -> Vec<(String, String)> {
    let client = async_nats::connect(hosts.server.url()).await.expect("the server answers");
    let key = Arc::new(nkeys::KeyPair::new_server());
    let namespace = Namespace::new("bench").expect("a namespace");
    let opening = Registry::open(client, namespace, key, Arc::new(|_: &str| true), RegistryOptions::default()).await;
    let Opening::Registry(registry) = opening.expect("the registry opens") else { panic!("there is no JetStream") };
    let links = registry.links_of(&hosts.actor).await.expect("the registry answers");
    let each = links.into_iter().map(|link| link.definition);
    each.map(|mut link| (link.link_name, link.values.remove("number").unwrap_or_default())).collect()
}

/// Returns the links that are not as they were acknowledged.
fn wrong(links: &[Arc<Links>], found: &[(String, String)]) -> Vec<String> {
    let state_of = |name: &str| match found.iter().find(|(found, _)| found == name) {
        Some((_, number)) => State::Set(number.parse().unwrap_or(u64::MAX)),
        None => State::Removed,
    };
    links.iter().flat_map(|links| links.wrong(&state_of)).collect()
}

fn table(name: &str, hosts: &Hosts, calls: &Calls, links: &[Arc<Links>], lost: &Lost) -> Vec<Row> {
    let row = |what: String, figure: usize| Row {
        what: format!("{name}: {what}"),
        per_call: None,
        figure: figure as f64,
        unit: "",
        target: Some(Target::AtMost(0.0)),
    };
    let acknowledged: u64 = links.iter().map(|links| links.acknowledged.load(Ordering::Relaxed)).sum();
    let hanging: u64 = links.iter().map(|links| links.hanging.load(Ordering::Relaxed)).sum();
    let hanging = hanging + calls.hanging.load(Ordering::Relaxed);
    vec![
        row(format!("of {acknowledged} acknowledged links, lost in the registry"), lost.in_registry),
        row(format!("of {acknowledged} acknowledged links, lost on the actor's host"), lost.on_host),
        row(format!("of {} calls and changes, hanging", calls.offered() + acknowledged), hanging as usize),
        row("executed twice".to_owned(), hosts.recorder.duplicates()),
        row("answered and not executed".to_owned(), hosts.recorder.missing(&calls.answered())),
        row("local calls that failed".to_owned(), calls.local_failed.load(Ordering::Relaxed) as usize),
    ]
}
