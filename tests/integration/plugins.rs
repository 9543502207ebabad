//! Native plugins: libraries in Rust and C, from signed archives, in the host's process and in processes of their own.

#[path = "../support/plugins.rs"]
pub(crate) mod built;
mod connection;
mod crashes;
mod orphans;
mod seed;
mod trust;

use std::path::PathBuf;
use std::time::Duration;

use wasmcloud_host::{
    ActorOptions, ErrorKind, Health, Host, HostBuilder, Isolation, NativeCapability, PluginProcess, ProviderArchive,
    Result, WasmCloudEntity,
};

use crate::signing::sign;
use crate::support::{host_answer, host_call, in_own_process, keep_log, kind, logged, soon, until, values, with_host};

/// The contract of the plugins.
const PLUGIN: &str = "test:plugin";

/// A process of the stock binary.
pub(crate) fn apart() -> PluginProcess {
    PluginProcess::of(env!("CARGO_BIN_EXE_wasmcloud")).argument("plugin-host")
}

fn both() -> [Isolation; 2] {
    [Isolation::InProcess, Isolation::Process(apart())]
}

fn plugin(library: Vec<u8>, isolation: Isolation) -> NativeCapability {
    let archive = ProviderArchive::try_load(&built::archive(PLUGIN, library)).unwrap();
    NativeCapability::from_archive_isolated(&archive, None, isolation).unwrap()
}

/// An actor that calls a plugin.
struct Caller {
    host: Host,
    actor: String,
    provider: String,
}

impl Caller {
    /// Starts a plugin, and an actor with so many instances that is linked to it.
    async fn start(host: &Host, capability: NativeCapability, instances: usize, link: &[(&str, &str)]) -> Caller {
        let provider = capability.id();
        soon(host.start_native_capability(capability)).await.unwrap();
        Caller::link(host, provider, instances, link).await
    }

    async fn link(host: &Host, provider: String, instances: usize, link: &[(&str, &str)]) -> Caller {
        let actor = sign("host_call").capability(PLUGIN).actor();
        let key = actor.public_key();
        host.start_actor_with(actor, ActorOptions::new().instances(instances)).await.unwrap();
        soon(host.set_link(&key, PLUGIN, None, provider.clone(), values(link))).await.unwrap();
        Caller { host: host.clone(), actor: key, provider }
    }

    /// What the plugin answers, or the text of the refusal.
    async fn call(&self, operation: &str, message: &[u8]) -> Result<Vec<u8>, String> {
        let payload = host_call("", PLUGIN, operation, message);
        host_answer(&soon(self.host.call_actor(&self.actor, "Any", &payload)).await.unwrap())
    }

    async fn text(&self, operation: &str, message: &str) -> String {
        String::from_utf8(self.call(operation, message.as_bytes()).await.unwrap()).unwrap()
    }

    async fn stop_provider(&self) {
        soon(self.host.stop_provider(&self.provider, PLUGIN, None)).await.unwrap();
    }
}

