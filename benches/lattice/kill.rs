//! Kills one of two hosts that serve an actor for 64 callers.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use wasmcloud_host::{Actor, Host, LatticeOptions};

use crate::hosts::{builder, join, knows, lattice, on_own_thread};
use crate::processes::{Process, say, setting, wait_for_the_end};
use crate::recorder::{self, CONTRACT, Recorder, record};
use crate::server::NatsServer;
use crate::support::{Row, Target, is_real_run};

/// The role of a host that is killed.
pub(crate) const ROLE: &str = "served";

const CALLERS: usize = 64;

/// How long the server may take to notice that a host has ended. Calls that begin later are not in flight on it.
const NOTICED: Duration = Duration::from_millis(50);

/// How long a call may take until it counts as hanging.
const HANGS: Duration = Duration::from_secs(30);

/// Runs a host with the actor until the benchmark ends.
pub(crate) async fn serve() {
    let host = join(builder(), options(&setting("URL"))).await;
    let actor = std::fs::read(setting("ACTOR")).expect("the actor is there");
    host.start_actor(Actor::from_slice(&actor).expect("it is signed")).await.expect("the actor starts");
    say("ready");
    wait_for_the_end();
}

fn options(url: &str) -> LatticeOptions {
    lattice(url).heartbeat_interval(Duration::from_millis(500))
}

/// What became of the calls.
#[derive(Default)]
struct Tally {
    offered: AtomicU64,
    answered: Mutex<Vec<u64>>,
    failed: Mutex<Vec<Failure>>,
    hanging: AtomicU64,
}

struct Failure {
    begun: Instant,
    reason: String,
}

/// Returns the rows of this section.
pub(crate) async fn rows() -> Vec<Row> {
    let (kills, spell) = if is_real_run() { (5, Duration::from_secs(3)) } else { (1, Duration::from_millis(300)) };
    let server = NatsServer::start();
    let folder = tempfile::tempdir().expect("a folder");
    let module = recorder::calling_actor();
    let actor = recorder::key_of(&module);
    let path = folder.path().join("actor.wasm");
    std::fs::write(&path, &module).expect("the actor can be written");
    let front = join(builder().with_call_deadline(Duration::from_secs(10)), options(&server.url())).await;
    let recorder = Recorder::default();
    let provider = recorder.start_on(&front).await;
    front.set_link(&actor, CONTRACT, None, provider, HashMap::new()).await.expect("the link is set");
    let mut served = [start_host(&server, &path), start_host(&server, &path)];

    let tally = Arc::new(Tally::default());
    let mut late = 0;
    let mut most = 0;
    for round in 0..kills {
        knows(&front, &actor, 2).await;
        linked(&front, &actor, round as u64).await;
        let before = tally.failed.lock().expect("no holder panics").len();
        let is_over = Arc::new(AtomicBool::new(false));
        let calling =
            tokio::task::spawn_local(call_until(front.clone(), actor.clone(), tally.clone(), is_over.clone()));
        actix_rt::time::sleep(spell).await;
        let victim = &mut served[round % 2];
        victim.kill();
        let killed = Instant::now();
        actix_rt::time::sleep(spell).await;
        is_over.store(true, Ordering::Relaxed);
        calling.await.expect("the callers end");
        let failed = tally.failed.lock().expect("no holder panics");
        let of_round = &failed[before..];
        late += of_round.iter().filter(|failure| failure.begun > killed + NOTICED).count();
        most = most.max(of_round.len());
        println!("kill {}: {} calls failed: {:?}", round + 1, of_round.len(), reasons(of_round));
        drop(failed);
        *victim = start_host(&server, &path);
    }
    let table = table(&tally, &recorder, kills, late, most);
    front.stop().await;
    table
}

fn table(tally: &Tally, recorder: &Recorder, kills: usize, late: usize, most: usize) -> Vec<Row> {
    let offered = tally.offered.load(Ordering::Relaxed);
    let answered = tally.answered.lock().expect("no holder panics");
    let failed = tally.failed.lock().expect("no holder panics").len();
    let neither = offered as i64 - answered.len() as i64 - failed as i64;
    let row = |what: &str, figure, most| Row {
        what: format!("{kills} x kill -9 of one of two hosts: {what}"),
        per_call: None,
        figure,
        unit: "",
        target: Some(Target::AtMost(most)),
    };
    vec![
        row(&format!("{offered} offered, {} answered, {failed} failed: neither", answered.len()), neither as f64, 0.0),
        row("calls that hang", tally.hanging.load(Ordering::Relaxed) as f64, 0.0),
        row("executed twice", recorder.duplicates() as f64, 0.0),
        row("answered and not executed", recorder.missing(&answered) as f64, 0.0),
        row("failed although begun after the kill", late as f64, 0.0),
        row("failed in flight, at the worst kill", most as f64, CALLERS as f64),
    ]
}

fn reasons(failed: &[Failure]) -> BTreeMap<String, usize> {
    let mut reasons = BTreeMap::new();
    for failure in failed {
        // Subjects and keys differ.
        *reasons.entry(failure.reason.chars().take(200).collect()).or_default() += 1;
    }
    reasons
}

/// Starts a host in a process of its own.
fn start_host(server: &NatsServer, actor: &Path) -> Process {
    let path = actor.to_str().expect("the path is text");
    let mut process = Process::start(ROLE, &[("URL", &server.url()), ("ACTOR", path)]);
    assert_eq!(process.line(), "ready");
    process
}

/// Waits until the link of the actor is in effect on both of its hosts.
async fn linked(front: &Host, actor: &str, round: u64) {
    let begin = Instant::now();
    let mut in_a_row = 0;
    let mut failures = 0;
    let mut last = String::new();
    for attempt in 0.. {
        let number = u64::MAX - (round << 32) - attempt;
        match record(front, actor, number).await {
            Ok(()) => in_a_row += 1,
            Err(reason) => {
                in_a_row = 0;
                failures += 1;
                last = reason;
                actix_rt::time::sleep(Duration::from_millis(1)).await;
            }
        }
        if in_a_row == 64 {
            break;
        }
        assert!(begin.elapsed() < HANGS, "the link is not in effect on both hosts: {last}");
    }
    println!("the link is in effect on both hosts after {:?} and {failures} failed calls", begin.elapsed());
}

/// Keeps 64 callers busy.
async fn call_until(front: Host, actor: String, tally: Arc<Tally>, is_over: Arc<AtomicBool>) {
    on_own_thread(async move || {
        let caller = async || {
            while !is_over.load(Ordering::Relaxed) {
                let number = tally.offered.fetch_add(1, Ordering::Relaxed);
                let begun = Instant::now();
                match tokio::time::timeout(HANGS, record(&front, &actor, number)).await {
                    Ok(Ok(())) => tally.answered.lock().expect("no holder panics").push(number),
                    Ok(Err(reason)) => {
                        tally.failed.lock().expect("no holder panics").push(Failure { begun, reason });
                    }
                    Err(_) => {
                        tally.hanging.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        };
        join_all((0..CALLERS).map(|_| caller())).await;
    })
    .await;
}
