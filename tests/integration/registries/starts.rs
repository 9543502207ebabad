//! Starts, updates and stops by reference.

use wasmcloud_host::oci::{CredentialSources, Credentials, Layout, NoProgress, RegistryClient};
use wasmcloud_host::{ErrorKind, EventKind, Host, HostBuilder, Isolation, RegistryOptions, RestartPolicy};

use super::docker::{PASSWORD, Registry, USER};
use super::{Images, digest, options};
use crate::plugins::{apart, built};
use crate::signing::sign;
use crate::support::{certificate, kind, soon, with_host_of};

/// The contract of the plugin.
const TALLY: &str = "test:tally";

/// Waits for the next start, and returns the reference that its event names.
async fn started(events: &mut wasmcloud_host::Events) -> Option<String> {
    soon(async {
        loop {
            let event = events.next().await.unwrap();
            if event.kind == EventKind::Started {
                return event.image_ref;
            }
        }
    })
    .await
}

#[actix_rt::test]
async fn an_actor_is_started_found_and_stopped_by_its_reference() {
    let images = Images::start();
    let signing = sign("tiny_echo").alias("echo");
    let reference = images.push("actors/echo:1.0.0", &signing.bytes()).await;
    with_host_of(images.builder(), async |host| {
        let mut events = host.events();
        host.start_actor_from_registry(&reference).await.unwrap();
        let key = signing.actor().public_key();
        assert_eq!(host.call_actor(&key, "Echo", b"x").await.unwrap(), b"x");
        assert_eq!(started(&mut events).await.as_ref(), Some(&reference));
        let listed = host.inventory().unwrap().actors.remove(0);
        assert_eq!(listed.image_ref.as_ref(), Some(&reference));
        let digest = listed.image_digest.unwrap();
        assert!(digest.starts_with("sha256:") && digest.len() == 71, "{digest}");
        assert_eq!(host.oci_references().await.unwrap()[&reference], key);
        for named in [&key, &reference, "echo"] {
            let claims = host.get_actor_identity(named).await.unwrap();
            assert_eq!((claims.subject, claims.issuer), (key.clone(), signing.claims.issuer.clone()), "{named}");
        }
        assert_eq!(kind(host.get_actor_identity("other").await), ErrorKind::ActorNotFound);
        assert_eq!(kind(host.start_actor_from_registry(&reference).await), ErrorKind::ActorAlreadyRunning);
        host.stop_actor(&reference).await.unwrap();
        assert!(host.actors().await.unwrap().is_empty());
        assert_eq!(kind(host.stop_actor(&reference).await), ErrorKind::ActorNotFound);
        // What the digest names needs no registry any more.
        let pinned = format!("{}@{digest}", images.reference("actors/echo"));
        host.start_actor_from_registry(&pinned).await.unwrap();
        assert_eq!(host.inventory().unwrap().actors[0].image_ref.as_ref(), Some(&pinned));
    })
    .await;
}

#[actix_rt::test]
async fn a_provider_is_started_and_stopped_by_its_reference() {
    let images = Images::start();
    let reference = images.push("providers/tally:1", &built::archive(TALLY, built::tally(&[]))).await;
    with_host_of(images.builder(), async |host| {
        let mut events = host.events();
        host.start_capability_from_registry(&reference, None).await.unwrap();
        assert_eq!(started(&mut events).await.as_ref(), Some(&reference));
        let process = Isolation::Process(apart());
        let second = Some("second".to_owned());
        let policy = RestartPolicy::new();
        host.start_capability_from_registry_with(&reference, second.clone(), process, policy).await.unwrap();
        let listed = host.inventory().unwrap().providers;
        assert!(listed.iter().all(|provider| provider.image_ref.as_ref() == Some(&reference)), "{listed:?}");
        assert_eq!(listed.len(), 2);
        let claims = host.get_provider_identity(&reference).await.unwrap();
        assert_eq!((claims.subject.as_str(), claims.metadata.unwrap().capid.as_str()), (&*listed[0].id, TALLY));
        assert_eq!(host.get_provider_identity(&listed[0].id).await.unwrap().subject, listed[0].id);
        assert_eq!(kind(host.get_provider_identity("other/one:1").await), ErrorKind::ProviderNotFound);
        assert_eq!(host.oci_references().await.unwrap()[&reference], listed[0].id);
        host.stop_provider(&reference, TALLY, second).await.unwrap();
        let left = host.providers().await.unwrap();
        assert_eq!((left.len(), left[0].link_name.as_str()), (1, "default"));
        host.stop_provider(&reference, TALLY, None).await.unwrap();
        assert!(host.providers().await.unwrap().is_empty());
    })
    .await;
}

#[actix_rt::test]
async fn what_is_of_another_kind_or_not_signed_is_refused() {
    let images = Images::start();
    let echo = images.push("echo:1", &sign("tiny_echo").bytes()).await;
    let tally = images.push("tally:1", &built::archive(TALLY, built::tally(&[]))).await;
    let unsigned = images.push("unsigned:1", &crate::signing::guest("tiny_echo")).await;
    with_host_of(images.builder(), async |host| {
        let error = host.start_actor_from_registry(&tally).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains("start it as a capability"), "{error}");
        let error = host.start_capability_from_registry(&echo, None).await.unwrap_err();
        assert!(error.to_string().contains("start it as an actor"), "{error}");
        let error = host.start_actor_from_registry(&unsigned).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsigned);
        assert!(error.to_string().contains(&unsigned), "{error}");
        assert_eq!(host.inventory().unwrap().actors.len() + host.inventory().unwrap().providers.len(), 0);
    })
    .await;
}

