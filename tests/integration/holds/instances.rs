//! How guests end, and begin: a crash that is repeated holds nobody up, and neither does an instance with much in it.

use std::time::Instant;

use wasmcloud_host::{Actor, ErrorKind, Host, HostBuilder};

use super::{DEADLINE, Figures, Held, IMPORTS, beside, shortest};
use crate::signing::sign_module;
use crate::support::with_host_of;

/// Starts a guest and calls it as often as there is time for; each time, it crashes and is replaced.
async fn measure_crashes(host: &Host, figures: &mut Figures, what: &str, module: Vec<u8>, ends: ErrorKind) {
    let actor = sign_module("under measurement", module).actor();
    let [start, crashes, stop] = shortest(async || crash_for_a_while(host, what, actor.clone(), ends).await).await;
    figures.add(format!("{what}: start"), start);
    figures.add(format!("{what}: crashes"), crashes);
    figures.add(format!("{what}: stop"), stop);
}

/// Returns how long the shard was held by an actor's start, by its crashes, and by its stop.
async fn crash_for_a_while(host: &Host, what: &str, actor: Actor, ends: ErrorKind) -> [Held; 3] {
    let key = actor.public_key();
    let (started, start) = beside(host.start_actor(actor)).await;
    started.unwrap_or_else(|error| panic!("{what}: {error}"));
    let ((), crashes) = beside(async {
        let (begin, mut calls) = (Instant::now(), 0);
        while calls < 2 || begin.elapsed() < DEADLINE {
            let ended = host.call_actor(&key, "Any", b"").await;
            assert_eq!(ended.map_err(|error| error.kind()), Err(ends), "{what}");
            calls += 1;
        }
    })
    .await;
    let (stopped, stop) = beside(host.stop_actor(&key)).await;
    stopped.unwrap();
    [start, crashes, stop]
}

fn crashing(parts: &str, code: &str) -> Vec<u8> {
    let text = format!(
        r#"(module {IMPORTS} {parts}
            (func (export "__guest_call") (param i32 i32) (result i32) (local $i i32) {code} (i32.const 1)))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

#[actix_rt::test]
async fn guests_that_crash() {
    with_host_of(HostBuilder::new().with_shards(1), async |host| {
        let mut figures = Figures::new("crashes");
        let memory = r#"(memory (export "memory") 4096)"#;
        let fill = "(memory.fill (i32.const 0) (i32.const 1) (i32.const 0x10000000)) unreachable";
        let touch = "(loop $again
            (i32.store (local.get $i) (i32.const 1))
            (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4096))) (i32.const 0x10000000))))
            unreachable";
        let respond = "(call $guest_response (i32.const 0) (i32.const 0x4000000)) unreachable";
        for (what, code) in [("touches 256 MiB", touch), ("fills 256 MiB", fill), ("answers 64 MiB", respond)] {
            measure_crashes(&host, &mut figures, what, crashing(memory, code), ErrorKind::ActorTrapped).await;
        }
        measure_crashes(&host, &mut figures, "traps", crashing(memory, "unreachable"), ErrorKind::ActorTrapped).await;
        figures.judge();
    })
    .await;
}

#[actix_rt::test]
async fn guests_of_many_parts() {
    with_host_of(HostBuilder::new().with_shards(1), async |host| {
        let mut figures = Figures::new("instances");
        for (what, parts) in [
            ("60 MiB of data", data_of(60 * 1024 * 1024)),
            ("10,000 scattered data segments", scattered(10_000)),
            ("60,000 scattered data segments", scattered(60_000)),
            ("10,000 passive data segments", small(&r#"(data "x")"#.repeat(10_000))),
            ("10,000 globals", small(&"(global (mut i64) (i64.const 1))".repeat(10_000))),
            ("4,998 exports", small(&numbered(4_998, |number| format!(r#"(export "{number}" (func $empty))"#)))),
            ("20,000 functions", small(&"(func)".repeat(20_000))),
            ("a table with 100,000 elements", small(&full_table())),
            ("390,000 passive elements", small(&format!("(elem func {})", "$empty ".repeat(390_000)))),
        ] {
            measure_crashes(&host, &mut figures, what, crashing(&parts, "unreachable"), ErrorKind::ActorTrapped).await;
        }
        measure_crashes(&host, &mut figures, "1,000 imports", many_imports(), ErrorKind::ActorTrapped).await;
        figures.judge();
    })
    .await;
}

#[actix_rt::test]
async fn modules_that_declare_too_much_are_refused() {
    with_host_of(HostBuilder::new().with_shards(1), async |host| {
        // The engine looks at all of a table that something is put into. The imports have a table of nine.
        let elements = format!("(table 100000 100000 funcref) {}", elements(2_000).repeat(5));
        for (what, parts) in [
            ("declares 900000 globals; the limit is 10000", small(&"(global i32 (i32.const 0))".repeat(900_000))),
            ("visits 510018 elements of tables, 400000 are allowed", small(&elements)),
        ] {
            let actor = sign_module("too large", crashing(&parts, "unreachable")).actor();
            let refused = host.start_actor(actor).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidModule);
            assert!(refused.to_string().contains(what), "{refused}");
        }
    })
    .await;
}

#[actix_rt::test]
async fn data_beyond_the_memory_is_refused_wherever_it_is_written() {
    with_host_of(HostBuilder::new().with_shards(1), async |host| {
        let beyond = r#"(data (i32.const 0x10000000) "x")"#;
        for before in [0, 100] {
            let actor = sign_module("too large", crashing(&(scattered(before) + beyond), "unreachable")).actor();
            assert_eq!(host.start_actor(actor).await.unwrap_err().kind(), ErrorKind::InvalidModule);
        }
    })
    .await;
}

fn small(parts: &str) -> String {
    format!(r#"(memory (export "memory") 1) (func $empty) {parts}"#)
}

fn numbered(count: usize, part: impl Fn(usize) -> String) -> String {
    (0..count).map(part).collect()
}

fn many_imports() -> Vec<u8> {
    let imports = r#"(import "wapc" "__guest_request" (func (param i32 i32)))"#.repeat(1000);
    let call = r#"(func (export "__guest_call") (param i32 i32) (result i32) unreachable)"#;
    wat::parse_str(format!("(module {imports} {} {call})", small(""))).unwrap()
}

fn elements(count: usize) -> String {
    format!("(elem (table 1) (i32.const 0) func {})", "$empty ".repeat(count))
}

fn full_table() -> String {
    // The table of the imports is the first one.
    format!("(table 100000 100000 funcref) {}", elements(100_000))
}

fn data_of(bytes: usize) -> String {
    format!(r#"(memory (export "memory") 4096) (data (i32.const 16) "{}")"#, "x".repeat(bytes))
}

fn scattered(count: usize) -> String {
    let segments: String = (0..count).map(|number| format!(r#"(data (i32.const {}) "x")"#, number * 4096)).collect();
    format!(r#"(memory (export "memory") 4096) {segments}"#)
}
