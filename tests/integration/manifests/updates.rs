//! Other revisions of what runs: live updates, probations, and the way back.

use std::time::Duration;

use nkeys::KeyPair;
use wasmcloud_host::{
    ApplyOptions, ErrorKind, EventKind, HostBuilder, LinkState, PlanAction, ProviderArchive, StepResult,
    WasmCloudEntity,
};

use super::{Folder, failures};
use crate::plugins::built;
use crate::signing::{guest, sign, sign_module};
use crate::support::{kind, soon, with_host, with_host_of};

fn updatable() -> HostBuilder {
    HostBuilder::new().with_shards(2).enable_live_updates()
}

/// Checks the health of a new revision once, and no more.
fn at_once() -> ApplyOptions {
    ApplyOptions::new().probation(Duration::ZERO)
}

/// A guest that is healthy, and that traps in any other operation.
fn fragile() -> Vec<u8> {
    trapping("(i32.ne (local.get $operation) (i32.const 13))")
}

/// A guest that traps in all operations for which a condition holds.
fn trapping(condition: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(module
            (import "wapc" "__guest_response" (func $response (param i32 i32)))
            (memory (export "memory") 1)
            (func (export "__guest_call") (param $operation i32) (param i32) (result i32)
                (if {condition} (then (unreachable)))
                (call $response (i32.const 0) (i32.const 0))
                (i32.const 1)))"#
    ))
    .unwrap()
}

#[actix_rt::test]
async fn another_revision_replaces_the_running_one() {
    let folder = Folder::new();
    let mut signing = sign("tiny_echo").alias("echo");
    let key = folder.actor("echo.wasm", &signing);
    with_host_of(updatable(), async |host| {
        let manifest = folder.manifest("actors: [{image_ref: echo.wasm, instances: 2}]").unwrap();
        host.apply_manifest(manifest.clone()).await.unwrap();
        signing.set_revision(2);
        folder.actor("echo.wasm", &signing);
        let mut events = host.monitor(WasmCloudEntity::Actor(key.clone()));
        let plan = host.plan_manifest(manifest.clone(), at_once()).await.unwrap();
        assert_eq!(plan.steps.len(), 1);
        assert_eq!((plan.steps[0].action, plan.steps[0].to.as_deref()), (PlanAction::Update, Some("revision 2")));
        let outcome = host.apply_manifest_with(manifest.clone(), at_once()).await.unwrap();
        assert!(outcome.is_complete(), "{outcome}");
        assert_eq!(soon(events.next()).await.unwrap().kind, EventKind::Updated { from: 1, to: 2 });
        let inventory = host.inventory().unwrap();
        assert_eq!((inventory.actors[0].revision, inventory.actors[0].instances), (2, 2));
        assert!(host.plan_manifest(manifest.clone(), at_once()).await.unwrap().is_empty());

        // A lower revision, and other code under the same revision, are refused while nothing has changed yet.
        for revision in [1, 2] {
            let other = sign_module("other", guest("echo")).issued_like(&signing).revision(revision);
            let other = other.claims(|claims| claims.subject.clone_from(&signing.claims.subject));
            folder.actor("echo.wasm", &other);
            let refused = host.apply_manifest_with(manifest.clone(), at_once()).await.unwrap_err();
            assert_eq!(failures(&refused), [("actors[0] (echo.wasm)".to_owned(), ErrorKind::UpdateRefused)]);
        }
        assert_eq!(host.call_actor("echo", "Any", b"ping").await.unwrap(), b"ping");
    })
    .await;
}

#[actix_rt::test]
async fn updates_that_are_not_enabled_are_refused_before_anything_changes() {
    let folder = Folder::new();
    let mut signing = sign("tiny_echo");
    folder.actor("echo.wasm", &signing);
    with_host(async |host| {
        host.apply_manifest(folder.manifest("actors: [echo.wasm]").unwrap()).await.unwrap();
        signing.set_revision(2);
        folder.actor("echo.wasm", &signing);
        let manifest = folder.manifest("labels: {zone: cellar}\nactors: [echo.wasm]").unwrap();
        let refused = host.plan_manifest(manifest.clone(), at_once()).await.unwrap_err();
        assert_eq!(failures(&refused), [("actors[0] (echo.wasm)".to_owned(), ErrorKind::UpdateRefused)]);
        assert!(refused.to_string().contains("enable_live_updates"), "{refused}");
        assert_eq!(kind(host.apply_manifest(manifest).await), ErrorKind::InvalidManifest);
        assert!(!host.labels().await.contains_key("zone"));
        assert_eq!(host.inventory().unwrap().actors[0].revision, 1);
    })
    .await;
}