#[actix_rt::test]
async fn an_update_is_pulled_by_its_reference() {
    let images = Images::start();
    let mut signing = sign("tiny_echo");
    let first = images.push("echo:1", &signing.bytes()).await;
    signing.set_revision(2);
    let second = images.push("echo:2", &signing.bytes()).await;
    let third_bytes = {
        signing.set_revision(3);
        signing.bytes()
    };
    let key = signing.actor().public_key();
    with_host_of(images.builder().enable_live_updates(), async |host| {
        let listed = |host: &Host| {
            let actor = host.inventory().unwrap().actors.remove(0);
            (actor.revision, actor.image_ref)
        };
        host.start_actor_from_registry(&first).await.unwrap();
        assert_eq!(listed(&host), (1, Some(first.clone())));
        // The actor is named by what it was started from, too.
        host.update_actor(&first, Some(second.clone()), b"").await.unwrap();
        assert_eq!(listed(&host), (2, Some(second.clone())));
        let missing = images.reference("echo:4");
        assert_eq!(kind(host.update_actor(&key, Some(missing), b"").await), ErrorKind::OciNotFound);
        assert_eq!(listed(&host), (2, Some(second.clone())));
        // Given with the module, a reference is recorded and not pulled.
        let recorded = images.reference("echo:3");
        host.update_actor(&key, Some(recorded.clone()), &third_bytes).await.unwrap();
        assert_eq!(listed(&host), (3, Some(recorded)));
        assert_eq!(host.call_actor(&key, "Echo", b"x").await.unwrap(), b"x");
    })
    .await;
}

#[actix_rt::test]
async fn a_tag_is_asked_for_again_and_its_digest_recorded() {
    let images = Images::start();
    let mut signing = sign("tiny_echo");
    let mut digests = Vec::new();
    for revision in [1, 2] {
        signing.set_revision(revision);
        let reference = images.push("echo:stable", &signing.bytes()).await;
        with_host_of(images.builder(), async |host| {
            host.start_actor_from_registry(&reference).await.unwrap();
            let actor = host.inventory().unwrap().actors.remove(0);
            assert_eq!(actor.revision, revision);
            digests.push(actor.image_digest.unwrap());
        })
        .await;
    }
    assert_ne!(digests[0], digests[1]);
}

#[actix_rt::test]
async fn the_methods_of_release_0_19_allow_moving_tags_and_registries_without_tls() {
    let images = Images::start();
    images.push("echo:1", &sign("tiny_echo").bytes()).await;
    let client = RegistryClient::new(images.options().allow_latest(true)).unwrap();
    let latest = images.reference("echo:latest");
    let file = images.folder.path().join("pushed");
    client.push(&latest.parse().unwrap(), &file, Layout::Cncf, &NoProgress).await.unwrap();
    let secure = RegistryOptions::new(images.cache()).credentials(images.credentials());
    let builder = HostBuilder::new().with_registries(secure);
    with_host_of(builder.clone().oci_allow_latest(), async |host| {
        assert_eq!(kind(host.start_actor_from_registry(&latest).await), ErrorKind::OciUnavailable);
    })
    .await;
    let builder = builder.oci_allow_insecure(vec![images.registry.address.clone()]);
    with_host_of(builder.clone(), async |host| {
        assert_eq!(kind(host.start_actor_from_registry(&latest).await), ErrorKind::InvalidArgument);
    })
    .await;
    with_host_of(builder.oci_allow_latest(), async |host| {
        for reference in [latest.clone(), images.reference("echo")] {
            host.start_actor_from_registry(&reference).await.unwrap();
            host.stop_actor(&reference).await.unwrap();
        }
    })
    .await;
}

#[actix_rt::test]
async fn a_registry_with_tls_is_trusted_by_its_authority() {
    let (pem, key) = certificate();
    let registry = Registry::start_with_tls(&pem, &key);
    let port = registry.address.rsplit(':').next().unwrap();
    let (address, folder) = (format!("localhost:{port}"), tempfile::tempdir().unwrap());
    let sources = CredentialSources::none().with(&address, Credentials::basic(USER, PASSWORD));
    let strange = RegistryOptions::new(folder.path().join("cache")).credentials(sources);
    let trusting = strange.clone().trust_certificates(pem);
    let reference = format!("{address}/echo:1");
    let file = folder.path().join("echo.wasm");
    let bytes = sign("tiny_echo").bytes();
    std::fs::write(&file, &bytes).unwrap();
    let client = RegistryClient::new(trusting.clone()).unwrap();
    let pushed = client.push(&reference.parse().unwrap(), &file, Layout::Wasmcloud, &NoProgress).await.unwrap();
    with_host_of(HostBuilder::new().with_registries(strange), async |host| {
        assert_eq!(kind(host.start_actor_from_registry(&reference).await), ErrorKind::OciUnavailable);
    })
    .await;
    with_host_of(HostBuilder::new().with_registries(trusting), async |host| {
        host.start_actor_from_registry(&reference).await.unwrap();
        assert_eq!(host.inventory().unwrap().actors[0].image_digest, Some(pushed.digest.to_string()));
    })
    .await;
    let blob = digest(&bytes).replace("sha256:", "");
    assert!(folder.path().join("cache/sha256").join(blob).is_file());
    let malformed = options("localhost:1", folder.path().to_owned()).trust_certificates("no certificate");
    with_host_of(HostBuilder::new().with_registries(malformed), async |host| {
        assert_eq!(kind(host.start_actor_from_registry("localhost:1/echo:1").await), ErrorKind::InvalidArgument);
    })
    .await;
}
