//! The cache, tags and registries that are down.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wasmcloud_core::error::ErrorKind;

use super::content::Content;
use super::server::Server;
use super::{Counted, module, options, reference};
use crate::{Digest, Kind, NoProgress, RegistryClient};

fn content() -> Content {
    Content::new(module("echo"))
}

#[tokio::test]
async fn a_registry_that_is_down_leaves_what_is_cached() {
    let server = Server::start(|seen| content().answer(&seen.path)).await;
    let registry = server.address.clone();
    let cache = tempfile::tempdir().unwrap();
    let client = RegistryClient::new(options(&cache, &registry)).unwrap();
    let tagged = reference(&registry, "echo:1");
    let progress = Counted::default();
    let first = client.pull(&tagged, &progress).await.unwrap();
    assert!(!first.from_cache && !first.is_stale);
    assert_eq!((first.kind, first.digest.clone()), (Kind::Actor, Digest::of(&content().manifest)));
    assert_eq!(progress.started.load(Ordering::Relaxed), first.size);
    assert_eq!(progress.advanced.load(Ordering::Relaxed), first.size);
    assert_eq!(progress.finished.load(Ordering::Relaxed), 1);
    let second = client.pull(&tagged, &progress).await.unwrap();
    assert!(second.from_cache && !second.is_stale);
    assert_eq!(progress.finished.load(Ordering::Relaxed), 1);

    server.stop().await;
    let stale = client.pull(&tagged, &NoProgress).await.unwrap();
    assert!(stale.from_cache && stale.is_stale);
    assert_eq!(fs::read(&stale.path).unwrap(), module("echo"));
    assert!(client.resolve(&tagged).await.unwrap().is_stale);
    let pinned = client.pull(&tagged.with_digest(&first.digest), &NoProgress).await.unwrap();
    assert!(pinned.from_cache && !pinned.is_stale);
    let error = client.pull(&reference(&registry, "echo:2"), &NoProgress).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OciUnavailable);
    assert!(error.to_string().contains("check its address and the network"), "{error}");
}

#[tokio::test]
async fn what_a_digest_names_is_not_asked_for_twice() {
    let server = Server::start(|seen| content().answer(&seen.path)).await;
    let cache = tempfile::tempdir().unwrap();
    let client = RegistryClient::new(options(&cache, &server.address)).unwrap();
    let pinned = reference(&server.address, &format!("echo@{}", Digest::of(&content().manifest)));
    for _ in 0..3 {
        client.pull(&pinned, &NoProgress).await.unwrap();
    }
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn tags_are_revalidated() {
    let is_moved = Arc::new(AtomicBool::new(false));
    let moved = is_moved.clone();
    let content_now = move || if moved.load(Ordering::Relaxed) { Content::new(module("new")) } else { content() };
    let server = Server::start(move |seen| content_now().answer(&seen.path)).await;
    let cache = tempfile::tempdir().unwrap();
    let tagged = reference(&server.address, "echo:1");
    let always = RegistryClient::new(options(&cache, &server.address)).unwrap();
    let hourly = options(&cache, &server.address).revalidate_after(Duration::from_secs(3600));
    let hourly = RegistryClient::new(hourly).unwrap();
    let first = always.resolve(&tagged).await.unwrap();
    is_moved.store(true, Ordering::Relaxed);
    assert_eq!(hourly.resolve(&tagged).await.unwrap(), first);
    assert_eq!(server.seen().len(), 1);
    let pulled = always.pull(&tagged, &NoProgress).await.unwrap();
    assert_ne!(pulled.digest, first.digest);
    assert_eq!(fs::read(pulled.path).unwrap(), module("new"));
}

#[tokio::test]
async fn damaged_files_are_fetched_again() {
    let server = Server::start(|seen| content().answer(&seen.path)).await;
    let cache = tempfile::tempdir().unwrap();
    let client = RegistryClient::new(options(&cache, &server.address)).unwrap();
    let tagged = reference(&server.address, "echo:1");
    let path = client.pull(&tagged, &NoProgress).await.unwrap().path;
    fs::write(&path, "damaged").unwrap();
    let again = client.pull(&tagged, &NoProgress).await.unwrap();
    assert!(!again.from_cache);
    assert_eq!(fs::read(&path).unwrap(), module("echo"));
}

#[tokio::test]
async fn many_clients_share_a_cache() {
    let server = Server::start(|seen| content().answer(&seen.path)).await;
    let cache = tempfile::tempdir().unwrap();
    let pulls = (0..16).map(|_| async {
        let client = RegistryClient::new(options(&cache, &server.address)).unwrap();
        client.pull(&reference(&server.address, "echo:1"), &NoProgress).await.unwrap()
    });
    for pulled in futures_util::future::join_all(pulls).await {
        assert_eq!(fs::read(pulled.path).unwrap(), module("echo"));
    }
    assert_eq!(fs::read_dir(cache.path().join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn moving_tags_are_refused_before_the_registry_is_asked() {
    let server = Server::start(|seen| content().answer(&seen.path.replace("latest", "1"))).await;
    let cache = tempfile::tempdir().unwrap();
    for name in ["echo", "echo:latest"] {
        let moving = reference(&server.address, name);
        let client = RegistryClient::new(options(&cache, &server.address)).unwrap();
        assert_eq!(client.pull(&moving, &NoProgress).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
        assert_eq!(client.resolve(&moving).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    assert_eq!(server.seen().len(), 0);
    let allowed = RegistryClient::new(options(&cache, &server.address).allow_latest(true)).unwrap();
    allowed.pull(&reference(&server.address, "echo"), &NoProgress).await.unwrap();
}