#[actix_rt::test]
async fn an_unhealthy_revision_is_rolled_back_and_the_rest_is_applied() {
    let folder = Folder::new();
    let signing = sign("tiny_echo").alias("echo");
    let key = folder.actor("echo.wasm", &signing);
    folder.actor("other.wasm", &sign("tiny_echo"));
    with_host_of(updatable(), async |host| {
        host.apply_manifest(folder.manifest("actors: [{image_ref: echo.wasm, instances: 3}]").unwrap()).await.unwrap();
        folder.actor("echo.wasm", &signing.module(trapping("(i32.const 1)")).revision(2));
        let manifest = folder.manifest("actors: [echo.wasm, other.wasm]").unwrap();
        let mut events = host.monitor(WasmCloudEntity::Actor(key.clone()));
        let outcome = soon(host.apply_manifest_with(manifest.clone(), at_once())).await.unwrap();
        let StepResult::RolledBack { reason } = &outcome.steps[0].result else { panic!("{outcome}") };
        assert!(reason.contains("unhealthy"), "{reason}");
        assert_eq!(outcome.steps[1].result, StepResult::Done, "{outcome}");
        assert!(outcome.to_string().contains("rolled back: it is unhealthy"), "{outcome}");
        let told = loop {
            if let EventKind::UpdateRolledBack { from, to, reason } = soon(events.next()).await.unwrap().kind {
                break (from, to, reason);
            }
        };
        assert_eq!(told, (2, 1, reason.clone()));
        let inventory = host.inventory().unwrap();
        let actor = inventory.actors.iter().find(|actor| actor.key == key).unwrap();
        assert_eq!((actor.revision, actor.instances, actor.call_alias.as_deref()), (1, 3, Some("echo")));
        assert_eq!(host.call_actor("echo", "Any", b"ping").await.unwrap(), b"ping");

        // The same through the plain method is an error that says so.
        let incomplete = soon(host.apply_manifest(manifest)).await.unwrap_err();
        assert_eq!(failures(&incomplete), [("actors[0] (echo.wasm)".to_owned(), ErrorKind::UpdateRefused)]);
        assert!(incomplete.to_string().contains("the previous revision runs again"), "{incomplete}");
    })
    .await;
}

