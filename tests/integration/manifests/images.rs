//! Actors and providers of a real registry.

use wasmcloud_host::{ApplyOptions, ErrorKind, HostBuilder, HostManifest, PlanAction};

use super::failures;
use crate::plugins::built;
use crate::registries::Images;
use crate::signing::{guest, sign};
use crate::support::{soon, with_host_of};

fn builder(images: &Images) -> HostBuilder {
    images.known_to(HostBuilder::new().with_shards(2)).enable_live_updates()
}

#[actix_rt::test]
async fn references_are_resolved_to_digests_and_new_tags_are_updates() {
    let images = Images::start();
    let mut signing = sign("tiny_echo").alias("echo");
    let first = images.push("shop/echo:1.0", &signing.bytes()).await;
    let clock = images.push("shop/clock:1.0", &built::archive("test:plugin", built::tally(&[]))).await;
    let manifest = |reference: &str| {
        let text = format!("name: shop\nactors: ['{reference}']\ncapabilities: [{{image_ref: '{clock}'}}]");
        HostManifest::from_yaml(&text).unwrap()
    };
    with_host_of(builder(&images), async |host| {
        let plan = soon(host.plan_manifest(manifest(&first), ApplyOptions::new())).await.unwrap();
        assert_eq!(plan.images.len(), 2);
        assert!(plan.images.iter().all(|image| image.digest.starts_with("sha256:") && !image.is_stale));
        let digest = plan.images.iter().find(|image| image.reference == first).unwrap().digest.clone();
        let actor = plan.steps.iter().find(|step| step.entry.starts_with("actors[0]")).unwrap();
        assert_eq!(actor.to.as_deref(), Some(format!("revision 1 of {first} ({digest})").as_str()));
        let outcome = soon(host.apply_manifest_with(manifest(&first), ApplyOptions::new())).await.unwrap();
        assert!(outcome.is_complete(), "{outcome}");
        let running = host.inventory().unwrap();
        assert_eq!(running.actors[0].image_ref.as_ref(), Some(&first));
        assert_eq!(running.actors[0].image_digest.as_ref(), Some(&digest));
        assert_eq!(running.providers[0].image_ref.as_ref(), Some(&clock));

        signing.set_revision(2);
        let second = images.push("shop/echo:2.0", &signing.bytes()).await;
        let plan = soon(host.plan_manifest(manifest(&second), ApplyOptions::new())).await.unwrap();
        assert_eq!((plan.steps.len(), plan.steps[0].action, plan.unchanged), (1, PlanAction::Update, 1), "{plan}");
        let options = ApplyOptions::new().probation(std::time::Duration::ZERO);
        let outcome = soon(host.apply_manifest_with(manifest(&second), options)).await.unwrap();
        assert!(outcome.is_complete(), "{outcome}");
        let running = host.inventory().unwrap();
        assert_eq!((running.actors[0].revision, running.actors[0].image_ref.as_ref()), (2, Some(&second)));

        // The same tag may lead to something else the next time.
        signing.set_revision(3);
        images.push("shop/echo:2.0", &signing.bytes()).await;
        let plan = soon(host.plan_manifest(manifest(&second), ApplyOptions::new())).await.unwrap();
        assert_eq!(plan.steps[0].action, PlanAction::Update, "{plan}");
    })
    .await;
}

#[actix_rt::test]
async fn bad_images_are_failures_of_their_entries() {
    let images = Images::start();
    let unsigned = images.push("shop/unsigned:1.0", &guest("echo")).await;
    let clock = images.push("shop/clock:1.0", &built::archive("test:plugin", built::tally(&[]))).await;
    let address = images.address();
    let text = format!(
        "
        labels: {{zone: cellar}}
        actors: ['{unsigned}', '{address}/shop/missing:1.0', '{address}/shop/untagged', '{clock}', '{address}/A:1']
        capabilities: [{{image_ref: '{unsigned}'}}]
        "
    );
    with_host_of(builder(&images), async |host| {
        let refused = soon(host.apply_manifest(HostManifest::from_yaml(&text).unwrap())).await.unwrap_err();
        let kinds: Vec<(String, ErrorKind)> = failures(&refused)
            .into_iter()
            .map(|(entry, kind)| (entry.split(' ').next().unwrap().to_owned(), kind))
            .collect();
        let expected = [
            ("capabilities[0]", ErrorKind::InvalidArgument),
            ("actors[0]", ErrorKind::Unsigned),
            ("actors[1]", ErrorKind::OciNotFound),
            ("actors[2]", ErrorKind::InvalidArgument),
            ("actors[3]", ErrorKind::InvalidArgument),
            ("actors[4]", ErrorKind::InvalidArgument),
        ];
        assert_eq!(kinds, expected.map(|(entry, kind)| (entry.to_owned(), kind)), "{refused}");
        assert!(!host.labels().await.contains_key("zone"));
        assert!(host.actors().await.unwrap().is_empty());
    })
    .await;
}
