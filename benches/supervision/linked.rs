//! Measures starts, stops and the restart of the provider with many actors that are linked to one provider.
//!
//! All of them are linear: with eight times as many actors, each actor takes the same time.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::stream::{StreamExt, iter};
use nkeys::KeyPair;
use wasmcloud_host::jwt::{CapabilityProvider, Claims};
use wasmcloud_host::{
    AsyncCapabilityProvider, Binding, BoxedError, EventKind, Host, HostBuilder, Limits, NativeCapability,
    ProviderCallContext,
};

use crate::signing;
use crate::support::{Row, Target, is_real_run};

const CONTRACT: &str = "bench:linked";

/// The number of concurrent starts and stops.
const AT_ONCE: usize = 64;

/// The ratio of the two numbers of actors.
const FACTOR: usize = 8;

/// A provider that ignores its links and panics at each call.
struct Idle;

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Idle {
    async fn bind(&self, _: Binding) -> Result<(), BoxedError> {
        Ok(())
    }

    async fn unbind(&self, _: &str) -> Result<(), BoxedError> {
        Ok(())
    }

    async fn handle_call(&self, _: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        panic!("deliberate panic")
    }

    async fn stop(&self) {}
}

/// The times per actor.
struct Times {
    start: Duration,
    restart: Duration,
    stop: Duration,
    /// The longest time for which the first shard served nothing else.
    held: Duration,
}

/// Starts and stops two numbers of actors.
pub(crate) async fn rows() -> Vec<Row> {
    let many = if is_real_run() { 10_000 } else { 160 };
    // The first run warms the allocator and the caches.
    measure(many / FACTOR).await;
    let few = measure(many / FACTOR).await;
    let many_times = measure(many).await;
    let row = |what: &str, of: fn(&Times) -> Duration| Row {
        what: format!("{what}, to {} linked actors", many / FACTOR),
        per_call: Some(of(&many_times)),
        figure: of(&many_times).as_secs_f64() / of(&few).as_secs_f64(),
        unit: "x",
        target: Some(Target::AtMost(2.0)),
    };
    let held = Row {
        what: format!("the longest time a shard was held by {many} linked actors"),
        per_call: None,
        figure: many_times.held.as_secs_f64() * 1e3,
        unit: "ms",
        target: Some(Target::AtMost(5.0)),
    };
    vec![
        row(&format!("start {many} linked actors, each"), |times| times.start),
        row(&format!("restart the provider of {many} linked actors, each"), |times| times.restart),
        row(&format!("stop {many} linked actors, each"), |times| times.stop),
        held,
    ]
}

async fn measure(actors: usize) -> Times {
    let host = HostBuilder::new().with_shards(2).with_event_buffer(1 << 16).build();
    host.start().await.expect("the host starts");
    let capability = NativeCapability::from_async(Idle, None, claims()).expect("the claims are whole");
    let provider = capability.id();
    host.start_native_capability(capability).await.expect("the provider starts");
    let limits = Limits::new().memory_bytes(1 << 20);
    let signed_actors: Vec<_> = (0..actors).map(|_| signing::sign("host_call").capability(CONTRACT).actor()).collect();
    let keys: Vec<String> = signed_actors.iter().map(wasmcloud_host::Actor::public_key).collect();
    for key in &keys {
        host.set_link(key, CONTRACT, None, provider.clone(), HashMap::new()).await.expect("the link fits");
    }
    let options = wasmcloud_host::ActorOptions::new().limits(limits);
    let start = async {
        iter(signed_actors)
            .for_each_concurrent(AT_ONCE, |actor| {
                let started = host.start_actor_with(actor, options.clone());
                async move { started.await.expect("the actor starts") }
            })
            .await;
    };
    let (start, held_at_start) = time_and_longest_hold(start).await;
    let (restart, held_at_restart) = time_and_longest_hold(restart(&host, &keys[0])).await;
    let stop = async {
        iter(&keys)
            .for_each_concurrent(AT_ONCE, |key| {
                let stopped = host.stop_actor(key);
                async move { stopped.await.expect("the actor stops") }
            })
            .await;
    };
    let (stop, held_at_stop) = time_and_longest_hold(stop).await;
    host.stop().await;
    let each = |time: Duration| time / actors as u32;
    let held = held_at_start.max(held_at_restart).max(held_at_stop);
    Times { start: each(start), restart: each(restart), stop: each(stop), held }
}

fn claims() -> Claims<CapabilityProvider> {
    let metadata = CapabilityProvider {
        name: Some("idle".to_owned()),
        capid: CONTRACT.to_owned(),
        vendor: "bench".to_owned(),
        ..CapabilityProvider::default()
    };
    metadata.claims(KeyPair::new_account().public_key(), KeyPair::new_service().public_key())
}

/// Makes the provider crash, and waits until it has restarted with all of its links.
async fn restart(host: &Host, actor: &str) {
    let mut events = host.events();
    // Binding, namespace, operation and payload, each preceded by its length.
    let parts = ["", CONTRACT, "Any", ""].map(str::as_bytes);
    let lengths = parts.iter().flat_map(|part| (part.len() as u32).to_le_bytes());
    let payload: Vec<u8> = lengths.chain(parts.concat()).collect();
    host.call_actor(actor, "Any", &payload).await.expect("the actor answers");
    while !matches!(events.next().await.expect("the host runs").kind, EventKind::Restarted { .. }) {}
}

/// Returns how long work took, and the longest time for which this shard served nothing else meanwhile.
async fn time_and_longest_hold(work: impl Future<Output = ()>) -> (Duration, Duration) {
    let begin = Instant::now();
    let longest = Rc::new(Cell::new(Duration::ZERO));
    let held = longest.clone();
    let looking = actix_rt::spawn(async move {
        let mut last = Instant::now();
        loop {
            tokio::task::yield_now().await;
            held.set(held.get().max(last.elapsed()));
            last = Instant::now();
        }
    });
    work.await;
    looking.abort();
    (begin.elapsed(), longest.get())
}
