//! Plans and applications of manifests from afar.

use serde_json::json;
use wasmcloud_control::{Settled, kinds};
use wasmcloud_host::{ErrorKind, HostManifest};

use super::{PATIENCE, Scene};
use crate::signing::sign;
use crate::support::kind;

#[actix_rt::test]
async fn a_manifest_is_planned_and_applied_from_afar_and_applying_it_again_changes_nothing() {
    let scene = Scene::new().await;
    let host = scene.id();
    let reference = scene.images.push("actors/echo:1", &sign("tiny_echo").bytes()).await;
    let manifest = format!(
        "name: afar\nlabels: {{ disk: fast }}\nactors: ['{reference}']\ncapabilities: [{{ image_ref: 'builtin:logging' }}]"
    );
    let manifest = HostManifest::from_yaml(&manifest).unwrap().to_json().unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let plan = scene.client.plan(&host, manifest.clone(), false, PATIENCE).await.unwrap();
    assert!(plan["steps"].as_array().is_some_and(|steps| steps.len() >= 2), "{plan}");
    assert!(scene.host.actors().await.unwrap().is_empty(), "a plan changes nothing");
    let applied = scene.client.apply(&host, manifest.clone(), false, PATIENCE).await.unwrap();
    assert_eq!(applied.outcome.settled().unwrap(), Settled::Done);
    assert_eq!((scene.host.actors().await.unwrap().len(), scene.host.providers().await.unwrap().len()), (1, 1));
    let plan = scene.client.plan(&host, manifest.clone(), false, PATIENCE).await.unwrap();
    assert_eq!(plan["steps"], json!([]));

    // Without patience, the event tells what was applied.
    let impatient = scene.client.clone();
    let mut watch = impatient.watch(Some(&host)).await.unwrap();
    let accepted = impatient.apply(&host, manifest, false, std::time::Duration::ZERO).await.unwrap();
    let mut result = None;
    let tell = |event: &wasmcloud_control::ControlEvent| {
        if event.kind == kinds::REQUEST_FINISHED {
            result = event.detail.get("result").cloned();
        }
    };
    watch.settle(accepted.outcome.settled().unwrap(), PATIENCE, tell).await.unwrap();
    assert_eq!(result.unwrap()["steps"], json!([]));
    scene.host.stop().await;
}

#[actix_rt::test]
async fn manifests_that_name_files_or_cannot_be_read_are_refused_and_change_nothing() {
    let scene = Scene::new().await;
    let host = scene.id();
    for bad in [
        json!({"actors": ["/tmp/echo.wasm"]}),
        json!({"actor": []}),
        json!(7),
        json!({"capabilities": [{"image_ref": "x.par.gz"}]}),
    ] {
        assert_eq!(
            kind(scene.client.plan(&host, bad.clone(), false, PATIENCE).await),
            ErrorKind::InvalidManifest,
            "{bad}"
        );
        let applied = scene.client.apply(&host, bad.clone(), false, PATIENCE).await.unwrap();
        assert_eq!(kind(applied.outcome.settled()), ErrorKind::InvalidManifest, "{bad}");
    }
    assert!(scene.host.actors().await.unwrap().is_empty());
    scene.host.stop().await;
}