#[actix_rt::test]
async fn a_revision_that_crashes_right_after_its_update_is_rolled_back() {
    let folder = Folder::new();
    let signing = sign("tiny_echo").alias("echo");
    let key = folder.actor("echo.wasm", &signing);
    with_host_of(updatable(), async |host| {
        let manifest = folder.manifest("actors: [echo.wasm]").unwrap();
        host.apply_manifest(manifest.clone()).await.unwrap();
        folder.actor("echo.wasm", &signing.module(fragile()).revision(2));
        let mut events = host.monitor(WasmCloudEntity::Actor(key));
        let options = ApplyOptions::new().probation(Duration::from_secs(3600));
        let apply = host.apply_manifest_with(manifest, options);
        let traffic = async {
            while !matches!(events.next().await.unwrap().kind, EventKind::Updated { to: 2, .. }) {}
            // The first call of the new revision may come before the watch begins, so calls go on.
            while host.call_actor("echo", "Any", b"ping").await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        let (outcome, ()) = soon(futures_util::future::join(apply, traffic)).await;
        let outcome = outcome.unwrap();
        assert!(
            matches!(&outcome.steps[0].result, StepResult::RolledBack { reason } if reason.contains("crash")),
            "{outcome}"
        );
        assert_eq!(host.inventory().unwrap().actors[0].revision, 1);
    })
    .await;
}

#[actix_rt::test]
async fn a_revision_that_cannot_start_leaves_the_running_one() {
    let folder = Folder::new();
    let signing = sign("tiny_echo");
    folder.actor("echo.wasm", &signing);
    with_host_of(updatable(), async |host| {
        let manifest = folder.manifest("actors: [echo.wasm]").unwrap();
        host.apply_manifest(manifest.clone()).await.unwrap();
        folder.actor("echo.wasm", &signing.module(b"\0asm\x01\0\0\0".to_vec()).revision(2));
        let outcome = host.apply_manifest_with(manifest, at_once()).await.unwrap();
        let StepResult::Failed { kind, .. } = &outcome.steps[0].result else { panic!("{outcome}") };
        assert_eq!(kind, "InvalidModule");
        assert_eq!(host.inventory().unwrap().actors[0].revision, 1);
    })
    .await;
}

/// Two revisions of a provider, the second of which has another library.
struct Revisions {
    vendor: KeyPair,
    service: KeyPair,
}

impl Revisions {
    fn archive(&self, revision: i32, library: Vec<u8>) -> Vec<u8> {
        ProviderArchive::builder("plugin of a test", "test:plugin", "test")
            .revision(revision)
            .target(ProviderArchive::host_target(), library)
            .sign(&self.vendor, &self.service)
            .unwrap()
    }
}

#[actix_rt::test]
async fn another_revision_of_a_provider_replaces_it_or_is_rolled_back() {
    let folder = Folder::new();
    let revisions = Revisions { vendor: KeyPair::new_account(), service: KeyPair::new_service() };
    folder.write("tally.par", revisions.archive(1, built::tally(&[])));
    let key = folder.actor("caller.wasm", &sign("host_call").alias("caller").capability("test:plugin"));
    let text = "
        actors: [caller.wasm]
        capabilities: [{image_ref: tally.par}]
        links: [{actor: caller, contract_id: 'test:plugin', provider_id: tally.par}]
        ";
    let manifest = folder.manifest(text).unwrap();
    with_host_of(updatable(), async |host| {
        soon(host.apply_manifest(manifest.clone())).await.unwrap();
        let provider = async || host.inventory().unwrap().providers[0].revision;
        folder.write("tally.par", revisions.archive(2, built::tally(&[])));
        let plan = host.plan_manifest(manifest.clone(), at_once()).await.unwrap();
        assert_eq!((plan.steps.len(), plan.steps[0].action, plan.unchanged), (1, PlanAction::Update, 2), "{plan}");
        let outcome = soon(host.apply_manifest_with(manifest.clone(), at_once())).await.unwrap();
        assert!(outcome.is_complete(), "{outcome}");
        assert_eq!(provider().await, 2);
        assert_eq!(host.link_state(&key, "test:plugin", None), Some(LinkState::Established));

        // The same revision in a process of its own, which is another place.
        let apart =
            folder.manifest(&text.replacen("tally.par}", "tally.par, isolation: {process: {open_files: 64}}}", 1));
        let plan = host.plan_manifest(apart.unwrap(), at_once()).await.unwrap();
        assert_eq!(plan.steps[0].to.as_deref(), Some("revision 2 with other isolation"), "{plan}");

        // One that does not start.
        folder.write("tally.par", revisions.archive(3, built::stranger()));
        let outcome = soon(host.apply_manifest_with(manifest.clone(), at_once())).await.unwrap();
        assert!(matches!(outcome.steps[0].result, StepResult::RolledBack { .. }), "{outcome}");
        assert_eq!(provider().await, 2);
        assert_eq!(host.link_state(&key, "test:plugin", None), Some(LinkState::Established));

        // One of another vendor.
        let stranger = Revisions { vendor: KeyPair::new_account(), service: revisions.service };
        folder.write("tally.par", stranger.archive(4, built::tally(&[])));
        let refused = host.apply_manifest_with(manifest, at_once()).await.unwrap_err();
        assert_eq!(failures(&refused), [("capabilities[0] (tally.par)".to_owned(), ErrorKind::UpdateRefused)]);
    })
    .await;
}
