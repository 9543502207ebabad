//! What plugins leave behind: processes that hold the line to the host, or have left session and group.

use wasmcloud_host::{EventKind, Isolation};

use super::crashes::{lives, restarted};
use super::{Caller, apart, built, plugin};
use crate::support::{soon, until, with_host};

/// The numbers of a plugin's process and of what it has left running.
async fn with_descendants(caller: &Caller) -> Vec<String> {
    let mut processes = vec![caller.text("Process", "").await];
    for operation in ["Fork", "Fork", "Daemon", "Daemon"] {
        processes.push(caller.text(operation, "").await);
    }
    assert!(processes.iter().all(|process| lives(process)), "{processes:?}");
    processes
}

async fn none_lives(processes: &[String]) {
    until(async || !processes.iter().any(|process| lives(process))).await;
}

fn mischief() -> wasmcloud_host::NativeCapability {
    plugin(built::mischief(), Isolation::Process(apart()))
}

#[actix_rt::test]
async fn a_crash_is_noticed_while_a_descendant_holds_the_line() {
    with_host(async |host| {
        let caller = Caller::start(&host, mischief(), 1, &[]).await;
        for (operation, cause) in [("Abort", "SIGABRT"), ("Crash", "SIGSEGV")] {
            let (mut events, processes) = (host.events(), with_descendants(&caller).await);
            let refusal = caller.call(operation, b"").await.unwrap_err();
            assert!(refusal.contains("died") && refusal.contains(cause), "{refusal}");
            restarted(&mut events).await;
            none_lives(&processes).await;
        }
    })
    .await;
}

#[actix_rt::test]
async fn descendants_end_with_the_provider_and_with_the_host() {
    let mut processes = Vec::new();
    with_host(async |host| {
        let caller = Caller::start(&host, mischief(), 1, &[]).await;
        let of_stopped = with_descendants(&caller).await;
        caller.stop_provider().await;
        none_lives(&of_stopped).await;
        let caller = Caller::start(&host, mischief(), 1, &[]).await;
        processes = with_descendants(&caller).await;
    })
    .await;
    none_lives(&processes).await;
}

#[actix_rt::test]
async fn descendants_of_a_process_that_is_stuck_end_with_it() {
    crate::support::with_host_of(super::hasty(), async |host| {
        let caller = Caller::start(&host, mischief(), 2, &[]).await;
        let (mut events, processes) = (host.events(), with_descendants(&caller).await);
        assert!(
            soon(host.call_actor(&caller.actor, "Any", &crate::support::host_call("", super::PLUGIN, "Spin", b"")))
                .await
                .is_err()
        );
        restarted(&mut events).await;
        none_lives(&processes).await;
    })
    .await;
}

#[test]
fn descendants_end_with_a_host_that_is_killed() {
    const NAME: &str = "plugins::orphans::descendants_end_with_a_host_that_is_killed";
    if let Some(told) = std::env::var_os("WASMCLOUD_TEST_KILLED") {
        return actix_rt::System::new().block_on(with_host(async |host| {
            let caller = Caller::start(&host, mischief(), 2, &[]).await;
            // No thread that waits for the host may be in the plugin's hands.
            caller.call("BlockAnswer", b"").await.unwrap();
            let processes = with_descendants(&caller).await;
            std::fs::write(told, processes.join(" ")).unwrap();
            let own = std::process::id().to_string();
            tokio::process::Command::new("kill").args(["-9", &own]).status().await.unwrap();
            std::future::pending::<()>().await;
        }));
    }
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("processes");
    let own = std::env::current_exe().unwrap();
    let run =
        std::process::Command::new(own).args(["--exact", NAME]).env("WASMCLOUD_TEST_KILLED", &told).output().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&run.status), Some(9), "{run:?}");
    let processes: Vec<String> = std::fs::read_to_string(told).unwrap().split(' ').map(str::to_owned).collect();
    assert_eq!(processes.len(), 5);
    actix_rt::System::new().block_on(none_lives(&processes));
}

#[actix_rt::test]
async fn descendants_that_end_before_the_plugin_are_reaped() {
    with_host(async |host| {
        let caller = Caller::start(&host, mischief(), 1, &[]).await;
        for _ in 0..5 {
            let process = caller.text("ShortLived", "").await;
            until(async || !std::path::Path::new(&format!("/proc/{process}")).exists()).await;
        }
        assert_eq!(caller.call("Echo", b"x").await.unwrap(), b"x");
    })
    .await;
}

#[actix_rt::test]
async fn a_plugin_that_kills_the_process_above_it_ends_with_that() {
    with_host(async |host| {
        let caller = Caller::start(&host, mischief(), 1, &[]).await;
        let (mut events, process) = (host.events(), caller.text("Process", "").await);
        let refusal = caller.call("KillParent", b"").await.unwrap_err();
        assert!(refusal.contains("died") && refusal.contains("SIGKILL"), "{refusal}");
        assert!(matches!(restarted(&mut events).await.kind, EventKind::Restarted { .. }));
        until(async || !lives(&process)).await;
        assert_eq!(caller.call("Echo", b"x").await.unwrap(), b"x");
    })
    .await;
}
