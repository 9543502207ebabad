//! Measures crashes and updates under load: no call is lost, and crashed actors restart fast.
//!
//! `cargo bench --bench supervision` prints the table and writes `target/figures/supervision.json`. Arguments that name
//! parts (`-- crashes updates together linked`) run only those.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a benchmark that cannot run should end at once")]

#[allow(dead_code, reason = "benchmarks of ratios use more of it")]
mod support;

#[path = "supervision/linked.rs"]
mod linked;

#[path = "../tests/support/signing.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod signing;

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use support::{Row, Target, is_real_run, median, name_of_run, report, wanted};
use wasmcloud_host::{ActorOptions, ErrorKind, EventKind, Events, Host, HostBuilder, Placement};

const CALLERS: usize = 64;

/// The operation that makes the guest `trap` crash, and one that it answers.
const CRASH: &str = "Trap";
const ECHO: &str = "Echo";

#[actix_rt::main]
async fn main() {
    let host = HostBuilder::new().with_shards(2).with_event_buffer(1 << 16).enable_live_updates().build();
    host.start().await.expect("the host starts");
    let mut table = Vec::new();
    if wanted("crashes") {
        table.extend(crashes_under_load(&host).await);
        table.push(recovery(&host).await);
    }
    if wanted("updates") {
        table.extend(update_under_load(&host).await);
    }
    if wanted("together") {
        table.extend(crashes_together(&host, Placement::Near, "on one shard").await);
        table.extend(crashes_together(&host, Placement::Spread, "on two shards").await);
    }
    host.stop().await;
    if wanted("linked") {
        table.extend(linked::rows().await);
    }
    report(&name_of_run("supervision"), "Crashes and updates under load, of the guest trap.wasm", &table)
        .expect("the figures can be written");
}

/// The numbers of calls by outcome.
#[derive(Debug, Default)]
struct Outcomes {
    answered: Cell<usize>,
    /// Calls that failed because the actor crashed.
    crashed: Cell<usize>,
    failed_otherwise: Cell<usize>,
}

impl Outcomes {
    /// Calls an actor and counts the outcome.
    async fn call(&self, host: &Host, key: &str, operation: &str) {
        let count = match host.call_actor(key, operation, b"payload").await {
            Ok(answer) if answer == b"payload" => &self.answered,
            Err(error) if error.kind() == ErrorKind::ActorTrapped => &self.crashed,
            _ => &self.failed_otherwise,
        };
        count.set(count.get() + 1);
    }
}

async fn start(host: &Host) -> String {
    start_on(host, Placement::Near).await
}

async fn start_on(host: &Host, placement: Placement) -> String {
    let actor = signing::sign("trap").actor();
    let key = actor.public_key();
    host.start_actor_with(actor, ActorOptions::new().placement(placement)).await.expect("the actor starts");
    key
}

/// Measures calls of which every 50th makes the actor crash.
async fn crashes_under_load(host: &Host) -> Vec<Row> {
    const EVERY: usize = 50;
    let calls = if is_real_run() { 100_000 } else { 6_400 };
    let key = start(host).await;
    let mut events = host.events();
    let counts = Outcomes::default();
    let offered = Cell::new(0_usize);
    let begin = Instant::now();
    let caller = async || {
        while offered.get() < calls {
            offered.set(offered.get() + 1);
            let operation = if offered.get().is_multiple_of(EVERY) { CRASH } else { ECHO };
            counts.call(host, &key, operation).await;
        }
    };
    join_all((0..CALLERS).map(|_| caller())).await;
    let elapsed = begin.elapsed();
    // The last call may have crashed the actor: this one is answered after the restart.
    Outcomes::default().call(host, &key, ECHO).await;
    host.stop_actor(&key).await.expect("the actor stops");
    let events = count_events_until_stopped(&mut events).await;
    let crashes = calls / EVERY;
    let lost = calls.abs_diff(counts.answered.get() + counts.crashed.get() + counts.failed_otherwise.get());
    let wrong = counts.failed_otherwise.get() + counts.crashed.get().abs_diff(crashes);
    let event_difference = events.crashes.abs_diff(crashes) + events.restarts.abs_diff(crashes);
    let what = |what: &str| format!("{calls} calls, every {EVERY}th crashes it: {what}");
    vec![
        Row { per_call: Some(elapsed / calls as u32), ..count(what("lost"), lost) },
        count(what("failed for another reason"), wrong),
        count(what("events too few or too many"), event_difference),
    ]
}

/// The numbers of events about crashes and restarts of an actor until it was stopped.
struct EventCounts {
    crashes: usize,
    restarts: usize,
}

