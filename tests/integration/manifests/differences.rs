//! Plans, and applications that carry out only what differs.

use std::collections::HashSet;

use wasmcloud_host::{
    ApplyOptions, ErrorKind, EventKind, HostBuilder, HostManifest, Limits, LinkState, ManifestPlan, PlanAction,
    StepResult, TrustPolicy,
};

use super::{Folder, LOGGING, counts, failures};
use crate::signing::sign;
use crate::support::{kind, soon, values, with_host, with_host_of};

fn prune() -> ApplyOptions {
    ApplyOptions::new().prune(true)
}

/// The actions of a plan with their entries.
fn steps(plan: &ManifestPlan) -> Vec<(PlanAction, &str)> {
    plan.steps.iter().map(|step| (step.action, step.entry.as_str())).collect()
}

#[actix_rt::test]
async fn a_plan_lists_what_an_application_then_changes() {
    let folder = Folder::new();
    let key = folder.actor("messenger.wasm", &sign("messenger").alias("messenger").capability(LOGGING));
    let text = |instances: usize, level: &str| {
        format!(
            "
            labels: {{zone: cellar}}
            actors: [{{image_ref: messenger.wasm, instances: {instances}}}]
            capabilities: [{{image_ref: 'builtin:logging'}}]
            links:
              - {{actor: messenger, contract_id: '{LOGGING}', provider_id: 'builtin:logging', values: {{LEVEL: {level}}}}}
            "
        )
    };
    with_host(async |host| {
        let manifest = folder.manifest(&text(1, "warn")).unwrap();
        let plan = host.plan_manifest(manifest.clone(), ApplyOptions::new()).await.unwrap();
        let link = "links[0] (messenger to wasmcloud:logging)";
        let expected = [
            (PlanAction::Label, "labels.zone"),
            (PlanAction::Start, "capabilities[0] (builtin:logging)"),
            (PlanAction::Start, "actors[0] (messenger.wasm)"),
            (PlanAction::Link, link),
        ];
        assert_eq!(steps(&plan), expected);
        assert_eq!((plan.manifest.as_str(), plan.host.as_str(), plan.unchanged), ("host", host.id().as_str(), 0));
        assert_eq!(counts(&host).await, (0, 0, 0), "a plan changes nothing");
        assert!(!host.labels().await.contains_key("zone"));

        let outcome = host.apply_manifest_with(manifest.clone(), ApplyOptions::new()).await.unwrap();
        assert!(outcome.is_complete(), "{outcome}");
        assert_eq!(outcome.steps.iter().map(|step| step.step.clone()).collect::<Vec<_>>(), plan.steps);

        // Applying it again changes nothing, and nothing happens.
        let mut events = host.events();
        let plan = host.plan_manifest(manifest.clone(), prune()).await.unwrap();
        assert!(plan.is_empty() && plan.unchanged == 4, "{plan}");
        let outcome = host.apply_manifest_with(manifest, prune()).await.unwrap();
        assert!(outcome.steps.is_empty() && outcome.unchanged == 4, "{outcome}");

        let changed = folder.manifest(&text(3, "error")).unwrap();
        let plan = host.plan_manifest(changed.clone(), ApplyOptions::new()).await.unwrap();
        assert_eq!(steps(&plan), [(PlanAction::Scale, "actors[0] (messenger.wasm)"), (PlanAction::Relink, link)]);
        let shown = plan.to_string();
        assert!(shown.contains("~ scale   actors[0] (messenger.wasm): 1 instance -> 3 instances"), "{shown}");
        assert!(shown.contains("changed LEVEL") && !shown.contains("error"), "values are not shown: {shown}");
        host.apply_manifest_with(changed, ApplyOptions::new()).await.unwrap();
        assert_eq!(soon(events.next()).await.unwrap().kind, EventKind::Scaled { instances: 3 }, "the first event");
        assert_eq!(host.link_definitions().await.unwrap()[0].values, values(&[("LEVEL", "error")]));
        assert_eq!(host.link_state(&key, LOGGING, None), Some(LinkState::Established));
    })
    .await;
}

