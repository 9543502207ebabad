//! Faults of the host of 2021, each with its number in `docs/seed-defects.md`.

use std::collections::HashMap;

use wasmcloud_host::oci::{CredentialSources, Credentials};
use wasmcloud_host::{ErrorKind, Host, HostBuilder, LinkState};

use super::server::{Seen, Server, answer};
use super::{Images, Served, digest, options};
use crate::plugins::built;
use crate::signing::sign;
use crate::support::{PROBE, Probe, kind, with_host_of};

async fn revision_of(host: &Host, reference: &str) -> i32 {
    host.get_actor_identity(reference).await.unwrap().metadata.unwrap().rev.unwrap()
}

#[actix_rt::test]
async fn seed_defect_10_the_cache_is_keyed_by_digest_revalidated_and_verified() {
    let images = Images::start();
    // Names that the cache of 2021 took for one.
    let [one, other] = [sign("tiny_echo"), sign("tiny_echo")];
    let first = images.push("a/b:1", &one.bytes()).await;
    let second = images.push("a_b:1", &other.bytes()).await;
    with_host_of(images.builder(), async |host| {
        for (reference, signing) in [(&first, &one), (&second, &other)] {
            host.start_actor_from_registry(reference).await.unwrap();
            assert_eq!(host.oci_references().await.unwrap()[reference], signing.claims.subject);
        }
    })
    .await;
    // Another push under the same tag, and a file that was damaged in the cache.
    let mut one = one;
    one.set_revision(7);
    images.push("a/b:1", &one.bytes()).await;
    let damaged = images.cache().join("sha256").join(digest(&other.bytes()).replace("sha256:", ""));
    std::fs::write(&damaged, one.bytes()).unwrap();
    with_host_of(images.builder(), async |host| {
        host.start_actor_from_registry(&first).await.unwrap();
        assert_eq!(revision_of(&host, &first).await, 7);
        host.start_actor_from_registry(&second).await.unwrap();
        assert_eq!(revision_of(&host, &second).await, 1);
        assert_eq!(std::fs::read(&damaged).unwrap(), other.bytes());
        for moving in ["a/b", "a/b:latest"] {
            let reference = images.reference(moving);
            assert_eq!(kind(host.start_actor_from_registry(&reference).await), ErrorKind::InvalidArgument);
        }
    })
    .await;
    let left = std::fs::read_dir(images.cache().join("tmp")).unwrap().count();
    assert_eq!(left, 0, "nothing half-written is left");
}

/// Starts a registry that wants a name and a password, and accepts any.
async fn asking(served: Served) -> Server {
    Server::start(move |seen: &Seen| match seen.authorization {
        Some(_) => served.answer(seen),
        None => answer(401, &["WWW-Authenticate: Basic realm=\"test\""], "{}"),
    })
    .await
}

#[actix_rt::test]
async fn seed_defect_11_each_registry_gets_its_own_credentials_alone() {
    let [ours, theirs] = [sign("tiny_echo"), sign("tiny_echo")];
    let known = asking(Served::new(ours.bytes())).await;
    let stranger = asking(Served::new(theirs.bytes())).await;
    let cache = tempfile::tempdir().unwrap();
    let sources = CredentialSources::none().with(&known.address, Credentials::basic("user", "for the known one"));
    let options = options(&known.address, cache.path().to_owned()).allow_insecure(&stranger.address);
    with_host_of(HostBuilder::new().with_registries(options.credentials(sources)), async |host| {
        host.start_actor_from_registry(&format!("{}/echo:1", known.address)).await.unwrap();
        let refused = host.start_actor_from_registry(&format!("{}/echo:1", stranger.address)).await;
        assert_eq!(kind(refused), ErrorKind::OciDenied);
    })
    .await;
    assert!(known.seen().iter().any(|seen| seen.authorization.is_some()));
    assert!(!stranger.seen().is_empty());
    assert!(stranger.seen().iter().all(|seen| seen.authorization.is_none()), "{:?}", stranger.seen());
}

#[actix_rt::test]
async fn seed_defect_11_credentials_without_a_registry_go_to_the_first_that_asks_and_to_no_other() {
    let [ours, theirs] = [sign("tiny_echo"), sign("tiny_echo")];
    let first = asking(Served::new(ours.bytes())).await;
    let second = asking(Served::new(theirs.bytes())).await;
    let cache = tempfile::tempdir().unwrap();
    let sources = CredentialSources::none().fallback(Credentials::basic("user", "of the environment"));
    let options = options(&first.address, cache.path().to_owned()).allow_insecure(&second.address);
    with_host_of(HostBuilder::new().with_registries(options.credentials(sources)), async |host| {
        host.start_actor_from_registry(&format!("{}/echo:1", first.address)).await.unwrap();
        let refused = host.start_actor_from_registry(&format!("{}/echo:1", second.address)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::OciDenied);
        assert!(refused.to_string().contains(&first.address), "{refused}");
    })
    .await;
    assert!(first.seen().iter().any(|seen| seen.authorization.is_some()));
    assert!(second.seen().iter().all(|seen| seen.authorization.is_none()), "{:?}", second.seen());
}

#[actix_rt::test]
async fn seed_defect_14_a_start_that_fails_records_no_reference() {
    let images = Images::start();
    let stranger = images.push("stranger:1", &built::archive(PROBE, built::stranger())).await;
    let expired = sign("tiny_echo").claims(|claims| claims.expires = Some(1));
    let expired = images.push("expired:1", &expired.bytes()).await;
    with_host_of(images.builder(), async |host| {
        assert_eq!(kind(host.start_capability_from_registry(&stranger, None).await), ErrorKind::InvalidPlugin);
        assert_eq!(kind(host.start_actor_from_registry(&expired).await), ErrorKind::TokenExpired);
        assert!(host.oci_references().await.unwrap().is_empty());
    })
    .await;
}

#[actix_rt::test]
async fn seed_defect_30_a_link_is_set_by_the_reference_of_its_actor() {
    let images = Images::start();
    let signing = sign("host_call").capability(PROBE);
    let key = signing.claims.subject.clone();
    let reference = images.push("caller:1", &signing.bytes()).await;
    let probe = Probe::default();
    let capability = probe.capability();
    let provider = capability.id();
    with_host_of(images.builder(), async |host| {
        host.start_native_capability(capability).await.unwrap();
        // It does not run yet, so its key is learnt from the registry.
        host.set_link(&reference, PROBE, None, provider.clone(), HashMap::new()).await.unwrap();
        assert_eq!(host.link_definitions().await.unwrap()[0].actor_id, key);
        assert_eq!(host.link_state(&key, PROBE, None), Some(LinkState::Pending));
        assert!(host.actors().await.unwrap().is_empty());
        host.start_actor_from_registry(&reference).await.unwrap();
        assert_eq!(host.link_state(&key, PROBE, None), Some(LinkState::Established));
        // It runs, so nothing is asked.
        let second = Some("second".to_owned());
        host.set_link(&reference, PROBE, second, provider.clone(), HashMap::new()).await.unwrap();
        let missing = images.reference("caller:2");
        let refused = host.set_link(&missing, PROBE, None, provider.clone(), HashMap::new()).await;
        assert_eq!(kind(refused), ErrorKind::OciNotFound);
        let malformed = host.set_link("No/Reference:1", PROBE, None, provider, HashMap::new()).await;
        assert_eq!(kind(malformed), ErrorKind::InvalidArgument);
        assert_eq!(host.link_definitions().await.unwrap().len(), 2);
    })
    .await;
}
