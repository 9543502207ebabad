//! Guests with large single steps delay no other guest, and end at their deadline like any other.

use std::time::Duration;

use cpu_time::ThreadTime;
use wasmcloud_host::{ErrorKind, Host, HostBuilder};

use crate::signing::{sign, sign_module};
use crate::support::{kind, soon, with_host_of};

const DEADLINE: Duration = Duration::from_millis(800);

/// How long the one shard, which is this thread, may be busy before it answers a bystander, but for the slowest of its calls.
/// It is the thread's own time, of which other programs take nothing. A step that is not broken up takes several times as
/// long.
const SHORT: Duration = Duration::from_millis(25);

/// Calls a guest that never answers, and a bystander on its shard until the guest has ended.
async fn runs_beside_others(host: &Host, text: &str) {
    let actor = sign_module("takes large steps", wat::parse_str(text).unwrap()).actor();
    let greedy = actor.public_key();
    host.start_actor(actor).await.unwrap();
    let actor = sign("tiny_echo").actor();
    let bystander = actor.public_key();
    host.start_actor(actor).await.unwrap();
    let mut latencies = Vec::new();
    let meanwhile = async {
        loop {
            let begin = ThreadTime::now();
            assert_eq!(host.call_actor(&bystander, "Echo", b"x").await.unwrap(), b"x");
            latencies.push(begin.elapsed());
            tokio::task::yield_now().await;
        }
    };
    let ended = soon(async {
        tokio::select! {
            ended = host.call_actor(&greedy, "Any", b"") => ended,
            () = meanwhile => unreachable!("it goes on for ever"),
        }
    });
    assert_eq!(kind(ended.await), ErrorKind::DeadlineExceeded);
    latencies.sort();
    let most = latencies[latencies.len() * 97 / 100];
    println!("{} calls, 97 of 100 in {most:?}, all in {:?}", latencies.len(), latencies.last());
    assert!(latencies.len() > 30 && most < SHORT, "{} calls, 97 of 100 in {most:?}", latencies.len());
}

async fn with_one_shard(test: impl AsyncFnOnce(Host)) {
    with_host_of(HostBuilder::new().with_shards(1).with_call_deadline(DEADLINE), test).await;
}

#[actix_rt::test]
async fn a_guest_with_very_long_code_between_its_loops() {
    // A division takes about as long as it is taken to: a function of these stays below what would be paid by itself.
    let divisions = "(global.set $number (i64.div_u (global.get $number) (global.get $one)))".repeat(16);
    let calls = "call $divides ".repeat(200_000);
    let module = format!(
        r#"(module
            (memory (export "memory") 1)
            (global $number (mut i64) (i64.const -1))
            (global $one (mut i64) (i64.const 1))
            (func $divides {divisions})
            (func (export "__guest_call") (param i32 i32) (result i32) (loop {calls} (br 0)) (i32.const 1)))"#
    );
    with_one_shard(async |host| runs_beside_others(&host, &module).await).await;
}

#[actix_rt::test]
async fn a_guest_that_works_on_most_of_its_memory_at_once() {
    for operation in [
        "(memory.fill (i32.const 0) (i32.const 1) (i32.const 209715200))",
        "(memory.copy (i32.const 1) (i32.const 0) (i32.const 209715200))",
    ] {
        let module = format!(
            r#"(module
                (memory (export "memory") 3300)
                (func (export "__guest_call") (param i32 i32) (result i32) (loop {operation} (br 0)) (i32.const 1)))"#
        );
        with_one_shard(async |host| runs_beside_others(&host, &module).await).await;
    }
}