#[actix_rt::test]
async fn pruning_removes_what_the_manifest_once_started_and_no_longer_names() {
    let folder = Folder::new();
    let kept = folder.actor("kept.wasm", &sign("messenger").alias("kept").capability(LOGGING));
    let left = folder.actor("left.wasm", &sign("messenger").alias("left").capability(LOGGING));
    let link = |actor: &str| format!("{{actor: {actor}, contract_id: '{LOGGING}', provider_id: 'builtin:logging'}}");
    let builder = HostBuilder::new().with_shards(1).with_label("zone", "attic");
    with_host_of(builder, async |host| {
        let foreign = sign("echo").actor();
        let foreign_key = foreign.public_key();
        host.start_actor(foreign).await.unwrap();
        let all = folder.manifest(&format!(
            "
            labels: {{zone: cellar, rack: '7'}}
            actors: [kept.wasm, left.wasm]
            capabilities: [{{image_ref: 'builtin:logging'}}, {{image_ref: 'builtin:logging', link_name: aside}}]
            links: [{}, {}]
            ",
            link("kept"),
            link("left")
        ));
        host.apply_manifest_with(all.unwrap(), ApplyOptions::new()).await.unwrap();
        assert_eq!(counts(&host).await, (3, 2, 2));

        let text =
            format!("actors: [kept.wasm]\ncapabilities: [{{image_ref: 'builtin:logging'}}]\nlinks: [{}]", link("kept"));
        let fewer = folder.manifest(&text).unwrap();
        let plan = host.plan_manifest(fewer.clone(), ApplyOptions::new()).await.unwrap();
        assert!(plan.is_empty(), "without pruning, what is not named stays: {plan}");
        host.apply_manifest_with(fewer.clone(), ApplyOptions::new()).await.unwrap();

        // Another manifest, and one without a name, have started none of it.
        let other = HostManifest::from_yaml("name: other").unwrap();
        assert!(host.plan_manifest(other, prune()).await.unwrap().is_empty());
        let nameless = host.plan_manifest(HostManifest::default(), prune()).await.unwrap_err();
        assert!(nameless.kind() == ErrorKind::InvalidManifest && nameless.to_string().contains("`name`"), "{nameless}");

        let plan = host.plan_manifest(fewer.clone(), prune()).await.unwrap();
        let actions: Vec<PlanAction> = plan.steps.iter().map(|step| step.action).collect();
        use PlanAction::{Stop, Unlabel, Unlink};
        assert_eq!(actions, [Unlink, Stop, Stop, Unlabel, Unlabel], "{plan}");
        assert!(plan.to_string().contains(&left) && !plan.to_string().contains(&kept), "{plan}");
        let outcome = host.apply_manifest_with(fewer.clone(), prune()).await.unwrap();
        assert!(outcome.is_complete(), "{outcome}");
        assert_eq!(counts(&host).await, (2, 1, 1));
        assert!(host.actors().await.unwrap().contains(&foreign_key), "what others started stays");
        let labels = host.labels().await;
        assert_eq!((labels["zone"].as_str(), labels.get("rack")), ("attic", None), "the host's own label is back");
        assert!(host.plan_manifest(fewer, prune()).await.unwrap().is_empty());
    })
    .await;
}

#[actix_rt::test]
async fn a_manifest_that_names_nothing_removes_all_that_it_started() {
    let folder = Folder::new();
    folder.actor("echo.wasm", &sign("echo"));
    with_host(async |host| {
        host.apply_manifest(folder.manifest("actors: [echo.wasm]").unwrap()).await.unwrap();
        // A manifest that cannot be applied does not pass for an empty one.
        let faulty = host.apply_manifest_with(folder.manifest("actors: [no.wasm]").unwrap(), prune()).await;
        assert_eq!(kind(faulty), ErrorKind::InvalidManifest);
        assert_eq!(counts(&host).await, (1, 0, 0));
        let outcome = host.apply_manifest_with(folder.manifest("actors: []").unwrap(), prune()).await.unwrap();
        assert_eq!(outcome.steps[0].result, StepResult::Done);
        assert_eq!(counts(&host).await, (0, 0, 0));
    })
    .await;
}

