//! Host manifests: their contents, their errors, and their application.
//!
//! # Layout
//! - `files`: what is read from which files
//! - `formats`: YAML, JSON and TOML
//! - `differences`: plans, and applications that carry out only what differs
//! - `updates`: other revisions of what runs, and the way back
//! - `secrets`: secrets, which are shown nowhere
//! - `images`: actors and providers of a registry
//! - `commands`: `wasmcloud manifest`, `plan` and `apply`
//! - `examples`: the manifests of the examples, through their front doors

mod commands;
mod differences;
#[cfg(unix)]
mod examples;
mod files;
mod formats;
mod images;
mod secrets;
mod updates;

use std::collections::HashMap;
use std::path::PathBuf;

use tempfile::TempDir;
use wasmcloud_host::builtin::Extras;
use wasmcloud_host::{
    Error, ErrorKind, EventKind, Host, HostBuilder, HostManifest, LinkState, ManifestFailures, ManifestLink,
    ProviderArchive, Result, WasmCloudEntity,
};

use crate::plugins::built;
use crate::signing::{Signing, guest, in_repository, sign};
use crate::support::{PROBE, Probe, kind, soon, values, with_host, with_host_of};

const LOGGING: &str = "wasmcloud:logging";

/// A folder with a manifest and what it names.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// Writes a signed actor, and answers with its key.
    fn actor(&self, name: &str, signing: &Signing) -> String {
        self.write(name, signing.bytes());
        signing.actor().public_key()
    }

    /// A manifest that lies in here.
    fn manifest(&self, text: &str) -> Result<HostManifest> {
        HostManifest::from_path(self.write("host.yaml", text), false)
    }
}

/// The entries that failed, and how.
fn failures(error: &Error) -> Vec<(String, ErrorKind)> {
    let failures: &ManifestFailures = error.cause().unwrap().downcast_ref().unwrap();
    failures.entries().iter().map(|failure| (failure.entry.clone(), failure.error.kind())).collect()
}

/// What runs in a host and what is linked there, as numbers.
async fn counts(host: &Host) -> (usize, usize, usize) {
    let inventory = host.inventory().unwrap();
    (inventory.actors.len(), inventory.providers.len(), inventory.links.len())
}

#[actix_rt::test]
async fn seed_defect_31_labels_of_a_manifest_are_added_and_the_hosts_own_stay() {
    with_host_of(HostBuilder::new().with_shards(1).with_label("zone", "attic").with_label("row", "1"), async |host| {
        let own = host.labels().await;
        let labels = "labels: {zone: cellar, rack: 007, wet: true}";
        host.apply_manifest(HostManifest::from_yaml(labels).unwrap()).await.unwrap();
        let mut expected = own.clone();
        expected.extend(values(&[("zone", "cellar"), ("rack", "007"), ("wet", "true")]));
        assert_eq!(host.labels().await, expected);
        assert!(["os", "arch", "osfamily"].iter().all(|name| !expected[&format!("hostcore.{name}")].is_empty()));

        let labels = "labels: {hostcore.os: plan9, hostcore.color: red, zone: roof}";
        let refused = host.apply_manifest(HostManifest::from_yaml(labels).unwrap()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidManifest);
        let entries = ["labels.hostcore.color", "labels.hostcore.os"];
        assert_eq!(failures(&refused), entries.map(|entry| (entry.to_owned(), ErrorKind::InvalidArgument)));
        assert_eq!(host.labels().await, expected, "nothing of it was applied");
    })
    .await;
}

