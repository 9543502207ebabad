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

#[path = "../tests/support/signing.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod signing;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use counting_allocator::allocations;
use futures_util::FutureExt;
use futures_util::future::{Shared, join_all};
use nkeys::KeyPair;
use raw::{ECHO, Job, REQUEST};
use support::{Row, Series, Target, is_real_run, median, name_of_run, report, rows, wanted};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tracing::callsite;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::{self, DefaultGuard};
use tracing_subscriber::layer::SubscriberExt;
use wasmcloud_host::{
    AsyncCapabilityProvider, Binding, BoxedError, Host, HostBuilder, Limits, NativeCapability, ProviderCallContext,
    TelemetryOptions, jwt,
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
        table.extend(dashboard(actors, viewers).await);
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
    let failed = read.lines().filter(|line| line.starts_with("wasmcloud_calls_total{") && line.contains("\"error\""));
    assert!(failed.count() >= OPERATIONS, "failures are counted by operation: {read}");
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

/// Measures what viewers of the dashboard cost calls to the host that they watch: over real streams, which are opened and closed in
/// turn. A round is as long as the time between two messages to viewers, so that each has one.
async fn dashboard(actors: usize, viewers: usize) -> Vec<Row> {
    let (rounds, length) = if is_real_run() { (121, Duration::from_secs(1)) } else { (1, Duration::from_millis(10)) };
    let Crowd { host, keys } = crowd(actors).await;
    let address = host.telemetry_address().expect("the port is open");
    let series = |what: String, target| Series::new(format!("calls to {actors} actors in turn: {what}"), target);
    let mut base = series("without viewers".to_owned(), None);
    let mut seen = series(format!("with {viewers} viewers"), Some(1.05));
    let mut keys = keys.iter().cycle();
    for round in 0..2 * rounds {
        // Each comes first as often as second.
        let is_watched = (round % 4 == 1) || (round % 4 == 2);
        let audience = is_watched.then(|| Audience::open(address, viewers));
        let mut calls = 0;
        let begin = Instant::now();
        while begin.elapsed() < length {
            let key = keys.next().expect("there are actors");
            host.call_actor(key, "Echo", b"ping").await.expect("the actor answers");
            calls += 1;
        }
        let series = if is_watched { &mut seen } else { &mut base };
        series.add(begin.elapsed(), calls);
        if let Some(audience) = audience {
            let read = audience.close();
            assert!(read.len() == viewers && read.iter().all(|bytes| *bytes > 0), "each was sent something: {read:?}");
            // The host sees that they are gone.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    host.stop().await;
    rows(&base, &[&seen])
}

/// A host with many actors and a port.
struct Crowd {
    host: Host,
    keys: Vec<String>,
}

async fn crowd(actors: usize) -> Crowd {
    let host = builder(true).with_telemetry(TelemetryOptions::new(([127, 0, 0, 1], 0).into())).build();
    host.start().await.expect("the host starts");
    let mut keys = Vec::new();
    for _ in 0..actors {
        let actor = signing::sign("tiny_echo").actor();
        keys.push(actor.public_key());
        host.start_actor(actor).await.expect("the actor starts");
    }
    Crowd { host, keys }
}

/// Viewers that read their streams, on a thread of their own.
struct Audience {
    end: oneshot::Sender<()>,
    /// Returns how many bytes each viewer was sent.
    thread: JoinHandle<Vec<usize>>,
}

impl Audience {
    /// Opens streams. Returns once each has brought the state, and what follows it.
    fn open(address: SocketAddr, viewers: usize) -> Audience {
        let (opened, open) = mpsc::channel();
        let (end, ended) = oneshot::channel::<()>();
        let ended = ended.shared();
        let thread = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime is built");
            runtime.block_on(join_all((0..viewers).map(|_| view(address, opened.clone(), ended.clone()))))
        });
        (0..viewers).for_each(|_| open.recv().expect("the viewers connect"));
        Audience { end, thread }
    }

    /// Closes the streams.
    fn close(self) -> Vec<usize> {
        drop(self.end);
        self.thread.join().expect("the viewers read to the end")
    }
}

async fn view<E>(address: SocketAddr, opened: mpsc::Sender<()>, ended: Shared<E>) -> usize
where
    E: Future<Output: Clone>,
{
    let mut stream = TcpStream::connect(address).await.expect("the port is open");
    let request = b"GET /api/v1/stream HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request).await.expect("the port reads");
    let mut buffer = vec![0; 1 << 16];
    let mut total = 0;
    let mut messages = 0;
    loop {
        let read = tokio::select! {
            read = stream.read(&mut buffer) => read.expect("the stream goes on"),
            _ = ended.clone() => return total,
        };
        assert!(read > 0, "the stream goes on");
        let ends = buffer[..read].windows(2).filter(|two| *two == b"\n\n").count();
        if messages < 2 && messages + ends >= 2 {
            opened.send(()).expect("the benchmark waits");
        }
        messages += ends;
        total += read;
    }
}
