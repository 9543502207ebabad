//! Measures calls through the host against raw synchronous calls of the same guest on wasmer.
//!
//! `cargo bench --bench calls` prints the table and writes `target/figures/calls.json`.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a benchmark that cannot run should end at once")]

mod raw;
mod support;

#[path = "../tests/support/signing.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod signing;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use raw::{ECHO, Job, REQUEST, Raw};
use support::{Row, Series, is_real_run, report, rows, time};
use wasmcloud_host::{Host, HostBuilder};

const CALLERS: u32 = 64;

#[actix_rt::main]
async fn main() {
    let host = HostBuilder::new().with_shards(1).build();
    host.start().await.expect("the host starts");
    let actor = signing::sign("echo").actor();
    let key = actor.public_key();
    host.start_actor(actor).await.expect("the actor starts");

    let mut table = Vec::new();
    for job in [REQUEST, ECHO] {
        table.extend(measure(&host, &key, job).await);
    }
    host.stop().await;
    report("calls", "Calls of echo.wasm, each against the raw call of the same job", &table)
        .expect("the figures can be written");
}

async fn measure(host: &Host, key: &str, job: Job) -> Vec<Row> {
    let (rounds, calls) = if is_real_run() { (31, 10_000) } else { (1, 64) };
    let mut raw = Raw::new(&signing::guest("echo"), job);
    let series = |what: &str, target| Series::new(format!("{}: {what}", job.name), target);
    let mut reference = series("raw synchronous call on wasmer", None);
    let mut same_shard = series("call_actor, same shard", Some(2.0));
    let mut concurrent = series("call_actor, same shard, 64 concurrent", None);
    let mut other_thread = series("call_actor, another thread", None);
    let mut other_thread_concurrent = series("call_actor, another thread, 64 concurrent", None);
    let each = calls / CALLERS;
    // A call from another thread wakes two threads in turn, so fewer calls take as long.
    let few = (calls / 10).max(1);
    for _ in 0..rounds {
        reference.add(time(calls, || raw.call()), calls);
        same_shard.add(sequential_calls(host, key, job, calls).await, calls);
        concurrent.add(concurrent_calls(host, key, job, each).await, each * CALLERS);
        other_thread.add(
            on_another_thread(host, key, async move |host, key| sequential_calls(&host, &key, job, few).await).await,
            few,
        );
        let elapsed =
            on_another_thread(host, key, async move |host, key| concurrent_calls(&host, &key, job, each).await).await;
        other_thread_concurrent.add(elapsed, each * CALLERS);
    }
    rows(&reference, &[&same_shard, &concurrent, &other_thread, &other_thread_concurrent])
}

async fn sequential_calls(host: &Host, key: &str, job: Job, calls: u32) -> Duration {
    let begin = Instant::now();
    for _ in 0..calls {
        let answer = host.call_actor(key, job.operation, job.payload).await.expect("the actor answers");
        assert!(answer.len() >= 64);
    }
    begin.elapsed()
}

async fn concurrent_calls(host: &Host, key: &str, job: Job, calls_each: u32) -> Duration {
    let begin = Instant::now();
    join_all((0..CALLERS).map(|_| sequential_calls(host, key, job, calls_each))).await;
    begin.elapsed()
}

/// Runs a measurement on a thread that is not a shard.
async fn on_another_thread(
    host: &Host,
    key: &str,
    measure: impl AsyncFnOnce(Host, String) -> Duration + Send + 'static,
) -> Duration {
    let host = host.clone();
    let key = key.to_owned();
    let (done, measured) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let _ = done.send(runtime.block_on(measure(host, key)));
    });
    measured.await.expect("the measuring thread answers")
}