#[actix_rt::test]
async fn what_two_manifests_name_stays_until_neither_does() {
    let folder = Folder::new();
    folder.actor("echo.wasm", &sign("echo"));
    with_host(async |host| {
        let manifest = |name: &str, text: &str| folder.manifest(&format!("name: {name}\n{text}")).unwrap();
        host.apply_manifest(manifest("one", "actors: [echo.wasm]")).await.unwrap();
        host.apply_manifest(manifest("two", "actors: [echo.wasm]")).await.unwrap();
        host.apply_manifest_with(manifest("one", ""), prune()).await.unwrap();
        assert_eq!(counts(&host).await, (1, 0, 0));
        host.apply_manifest_with(manifest("two", ""), prune()).await.unwrap();
        assert_eq!(counts(&host).await, (0, 0, 0));
    })
    .await;
}

#[actix_rt::test]
async fn what_is_pruned_makes_room_for_what_is_started() {
    let folder = Folder::new();
    folder.actor("old.wasm", &sign("echo").alias("echo"));
    let new = sign("echo").alias("echo");
    // The alias belongs to the issuer of its first holder.
    let old = sign("echo").alias("echo").issued_like(&new);
    folder.actor("old.wasm", &old);
    let key = folder.actor("new.wasm", &new);
    with_host(async |host| {
        host.apply_manifest(folder.manifest("actors: [old.wasm]").unwrap()).await.unwrap();
        let replaced = folder.manifest("actors: [new.wasm]").unwrap();
        let taken = host.plan_manifest(replaced.clone(), ApplyOptions::new()).await.unwrap_err();
        assert_eq!(failures(&taken), [("actors[0] (new.wasm)".to_owned(), ErrorKind::AliasTaken)]);
        let outcome = host.apply_manifest_with(replaced, prune()).await.unwrap();
        assert!(outcome.is_complete(), "{outcome}");
        assert_eq!(host.actors().await.unwrap(), [key]);
    })
    .await;
}

#[actix_rt::test]
async fn one_bad_entry_among_twenty_changes_nothing() {
    let folder = Folder::new();
    let mut names: Vec<String> = (0..19).map(|number| format!("{number}.wasm")).collect();
    for name in &names {
        folder.actor(name, &sign("tiny_echo"));
    }
    names.insert(7, "missing.wasm".to_owned());
    with_host(async |host| {
        let text = |names: &[String]| format!("labels: {{zone: cellar}}\nactors: [{}]", names.join(", "));
        let refused = host.apply_manifest_with(folder.manifest(&text(&names)).unwrap(), prune()).await.unwrap_err();
        assert_eq!(failures(&refused), [("actors[7] (missing.wasm)".to_owned(), ErrorKind::Io)]);
        assert!(refused.to_string().contains("no part of it was applied"), "{refused}");
        assert_eq!(counts(&host).await, (0, 0, 0));
        assert!(!host.labels().await.contains_key("zone"));
        names.remove(7);
        host.apply_manifest(folder.manifest(&text(&names)).unwrap()).await.unwrap();
        assert_eq!(counts(&host).await, (19, 0, 0));
    })
    .await;
}