#[actix_rt::test]
async fn seed_defect_38_every_bad_entry_is_an_error_and_nothing_is_started_beside_it() {
    let folder = Folder::new();
    folder.actor("good.wasm", &sign("echo").alias("good"));
    folder.write("unsigned.wasm", guest("echo"));
    folder.write("nonsense.par", "nonsense");
    let manifest = folder.manifest(
        "
        labels: {zone: cellar}
        actors: [good.wasm, missing.wasm, unsigned.wasm, 'localhost:1/echo:1.0']
        capabilities:
          - image_ref: builtin:logging
          - image_ref: builtin:loging
          - image_ref: nonsense.par
          - image_ref: builtin:logging
            link_name: default
        links:
          - {actor: good, contract_id: 'wasmcloud:logging', provider_id: 'builtin:logging'}
          - {actor: good, contract_id: '', provider_id: 'builtin:logging'}
          - {actor: good, contract_id: 'wasmcloud:extras', provider_id: VNONSENSE}
        ",
    );
    with_host(async |host| {
        let refused = host.apply_manifest(manifest.unwrap()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidManifest);
        let expected = [
            ("capabilities[1] (builtin:loging)", ErrorKind::InvalidArgument),
            ("capabilities[2] (nonsense.par)", ErrorKind::InvalidArchive),
            ("capabilities[3] (builtin:logging)", ErrorKind::InvalidArgument),
            ("actors[1] (missing.wasm)", ErrorKind::Io),
            ("actors[2] (unsigned.wasm)", ErrorKind::Unsigned),
            ("actors[3] (localhost:1/echo:1.0)", ErrorKind::OciUnavailable),
            ("links[0] (good to wasmcloud:logging)", ErrorKind::CapabilityDenied),
            ("links[1] (good to )", ErrorKind::InvalidArgument),
            ("links[2] (good to wasmcloud:extras)", ErrorKind::InvalidArgument),
        ];
        assert_eq!(failures(&refused), expected.map(|(entry, kind)| (entry.to_owned(), kind)));
        let text = refused.to_string();
        assert!(expected.iter().all(|(entry, _)| text.contains(entry)), "{text}");
        assert!(text.contains("host.yaml") && text.contains("logging"), "{text}");
        assert_eq!(counts(&host).await, (0, 0, 0));
        assert!(!host.labels().await.contains_key("zone"));
    })
    .await;
}

#[test]
fn seed_defect_38_unknown_and_repeated_keys_are_errors_that_say_where() {
    let folder = Folder::new();
    for (text, key, place) in [
        ("labels: {}\nactor: [echo.wasm]\n", "actor ", "line 2, column 1"),
        ("capabilities:\n  - image_ref: a\n    linkname: b\n", "capabilities[0].linkname ", "line 3, column 5"),
        ("actors: []\nactors: []\n", "actors", "line 2, column 1"),
        ("links:\n  - actor: a\n    contract_id: b\n", "links[0].provider_id ", "line 2, column 5"),
    ] {
        let refused = folder.manifest(text).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidManifest);
        let refused = refused.to_string();
        assert!([key, place, "host.yaml"].iter().all(|part| refused.contains(part)), "{text}: {refused}");
    }
}

#[actix_rt::test]
async fn what_a_manifest_names_runs_and_is_linked() {
    let folder = Folder::new();
    let messenger = sign("messenger").alias("messenger").capability(LOGGING).capability(Extras::CONTRACT);
    let key = folder.actor("messenger.wasm", &messenger);
    let manifest = folder.manifest(&format!(
        "
        actors: [messenger.wasm]
        capabilities:
          - {{image_ref: 'builtin:logging', link_name: aside}}
        links:
          - {{actor: messenger, contract_id: 'wasmcloud:logging', provider_id: 'builtin:logging', link_name: aside,
              values: {{LEVEL: warn}}}}
          - {{actor: {key}, contract_id: 'wasmcloud:extras', provider_id: {}}}
        ",
        Extras::PUBLIC_KEY
    ));
    with_host(async |host| {
        host.apply_manifest(manifest.unwrap()).await.unwrap();
        assert_eq!(host.actors().await.unwrap(), std::slice::from_ref(&key));
        let established = Some(LinkState::Established);
        assert_eq!(host.link_state(&key, LOGGING, Some("aside")), established);
        assert_eq!(host.link_state(&key, Extras::CONTRACT, None), established);
        let definitions = host.link_definitions().await.unwrap();
        let of_logging = definitions.iter().find(|link| link.contract_id == LOGGING).unwrap();
        assert_eq!(of_logging.values, values(&[("LEVEL", "warn")]));
    })
    .await;
}

