//! `wasmcloud manifest`, and `wasmcloud plan` and `apply` against hosts of a real lattice.

use std::process::{Command, Stdio};

use wasmcloud_host::{ManifestOutcome, ManifestPlan, PlanAction, StepResult};

use super::Folder;
use crate::ctl::{Ctl, Ended, Scene};
use crate::registries::Images;
use crate::signing::sign;
use crate::support::{soon, until};

/// Runs a command beside this thread, which hosts run on.
async fn run(ctl: &Ctl, arguments: &[&str]) -> Ended {
    let mut command = ctl.binary(arguments);
    let ended = actix_rt::task::spawn_blocking(move || command.output().unwrap());
    Ended::from(soon(ended).await.unwrap())
}

async fn done(ctl: &Ctl, arguments: &[&str]) -> String {
    let ended = run(ctl, arguments).await;
    assert_eq!((ended.code, ended.errors.as_str()), (0, ""), "{arguments:?}: {ended:?}");
    ended.output
}

#[test]
fn manifests_are_checked_without_a_host() {
    let folder = Folder::new();
    let wasmcloud = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wasmcloud"));
        Ended::from(command.args(arguments).current_dir(folder.path("")).env("ZONE", "cellar").output().unwrap())
    };
    folder.write("host.toml", "labels = { zone = '${ZONE}' }\n[[actors]]\nimage_ref = 'registry.example/echo:1'\n");
    let checked = wasmcloud(&["manifest", "check", "host.toml"]);
    assert_eq!((checked.code, checked.errors.as_str()), (0, ""));
    assert_eq!(checked.output, "host.toml is a manifest: 1 label, 1 actor, 0 providers, 0 links\n");

    folder.write("host.yaml", "actors: [echo.wasm]\n");
    let checked = wasmcloud(&["manifest", "check", "host.yaml"]);
    assert!(
        checked.code == 0 && checked.errors.starts_with("warning: ") && checked.errors.contains("echo.wasm"),
        "{checked:?}"
    );

    folder.write("host.yaml", "actors: []\nlink: []\n");
    let refused = wasmcloud(&["manifest", "check", "host.yaml"]);
    assert_eq!((refused.code, refused.output.as_str()), (1, ""));
    assert!(
        refused.errors.contains("line 2, column 1") && refused.errors.contains("did you mean links?"),
        "{refused:?}"
    );

    let schema = wasmcloud(&["manifest", "schema"]);
    let schema: serde_json::Value = serde_json::from_str(&schema.output).unwrap();
    assert_eq!(schema["type"], "object");
}

#[actix_rt::test]
async fn a_manifest_is_planned_and_applied_over_the_lattice() {
    let images = Images::start();
    let mut signing = sign("tiny_echo").alias("echo").capability("wasmcloud:logging");
    let first = images.push("shop/echo:1.0", &signing.bytes()).await;
    let scene = Scene::start();
    let host = scene.host(images.known_to(scene.builder()).enable_live_updates()).await;
    let ctl = scene.ctl();
    let write = |reference: &str, rest: &str| {
        scene.write("shop.yaml", format!("labels: {{zone: cellar}}\nactors: ['{reference}']\n{rest}"));
    };
    let rest = "
capabilities: [{image_ref: 'builtin:logging'}]
links: [{actor: echo, contract_id: 'wasmcloud:logging', provider_id: 'builtin:logging'}]";
    write(&first, rest);
    let plan = done(&ctl, &["plan", "shop.yaml", "--output", "json"]).await;
    let plans: Vec<ManifestPlan> = serde_json::from_str(&plan).unwrap();
    assert_eq!((plans.len(), plans[0].manifest.as_str(), plans[0].host.as_str()), (1, "shop", host.id().as_str()));
    assert_eq!(plans[0].steps.len(), 4);
    assert!(host.actors().await.unwrap().is_empty());
    let outcome = done(&ctl, &["apply", "shop.yaml", "--output", "json"]).await;
    let outcomes: Vec<ManifestOutcome> = serde_json::from_str(&outcome).unwrap();
    assert!(outcomes[0].is_complete(), "{outcome}");
    assert_eq!(host.labels().await["zone"], "cellar");
    let plan = done(&ctl, &["plan", "shop.yaml", "--prune"]).await;
    assert_eq!(plan, format!("Host {}:\nno change: 4 entries run as described\n", host.id()));

    // Another revision, and less.
    signing.set_revision(2);
    let second = images.push("shop/echo:2.0", &signing.bytes()).await;
    write(&second, "");
    let plan = done(&ctl, &["plan", "shop.yaml", "--prune"]).await;
    assert!(plan.contains("~ update  actors[0]") && plan.contains("- stop ") && plan.contains("- unlink "), "{plan}");
    done(&ctl, &["apply", "shop.yaml", "--prune", "--host", &host.id()[..8]]).await;
    let running = host.inventory().unwrap();
    assert_eq!((running.actors[0].revision, running.providers.len(), running.links.len()), (2, 0, 0));
    host.stop().await;
}

