//! No guest holds its shard for long: not by what it calls, not by what it executes, not by how it ends, and not by what it
//! is made of.
//!
//! What is measured is the processor time of the shard's thread between two turns of a bystander there, so what other threads
//! and processes do does not matter. The figures are printed; `--no-capture` shows them.
//!
//! # Layout
//! - `imports`: every function of the waPC interface, called directly and through a table
//! - `operations`: every operation that takes more than a moment
//! - `instances`: how guests end, and begin

mod imports;
mod instances;
mod operations;

use std::time::Duration;

use cpu_time::ThreadTime;
use wasmcloud_host::{ErrorKind, Host, HostBuilder};

use crate::signing::sign_module;
use crate::support::{soon, with_host_of};

/// How long a guest is called at most.
const DEADLINE: Duration = Duration::from_millis(400);

/// The longest that a shard may be held, in processor time. On an idle machine with optimised code it is 5 ms. The host's own
/// code is not optimised here, and the operating system takes longer to give memory while the machine is loaded.
const LONGEST: Duration = Duration::from_millis(15);

/// How often something is measured until it holds the shard for a short time. Page faults and interrupts count as processor
/// time of the thread, and a loaded machine prolongs single ones at random. What holds a shard by itself does so every time.
const ROUNDS: usize = 4;

/// How long a shard was held.
#[derive(Debug, Default, Clone, Copy)]
struct Held {
    longest: Duration,
    /// How often the bystander had its turn.
    turns: usize,
}

/// Has a bystander take its turns beside some work on this shard, and answers with what came of the work and how long the
/// bystander had to wait at most.
async fn beside<T>(work: impl Future<Output = T>) -> (T, Held) {
    let mut held = Held::default();
    let bystander = async {
        loop {
            let begin = ThreadTime::now();
            tokio::task::yield_now().await;
            held.longest = held.longest.max(begin.elapsed());
            held.turns += 1;
        }
    };
    let done = soon(async {
        tokio::select! {
            // The bystander first: so it sees what comes before the end.
            biased;
            () = bystander => unreachable!("it goes on for ever"),
            done = work => done,
        }
    });
    (done.await, held)
}

/// Measures until every part of the work holds the shard for a short time, and returns the shortest hold of each part.
async fn shortest<const PARTS: usize>(mut measure: impl AsyncFnMut() -> [Held; PARTS]) -> [Held; PARTS] {
    let mut shortest = measure().await;
    for _ in 1..ROUNDS {
        if shortest.iter().all(|held| held.longest <= LONGEST) {
            break;
        }
        let again = measure().await;
        for (held, again) in shortest.iter_mut().zip(again) {
            if again.longest < held.longest {
                *held = again;
            }
        }
    }
    shortest
}

/// Runs a test with a host whose only shard is this thread.
async fn with_one_shard(test: impl AsyncFnOnce(Host)) {
    with_host_of(HostBuilder::new().with_shards(1).with_call_deadline(DEADLINE), test).await;
}

/// What was measured, for one table, which is printed as it is filled.
struct Figures {
    rows: Vec<(String, Held)>,
}

impl Figures {
    fn new(title: &'static str) -> Figures {
        println!("{title:<60} {:>12} {:>9}", "longest hold", "turns");
        Figures { rows: Vec::new() }
    }

    /// Adds a row to the table, and prints it.
    fn add(&mut self, what: impl Into<String>, held: Held) {
        let what = what.into();
        println!("{what:<60} {:>9.2} ms {:>9}", held.longest.as_secs_f64() * 1e3, held.turns);
        self.rows.push((what, held));
    }

    /// Fails where a shard was held for too long.
    fn judge(self) {
        let too_long: Vec<_> = self.rows.iter().filter(|(_, held)| held.longest > LONGEST).collect();
        assert!(too_long.is_empty(), "held for too long: {too_long:?}");
    }
}

/// Starts a module in text form, and answers with its key.
async fn start(host: &Host, text: &str) -> String {
    let module = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"));
    let actor = sign_module("under measurement", module).actor();
    let key = actor.public_key();
    host.start_actor(actor).await.unwrap();
    key
}

/// Starts a guest, calls it, and has the figures tell how long that held the shard. The call ends as it should.
async fn measure(host: &Host, figures: &mut Figures, what: &str, text: &str, message: &[u8], ends: ErrorKind) {
    let key = start(host, text).await;
    let [held] = shortest(async || {
        let mut call = std::pin::pin!(host.call_actor(&key, "Any", message));
        // The caller copies its message in one step, wherever it is.
        assert!(futures_util::poll!(&mut call).is_pending(), "{what}");
        let (ended, held) = beside(call).await;
        let kind = ended.map(|answer| answer.len()).map_err(|error| error.kind());
        assert_eq!(kind, Err(ends), "{what}");
        [held]
    })
    .await;
    figures.add(what, held);
    host.stop_actor(&key).await.unwrap();
}

/// The imports of a guest, in a table as well, with types to call them by.
const IMPORTS: &str = r#"
    (type $none (func))
    (type $one (func (param i32)))
    (type $two (func (param i32 i32)))
    (type $length (func (result i32)))
    (type $call (func (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wapc" "__guest_request" (func $guest_request (type $two)))
    (import "wapc" "__guest_response" (func $guest_response (type $two)))
    (import "wapc" "__guest_error" (func $guest_error (type $two)))
    (import "wapc" "__console_log" (func $console_log (type $two)))
    (import "wapc" "__host_response_len" (func $host_response_len (type $length)))
    (import "wapc" "__host_response" (func $host_response (type $one)))
    (import "wapc" "__host_error_len" (func $host_error_len (type $length)))
    (import "wapc" "__host_error" (func $host_error (type $one)))
    (import "wapc" "__host_call" (func $host_call (type $call)))
    (table $imports 9 9 funcref)
    (elem (i32.const 0) $guest_request $guest_response $guest_error $console_log $host_response_len $host_response
        $host_error_len $host_error $host_call)"#;

/// A guest with the largest memory there may be that does something once, and something else until it is ended.
fn guest(parts: &str, once: &str, again: &str) -> String {
    format!(
        r#"(module {IMPORTS}
            (memory (export "memory") 4096 4096)
            {parts}
            (func (export "__guest_call") (param i32 i32) (result i32) (local $i i32) (local $x i64) (local $v v128)
                {once}
                (loop $again {again} (br $again))
                (i32.const 1)))"#
    )
}
