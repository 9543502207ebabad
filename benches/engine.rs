//! Measures the engine: calls against raw calls of the same guests, metered against unmetered code, calls beside many
//! other actors, bystanders of a guest that computes without end, and starts of actors.
//!
//! `cargo bench --bench engine` prints the table and writes `target/figures/engine.json`. Arguments that name parts
//! (`-- metering`) run only those.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a benchmark that cannot run should end at once")]

mod idle_actors;
mod payloads;
mod raw;
mod shards;
mod support;
mod warm_start;

#[path = "../tests/support/signing.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod signing;

use std::time::{Duration, Instant};

use raw::{ECHO, Job, REQUEST, Raw};
use support::{Row, Series, Target, is_real_run, median, report, rows, time};
use wasmcloud_host::{ActorOptions, Compiler, Host, HostBuilder, Limits};

const fn compute(operation: &'static str, payload: &'static [u8]) -> Job {
    Job { name: operation, operation, payload }
}

/// About a millisecond of work each.
const WORKLOADS: [Job; 5] = [
    compute("Hash", b"3300"),
    compute("Sort", b"16000"),
    compute("Matrix", b"120"),
    compute("Recursion", b"27"),
    compute("Sieve", b"350000"),
];

/// How long the many actors keep their stacks while idle.
const IDLE_AFTER: Duration = Duration::from_millis(500);

#[actix_rt::main]
async fn main() {
    let host = HostBuilder::new().with_shards(1).build();
    host.start().await.expect("the host starts");
    let mut table = Vec::new();
    if wanted("calls") {
        table.extend(calls(&host).await);
    }
    if wanted("chain") {
        table.extend(chain(&host).await);
    }
    if wanted("payloads") {
        table.extend(payloads::rows(&host).await);
    }
    if wanted("shards") {
        table.extend(shards::rows().await);
    }
    if wanted("metering") {
        table.extend(metering());
    }
    if wanted("compact_memories") {
        table.extend(compact_memories(&host).await);
    }
    if wanted("bystander") {
        table.extend(bystander(&host).await);
    }
    if wanted("many_actors") {
        table.extend(many_actors(&host).await);
    }
    if wanted("warm_start") {
        table.extend(warm_start::rows().await);
    }
    host.stop().await;
    let name =
        if named_parts().is_empty() { "engine".to_owned() } else { format!("engine-{}", named_parts().join("-")) };
    report(&name, "The engine", &table).expect("the figures can be written");
}

/// Returns the parts that the command line names.
fn named_parts() -> Vec<String> {
    std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect()
}

/// Returns whether to run this part. All parts run unless the command line names some.
fn wanted(part: &str) -> bool {
    let named = named_parts();
    named.is_empty() || named.iter().any(|name| name == part)
}

fn rounds() -> (u32, u32) {
    if is_real_run() { (31, 5_000) } else { (1, 20) }
}

async fn start(host: &Host, guest: &str) -> String {
    start_within(host, guest, Limits::new()).await
}

async fn start_within(host: &Host, guest: &str, limits: Limits) -> String {
    let actor = signing::sign(guest).actor();
    let key = actor.public_key();
    host.start_actor_with(actor, ActorOptions::new().limits(limits)).await.expect("the actor starts");
    key
}

async fn sequential(host: &Host, key: &str, job: Job, calls: u32) -> Duration {
    let begin = Instant::now();
    for _ in 0..calls {
        host.call_actor(key, job.operation, job.payload).await.expect("the actor answers");
    }
    begin.elapsed()
}

/// Measures calls through the host against raw calls of the same guests.
async fn calls(host: &Host) -> Vec<Row> {
    let (rounds, calls) = rounds();
    let large = start(host, "echo_large").await;
    let mut raw_large = Raw::new(&signing::guest("echo_large"), REQUEST);
    let mut one = Series::new("HandleRequest of echo_large.wasm: raw call".to_owned(), None);
    let mut through = Series::new("HandleRequest of echo_large.wasm: call_actor".to_owned(), Some(2.0));
    for _ in 0..rounds {
        one.add(time(calls, || raw_large.call()), calls);
        through.add(sequential(host, &large, REQUEST, calls).await, calls);
    }
    rows(&one, &[&through])
}

/// Measures a request that one actor forwards to another against raw calls of both.
async fn chain(host: &Host) -> Vec<Row> {
    let (rounds, calls) = rounds();
    let backend = signing::sign("echo_large").alias("fixtures/backend").actor();
    host.start_actor(backend).await.expect("the backend starts");
    let relay = start(host, "relay_large").await;
    let answer = host.call_actor("fixtures/backend", REQUEST.operation, REQUEST.payload).await;
    let answer = answer.expect("the backend answers");
    // The host of the raw relay answers at once, with the answer of the backend.
    let mut raw_relay = Raw::with_host_answer(&signing::guest("relay_large"), REQUEST, answer);
    let mut raw_backend = Raw::new(&signing::guest("echo_large"), REQUEST);
    let mut two = Series::new("actor to actor and back (relay to echo_large.wasm): two raw calls".to_owned(), None);
    let mut chained = Series::new("actor to actor and back: call_actor".to_owned(), Some(2.5));
    for _ in 0..rounds {
        let raw = time(calls, || {
            raw_relay.call();
            raw_backend.call();
        });
        two.add(raw, calls);
        chained.add(sequential(host, &relay, REQUEST, calls).await, calls);
    }
    rows(&two, &[&chained])
}