#[actix_rt::test]
async fn a_plugin_in_rust_serves_calls_wherever_it_runs() {
    for isolation in both() {
        with_host(async |host| {
            let caller = Caller::start(&host, plugin(built::mischief(), isolation), 1, &[("A", "1")]).await;
            assert_eq!(caller.call("Echo", b"x").await.unwrap(), b"x");
            assert_eq!(caller.call("Echo", b"").await.unwrap(), b"");
            let large = vec![7; 1024 * 1024];
            assert_eq!(caller.call("Echo", &large).await.unwrap(), large);
            let refusal = caller.call("Fail", "no\nway".as_bytes()).await.unwrap_err();
            assert!(refusal.contains("no\\nway"), "{refusal}");
            assert_eq!(caller.text("Values", "").await, r#"Some({"A": "1"})"#);
            let left: u64 = caller.text("Left", "").await.parse().unwrap();
            assert!((20_000..=30_000).contains(&left), "{left}");
            let ours = std::process::id().to_string() == caller.text("Process", "").await;
            assert_eq!(ours, caller.call("Environment", b"CARGO_MANIFEST_DIR").await.is_ok());
            host.remove_link(&caller.actor, PLUGIN, None).await.unwrap();
            assert!(caller.call("Echo", b"x").await.unwrap_err().contains("no link"));
        })
        .await;
    }
}

#[actix_rt::test]
async fn a_plugin_in_c_serves_calls_wherever_it_runs() {
    for isolation in both() {
        with_host(async |host| {
            let caller = Caller::start(&host, plugin(built::tally(&[]), isolation), 2, &[("BEGIN", "40")]).await;
            let other = Caller::link(&host, caller.provider.clone(), 1, &[]).await;
            assert_eq!(caller.text("Add", "2").await, "42");
            assert_eq!(other.text("Add", "1").await, "1", "links are told apart");
            let refusal = caller.call("Multiply", b"2").await.unwrap_err();
            assert!(refusal.contains("tally adds, and calls back"), "{refusal}");
            let back = host_call("", PLUGIN, "Add", b"1");
            assert_eq!(host_answer(&caller.call("CallBack", &back).await.unwrap()).unwrap(), b"43");
            let values = values(&[("BEGIN", "7")]);
            host.set_link(&caller.actor, PLUGIN, None, caller.provider.clone(), values).await.unwrap();
            assert_eq!(caller.text("Add", "0").await, "7");
        })
        .await;
    }
}

#[actix_rt::test]
async fn a_plugin_calls_the_actors_that_are_linked_to_it() {
    for isolation in both() {
        with_host(async |host| {
            let caller = Caller::start(&host, plugin(built::mischief(), isolation), 2, &[]).await;
            let back = host_call("", PLUGIN, "Echo", b"there and back");
            for operation in ["CallBack", "CallBackLater", "CallOutside"] {
                let answer = caller.call(operation, &back).await.unwrap();
                assert_eq!(host_answer(&answer).unwrap(), b"there and back", "{operation}");
            }
        })
        .await;
    }
}

#[actix_rt::test]
async fn every_call_of_a_flood_is_answered() {
    for isolation in both() {
        with_host(async |host| {
            let caller = Caller::start(&host, plugin(built::mischief(), isolation), 2, &[]).await;
            assert_eq!(caller.text("Flood", "").await, "5000");
            assert_eq!(caller.call("Echo", b"x").await.unwrap(), b"x");
        })
        .await;
    }
}

#[actix_rt::test]
async fn seed_defect_19_a_plugin_that_calls_back_the_waiting_actor_is_told_so_at_once() {
    for isolation in both() {
        with_host(async |host| {
            let caller = Caller::start(&host, plugin(built::mischief(), isolation), 1, &[]).await;
            for operation in ["CallBack", "CallBackLater"] {
                let refusal = caller.call(operation, b"").await.unwrap_err();
                assert!(refusal.contains("waits for this call already"), "{operation}: {refusal}");
            }
        })
        .await;
    }
}

#[actix_rt::test]
async fn seed_defect_05_a_plugin_cannot_speak_for_somebody_else() {
    for isolation in both() {
        with_host(async |host| {
            let caller = Caller::start(&host, plugin(built::mischief(), isolation.clone()), 2, &[]).await;
            let stranger = plugin(built::mischief(), isolation);
            host.start_native_capability(stranger.clone()).await.unwrap();
            // The link of the one is none of the other's: its calls pass as its own, whatever it says.
            host.set_link(&caller.actor, PLUGIN, None, stranger.id(), values(&[])).await.unwrap();
            let link = host.link_definitions().await.unwrap();
            assert_eq!(link.len(), 1);
            assert_eq!(link[0].provider_id, stranger.id());
            let back = host_call("", PLUGIN, "Echo", b"x");
            assert!(caller.call("CallOutside", &back).await.is_ok());
            host.remove_link(&caller.actor, PLUGIN, None).await.unwrap();
            assert!(caller.call("CallOutside", &back).await.unwrap_err().contains("no link"));
        })
        .await;
    }
}

#[actix_rt::test]
async fn a_link_that_a_plugin_refuses_is_refused() {
    for isolation in both() {
        with_host(async |host| {
            let caller = Caller::start(&host, plugin(built::mischief(), isolation), 1, &[("A", "1")]).await;
            let refusing = values(&[("REFUSE", "not today")]);
            let refusal =
                host.set_link(&caller.actor, PLUGIN, None, caller.provider.clone(), refusing).await.unwrap_err();
            assert_eq!(refusal.kind(), ErrorKind::LinkRefused);
            assert!(refusal.to_string().contains("not today"), "{refusal}");
            assert_eq!(caller.text("Values", "").await, r#"Some({"A": "1"})"#, "what was before is still in effect");
        })
        .await;
    }
}

#[actix_rt::test]
async fn what_a_plugin_logs_is_on_the_log_of_the_host() {
    keep_log();
    for isolation in both() {
        with_host(async |host| {
            let capability = plugin(built::mischief(), isolation);
            let id = capability.id();
            host.start_native_capability(capability).await.unwrap();
            until(async || logged().iter().any(|line| line.contains(&id) && line.contains("mischief begins"))).await;
            soon(host.stop_provider(&id, PLUGIN, None)).await.unwrap();
            until(async || logged().iter().any(|line| line.contains(&id) && line.contains("mischief ends"))).await;
        })
        .await;
    }
}

#[actix_rt::test]
async fn a_library_that_is_no_plugin_for_this_host_is_refused_before_it_is_called() {
    for isolation in both() {
        with_host(async |host| {
            let refusal = async |library| {
                let capability = plugin(library, isolation.clone());
                soon(host.start_native_capability(capability)).await.unwrap_err().to_string()
            };
            assert!(refusal(b"no library at all".to_vec()).await.contains("cannot be opened as a shared library"));
            assert!(refusal(built::stranger()).await.contains("does not export `wasmcloud_provider`"));
            assert!(refusal(built::tally(&["WRONG_MAGIC"])).await.contains("magic"));
            assert!(refusal(built::tally(&["WRONG_VERSION"])).await.contains("it has version 2 of the interface"));
            assert!(refusal(built::tally(&["SMALL_TABLE"])).await.contains("its table has 24 bytes"));
            assert!(refusal(built::tally(&["NULL_FUNCTION"])).await.contains("lacks a function"));
            assert!(refusal(built::tally(&["REFUSES"])).await.contains("it does not feel like it"));
            assert!(refusal(built::tally(&["NOTHING_MADE"])).await.contains("it returned no provider"));
            assert!(host.providers().await.unwrap().is_empty());
        })
        .await;
    }
}

#[actix_rt::test]
async fn a_plugin_that_does_not_answer_has_failed() {
    for isolation in both() {
        with_host(async |host| {
            let caller = Caller::start(&host, plugin(built::tally(&["SILENT"]), isolation), 1, &[]).await;
            assert!(caller.call("Add", b"1").await.unwrap_err().contains("it did not answer"));
        })
        .await;
    }
}

#[actix_rt::test]
async fn an_archive_without_a_library_for_this_machine_names_those_it_has() {
    let archive = ProviderArchive::builder("elsewhere", PLUGIN, "test").target("pdp11-unix", b"code".to_vec());
    let signed = archive.sign(&nkeys::KeyPair::new_account(), &nkeys::KeyPair::new_service()).unwrap();
    let archive = ProviderArchive::try_load(&signed).unwrap();
    let refusal = NativeCapability::from_archive(&archive, None).unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::TargetMissing);
    assert!(refusal.to_string().contains("pdp11-unix"), "{refusal}");
}

#[test]
fn seed_defect_08_what_is_opened_is_a_private_copy_of_what_was_verified() {
    // Whatever lies where the seed would have looked is nothing to this host, and nothing is left behind.
    in_own_process("plugins::seed_defect_08_what_is_opened_is_a_private_copy_of_what_was_verified", async || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let apart = apart().environment("TMPDIR", &path);
        with_host(async |host| {
            let library = built::mischief();
            let archive = ProviderArchive::try_load(&built::archive(PLUGIN, library)).unwrap();
            for entry in ["wasmcloudcache", "wasmcloud-plugin-"] {
                std::fs::create_dir(path.join(entry)).unwrap();
                std::fs::write(path.join(entry).join("provider"), b"planted").unwrap();
            }
            let isolation = Isolation::Process(apart);
            let capability = NativeCapability::from_archive_isolated(&archive, None, isolation).unwrap();
            let caller = Caller::start(&host, capability, 1, &[]).await;
            assert_eq!(caller.call("Echo", b"x").await.unwrap(), b"x");
            let mut left: Vec<PathBuf> = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
            left.sort();
            assert_eq!(left, [path.join("wasmcloud-plugin-"), path.join("wasmcloudcache")]);
        })
        .await;
    });
}