#[actix_rt::test]
async fn what_cannot_be_applied_ends_with_its_exit_code() {
    let folder = Folder::new();
    folder.actor("echo.wasm", &sign("tiny_echo"));
    let scene = Scene::start();
    let ctl = scene.ctl();
    scene.write("files.yaml", "actors: [echo.wasm]");
    scene.write("echo.wasm", sign("tiny_echo").bytes());
    scene.write("good.yaml", "capabilities: [{image_ref: 'builtin:logging'}]");
    scene.write("bad.yaml", "capabilities: [{image_ref: 'builtin:logging'}, {image_ref: 'builtin:nothing'}]");
    scene.write("port.yaml", "capabilities: [{image_ref: 'builtin:logging'}]\nlinks: [{actor: nobody, contract_id: 'wasmcloud:logging', provider_id: 'builtin:logging'}]");
    let alone = run(&ctl, &["plan", "good.yaml", "--timeout", "500ms"]).await;
    assert_eq!(alone.code, 4, "{alone:?}");
    let host = scene.host(scene.builder()).await;
    for (arguments, code, said) in [
        (["apply", "files.yaml"], 1, "wasmcloud registry push"),
        (["plan", "bad.yaml"], 1, "capabilities[1] (builtin:nothing)"),
        (["apply", "bad.yaml"], 1, "no part of it was applied"),
        (["apply", "port.yaml"], 1, "nobody"),
        (["apply", "missing.yaml"], 1, "missing.yaml"),
    ] {
        let refused = run(&ctl, &arguments).await;
        assert_eq!((refused.code, refused.output.as_str()), (code, ""), "{refused:?}");
        assert!(refused.errors.contains(said), "{refused:?}");
    }
    assert!(host.providers().await.unwrap().is_empty());
    let other = scene.host(scene.builder()).await;
    until(async || {
        let ambiguous = run(&ctl, &["plan", "good.yaml"]).await;
        ambiguous.code != 0 && [&host, &other].iter().all(|host| ambiguous.errors.contains(&host.id()))
    })
    .await;
    let both = [host.id(), other.id()];
    done(&ctl, &["apply", "good.yaml", "--host", &both[0], "--host", &both[1]]).await;
    for host in [host, other] {
        assert_eq!(host.providers().await.unwrap().len(), 1);
        host.stop().await;
    }
}

#[actix_rt::test]
async fn an_apply_that_was_killed_half_way_is_completed_by_the_next() {
    let scene = Scene::start();
    let host = scene.host(scene.builder()).await;
    let ctl = scene.ctl();
    let names = ["blobstore", "extras", "httpclient", "httpserver", "keyvalue", "logging", "messaging"];
    let entries: Vec<String> = names.iter().map(|name| format!("{{image_ref: 'builtin:{name}'}}")).collect();
    scene.write("all.yaml", format!("labels: {{zone: cellar}}\ncapabilities: [{}]", entries.join(", ")));
    let mut apply = ctl.binary(&["apply", "all.yaml"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until(async || host.labels().await.contains_key("zone")).await;
    // SIGKILL, as soon as the first change has been made.
    apply.kill().unwrap();
    apply.wait().unwrap();
    done(&ctl, &["apply", "all.yaml"]).await;
    assert_eq!(host.providers().await.unwrap().len(), names.len());
    let plan = done(&ctl, &["plan", "all.yaml", "--prune"]).await;
    assert!(plan.contains("no change: 8 entries"), "{plan}");
    host.stop().await;
}

#[actix_rt::test]
async fn a_manifest_is_applied_again_after_each_save() {
    let scene = Scene::start();
    let host = scene.host(scene.builder()).await;
    scene.write("shop.yaml", "labels: {zone: cellar}");
    let mut command = scene.ctl().binary(&["apply", "shop.yaml", "--watch", "--prune", "--output", "json"]);
    let mut apply = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until(async || host.labels().await.get("zone").is_some_and(|zone| zone == "cellar")).await;
    scene.write("shop.yaml", "labels: {zone: attic");
    scene.write("shop.yaml", "labels: {zone: attic}");
    until(async || host.labels().await.get("zone").is_some_and(|zone| zone == "attic")).await;
    scene.write("shop.yaml", "labels: {row: 1}");
    until(async || host.labels().await.contains_key("row")).await;
    until(async || !host.labels().await.contains_key("zone")).await;
    // It is interrupted as by a terminal.
    let interrupted = Command::new("kill").args(["-INT", &apply.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let ended = actix_rt::task::spawn_blocking(move || apply.wait().unwrap());
    assert!(soon(ended).await.unwrap().success());
    host.stop().await;
}

#[test]
fn outcomes_are_read_by_programs() {
    let text = r#"{"manifest":"shop","host":"N","unchanged":1,"steps":[
        {"action":"update","entry":"actors[0] (echo)","from":"revision 1","to":"revision 2",
         "result":{"rolled_back":{"reason":"it is unhealthy"}}},
        {"action":"start","entry":"actors[1] (cart)","from":null,"to":"revision 1","result":"done"}]}"#;
    let outcome: ManifestOutcome = serde_json::from_str(text).unwrap();
    assert_eq!((outcome.steps[0].step.action, outcome.steps[1].result == StepResult::Done), (PlanAction::Update, true));
    assert!(!outcome.is_complete());
}