#[actix_rt::test]
async fn what_cannot_be_satisfied_is_refused_before_anything_changes() {
    let folder = Folder::new();
    let holder = sign("echo").alias("held");
    let held = holder.actor();
    let without = sign("messenger").alias("without").actor();
    folder.actor("alias.wasm", &sign("echo").alias("held"));
    folder.write("expired.wasm", sign("echo").claims(|claims| claims.expires = Some(1)).bytes());
    folder.actor("many.wasm", &sign("echo"));
    let distrusted = sign("echo");
    folder.actor("distrusted.wasm", &distrusted);
    folder.actor("good.wasm", &sign("echo"));
    let text = format!(
        "
        labels: {{zone: cellar}}
        actors:
          - good.wasm
          - alias.wasm
          - expired.wasm
          - {{image_ref: many.wasm, instances: 100000}}
          - distrusted.wasm
        capabilities: [{{image_ref: 'builtin:nothing'}}]
        links:
          - {{actor: without, contract_id: '{LOGGING}', provider_id: 'builtin:logging'}}
          - {{actor: held, contract_id: '{LOGGING}', provider_id: 'builtin:nobody'}}
          - {{actor: held, contract_id: '{LOGGING}', provider_id: 'unknown.par'}}
        "
    );
    with_host(async |host| {
        host.start_actor(held).await.unwrap();
        host.start_actor(without).await.unwrap();
        let policy = TrustPolicy::builder().revoke_issuer(&distrusted.claims.issuer).build().unwrap();
        host.set_trust_policy(policy).await.unwrap();
        let mut events = host.events();
        let refused = host.apply_manifest(folder.manifest(&text).unwrap()).await.unwrap_err();
        let expected = [
            ("capabilities[0] (builtin:nothing)", ErrorKind::InvalidArgument),
            ("actors[2] (expired.wasm)", ErrorKind::TokenExpired),
            ("links[0] (without to wasmcloud:logging)", ErrorKind::CapabilityDenied),
            ("links[1] (held to wasmcloud:logging)", ErrorKind::InvalidArgument),
            ("links[2] (held to wasmcloud:logging)", ErrorKind::InvalidArgument),
            ("actors[1] (alias.wasm)", ErrorKind::AliasTaken),
            ("actors[3] (many.wasm)", ErrorKind::Busy),
            ("actors[4] (distrusted.wasm)", ErrorKind::Revoked),
        ];
        assert_eq!(failures(&refused), expected.map(|(entry, kind)| (entry.to_owned(), kind)), "{refused}");
        assert_eq!(counts(&host).await, (2, 0, 0));
        assert!(!host.labels().await.contains_key("zone"));
        host.stop().await;
        let stops = soon(events.next()).await.unwrap();
        assert_eq!(stops.kind, EventKind::Stopped, "nothing happened before the stop: {stops:?}");
    })
    .await;
}

#[actix_rt::test]
async fn two_appliers_at_once_follow_each_other() {
    let folder = Folder::new();
    let key = folder.actor("echo.wasm", &sign("tiny_echo"));
    folder.actor("other.wasm", &sign("tiny_echo"));
    let manifests: Vec<HostManifest> = (1..=8)
        .map(|instances| {
            let other = if instances % 2 == 0 { ", other.wasm" } else { "" };
            folder
                .manifest(&format!(
                    "labels: {{by: '{instances}'}}\nactors: [{{image_ref: echo.wasm, instances: {instances}}}{other}]"
                ))
                .unwrap()
        })
        .collect();
    with_host(async |host| {
        let applied = manifests.iter().map(|manifest| host.apply_manifest_with(manifest.clone(), prune()));
        let outcomes = soon(futures_util::future::join_all(applied)).await;
        assert!(outcomes.iter().all(|outcome| outcome.as_ref().unwrap().is_complete()), "{outcomes:?}");
        // The host runs what one of them describes, and not a mixture.
        let inventory = host.inventory().unwrap();
        let instances = inventory.actors.iter().find(|actor| actor.key == key).unwrap().instances;
        assert_eq!(host.labels().await["by"], instances.to_string());
        assert_eq!(inventory.actors.len(), if instances % 2 == 0 { 2 } else { 1 });
        let last = &manifests[instances - 1];
        assert!(host.plan_manifest(last.clone(), prune()).await.unwrap().is_empty());
    })
    .await;
}