#[actix_rt::test]
async fn applying_again_leaves_alone_what_runs() {
    let folder = Folder::new();
    let key = folder.actor("messenger.wasm", &sign("messenger").alias("messenger").capability(LOGGING));
    let text = |level: &str| {
        format!(
            "
            actors: [messenger.wasm]
            capabilities: [{{image_ref: 'builtin:logging'}}]
            links:
              - actor: messenger
                contract_id: wasmcloud:logging
                provider_id: builtin:logging
                values: {{LEVEL: {level}}}
            "
        )
    };
    with_host(async |host| {
        let manifest = folder.manifest(&text("warn")).unwrap();
        host.apply_manifest(manifest.clone()).await.unwrap();
        let mut events = host.events();
        host.apply_manifest(manifest).await.unwrap();
        host.apply_manifest(folder.manifest(&text("error")).unwrap()).await.unwrap();
        // The one thing that has changed is the first thing that happens.
        let event = soon(events.next()).await.unwrap();
        assert!(matches!(event.kind, EventKind::Linked { .. }), "{event:?}");
        assert_eq!(host.link_definitions().await.unwrap()[0].values, values(&[("LEVEL", "error")]));
        host.stop_actor(&key).await.unwrap();
        let event = loop {
            match soon(events.next()).await.unwrap() {
                event if matches!(event.kind, EventKind::Linked { .. } | EventKind::Unlinked { .. }) => {}
                event => break event,
            }
        };
        assert_eq!(event.kind, EventKind::Stopped);

        // What was stopped runs again, with its link.
        host.apply_manifest(folder.manifest(&text("error")).unwrap()).await.unwrap();
        assert_eq!(host.actors().await.unwrap(), std::slice::from_ref(&key));
        assert_eq!(host.link_state(&key, LOGGING, None), Some(LinkState::Established));
    })
    .await;
}

#[actix_rt::test]
async fn what_fails_is_named_and_the_rest_runs() {
    let folder = Folder::new();
    let mut signing = sign("host_call").alias("caller").capability(PROBE);
    let key = folder.actor("caller.wasm", &signing);
    let echo = folder.actor("echo.wasm", &sign("echo"));
    with_host(async |host| {
        let capability = Probe::default().capability();
        let provider = capability.id();
        host.start_native_capability(capability).await.unwrap();
        let manifest = |refuse: &str| {
            folder.manifest(&format!(
                "
                actors: [caller.wasm, echo.wasm]
                capabilities: [{{image_ref: 'builtin:logging'}}]
                links:
                  - {{actor: caller, contract_id: 'test:probe', provider_id: {provider}, values: {{{refuse}}}}}
                "
            ))
        };
        let incomplete = host.apply_manifest(manifest("REFUSE: not today").unwrap()).await.unwrap_err();
        assert_eq!(incomplete.kind(), ErrorKind::ManifestIncomplete);
        assert_eq!(failures(&incomplete), [("links[0] (caller to test:probe)".to_owned(), ErrorKind::LinkRefused)]);
        let told = incomplete.to_string();
        assert_eq!(told.matches("not today").count(), 1, "the provider's reason is told, once: {told}");
        assert_eq!(told.matches(&key).count(), 1, "and so is the actor: {told}");
        assert_eq!(counts(&host).await, (2, 2, 0));

        host.apply_manifest(manifest("").unwrap()).await.unwrap();
        assert_eq!(host.link_state(&key, PROBE, None), Some(LinkState::Established));

        // Another revision takes no running actor's place, unless updates are enabled.
        signing.set_revision(2);
        folder.actor("caller.wasm", &signing);
        let refused = host.apply_manifest(manifest("").unwrap()).await.unwrap_err();
        assert_eq!(failures(&refused), [("actors[0] (caller.wasm)".to_owned(), ErrorKind::UpdateRefused)]);
        assert_eq!(host.inventory().unwrap().actors.iter().find(|actor| actor.key == key).unwrap().revision, 1);
        assert!(host.actors().await.unwrap().contains(&echo));
    })
    .await;
}

#[actix_rt::test]
async fn a_link_may_name_what_the_host_runs_already() {
    with_host(async |host| {
        let caller = sign("host_call").alias("caller").capability(PROBE).actor();
        let (key, capability) = (caller.public_key(), Probe::default().capability());
        let provider = capability.id();
        host.start_actor(caller).await.unwrap();
        let link = |actor: &str| {
            HostManifest::from_yaml(&format!(
                "links: [{{actor: {actor}, contract_id: '{PROBE}', provider_id: {provider}}}]"
            ))
        };
        let unknown = host.apply_manifest(link("caler").unwrap()).await.unwrap_err();
        assert_eq!(failures(&unknown), [("links[0] (caler to test:probe)".to_owned(), ErrorKind::ActorNotFound)]);

        host.apply_manifest(link("caller").unwrap()).await.unwrap();
        assert_eq!(host.link_state(&key, PROBE, None), Some(LinkState::Pending), "it waits for its provider");
        host.start_native_capability(capability).await.unwrap();
        assert_eq!(host.link_state(&key, PROBE, None), Some(LinkState::Established));
    })
    .await;
}

