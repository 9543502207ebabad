//! Registries that are slow, lie, send too much or something else, and disks that are full.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use futures_util::future::{Either, join, select};
use tempfile::TempDir;
use wasmcloud_host::{Error, ErrorKind, HostBuilder, RegistryOptions};

use super::server::{Answer, Server, Then, answer};
use super::{Images, Served, options};
use crate::signing::sign;
use crate::support::{keep_log, kind, logged, soon, until, with_host_of};

/// A registry of one actor that answers one path in another way than an honest one.
async fn registry(served: Served, path: String, wrong: Answer) -> Server {
    Server::start(move |seen| if seen.path == path { wrong.clone() } else { served.answer(seen) }).await
}

/// Returns the error of a start from a registry, after which nothing runs, and nothing of the content is kept.
async fn failure(
    served: Served,
    path: String,
    wrong: Answer,
    adjust: impl FnOnce(RegistryOptions) -> RegistryOptions,
) -> Error {
    let blob = served.blob_path().replace("/v2/echo/blobs/sha256:", "");
    let server = registry(served, path, wrong).await;
    let cache = TempDir::new().unwrap();
    let builder = HostBuilder::new().with_registries(adjust(options(&server.address, cache.path().to_owned())));
    let mut failure = None;
    with_host_of(builder, async |host| {
        let reference = format!("{}/echo:1", server.address);
        let error = soon(host.start_actor_from_registry(&reference)).await.unwrap_err();
        assert!(error.to_string().contains(&reference), "{error}");
        assert!(host.actors().await.unwrap().is_empty());
        assert!(host.oci_references().await.unwrap().is_empty());
        failure = Some(error);
    })
    .await;
    assert!(!cache.path().join("sha256").join(blob).exists());
    assert_eq!(count(cache.path(), "tmp"), 0);
    failure.unwrap()
}

/// Returns how many files a folder of the cache has.
fn count(cache: &Path, folder: &str) -> usize {
    std::fs::read_dir(cache.join(folder)).map_or(0, Iterator::count)
}

fn echo() -> Served {
    Served::new(sign("tiny_echo").bytes())
}

fn assert_is(error: &Error, kind: ErrorKind, text: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(text), "{error}");
}

#[actix_rt::test]
async fn a_registry_that_lies_about_a_digest_starts_nothing() {
    let served = echo();
    let path = served.blob_path();
    let other = answer(200, &[], sign("tiny_echo").bytes());
    let error = failure(served, path, other, |options| options).await;
    assert_is(&error, ErrorKind::OciRefused, "damaged or forged");
}

#[actix_rt::test]
async fn ten_gigabytes_are_refused_by_what_is_announced_and_by_what_comes() {
    let announced = Served::announced_as(10 << 30, sign("tiny_echo").bytes());
    let path = announced.blob_path();
    let never = answer(500, &[], "");
    let error = failure(announced, path, never, |options| options).await;
    assert_is(&error, ErrorKind::OciRefused, "raise the limit if that is meant");
    let served = echo();
    let path = served.blob_path();
    let endless = answer(200, &[], "").then(Then::Endless);
    let error = failure(served, path, endless, |options| options).await;
    assert_is(&error, ErrorKind::OciRefused, "ask its operator");
}

#[actix_rt::test]
async fn a_redirect_into_a_private_network_is_refused() {
    for location in ["https://10.0.0.1/blob", "https://169.254.169.254/latest/meta-data", "http://127.0.0.1:1/x"] {
        let served = echo();
        let path = served.blob_path();
        let redirect = answer(307, &[&format!("Location: {location}")], "");
        let error = failure(served, path, redirect, |options| options).await;
        assert_is(&error, ErrorKind::OciRefused, "insecure registries");
    }
}

#[actix_rt::test]
async fn a_web_page_is_no_answer() {
    let page = answer(200, &["Content-Type: text/html"], "<html>please sign in</html>");
    let error = failure(echo(), Served::TAG.to_owned(), page, |options| options).await;
    assert_is(&error, ErrorKind::OciRefused, "sign-in page");
}