#[actix_rt::test]
async fn seed_defect_39_a_plugin_is_dropped_before_its_library_is_gone() {
    for isolation in both() {
        with_host(async |host| {
            let folder = tempfile::tempdir().unwrap();
            let trace = folder.path().join("trace");
            let link = [("TRACE", trace.to_str().unwrap())];
            let caller = Caller::start(&host, plugin(built::mischief(), isolation), 1, &link).await;
            assert_eq!(caller.call("Echo", b"x").await.unwrap(), b"x");
            caller.stop_provider().await;
            until(async || std::fs::read(&trace).is_ok()).await;
            assert_eq!(std::fs::read(&trace).unwrap(), b"dropped\n");
        })
        .await;
    }
}

#[test]
fn a_process_keeps_nothing_of_the_hosts_environment_that_it_need_not_have() {
    in_own_process("plugins::a_process_keeps_nothing_of_the_hosts_environment_that_it_need_not_have", async || {
        with_host(async |host| {
            let isolation = Isolation::Process(apart().environment("GIVEN", "yes"));
            let caller = Caller::start(&host, plugin(built::mischief(), isolation), 1, &[]).await;
            assert_eq!(caller.text("Environment", "GIVEN").await, "yes");
            assert!(caller.call("Environment", b"PATH").await.is_ok());
            // Set for the process that this test runs in.
            assert!(std::env::var("WASMCLOUD_TEST_IN_OWN_PROCESS").is_ok());
            assert!(caller.call("Environment", b"WASMCLOUD_TEST_IN_OWN_PROCESS").await.is_err());
            assert_eq!(caller.text("Standard", "").await, "", "the line to the host is not to be found");
        })
        .await;
    });
}