#[actix_rt::test]
async fn a_provider_comes_from_an_archive() {
    let folder = Folder::new();
    let archive = built::archive("test:plugin", built::tally(&[]));
    let provider = ProviderArchive::try_load(&archive).unwrap().claims().subject;
    folder.write("tally.par.gz", archive);
    let key = folder.actor("caller.wasm", &sign("host_call").alias("caller").capability("test:plugin"));
    let manifest = folder.manifest(
        "
        actors: [caller.wasm]
        capabilities: [{image_ref: tally.par.gz}]
        links: [{actor: caller, contract_id: 'test:plugin', provider_id: tally.par.gz}]
        ",
    );
    let manifest = manifest.unwrap();
    with_host(async |host| {
        soon(host.apply_manifest(manifest.clone())).await.unwrap();
        soon(host.apply_manifest(manifest.clone())).await.unwrap();
        assert_eq!(host.providers().await.unwrap()[0].id, provider);
        assert_eq!(host.link_state(&key, "test:plugin", None), Some(LinkState::Established));
    })
    .await;
}

#[actix_rt::test]
async fn no_entry_is_requested_twice() {
    let folder = Folder::new();
    let one = sign("echo").alias("echo").capability(LOGGING);
    let key = folder.actor("one.wasm", &one);
    folder.actor("again.wasm", &one);
    folder.actor("alias.wasm", &sign("echo").alias("echo"));
    let manifest = folder.manifest(&format!(
        "
        actors: [one.wasm, again.wasm, alias.wasm, one.wasm]
        capabilities:
          - image_ref: builtin:logging
          - image_ref: builtin:logging
            link_name: aside
          - image_ref: builtin:logging
            link_name: default
        links:
          - {{actor: echo, contract_id: 'wasmcloud:logging', provider_id: 'builtin:logging'}}
          - {{actor: echo, contract_id: 'wasmcloud:logging', provider_id: 'builtin:logging', link_name: aside}}
          - {{actor: {key}, contract_id: 'wasmcloud:logging', provider_id: 'builtin:logging', link_name: default}}
        "
    ));
    with_host(async |host| {
        let refused = host.apply_manifest(manifest.unwrap()).await.unwrap_err();
        let entries: Vec<String> = failures(&refused).into_iter().map(|(entry, _)| entry).collect();
        let expected = [
            "capabilities[2] (builtin:logging)",
            "actors[1] (again.wasm)",
            "actors[2] (alias.wasm)",
            "actors[3] (one.wasm)",
            "links[2] (KEY to wasmcloud:logging)",
        ];
        assert_eq!(entries, expected.map(|entry| entry.replace("KEY", &key)));
        assert!(refused.to_string().contains("as actors[0] (one.wasm)"), "{refused}");
    })
    .await;
}

#[actix_rt::test]
async fn manifests_at_the_same_time_are_applied_one_after_the_other() {
    let folder = Folder::new();
    folder.actor("echo.wasm", &sign("echo"));
    let manifest = folder.manifest("actors: [echo.wasm]\ncapabilities: [{image_ref: 'builtin:logging'}]").unwrap();
    with_host(async |host| {
        // From threads without a runtime, too.
        let applied = (0..8).map(|_| {
            let (host, manifest) = (host.clone(), manifest.clone());
            actix_rt::task::spawn_blocking(move || {
                std::thread::spawn(move || futures_executor::block_on(host.apply_manifest(manifest))).join().unwrap()
            })
        });
        let applied = soon(futures_util::future::join_all(applied)).await;
        assert!(applied.iter().all(|applied| matches!(applied, Ok(Ok(())))), "{applied:?}");
        assert_eq!(counts(&host).await, (1, 1, 0));
    })
    .await;
}

#[actix_rt::test]
async fn secrets_are_not_revealed() {
    let folder = Folder::new();
    let text = "
        links:
          - actor: a
            contract_id: 'test:probe'
            provider_id: VNONSENSE
            values: {PASSWORD: hunter2, TOKEN: '${TOKEN}'}
        ";
    let manifest = folder.manifest(text).unwrap();
    let expanded = manifest.clone().expand(|_| Some("hunter2".to_owned())).unwrap();
    assert_eq!(expanded.links[0].values["TOKEN"], "hunter2");
    with_host(async |host| {
        let refused = host.apply_manifest(expanded.clone()).await.unwrap_err();
        let unset = manifest.clone().expand(|_| None).unwrap_err();
        assert!(unset.to_string().contains("links[0].values.TOKEN") && unset.to_string().contains("TOKEN is not set"));
        for told in [format!("{expanded:?}"), format!("{refused} {refused:?}"), format!("{unset} {unset:?}")] {
            assert!(!told.contains("hunter2"), "{told}");
        }
        assert!(format!("{expanded:?}").contains("PASSWORD"));
    })
    .await;
}

