//! Hosts of a lattice, and waiting for what they know of each other.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use wasmcloud_host::{ConnectionOptions, Host, HostBuilder, LatticeOptions};

/// How long anything that is waited for may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Returns the options of a lattice on a server.
pub(crate) fn lattice(url: &str) -> LatticeOptions {
    let connection = ConnectionOptions::new(url).longest_delay(Duration::from_millis(250));
    LatticeOptions::new(connection).namespace("bench")
}

/// Returns a builder of hosts with one shard and without health checks.
pub(crate) fn builder() -> HostBuilder {
    HostBuilder::new().with_shards(1).with_health_interval(None)
}

/// Starts a host on threads of its own, and waits until it has joined.
pub(crate) async fn join(builder: HostBuilder, options: LatticeOptions) -> Host {
    let host = builder.with_lattice(options).build();
    host.start_on_own_thread().await.expect("the host starts");
    joined(&host).await;
    host
}

/// Starts a host on this thread, and waits until it has joined.
pub(crate) async fn join_here(builder: HostBuilder, options: LatticeOptions) -> Host {
    let host = builder.with_lattice(options).build();
    host.start().await.expect("the host starts");
    joined(&host).await;
    host
}

/// Waits until a host has joined, and its registry is open.
pub(crate) async fn joined(host: &Host) {
    until("the host joins", || host.lattice().is_some_and(|view| view.state.is_joined() && view.has_registry)).await;
}

/// Waits until a host knows that others run an actor or provider, by its public key.
pub(crate) async fn knows(host: &Host, entity: &str, hosts: usize) {
    let runs = || {
        let view = host.lattice().expect("it has a lattice");
        let running = view.hosts.iter().filter(|peer| peer.is_up && peer.entities.iter().any(|it| it.id == entity));
        running.count() == hosts
    };
    until("the other hosts are known", runs).await;
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "it takes too long until {what}");
        actix_rt::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Runs a measurement on a thread of its own, with an actix `System`. Hosts that are started there share it, as in a program
/// that embeds one.
pub(crate) async fn on_own_thread<T: Send + 'static>(measure: impl AsyncFnOnce() -> T + Send + 'static) -> T {
    let (done, measured) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = done.send(actix_rt::System::new().block_on(measure()));
    });
    measured.await.expect("the measuring thread answers")
}
