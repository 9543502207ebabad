//! Runs well-behaved, trapping, spinning, memory-hungry and deeply recursive guests concurrently for a while. Afterwards every
//! call must have ended as expected of its guest, and the process must hold no more memory than before.
//!
//! ```sh
//! cargo run --release --example soak -- --seconds 60
//! ```

#[path = "../tests/support/signing.rs"]
#[allow(
    dead_code,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "it is shared with the tests, which need more of it"
)]
mod signing;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use futures_util::future::join_all;
use wasmcloud_host::{ActorOptions, ErrorKind, Host, HostBuilder, Limits, RestartPolicy, Result};

/// Runs well-behaved and faulty guests concurrently, and counts the outcomes of their calls.
#[derive(Parser)]
struct Arguments {
    /// The duration, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The number of concurrent callers.
    #[arg(long, default_value_t = 32)]
    callers: usize,
    /// The permitted growth of memory since the first rounds, in MiB: allocators keep some.
    #[arg(long, default_value_t = 32)]
    slack: u64,
}

/// A call to a guest, and its expected outcome.
struct Job {
    temper: &'static str,
    guest: &'static str,
    operation: &'static str,
    message: &'static [u8],
    /// The expected kind of error. `None` if the guest answers.
    deserves: Option<ErrorKind>,
}

const JOBS: [Job; 8] = [
    job("well-behaved", "echo", "Echo", b"hello", None),
    job("well-behaved, C", "tiny_echo", "Echo", b"hello", None),
    job("failing", "error", "Any", b"", Some(ErrorKind::ActorFailed)),
    job("trapping", "trap", "Trap", b"", Some(ErrorKind::ActorTrapped)),
    job("deeply recursive", "trap", "Recurse", b"", Some(ErrorKind::StackExhausted)),
    job("spinning", "spin", "Spin", b"", Some(ErrorKind::DeadlineExceeded)),
    job("memory-hungry", "grow", "Grow", b"", None),
    job("talkative", "large_reply", "Any", b"2000000", Some(ErrorKind::MessageTooLarge)),
];

const fn job(
    temper: &'static str,
    guest: &'static str,
    operation: &'static str,
    message: &'static [u8],
    deserves: Option<ErrorKind>,
) -> Job {
    Job { temper, guest, operation, message, deserves }
}

/// The outcomes of the calls for one job.
#[derive(Default, Clone, Copy)]
struct Count {
    offered: u64,
    deserved: u64,
}

#[actix_rt::main]
async fn main() -> ExitCode {
    match soak(&Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all is as it should be at the end.
async fn soak(arguments: &Arguments) -> Result<bool> {
    // These rounds allocate what is kept, mainly the allocator's caches of each thread.
    for _ in 0..3 {
        round(Duration::from_secs(2), arguments.callers).await?;
    }
    let before = resident_mib();
    println!("{} s with {} callers", arguments.seconds, arguments.callers);
    let counts = round(Duration::from_secs(arguments.seconds), arguments.callers).await?;
    let after = resident_mib();

    println!("{:<20} {:>12} {:>14} {:>10}", "guest", "offered", "as deserved", "otherwise");
    let mut otherwise = 0;
    for (temper, Count { offered, deserved }) in counts {
        println!("{temper:<20} {offered:>12} {deserved:>14} {:>10}", offered - deserved);
        otherwise += offered - deserved;
    }
    println!("memory held: {before} MiB before, {after} MiB after");
    if otherwise == 0 && after <= before + arguments.slack {
        println!("Every call ended as expected, and no more memory is held than before.");
        return Ok(true);
    }
    println!(
        "{otherwise} call(s) did not end as expected, and {} MiB more are held than before",
        after.saturating_sub(before)
    );
    Ok(false)
}

/// Starts a host with a guest for each job, calls them from concurrent callers, and stops everything.
async fn round(lasts: Duration, callers: usize) -> Result<BTreeMap<&'static str, Count>> {
    let limits = Limits::new().memory_bytes(32 * 1024 * 1024).message_bytes(1024 * 1024);
    // Most of these guests only crash, and would fail under the default policy.
    let always = RestartPolicy::new().in_a_row(u32::MAX).delays(Duration::ZERO, Duration::ZERO);
    let host = HostBuilder::new().build();
    host.start().await?;
    let mut keys = Vec::new();
    for job in &JOBS {
        let actor = signing::sign(job.guest).actor();
        keys.push(actor.public_key());
        // A spinning guest gets a short deadline; other calls may wait for their turn.
        let time = if job.guest == "spin" { Duration::from_millis(20) } else { Duration::from_secs(5) };
        let options = ActorOptions::new().limits(limits.call_deadline(time)).instances(2).restart(always);
        host.start_actor_with(actor, options).await?;
    }
    let until = Instant::now() + lasts;
    let counted = join_all((0..callers).map(|caller| call_in_turn(&host, &keys, caller, until))).await;
    for key in keys {
        host.stop_actor(&key).await?;
    }
    host.stop().await;
    let mut sum: BTreeMap<&'static str, Count> = BTreeMap::new();
    for (job, count) in counted.iter().flat_map(|counts| JOBS.iter().zip(counts)) {
        let total = sum.entry(job.temper).or_default();
        total.offered += count.offered;
        total.deserved += count.deserved;
    }
    Ok(sum)
}

/// Runs one caller: one job after another.
async fn call_in_turn(host: &Host, keys: &[String], first: usize, until: Instant) -> [Count; JOBS.len()] {
    let mut counts = [Count::default(); JOBS.len()];
    let mut next = first;
    while Instant::now() < until {
        let index = next % JOBS.len();
        let (job, count) = (&JOBS[index], &mut counts[index]);
        let answer = host.call_actor(&keys[index], job.operation, job.message).await;
        let outcome = answer.as_ref().err().map(wasmcloud_host::Error::kind);
        count.offered += 1;
        if outcome == job.deserves {
            count.deserved += 1;
        } else {
            println!("{}: {answer:?}", job.temper);
        }
        next += 1;
    }
    counts
}

/// Returns the memory that this process holds, if the system reports it.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