#[actix_rt::test]
async fn an_interrupted_download_is_told_and_can_be_repeated() {
    let served = echo();
    let path = served.blob_path();
    let half = answer(200, &[], served.blob[..served.blob.len() / 2].to_vec()).then(Then::BreakOff(1000));
    let error = failure(served, path, half, |options| options).await;
    assert_is(&error, ErrorKind::OciUnavailable, "try again");
}

#[actix_rt::test]
async fn a_slow_registry_ends_by_its_limit_and_delays_no_call() {
    let served = echo();
    let path = served.blob_path();
    let slow = answer(200, &[], "").then(Then::Drip);
    let error = failure(served, path, slow, |options| options.total_timeout(Duration::from_millis(300))).await;
    assert_is(&error, ErrorKind::OciUnavailable, "raise the time limit");

    let served = echo();
    let path = served.blob_path();
    let server = registry(served, path.clone(), answer(200, &[], "").then(Then::Drip)).await;
    let cache = TempDir::new().unwrap();
    let builder = HostBuilder::new().with_shards(1);
    with_host_of(builder.with_registries(options(&server.address, cache.path().to_owned())), async |host| {
        let actor = sign("tiny_echo").actor();
        let key = actor.public_key();
        host.start_actor(actor).await.unwrap();
        let reference = format!("{}/echo:1", server.address);
        let pull = std::pin::pin!(host.start_actor_from_registry(&reference));
        let call = std::pin::pin!(async {
            until(async || {
                tokio::time::sleep(Duration::from_millis(1)).await;
                server.count(&path) > 0
            })
            .await;
            host.call_actor(&key, "Echo", b"x").await
        });
        match select(pull, call).await {
            Either::Right((answered, pull)) => {
                assert_eq!(answered.unwrap(), b"x");
                // The host does not wait for the registry when it stops.
                let (pulled, ()) = soon(join(pull, host.stop())).await;
                assert_eq!(kind(pulled), ErrorKind::HostNotRunning);
            }
            Either::Left((pulled, _)) => panic!("the pull has ended first: {pulled:?}"),
        }
    })
    .await;
}

#[actix_rt::test]
async fn a_registry_that_is_down_is_made_up_for_by_the_cache_and_told() {
    keep_log();
    let mut images = Images::start();
    let reference = images.push("offline/echo:1", &sign("tiny_echo").bytes()).await;
    with_host_of(images.builder(), async |host| host.start_actor_from_registry(&reference).await.unwrap()).await;
    images.registry.stop();
    with_host_of(images.builder(), async |host| {
        host.start_actor_from_registry(&reference).await.unwrap();
        let digest = host.inventory().unwrap().actors[0].image_digest.clone().unwrap();
        let is_told = |line: &String| line.contains(&reference) && line.contains(&digest) && line.contains("reached");
        assert!(logged().iter().any(is_told), "{:?}", logged());
        let unknown = images.reference("offline/echo:2");
        let error = host.start_actor_from_registry(&unknown).await.unwrap_err();
        assert_is(&error, ErrorKind::OciUnavailable, "check its address and the network");
    })
    .await;
}

/// A folder on a file system of its own.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// Returns `None` where this user may not mount any.
    fn new(size: &str) -> Option<SmallDisk> {
        let folder = TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder.path());
        mount.output().is_ok_and(|output| output.status.success()).then(|| SmallDisk(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.0.path()).status().ok();
    }
}

/// Where nothing can be mounted, `command` tests the same with a limit for the size of files.
#[actix_rt::test]
async fn a_full_disk_is_named_and_leaves_room_for_what_fits() {
    let Some(disk) = SmallDisk::new("256k") else { return };
    let images = Images::start();
    let large = images.push("large:1", &[b"\0asm\x01\0\0\0".as_slice(), &[0; 1 << 20]].concat()).await;
    let small = images.push("small:1", &sign("tiny_echo").bytes()).await;
    let options = options(&images.registry.address, disk.0.path().to_owned()).credentials(images.credentials());
    with_host_of(HostBuilder::new().with_registries(options), async |host| {
        let error = host.start_actor_from_registry(&large).await.unwrap_err();
        assert_is(&error, ErrorKind::Io, "is full: free space there, or set another folder");
        assert_eq!(count(disk.0.path(), "tmp"), 0);
        host.start_actor_from_registry(&small).await.unwrap();
    })
    .await;
}