#[actix_rt::test]
async fn a_program_that_is_no_process_for_plugins_is_told_apart_from_one() {
    with_host(async |host| {
        let refusal = async |program: &str, arguments: &[&str]| {
            let process = PluginProcess::of(program);
            let process = arguments.iter().fold(process, |process, argument| process.argument(argument));
            let capability = plugin(built::tally(&[]), Isolation::Process(process));
            soon(host.start_native_capability(capability)).await.unwrap_err()
        };
        let missing = refusal("/no/such/program", &[]).await;
        assert_eq!(missing.kind(), ErrorKind::Io);
        assert!(missing.to_string().contains("install the binary `wasmcloud`"), "{missing}");
        assert_eq!(refusal("true", &[]).await.kind(), ErrorKind::ProviderDied);
        // It sends back what it is sent.
        let echoing = refusal("sh", &["-c", "cat >&0"]).await;
        assert_eq!(echoing.kind(), ErrorKind::ProviderDied);
        assert!(echoing.to_string().contains("a frame"), "{echoing}");
    })
    .await;
}

#[actix_rt::test]
async fn the_other_end_of_the_line_is_a_host_or_nothing() {
    let run = tokio::process::Command::new(env!("CARGO_BIN_EXE_wasmcloud"))
        .arg("plugin-host")
        .stdin(std::process::Stdio::null())
        .output();
    let run = soon(run).await.unwrap();
    assert!(!run.status.success());
    assert!(String::from_utf8_lossy(&run.stderr).contains("cannot run a plugin"), "{run:?}");
}

#[actix_rt::test]
async fn plugins_are_asked_how_they_are() {
    for isolation in both() {
        with_host(async |host| {
            let caller = Caller::start(&host, plugin(built::mischief(), isolation), 1, &[]).await;
            let entity = WasmCloudEntity::Capability {
                id: caller.provider.clone(),
                contract_id: PLUGIN.to_owned(),
                link_name: "default".to_owned(),
            };
            assert_eq!(soon(host.health_of(entity)).await.unwrap(), Health::Healthy);
        })
        .await;
    }
}

/// A host whose calls have to be quick.
fn hasty() -> HostBuilder {
    HostBuilder::new().with_shards(2).with_call_deadline(Duration::from_millis(400))
}

#[actix_rt::test]
async fn a_plugin_runs_once_under_a_link_name() {
    with_host(async |host| {
        let capability = plugin(built::tally(&[]), Isolation::InProcess);
        host.start_native_capability(capability.clone()).await.unwrap();
        assert_eq!(kind(host.start_native_capability(capability).await), ErrorKind::ProviderAlreadyRunning);
    })
    .await;
}
