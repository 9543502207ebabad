//! Plugins that crash, hang and leak.

use std::time::Duration;

use futures_util::future::{join, join_all};
use wasmcloud_host::{
    ActorOptions, ChildState, Event, EventKind, Events, HostBuilder, Isolation, PluginProcess, WasmCloudEntity,
};

use super::{Caller, PLUGIN, apart, both, built, hasty, plugin};
use crate::signing::sign;
use crate::support::{host_call, in_own_process, soon, until, values, with_host, with_host_of};

/// Waits until a provider was made anew.
pub(super) async fn restarted(events: &mut Events) -> Event {
    soon(async {
        loop {
            let event = events.next().await.unwrap();
            let provider = matches!(event.entity, WasmCloudEntity::Capability { .. });
            if provider && matches!(event.kind, EventKind::Restarted { .. }) {
                return event;
            }
        }
    })
    .await
}

pub(super) fn lives(process: &str) -> bool {
    // One that has ended and was not waited for yet is as good as gone.
    let status = std::fs::read_to_string(format!("/proc/{process}/stat"));
    status.is_ok_and(|status| !status.contains(") Z"))
}

#[actix_rt::test]
async fn a_panic_costs_the_call_and_has_the_plugin_made_anew_with_its_links() {
    for isolation in both() {
        with_host(async |host| {
            let caller = Caller::start(&host, plugin(built::mischief(), isolation), 1, &[("A", "1")]).await;
            let mut events = host.events();
            for _ in 0..3 {
                let refusal = caller.call("Panic", b"").await.unwrap_err();
                assert!(refusal.contains("the provider panicked: deliberate panic"), "{refusal}");
                restarted(&mut events).await;
                assert_eq!(caller.text("Values", "").await, r#"Some({"A": "1"})"#);
            }
        })
        .await;
    }
}

#[actix_rt::test]
async fn whatever_a_plugin_does_in_its_own_process_costs_a_restart_and_nothing_else() {
    for (operation, cause) in [("Crash", "SIGSEGV"), ("Abort", "SIGABRT"), ("LeakMemory", "SIGABRT")] {
        let small = apart().memory_limit(256 * 1024 * 1024);
        with_host(async |host| {
            let caller =
                Caller::start(&host, plugin(built::mischief(), Isolation::Process(small)), 1, &[("A", "1")]).await;
            let bystander = Caller::start(&host, plugin(built::tally(&[]), Isolation::InProcess), 1, &[]).await;
            let (mut events, first) = (host.events(), caller.text("Process", "").await);
            let (crashed, counted) = join(caller.call(operation, b""), bystander.call("Add", b"1")).await;
            let refusal = crashed.unwrap_err();
            assert!(refusal.contains("died") && refusal.contains(cause), "{operation}: {refusal}");
            assert_eq!(counted.unwrap(), b"1");
            restarted(&mut events).await;
            assert_eq!(caller.text("Values", "").await, r#"Some({"A": "1"})"#, "its links are told to it again");
            let second = caller.text("Process", "").await;
            assert_ne!(first, second);
            caller.stop_provider().await;
            until(async || !lives(&first) && !lives(&second)).await;
        })
        .await;
    }
}

#[actix_rt::test]
async fn an_exception_does_not_cross_into_the_host() {
    with_host(async |host| {
        let caller = Caller::start(&host, plugin(built::throwing(), Isolation::Process(apart())), 1, &[]).await;
        let mut events = host.events();
        let refusal = caller.call("Any", b"").await.unwrap_err();
        assert!(refusal.contains("died") && refusal.contains("SIGABRT"), "{refusal}");
        restarted(&mut events).await;
    })
    .await;
}

#[actix_rt::test]
async fn a_plugin_that_is_killed_while_it_is_idle_comes_back() {
    with_host(async |host| {
        let caller = Caller::start(&host, plugin(built::mischief(), Isolation::Process(apart())), 1, &[]).await;
        let (mut events, process) = (host.events(), caller.text("Process", "").await);
        let killed = tokio::process::Command::new("kill").args(["-9", &process]).status().await.unwrap();
        assert!(killed.success());
        restarted(&mut events).await;
        assert_ne!(caller.text("Process", "").await, process);
    })
    .await;
}

#[actix_rt::test]
async fn a_call_that_never_ends_is_given_up_and_its_process_replaced() {
    for operation in ["Block", "Spin"] {
        with_host_of(hasty(), async |host| {
            let caller = Caller::start(&host, plugin(built::mischief(), Isolation::Process(apart())), 2, &[]).await;
            let (mut events, process) = (host.events(), caller.text("Process", "").await);
            let payload = host_call("", PLUGIN, operation, b"");
            let stuck = host.call_actor(&caller.actor, "Any", &payload);
            assert!(soon(stuck).await.is_err());
            restarted(&mut events).await;
            until(async || !lives(&process)).await;
            assert_eq!(caller.call("Echo", b"x").await.unwrap(), b"x");
        })
        .await;
    }
}

#[actix_rt::test]
async fn a_call_that_never_ends_in_the_hosts_process_holds_up_nobody_else() {
    with_host_of(hasty(), async |host| {
        let caller = Caller::start(&host, plugin(built::mischief(), Isolation::InProcess), 2, &[]).await;
        let payload = host_call("", PLUGIN, "Block", b"");
        assert!(soon(host.call_actor(&caller.actor, "Any", &payload)).await.is_err());
        assert_eq!(caller.call("Echo", b"x").await.unwrap(), b"x");
        caller.stop_provider().await;
    })
    .await;
}

#[actix_rt::test]
async fn files_that_a_process_leaks_are_its_own() {
    with_host(async |host| {
        let apart = apart().open_files(64);
        let caller = Caller::start(&host, plugin(built::mischief(), Isolation::Process(apart)), 1, &[]).await;
        let leaked: usize = caller.text("LeakFiles", "").await.parse().unwrap();
        assert!((1..64).contains(&leaked), "{leaked}");
        assert_eq!(caller.call("Echo", b"x").await.unwrap(), b"x");
        let process = caller.text("Process", "").await;
        caller.stop_provider().await;
        until(async || !lives(&process)).await;
    })
    .await;
}

#[test]
fn in_the_hosts_process_a_segmentation_fault_ends_the_process_and_nothing_hangs() {
    use std::os::unix::process::ExitStatusExt;

    const NAME: &str = "plugins::crashes::in_the_hosts_process_a_segmentation_fault_ends_the_process_and_nothing_hangs";
    if std::env::var_os("WASMCLOUD_TEST_CRASHES").is_some() {
        return actix_rt::System::new().block_on(with_host(async |host| {
            let caller = Caller::start(&host, plugin(built::mischief(), Isolation::InProcess), 1, &[]).await;
            let _ = caller.call("Crash", b"").await;
        }));
    }
    let own = std::env::current_exe().unwrap();
    let run =
        std::process::Command::new(own).args(["--exact", NAME]).env("WASMCLOUD_TEST_CRASHES", "1").output().unwrap();
    assert_eq!(run.status.signal(), Some(11), "{run:?}");
}

#[test]
fn a_process_ends_with_its_host_however_that_ends() {
    const NAME: &str = "plugins::crashes::a_process_ends_with_its_host_however_that_ends";
    if let Some(told) = std::env::var_os("WASMCLOUD_TEST_ENDS") {
        return actix_rt::System::new().block_on(with_host(async |host| {
            let caller = Caller::start(&host, plugin(built::mischief(), Isolation::Process(apart())), 1, &[]).await;
            std::fs::write(told, caller.text("Process", "").await).unwrap();
            std::process::abort();
        }));
    }
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("process");
    let own = std::env::current_exe().unwrap();
    let run =
        std::process::Command::new(own).args(["--exact", NAME]).env("WASMCLOUD_TEST_ENDS", &told).output().unwrap();
    assert!(!run.status.success());
    let process = std::fs::read_to_string(told).unwrap();
    actix_rt::System::new().block_on(until(async || !lives(&process)));
}

#[test]
fn a_host_that_is_stopped_leaves_no_process_behind() {
    in_own_process("plugins::crashes::a_host_that_is_stopped_leaves_no_process_behind", async || {
        let mut process = String::new();
        with_host(async |host| {
            let caller = Caller::start(&host, plugin(built::mischief(), Isolation::Process(apart())), 1, &[]).await;
            process = caller.text("Process", "").await;
            assert!(lives(&process));
        })
        .await;
        until(async || !lives(&process)).await;
    });
}

/// A process that is killed a few milliseconds after its start, the first times that it is started.
fn short_lived(folder: &std::path::Path, times: usize, after: &str) -> PluginProcess {
    let (program, count) = (env!("CARGO_BIN_EXE_wasmcloud"), folder.join("starts"));
    let count = count.display();
    // Killed by a child of its own, which does not have the line to the host.
    let script = format!(
        "echo >> {count}; if [ $(wc -l < {count}) -le {times} ]; then (sleep {after}; kill -9 $$) </dev/null >/dev/null 2>&1 & \
         fi; exec {program} plugin-host"
    );
    PluginProcess::of("/bin/sh").argument("-c").argument(script)
}

#[actix_rt::test]
async fn a_process_that_dies_early_on_a_busy_shard_is_never_taken_for_one_that_runs() {
    for after in ["0.01", "0.03", "0.1"] {
        let busy = HostBuilder::new().with_shards(1).with_stop_grace(Duration::from_millis(100));
        with_host_of(busy, async |host| {
            let folder = tempfile::tempdir().unwrap();
            let capability = plugin(built::mischief(), Isolation::Process(short_lived(folder.path(), 3, after)));
            // Guests that compute have their turns before each step of whatever the host does on this shard.
            let spin = sign("spin").actor();
            let spinning = spin.public_key();
            host.start_actor_with(spin, ActorOptions::new().instances(16)).await.unwrap();
            let compute = join_all((0..16).map(|_| host.call_actor(&spinning, "Spin", b"")));
            let provider = async {
                // A process that dies before its start is done fails the start.
                while soon(host.start_native_capability(capability.clone())).await.is_err() {}
                let actor = sign("host_call").capability(PLUGIN).actor();
                let (host, actor, provider) = (host.clone(), (actor.public_key(), actor), capability.id());
                host.start_actor(actor.1).await.unwrap();
                let caller = Caller { host: host.clone(), actor: actor.0, provider };
                // One that dies while it is told of a link refuses the link.
                let link =
                    async || host.set_link(&caller.actor, PLUGIN, None, caller.provider.clone(), values(&[])).await;
                until(async || link().await.is_ok()).await;
                until(async || caller.call("Echo", b"x").await.is_ok_and(|answer| answer == b"x")).await;
                assert_eq!(host.inventory().unwrap().providers[0].state, ChildState::Running);
                host.stop_actor(&spinning).await.unwrap();
            };
            join(compute, provider).await;
        })
        .await;
    }
}
