//! What another shard brings, to an actor with an instance on each.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use wasmcloud_host::{ActorOptions, Host, HostBuilder};

use crate::raw::REQUEST;
use crate::signing;
use crate::support::{Row, Target, is_real_run, median};

const CALLERS: u32 = 64;

/// The throughput of 64 callers with two shards and two instances, against one of each.
pub(crate) async fn rows() -> Vec<Row> {
    let (rounds, calls) = if is_real_run() { (31, 200) } else { (1, 2) };
    let (one, two) = (with(1).await, with(2).await);
    let (mut alone, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (with_one, with_two) = (load(&one, calls).await, load(&two, calls).await);
        alone.push(with_one.as_secs_f64());
        ratios.push(with_one.as_secs_f64() / with_two.as_secs_f64());
    }
    one.0.stop().await;
    two.0.stop().await;
    let row = |what: &str, per_call, figure, target| Row { what: what.to_owned(), per_call, figure, unit: "x", target };
    let per_call = Duration::from_secs_f64(median(alone) / f64::from(calls * CALLERS));
    vec![
        row("64 concurrent callers, 1 shard with 1 instance: throughput", Some(per_call), 1.0, None),
        row(
            "64 concurrent callers, 2 shards with 2 instances: throughput",
            None,
            median(ratios),
            Some(Target::AtLeast(1.7)),
        ),
    ]
}

/// A host of so many shards, and on it an actor of as many instances.
async fn with(shards: usize) -> (Host, String) {
    let host = HostBuilder::new().with_shards(shards).build();
    host.start().await.expect("the host starts");
    let actor = signing::sign("echo_large").actor();
    let key = actor.public_key();
    host.start_actor_with(actor, ActorOptions::new().instances(shards)).await.expect("the actor starts");
    (host, key)
}

/// Has all callers call so many times each.
async fn load((host, key): &(Host, String), calls: u32) -> Duration {
    let begin = Instant::now();
    let call = async || {
        for _ in 0..calls {
            host.call_actor(key, REQUEST.operation, REQUEST.message).await.expect("the actor answers");
        }
    };
    join_all((0..CALLERS).map(|_| call())).await;
    begin.elapsed()
}
