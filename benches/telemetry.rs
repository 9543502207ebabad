//! Measures what telemetry costs: calls of a host that counts them, and whose spans are listened to, against those of one that does
//! neither; a reading of its metrics; and calls while viewers watch.
//!
//! `cargo bench --bench telemetry` prints the table and writes `target/figures/telemetry.json`. Parts: `calls`, `scrape`,
//! `dashboard`.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a benchmark that cannot run should end at once")]

mod counting_allocator;
#[allow(dead_code, reason = "other benchmarks use more of it")]
mod raw;
#[allow(dead_code, reason = "other benchmarks use more of it")]
mod support;
mod viewers;

#[path = "../tests/support/signing.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod signing;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use counting_allocator::allocations;
use futures_util::future::join_all;
use nkeys::KeyPair;
use raw::{ECHO, Job, REQUEST};
use support::{Row, Series, Target, is_real_run, median, name_of_run, report, rows, wanted};
use tracing::callsite;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::{self, DefaultGuard};
use tracing_subscriber::layer::SubscriberExt;
use wasmcloud_host::{
    AsyncCapabilityProvider, Binding, BoxedError, Host, HostBuilder, Limits, NativeCapability, ProviderCallContext, jwt,
};

const CALLERS: u32 = 64;

#[actix_rt::main]
async fn main() {
    let mut table = Vec::new();
    if wanted("calls") {
        let [off, reference, on] = [subject(false).await, subject(false).await, subject(true).await];
        // A job lives as long as the benchmark.
        let payload = to_provider("Echo", &[7; 64]).leak();
        let provider = Job { name: "Echo of 64 bytes by a provider", operation: "Any", payload };
        for job in [REQUEST, ECHO, provider] {
            table.extend(calls(&reference, &off, &on, job).await);
            table.push(allocated(&off, &on, job).await);
        }
        for subject in [off, reference, on] {
            subject.host.stop().await;
        }
    }
    if wanted("scrape") {
        table.extend(scrape(if is_real_run() { 1_000 } else { 10 }).await);
    }
    if wanted("dashboard") {
        let [actors, viewers] = if is_real_run() { [1_000, 50] } else { [10, 2] };
        table.extend(viewers::dashboard(actors, viewers).await);
    }
    report(&name_of_run("telemetry"), "Calls with metrics against calls without, and a reading of metrics", &table)
        .expect("the figures can be written");
}

/// A host with an actor, and another one that is linked to a provider.
struct Subject {
    host: Host,
    key: String,
    linked: String,
}

const CONTRACT: &str = "bench:echo";

/// A provider that answers with the payload of each call.
struct Echo;

#[async_trait(?Send)]
impl AsyncCapabilityProvider for Echo {
    async fn bind(&self, _: Binding) -> Result<(), BoxedError> {
        Ok(())
    }

    async fn unbind(&self, _: &str) -> Result<(), BoxedError> {
        Ok(())
    }

    async fn handle_call(&self, call: ProviderCallContext) -> Result<Vec<u8>, BoxedError> {
        Ok(call.message)
    }

    async fn stop(&self) {}
}

/// Returns the payload by which the guest `host_call` calls the provider.
fn to_provider(operation: &str, message: &[u8]) -> Vec<u8> {
    let parts: [&[u8]; 4] = [&[], CONTRACT.as_bytes(), operation.as_bytes(), message];
    let lengths = parts.iter().flat_map(|part| (part.len() as u32).to_le_bytes());
    lengths.chain(parts.concat()).collect()
}

fn builder(metrics: bool) -> HostBuilder {
    let builder = HostBuilder::new().with_shards(1).with_health_interval(None);
    if metrics { builder.with_metrics() } else { builder }
}

async fn subject(metrics: bool) -> Subject {
    let host = builder(metrics).build();
    host.start().await.expect("the host starts");
    let actor = signing::sign("echo").actor();
    let key = actor.public_key();
    host.start_actor(actor).await.expect("the actor starts");
    let actor = signing::sign("host_call").capability(CONTRACT).actor();
    let linked = actor.public_key();
    host.start_actor(actor).await.expect("the actor starts");
    let metadata = jwt::CapabilityProvider { capid: CONTRACT.to_owned(), ..jwt::CapabilityProvider::default() };
    let claims = metadata.claims(KeyPair::new_account().public_key(), KeyPair::new_service().public_key());
    let capability = NativeCapability::from_async(Echo, None, claims).expect("the claims name a contract");
    let provider = capability.id();
    host.start_native_capability(capability).await.expect("the provider starts");
    host.set_link(&linked, CONTRACT, None, provider, HashMap::new()).await.expect("the link is established");
    Subject { host, key, linked }
}

impl Subject {
    async fn sequential(&self, job: Job, calls: u32) -> Duration {
        let key = if job.operation == "Any" { &self.linked } else { &self.key };
        let begin = Instant::now();
        for _ in 0..calls {
            let answer = self.host.call_actor(key, job.operation, job.payload).await.expect("the actor answers");
            assert!(answer.len() >= 64);
        }
        begin.elapsed()
    }