async fn count_events_until_stopped(events: &mut Events) -> EventCounts {
    let mut counted = EventCounts { crashes: 0, restarts: 0 };
    loop {
        match events.next().await.expect("the host runs").kind {
            EventKind::Crashed { .. } => counted.crashes += 1,
            EventKind::Restarted { .. } => counted.restarts += 1,
            EventKind::Stopped => return counted,
            EventKind::Lagged { missed } => panic!("{missed} events were missed"),
            _ => {}
        }
    }
}

/// Measures the time from a call that crashes the actor to the next answer.
async fn recovery(host: &Host) -> Row {
    let rounds = if is_real_run() { 1_000 } else { 20 };
    let key = start(host).await;
    let mut times = Vec::new();
    for _ in 0..rounds {
        let counts = Outcomes::default();
        let begin = Instant::now();
        counts.call(host, &key, CRASH).await;
        counts.call(host, &key, ECHO).await;
        times.push(begin.elapsed().as_secs_f64() * 1e3);
        assert_eq!((counts.crashed.get(), counts.answered.get()), (1, 1));
    }
    host.stop_actor(&key).await.expect("the actor stops");
    let what = "a call that traps, and the next one answered: median".to_owned();
    Row { what, per_call: None, figure: median(times), unit: "ms", target: Some(Target::AtMost(1.0)) }
}

/// Measures calls during updates of their actor.
async fn update_under_load(host: &Host) -> Vec<Row> {
    let (calls, updates) = if is_real_run() { (100_000, 20) } else { (6_400, 3) };
    let mut signing = signing::sign("trap");
    let actor = signing.actor();
    let key = actor.public_key();
    host.start_actor(actor).await.expect("the actor starts");
    let counts = Outcomes::default();
    let offered = Cell::new(0_usize);
    let updated = Cell::new(0);
    let caller = async || {
        // Calls continue until the last update.
        while offered.get() < calls || updated.get() < updates {
            offered.set(offered.get() + 1);
            counts.call(host, &key, ECHO).await;
        }
    };
    let update = async {
        for number in 1..=updates {
            while offered.get() < calls * number / (updates + 1) {
                tokio::task::yield_now().await;
            }
            signing = signing.revision(1 + number as i32);
            host.update_actor(&key, None, &signing.bytes()).await.expect("the update fits");
            updated.set(number);
        }
    };
    join(join_all((0..CALLERS).map(|_| caller())), update).await;
    let inventory = host.inventory().expect("the host runs");
    assert_eq!(inventory.actors[0].revision, 1 + updates as i32);
    host.stop_actor(&key).await.expect("the actor stops");
    let unanswered = offered.get() - counts.answered.get();
    vec![count(format!("{} calls during {updates} updates: failed", offered.get()), unanswered)]
}

/// Measures calls of a bystander while many actors crash at the same time.
async fn crashes_together(host: &Host, placement: Placement, place: &str) -> Vec<Row> {
    let (actors, rounds) = if is_real_run() { (1_000, 30) } else { (50, 1) };
    let bystander = start(host).await;
    let keys = join_all((0..actors).map(|_| start_on(host, placement))).await;
    let mut times = Vec::new();
    let mut not_back = 0;
    for _ in 0..rounds {
        let crashes = Outcomes::default();
        let back = Outcomes::default();
        let going_on = Cell::new(true);
        let crash = async {
            join_all(keys.iter().map(|key| crashes.call(host, key, CRASH))).await;
            join_all(keys.iter().map(|key| back.call(host, key, ECHO))).await;
            going_on.set(false);
        };
        let stand_by = async {
            let counts = Outcomes::default();
            let mut times = Vec::new();
            let mut due = Instant::now();
            while going_on.get() {
                // Measured from the due time, so that a slow call does not hide the delay of the calls behind it.
                due += Duration::from_millis(1);
                tokio::time::sleep_until(due.into()).await;
                counts.call(host, &bystander, ECHO).await;
                times.push(due.elapsed());
            }
            assert_eq!(counts.answered.get(), times.len());
            times
        };
        let ((), waited) = join(crash, stand_by).await;
        assert_eq!(crashes.crashed.get(), actors);
        not_back += actors - back.answered.get();
        times.extend(waited);
    }
    join_all(keys.iter().chain([&bystander]).map(|key| host.stop_actor(key))).await;
    let what = format!("{actors} actors {place} crash, {rounds} times: ");
    let slow = Row {
        what: format!("{what}bystander's p99"),
        per_call: None,
        figure: percentile_99(times).as_secs_f64() * 1e3,
        unit: "ms",
        target: Some(Target::AtMost(20.0)),
    };
    vec![count(format!("{what}not back"), not_back), slow]
}

fn percentile_99(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[(times.len() - 1) * 99 / 100]
}

/// Returns a row for a number that should be zero.
fn count(what: String, figure: usize) -> Row {
    Row { what, per_call: None, figure: figure as f64, unit: "", target: Some(Target::AtMost(0.0)) }
}
