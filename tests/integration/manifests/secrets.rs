//! Secrets: they reach their provider, and are shown nowhere.

use wasmcloud_host::{
    ApplyOptions, ErrorKind, EventKind, Host, HostBuilder, HostManifest, LinkState, PlanAction, StepResult,
};

use super::{Folder, failures};
use crate::signing::sign;
use crate::support::{PROBE, Probe, Seen, keep_log, logged, soon, with_host, with_host_of};

const SECRET: &str = "hunter2-of-the-manifest";

/// A folder with an actor and a secret, and a manifest that links them to a provider.
fn scene(host: &Host, provider: &str, value: &str) -> (Folder, HostManifest) {
    let folder = Folder::new();
    folder.actor("caller.wasm", &sign("host_call").alias("caller").capability(PROBE));
    folder.write("password", format!("{SECRET}\n"));
    let text = format!(
        "
        actors: [caller.wasm]
        links:
          - actor: caller
            contract_id: '{PROBE}'
            provider_id: {provider}
            values: {{URL: redis://r, {value}: {{secret: {{file: password}}}}, PATH: {{secret: {{env: PATH}}}}}}
        "
    );
    let manifest = folder.manifest(&text).unwrap();
    assert!(host.inventory().is_ok());
    (folder, manifest)
}

async fn probe(host: &Host) -> (Probe, String) {
    let probe = Probe::default();
    let capability = probe.capability();
    let provider = capability.id();
    host.start_native_capability(capability).await.unwrap();
    (probe, provider)
}

#[actix_rt::test]
async fn a_secret_reaches_its_provider_and_no_listing() {
    keep_log();
    with_host(async |host| {
        let (probe, provider) = probe(&host).await;
        let (folder, manifest) = scene(&host, &provider, "PASSWORD");
        let mut events = host.events();
        let plan = host.plan_manifest(manifest.clone(), ApplyOptions::new()).await.unwrap();
        let outcome = host.apply_manifest_with(manifest.clone(), ApplyOptions::new()).await.unwrap();
        assert!(outcome.is_complete(), "{outcome}");
        let bound = probe.seen().into_iter().find_map(|seen| match seen {
            Seen::Bound { values, .. } => Some(values),
            _ => None,
        });
        let bound = bound.unwrap();
        assert_eq!((bound["PASSWORD"].as_str(), bound["URL"].as_str()), (SECRET, "redis://r"));
        assert_eq!(bound["PATH"], std::env::var("PATH").unwrap());

        let definitions = host.link_definitions().await.unwrap();
        let listed = &definitions[0].values;
        assert_eq!((listed["PASSWORD"].as_str(), listed["PATH"].as_str()), ("(secret)", "(secret)"));
        assert_eq!((listed["URL"].as_str(), listed.len()), ("redis://r", 3));

        // A secret that changes changes the link, and nothing else does.
        assert!(host.plan_manifest(manifest.clone(), ApplyOptions::new()).await.unwrap().is_empty());
        folder.write("password", format!("{SECRET}-changed"));
        let changed = host.plan_manifest(manifest.clone(), ApplyOptions::new()).await.unwrap();
        assert_eq!(changed.steps[0].action, PlanAction::Relink);
        assert!(changed.to_string().contains("changed PASSWORD"), "{changed}");
        host.apply_manifest(manifest.clone()).await.unwrap();
        std::fs::remove_file(folder.path("password")).unwrap();
        let missing = host.apply_manifest(manifest.clone()).await.unwrap_err();
        assert_eq!(failures(&missing)[0].1, ErrorKind::Io);
        assert!(missing.to_string().contains("PASSWORD") && missing.to_string().contains("password"), "{missing}");

        let mut shown = vec![format!("{manifest:?} {plan:?} {plan} {outcome:?} {outcome} {changed:?} {changed}")];
        shown.push(format!("{missing} {missing:?} {:?} {definitions:?}", host.inventory().unwrap()));
        shown.push(serde_json::to_string(&(plan, outcome, changed)).unwrap());
        while let Some(Some(event)) = futures_util::FutureExt::now_or_never(events.next()) {
            shown.push(format!("{event:?}"));
        }
        shown.extend(logged());
        assert!(shown.iter().all(|text| !text.contains(SECRET)), "a secret is shown");
    })
    .await;
}

#[actix_rt::test]
async fn a_provider_that_repeats_a_secret_tells_nobody() {
    keep_log();
    with_host(async |host| {
        let (_, provider) = probe(&host).await;
        // The probe refuses the link, and gives the value as its reason.
        let (_folder, manifest) = scene(&host, &provider, "REFUSE");
        let mut events = host.events();
        let outcome = host.apply_manifest_with(manifest, ApplyOptions::new()).await.unwrap();
        let StepResult::Failed { kind, reason } = &outcome.steps[1].result else { panic!("{outcome}") };
        assert!(kind == "LinkRefused" && reason.contains("(secret)") && !reason.contains(SECRET), "{reason}");
        let refusal = loop {
            if let EventKind::LinkRefused { reason, .. } = soon(events.next()).await.unwrap().kind {
                break reason;
            }
        };
        assert!(refusal.contains("(secret)") && !refusal.contains(SECRET), "{refusal}");
        assert!(logged().iter().all(|line| !line.contains(SECRET)));
    })
    .await;
}

#[actix_rt::test]
async fn a_link_that_waits_is_refused_without_its_secrets() {
    keep_log();
    with_host(async |host| {
        let probe = Probe::default();
        let capability = probe.capability();
        let (_folder, manifest) = scene(&host, &capability.id(), "REFUSE");
        host.apply_manifest(manifest).await.unwrap();
        let actor = host.actors().await.unwrap().remove(0);
        host.start_native_capability(capability).await.unwrap();
        let Some(LinkState::Refused(reason)) = host.link_state(&actor, PROBE, None) else { panic!("it is refused") };
        assert!(reason.contains("(secret)") && !reason.contains(SECRET), "{reason}");
        assert!(logged().iter().all(|line| !line.contains(SECRET)));
    })
    .await;
}

#[actix_rt::test]
async fn a_manifest_from_elsewhere_reaches_no_files_of_the_host() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("secrets")).unwrap();
    folder.write("secrets/password", SECRET);
    folder.write("outside", SECRET);
    let echo = folder.path("echo.wasm");
    folder.actor("echo.wasm", &sign("host_call"));
    let caller = sign("host_call").alias("caller").capability(PROBE);
    let builder = HostBuilder::new().with_shards(1).with_secrets_folder(folder.path("secrets"));
    with_host_of(builder, async |host| {
        host.start_actor(caller.actor()).await.unwrap();
        let (probe, provider) = probe(&host).await;
        let manifest = |actors: &str, secret: &str| {
            let text = format!(
                r#"{{"name": "m", "actors": [{actors}], "links": [{{"actor": "caller", "contract_id": "{PROBE}",
                    "provider_id": "{provider}", "values": {{"PASSWORD": {{"secret": {secret}}}}}}}]}}"#
            );
            HostManifest::from_json(&text).unwrap()
        };
        let quoted = serde_json::to_string(&echo).unwrap();
        let outside = serde_json::to_string(&folder.path("outside")).unwrap();
        for (actors, secret) in [
            (quoted.as_str(), r#"{"file": "password"}"#),
            ("\"echo.wasm\"", r#"{"file": "password"}"#),
            ("", r#"{"file": "../outside"}"#),
            ("", &format!(r#"{{"file": {outside}}}"#)),
            ("", r#"{"env": "PATH"}"#),
        ] {
            let refused = host.apply_manifest(manifest(actors, secret)).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidManifest, "{actors} {secret}");
            assert_eq!(failures(&refused)[0].1, ErrorKind::InvalidArgument, "{refused}");
            assert!(!refused.to_string().contains(SECRET));
        }
        host.apply_manifest(manifest("", r#"{"file": "password"}"#)).await.unwrap();
        let is_bound = |seen: &Seen| matches!(seen, Seen::Bound { values, .. } if values["PASSWORD"] == SECRET);
        assert!(probe.seen().iter().any(is_bound));
    })
    .await;
}
