//! What calls allocate for metrics and spans: nothing, unless a subscriber listens.

#[path = "../../../benches/counting_allocator/mod.rs"]
mod counting_allocator;

use std::collections::HashMap;

use counting_allocator::allocations;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::{self, DefaultGuard};
use tracing_subscriber::layer::SubscriberExt;
use wasmcloud_host::{Host, HostBuilder};

use crate::signing::sign;
use crate::support::{PROBE, Probe, host_call, in_own_process};

/// A host on the thread of the test, with an actor that is linked to a provider.
async fn caller(builder: HostBuilder) -> (Host, String) {
    let host = builder.with_shards(1).with_health_interval(None).build();
    host.start().await.unwrap();
    let actor = sign("host_call").capability(PROBE).actor();
    let key = actor.public_key();
    let capability = Probe::default().capability();
    let provider = capability.id();
    host.start_native_capability(capability).await.unwrap();
    host.start_actor(actor).await.unwrap();
    host.set_link(&key, PROBE, None, provider, HashMap::new()).await.unwrap();
    (host, key)
}

/// Subscribes to spans until the end of what is returned. The subscriber keeps each span, and does nothing with it.
fn listen(level: LevelFilter) -> DefaultGuard {
    subscriber::set_default(tracing_subscriber::registry().with(level))
}

/// The allocations of a call to the actor, which calls the provider.
async fn of_a_call((host, key): &(Host, String)) -> u64 {
    let payload = host_call("default", PROBE, "Echo", b"x");
    let mut least = u64::MAX;
    // The host does other things too. The calls are timed in turns.
    for _ in 0..200 {
        let before = allocations();
        host.call_actor(key, "Any", &payload).await.unwrap();
        least = least.min(allocations() - before);
    }
    least
}

/// What listens is of the whole process.
#[test]
fn metrics_and_spans_add_no_allocation_to_a_call_unless_a_subscriber_listens() {
    in_own_process(
        "telemetry::allocations::metrics_and_spans_add_no_allocation_to_a_call_unless_a_subscriber_listens",
        async || {
            let without = caller(HostBuilder::new()).await;
            let with = caller(HostBuilder::new().with_metrics()).await;
            let bare = of_a_call(&without).await;
            assert!(bare > 0, "allocations are counted");
            assert_eq!(of_a_call(&with).await, bare, "for metrics, and spans without a subscriber");
            let uninterested = listen(LevelFilter::OFF);
            assert_eq!(of_a_call(&with).await, bare, "for a subscriber that wants no spans");
            drop(uninterested);
            let listening = listen(LevelFilter::DEBUG);
            assert!(of_a_call(&with).await > bare, "spans are counted if they are wanted");
            drop(listening);
            for (host, _) in [without, with] {
                host.stop().await;
            }
        },
    );
}
