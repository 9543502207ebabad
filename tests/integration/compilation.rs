//! Compilation: what it costs, whom it keeps waiting, and what it holds.

mod cost;
mod shapes;

use std::pin::pin;

use futures_util::future::join_all;
use futures_util::poll;
use wasmcloud_host::{ErrorKind, HostBuilder, Limits};

use crate::signing::{sign, sign_module};
use crate::support::{kind, run_in, soon, until, with_host, with_host_of, with_tested_compiler};
use shapes::{calls, guest_with_a_long_function};

/// A function of so many calls takes the compiler far longer than all the rest of these tests.
const LONG: usize = 8000;

/// Whether a module is being compiled in this process.
fn compiles() -> bool {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.into_iter().any(|name| name.trim_end() == "wasm-compiler")
}

#[test]
#[cfg(target_os = "linux")]
fn neither_a_hosts_stop_nor_the_end_of_its_system_waits_for_a_compiler() {
    const MARK: &str = "WASMCLOUD_TEST_COMPILING_AT_THE_END";
    const NAME: &str = "compilation::neither_a_hosts_stop_nor_the_end_of_its_system_waits_for_a_compiler";
    if std::env::var_os(MARK).is_none() {
        return run_in(std::process::Command::new(std::env::current_exe().unwrap()).env(MARK, "1"), NAME);
    }
    let system = actix_rt::System::new();
    system.block_on(async {
        let host = HostBuilder::new().with_shards(1).build();
        host.start().await.unwrap();
        let actor = sign_module("long", guest_with_a_long_function(LONG)).actor();
        let mut start = pin!(host.start_actor(actor));
        until(async || poll!(start.as_mut()).is_pending() && compiles()).await;
        soon(host.stop()).await;
        assert_eq!(kind(soon(start).await), ErrorKind::HostNotRunning);
        assert!(compiles(), "the compiler was done before the host was");
    });
    drop(system);
    assert!(compiles(), "the end of the system waited for the compiler");
}

#[actix_rt::test]
async fn a_small_module_starts_while_many_large_ones_are_compiled() {
    with_host(async |host| {
        let large: Vec<_> = (0..9).map(|number| guest_with_a_long_function(LONG + number)).collect();
        let greedy = sign("tiny_echo");
        let large = large.into_iter().map(|module| sign_module("large", module).issued_like(&greedy).actor());
        let mut all_large = pin!(join_all(large.map(|actor| host.start_actor(actor))));
        until(async || poll!(all_large.as_mut()).is_pending() && compiles()).await;
        // One of the same issuer, and one of another.
        for small in [greedy.actor(), sign("echo").actor()] {
            let key = small.public_key();
            soon(host.start_actor(small)).await.unwrap();
            assert!(poll!(all_large.as_mut()).is_pending());
            assert_eq!(host.call_actor(&key, "Echo", b"x").await.unwrap(), b"x");
        }
        soon(host.stop()).await;
        for started in all_large.await {
            // Singlepass may be done with some of them before the host's period of grace is over.
            let quick = std::env::var("WASMCLOUD_TEST_COMPILER").is_ok_and(|compiler| compiler == "singlepass");
            assert!((quick && started.is_ok()) || kind(started) == ErrorKind::HostNotRunning);
        }
    })
    .await;
}

#[actix_rt::test]
async fn what_would_take_too_much_memory_to_compile_is_refused_with_the_figures() {
    with_host(async |host| {
        // A megabyte of calls. Seven took more than five gigabytes.
        let refused = host.start_actor(sign_module("calls", calls(500_000)).actor()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidModule);
        let text = refused.to_string();
        assert!(text.contains("MiB of memory, 768 are allowed") && text.contains("largest function"), "{text}");
    })
    .await;
    let limits = Limits::new().compile_memory_bytes(64 * 1024 * 1024);
    with_host_of(HostBuilder::new().with_limits(limits), async |host| {
        let large = sign_module("large", guest_with_a_long_function(2000)).actor();
        let refused = host.start_actor(large).await.unwrap_err();
        assert!(refused.to_string().contains("24 are allowed"), "{refused}");
        host.start_actor(sign("echo").actor()).await.unwrap();
    })
    .await;
}

#[actix_rt::test]
async fn a_compilation_that_is_given_up_leaves_its_place_to_others() {
    // The code of one module takes eight mappings, an actor some more.
    let limits = Limits::new().compile_deadline(std::time::Duration::from_millis(30)).mappings(30);
    let host = with_tested_compiler(HostBuilder::new().with_limits(limits)).build();
    host.start().await.unwrap();
    let long = sign_module("long", guest_with_a_long_function(LONG)).actor();
    for _ in 0..3 {
        assert_eq!(kind(host.start_actor(long.clone()).await), ErrorKind::DeadlineExceeded);
    }
    let small = sign("tiny_echo").actor();
    until(async || host.start_actor(small.clone()).await.is_ok()).await;
    soon(host.stop()).await;
}