#[actix_rt::test]
async fn a_host_that_does_not_run_applies_nothing() {
    let host = HostBuilder::new().with_shards(1).build();
    let manifest = HostManifest::from_yaml("labels: {zone: cellar}").unwrap();
    assert_eq!(kind(host.apply_manifest(manifest.clone()).await), ErrorKind::HostNotRunning);
    host.start().await.unwrap();
    host.stop().await;
    assert_eq!(kind(host.apply_manifest(manifest).await), ErrorKind::HostNotRunning);
    assert!(!host.labels().await.contains_key("zone"));
}

#[actix_rt::test]
async fn every_provider_that_comes_with_the_host_has_its_name() {
    let names = ["blobstore", "extras", "httpclient", "httpserver", "keyvalue", "logging", "messaging"];
    let capabilities: Vec<String> = names.iter().map(|name| format!("{{image_ref: 'builtin:{name}'}}")).collect();
    let manifest = HostManifest::from_yaml(&format!("capabilities: [{}]", capabilities.join(", "))).unwrap();
    with_host(async |host| {
        host.apply_manifest(manifest).await.unwrap();
        let providers = host.providers().await.unwrap();
        let contracts: HashMap<String, String> =
            providers.into_iter().map(|provider| (provider.contract_id, provider.id)).collect();
        let documented = include_str!("../../src/manifest.rs");
        for name in names {
            let row = |line: &&str| line.contains(&format!("| `builtin:{name}` |"));
            let row = documented.lines().find(row).unwrap();
            assert!(row.contains(&contracts[&format!("wasmcloud:{name}")]), "{row}");
        }
    })
    .await;
}

#[actix_rt::test]
async fn a_manifest_can_be_made_by_a_program() {
    let mut manifest = HostManifest::default();
    manifest.actors.push(in_repository("fixtures/guests/echo.wasm").display().to_string().into());
    manifest.links.push(ManifestLink { actor: "echo".to_owned(), ..Default::default() });
    with_host(async |host| {
        let refused = host.apply_manifest(manifest).await.unwrap_err();
        assert_eq!(failures(&refused)[0].1, ErrorKind::Unsigned);
        assert!(refused.to_string().starts_with("the manifest cannot be applied"), "{refused}");
    })
    .await;
}

#[actix_rt::test]
async fn a_manifest_says_how_its_actors_run() {
    let folder = Folder::new();
    let (echo, spin) = (folder.actor("echo.wasm", &sign("wasmbus_echo")), folder.actor("spin.wasm", &sign("spin")));
    let text = |instances: usize| {
        format!(
            "
            actors:
              - {{image_ref: echo.wasm, instances: {instances}, placement: spread}}
              - image_ref: spin.wasm
                limits: {{call_deadline: 50ms}}
                restart: {{restart: temporary}}
            "
        )
    };
    with_host(async |host| {
        for instances in [3, 3, 2] {
            host.apply_manifest(folder.manifest(&text(instances)).unwrap()).await.unwrap();
            let inventory = host.inventory().unwrap();
            assert_eq!(inventory.actors.iter().find(|actor| actor.key == echo).unwrap().instances, instances);
        }
        let mut events = host.monitor(WasmCloudEntity::Actor(spin.clone()));
        assert_eq!(kind(soon(host.call_actor(&spin, "Spin", b"")).await), ErrorKind::DeadlineExceeded);
        let gone = soon(async {
            while !matches!(events.next().await.unwrap().kind, EventKind::Failed { .. }) {}
            true
        });
        assert!(gone.await, "one that is temporary is not restarted");

        // Nothing that cannot be is begun.
        let text = "capabilities: [{image_ref: 'builtin:logging', isolation: process}]";
        let refused = host.apply_manifest(HostManifest::from_yaml(text).unwrap()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidManifest);
        assert!(refused.to_string().contains("run in its process"), "{refused}");
    })
    .await;
}