    async fn concurrent(&self, job: Job, calls_each: u32) -> Duration {
        let begin = Instant::now();
        join_all((0..CALLERS).map(|_| self.sequential(job, calls_each))).await;
        begin.elapsed()
    }
}

/// Calls that are measured: by which host, and the spans of what level a subscriber wants. `None` without a subscriber.
struct Measured<'a> {
    series: Series,
    subject: &'a Subject,
    spans: Option<LevelFilter>,
}

/// Measures calls. The reference is a host without metrics, and so is `off`, which shows the noise of the machine.
async fn calls(reference: &Subject, off: &Subject, on: &Subject, job: Job) -> Vec<Row> {
    let (rounds, calls) = if is_real_run() { (201, 4_000) } else { (1, 64) };
    let mut table = Vec::new();
    for concurrent in [false, true] {
        let way = if concurrent { "64 concurrent" } else { "sequential" };
        let series = |what: &str, target| Series::new(format!("{}, {way}: {what}", job.name), target);
        let measured = |what, target, subject, spans| Measured { series: series(what, target), subject, spans };
        let mut all = [
            measured("without metrics", None, reference, None),
            measured("without metrics, another host", None, off, None),
            measured("with metrics", Some(1.03), on, None),
            measured("metrics, no spans wanted", Some(1.03), on, Some(LevelFilter::OFF)),
            measured("metrics, all spans wanted", None, on, Some(LevelFilter::DEBUG)),
        ];
        for round in 0..rounds {
            // None of them is always the one after another.
            for number in 0..all.len() {
                let Measured { series, subject, spans } = &mut all[(round + number) % 5];
                let _listening = listen(*spans);
                let elapsed = match concurrent {
                    true => subject.concurrent(job, calls / CALLERS).await,
                    false => subject.sequential(job, calls).await,
                };
                series.add(elapsed, calls);
            }
        }
        let [base, others @ ..] = &all;
        table.extend(rows(&base.series, &others.each_ref().map(|measured| &measured.series)));
    }
    table
}

/// Subscribes to spans until the end of what is returned. The subscriber keeps each span, and does nothing with it.
fn listen(spans: Option<LevelFilter>) -> Option<DefaultGuard> {
    // What the subscriber before this one wanted is forgotten, now that it is gone.
    callsite::rebuild_interest_cache();
    spans.map(|level| subscriber::set_default(tracing_subscriber::registry().with(level)))
}

/// Measures the allocations that metrics add to a call.
async fn allocated(off: &Subject, on: &Subject, job: Job) -> Row {
    const CALLS: u32 = 1_000;
    let mut counts = Vec::new();
    for subject in [off, on] {
        subject.sequential(job, CALLS).await;
        let before = allocations();
        subject.sequential(job, CALLS).await;
        counts.push((allocations() - before) as f64 / f64::from(CALLS));
    }
    let what = format!("{}: allocations for each call, {:.2} without metrics: more with them", job.name, counts[0]);
    Row { what, per_call: None, figure: counts[1] - counts[0], unit: "", target: Some(Target::AtMost(0.0)) }
}

/// Measures the reading of the metrics of a host with many actors. Each was called by as many operations as are counted one by
/// one, and each of them has been answered and has failed.
async fn scrape(actors: usize) -> Vec<Row> {
    const OPERATIONS: usize = 16;
    const LONGEST: usize = 1_024;
    let host = builder(true).with_limits(Limits::new().message_bytes(LONGEST)).build();
    host.start().await.expect("the host starts");
    for _ in 0..actors {
        let actor = signing::sign("tiny_echo").actor();
        let key = actor.public_key();
        host.start_actor(actor).await.expect("the actor starts");
        for operation in (0..OPERATIONS).map(|number| format!("Operation{number}")) {
            host.call_actor(&key, &operation, b"ping").await.expect("the actor answers");
            host.call_actor(&key, &operation, &[0; LONGEST + 1]).await.expect_err("the message is too large");
        }
    }
    let metrics = host.metrics();
    let read = metrics.encode().expect("the metrics are written");
    let is_failure = |line: &&str| line.starts_with("wasmcloud_calls_total{") && line.contains("\"error\"");
    let calls = |line: &str| line.rsplit(' ').next().and_then(|calls| calls.parse::<usize>().ok()).unwrap_or_default();
    let failed: usize = read.lines().filter(is_failure).map(calls).sum();
    assert_eq!(failed, actors * OPERATIONS, "each failure is counted");
    let mut times = Vec::new();
    let mut bytes = 0;
    for _ in 0..if is_real_run() { 101 } else { 1 } {
        let begin = Instant::now();
        let text = metrics.encode().expect("the metrics are written");
        times.push(begin.elapsed().as_secs_f64() * 1e3);
        bytes = text.len();
    }
    host.stop().await;
    let row = |what: &str, figure, unit, target| Row {
        what: format!("scrape of a host with {actors} actors: {what}"),
        per_call: None,
        figure,
        unit,
        target: Some(Target::AtMost(target)),
    };
    vec![row("median", median(times), "ms", 20.0), row("size", bytes as f64 / 1024.0, "KiB", 1024.0)]
}