/// Measures metered against unmetered code, both called as directly as wasmer allows.
fn metering() -> Vec<Row> {
    // With many short rounds, a disturbance of one round does not change the median.
    let rounds = if is_real_run() { 151 } else { 1 };
    let mut table = Vec::new();
    let mut product = 1.0;
    let large = [(REQUEST, "echo_large", 400), (ECHO, "echo_large", 4_000)];
    let workloads = WORKLOADS.map(|job| (job, "compute", 1));
    for (job, guest, calls) in workloads.into_iter().chain(large) {
        let calls = if is_real_run() { calls } else { 1 };
        let module = signing::guest(guest);
        let metered =
            wasmcloud_host::metered(&module, &Limits::new(), Compiler::default()).expect("the guest can be metered");
        let mut plain = Raw::new(&module, job);
        let mut metered = Raw::new(&metered, job);
        let mut before = Series::new(format!("metering {}: unmetered", job.name), None);
        let is_echo = guest == "echo_large";
        let mut after = Series::new(format!("metering {}: metered", job.name), is_echo.then_some(1.2));
        for _ in 0..rounds {
            before.add(time(calls, || plain.call()), calls);
            after.add(time(calls, || metered.call()), calls);
        }
        let compared = rows(&before, &[&after]);
        if !is_echo {
            product *= compared[1].figure;
        }
        table.extend(compared.into_iter().skip(1));
    }
    let what = "metering: geometric mean of hash, sort, matrix, recursion, sieve".to_owned();
    let figure = f64::powf(product, 1.0 / WORKLOADS.len() as f64);
    table.push(Row { what, per_call: None, figure, unit: "x", target: Some(Target::AtMost(1.1)) });
    table
}

/// Returns limits under which a guest's memory is compact.
fn small() -> Limits {
    Limits::new().memory_bytes(32 * 1024 * 1024)
}

/// Measures guests with compact memories, whose code checks each access, against the same guests with reserved
/// memories.
async fn compact_memories(host: &Host) -> Vec<Row> {
    let (rounds, _) = rounds();
    let mut table = Vec::new();
    let large = [(REQUEST, "echo_large", 2000), (ECHO, "echo_large", 20_000)];
    let workloads = WORKLOADS.map(|job| (job, "compute", 5));
    for (job, guest, calls) in workloads.into_iter().chain(large) {
        let calls = if is_real_run() { calls } else { 1 };
        let reserved = start(host, guest).await;
        let compact = start_within(host, guest, small()).await;
        let mut before = Series::new(format!("memory for {}: reserved", job.name), None);
        let mut after = Series::new(format!("memory for {}: compact", job.name), None);
        for _ in 0..rounds {
            before.add(sequential(host, &reserved, job, calls).await, calls);
            after.add(sequential(host, &compact, job, calls).await, calls);
        }
        table.extend(support::rows(&before, &[&after]).into_iter().skip(1));
    }
    table
}

/// Measures calls on a shard where another guest computes without end, and how long after its deadline that guest ends.
async fn bystander(host: &Host) -> Vec<Row> {
    let deadline = Duration::from_millis(if is_real_run() { 2000 } else { 50 });
    let options = ActorOptions::new().limits(Limits::new().call_deadline(deadline));
    let actor = signing::sign("spin").actor();
    let spinner = actor.public_key();
    host.start_actor_with(actor, options).await.expect("the actor starts");
    let echo = start(host, "tiny_echo").await;
    let mut latencies = Vec::new();
    let begin = Instant::now();
    let spin = async { (host.call_actor(&spinner, "Spin", b"").await.is_err(), begin.elapsed()) };
    let meanwhile = async {
        loop {
            let begin = Instant::now();
            host.call_actor(&echo, "Echo", &[7; 64]).await.expect("the bystander answers");
            latencies.push(begin.elapsed().as_secs_f64() * 1e3);
            actix_rt::task::yield_now().await;
        }
    };
    let (ended, lasted) = tokio::select! {
        ended = spin => ended,
        () = meanwhile => unreachable!("it goes on for ever"),
    };
    assert!(ended, "the spinner ends at its deadline");
    latencies.sort_by(f64::total_cmp);
    let p99 = latencies[latencies.len() * 99 / 100];
    let over = lasted.saturating_sub(deadline).as_secs_f64() * 1e3;
    let row = |what: &str, figure, target| Row {
        what: what.to_owned(),
        per_call: None,
        figure,
        unit: "ms",
        target: Some(Target::AtMost(target)),
    };
    vec![
        row("bystander of an endless guest on its shard: p99 of a call", p99, 5.0),
        row("the endless guest: how long after its deadline it ended", over, 10.0),
    ]
}

/// Measures the same call beside more and more other actors, and the memory of idle actors.
async fn many_actors(host: &Host) -> Vec<Row> {
    let counts: &[usize] = if is_real_run() { &[1, 100, 1_000, 10_000, 50_000] } else { &[1, 10] };
    let (_, calls) = rounds();
    let limits = small().idle_after(IDLE_AFTER);
    let before = idle_actors::resident();
    let key = start_within(host, "tiny_echo", limits).await;
    let mut keys = vec![key.clone()];
    let mut medians = Vec::new();
    for &count in counts {
        while keys.len() < count {
            keys.push(start_within(host, "tiny_echo", limits).await);
        }
        let mut times = Vec::new();
        for _ in 0..15 {
            times.push(sequential(host, &key, ECHO, calls).await.as_secs_f64() / f64::from(calls));
        }
        medians.push((count, median(times)));
    }
    let alone = medians[0].1;
    let row = |&(count, per_call): &(usize, f64)| Row {
        what: format!("Echo of tiny_echo.wasm with {count} actors started"),
        per_call: Some(Duration::from_secs_f64(per_call)),
        figure: per_call / alone,
        unit: "x",
        target: Some(Target::AtMost(1.2)),
    };
    medians.iter().map(row).chain(idle_actors::measure(host, &keys, before).await).collect()
}