#[actix_rt::test]
async fn an_application_that_was_abandoned_is_completed_by_the_next() {
    let folder = Folder::new();
    let keys: HashSet<String> =
        (0..12).map(|number| folder.actor(&format!("{number}.wasm"), &sign("tiny_echo"))).collect();
    let names: Vec<String> = (0..12).map(|number| format!("{number}.wasm")).collect();
    let manifest = folder.manifest(&format!("actors: [{}]", names.join(", "))).unwrap();
    with_host(async |host| {
        let mut events = host.events();
        let apply = host.apply_manifest_with(manifest.clone(), prune());
        // The applier goes away as soon as something has started.
        let begun = async { while !matches!(events.next().await.unwrap().kind, EventKind::Started) {} };
        assert!(
            matches!(
                futures_util::future::select(std::pin::pin!(apply), std::pin::pin!(soon(begun))).await,
                futures_util::future::Either::Right(_)
            ),
            "it was abandoned half-way"
        );
        // Starts in progress may end meanwhile, so that a start of the same actor is refused: applying again completes it.
        soon(async {
            loop {
                let applied = host.apply_manifest_with(manifest.clone(), prune()).await.unwrap();
                if applied.is_complete() {
                    break;
                }
            }
        })
        .await;
        assert_eq!(host.actors().await.unwrap().into_iter().collect::<HashSet<_>>(), keys);
        assert!(host.plan_manifest(manifest, prune()).await.unwrap().is_empty());
    })
    .await;
}

#[actix_rt::test]
async fn options_that_a_manifest_changes_take_effect() {
    let folder = Folder::new();
    let key = folder.actor("echo.wasm", &sign("tiny_echo"));
    let text = |options: &str| format!("actors: [{{image_ref: echo.wasm{options}}}]");
    with_host(async |host| {
        let plan = async |options: &str| {
            let manifest = folder.manifest(&text(options)).unwrap();
            let plan = host.plan_manifest(manifest.clone(), ApplyOptions::new()).await.unwrap();
            host.apply_manifest(manifest).await.unwrap();
            plan.steps.iter().map(|step| (step.action, step.to.clone().unwrap_or_default())).collect::<Vec<_>>()
        };
        let update = |to: &str| vec![(PlanAction::Update, format!("revision 1 with other {to}"))];
        assert_eq!(plan("").await, [(PlanAction::Start, "revision 1".to_owned())]);
        assert_eq!(plan("").await, []);
        assert_eq!(plan(", limits: {message_bytes: 100}, instances: 2").await, update("limits and 2 instances"));
        let large = host.call_actor(&key, "Any", &[0; 200]).await;
        assert_eq!(kind(large), ErrorKind::MessageTooLarge, "the limit is in force");
        // An instance number that is left out stays as it is.
        assert_eq!(plan(", placement: spread").await, update("limits, placement"));
        assert_eq!(host.call_actor(&key, "Any", &[0; 200]).await.unwrap().len(), 200);
        assert_eq!(plan(", placement: spread, restart: {restart: temporary}").await, update("restart policy"));
        assert_eq!(plan(", placement: spread, restart: {restart: temporary}").await, []);
        assert_eq!(host.inventory().unwrap().actors[0].instances, 2);
    })
    .await;
}

#[actix_rt::test]
async fn options_of_actors_that_others_started_stay_unless_they_are_named() {
    let folder = Folder::new();
    let signing = sign("tiny_echo");
    folder.actor("echo.wasm", &signing);
    with_host(async |host| {
        let options = wasmcloud_host::ActorOptions::new().limits(Limits::new().message_bytes(100)).instances(2);
        host.start_actor_with(signing.actor(), options).await.unwrap();
        let plan = async |text: &str| host.plan_manifest(folder.manifest(text).unwrap(), prune()).await.unwrap();
        assert!(plan("actors: [echo.wasm]").await.is_empty());
        assert!(plan("actors: [{image_ref: echo.wasm, limits: {message_bytes: 100}}]").await.is_empty());
        assert!(!plan("actors: [{image_ref: echo.wasm, limits: {message_bytes: 101}}]").await.is_empty());
        host.apply_manifest(folder.manifest("actors: [echo.wasm]").unwrap()).await.unwrap();
        assert!(plan("actors: []").await.is_empty(), "it is not pruned: others started it");
    })
    .await;
}
