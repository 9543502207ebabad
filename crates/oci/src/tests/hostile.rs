//! Registries that lie, send too much, too little or something else, or lead to where they should not.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use wasmcloud_core::error::{Error, ErrorKind};

use super::content::Content;
use super::server::{Answer, Seen, Server, Then, answer};
use super::{module, options, reference};
use crate::{Digest, NoProgress, RegistryClient, RegistryOptions};

/// Returns how many files a folder of the cache has.
fn files(cache: &Path, folder: &str) -> usize {
    fs::read_dir(cache.join(folder)).map_or(0, Iterator::count)
}

/// A failed pull from a server that answers one path of an honest registry in another way.
struct Outcome {
    error: Error,
    server: Server,
    cache: TempDir,
}

async fn pull_with(path: &str, wrong: Answer, adjust: impl FnOnce(RegistryOptions) -> RegistryOptions) -> Outcome {
    let (content, path) = (content(), path.to_owned());
    let respond = move |seen: &Seen| if seen.path == path { wrong.clone() } else { content.answer(&seen.path) };
    let server = Server::start(respond).await;
    let cache = tempfile::tempdir().unwrap();
    let client = RegistryClient::new(adjust(options(&cache, &server.address))).unwrap();
    let error = client.pull(&reference(&server.address, "echo:1"), &NoProgress).await.unwrap_err();
    assert!(!cache.path().join("sha256").join(Digest::of(&content_blob()).hex()).exists());
    assert_eq!(files(cache.path(), "tmp"), 0, "{error}");
    Outcome { error, server, cache }
}

fn content_blob() -> Vec<u8> {
    module("echo")
}

fn content() -> Content {
    Content::new(content_blob())
}

/// Asserts that a pull is refused with a text.
async fn refused(path: &str, wrong: Answer, text: &str) -> Outcome {
    let outcome = pull_with(path, wrong, |options| options).await;
    assert_eq!(outcome.error.kind(), ErrorKind::OciRefused, "{}", outcome.error);
    assert!(outcome.error.to_string().contains(text), "{}", outcome.error);
    outcome
}

#[tokio::test]
async fn content_with_another_digest_is_refused() {
    let path = content().blob_path();
    refused(&path, answer(200, &[], module("evil")), "sent content with the digest").await;
    let told = format!("Docker-Content-Digest: {}", Digest::of(b"x"));
    let manifest = answer(200, &[&told], content().manifest);
    refused(Content::TAG, manifest, "sent a manifest with the digest").await;
}

#[tokio::test]
async fn a_manifest_with_another_digest_than_the_reference_is_refused() {
    let server = Server::start(|_| answer(200, &[], Content::new(module("evil")).manifest)).await;
    let cache = tempfile::tempdir().unwrap();
    let client = RegistryClient::new(options(&cache, &server.address)).unwrap();
    let pinned = reference(&server.address, &format!("echo@{}", Digest::of(&content().manifest)));
    let error = client.pull(&pinned, &NoProgress).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OciRefused, "{error}");
    assert_eq!(files(cache.path(), "sha256"), 0);
}

#[tokio::test]
async fn endless_answers_are_cut() {
    for path in [Content::TAG, &content().blob_path()] {
        let outcome = refused(path, answer(200, &[], "").then(Then::Endless), "").await;
        // What the buffers of both ends hold comes on top of the largest manifest.
        assert!(outcome.server.sent() < 32 << 20, "{}", outcome.server.sent());
    }
}

#[tokio::test]
async fn announced_sizes_are_compared_with_the_limits() {
    let mut manifest: serde_json::Value = serde_json::from_slice(&content().manifest).unwrap();
    manifest["layers"][0]["size"] = serde_json::json!(10_u64 << 30);
    let outcome = refused(Content::TAG, answer(200, &[], manifest.to_string()), "larger than the limit").await;
    assert_eq!(outcome.server.count("/v2/echo/blobs/"), 0);
    let outcome = pull_with("", answer(200, &[], ""), |options| options.max_module_size(8)).await;
    assert!(outcome.error.to_string().contains("raise the limit"), "{}", outcome.error);
    assert_eq!(outcome.server.count("/v2/echo/blobs/"), 0);
}

#[tokio::test]
async fn redirects_into_private_networks_are_refused() {
    let inside = Server::start(|_| answer(200, &[], content_blob())).await;
    let port = inside.address.rsplit(':').next().unwrap().to_owned();
    let targets = [
        format!("http://{}/secret", inside.address),
        format!("https://{}/secret", inside.address),
        format!("http://localhost:{port}/secret"),
        format!("https://localhost:{port}/secret"),
        format!("https://[::ffff:127.0.0.1]:{port}/secret"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
        "https://10.0.0.1/".to_owned(),
    ];
    for target in &targets {
        for path in [Content::TAG, &content().blob_path()] {
            let redirect = answer(307, &[&format!("Location: {target}")], "");
            refused(path, redirect, "add '").await;
        }
    }
    assert_eq!(inside.seen().len(), 0);
}

#[tokio::test]
async fn redirects_to_where_the_operator_allows_are_followed() {
    let storage = Server::start(|_| answer(200, &[], content_blob())).await;
    let (target, blob) = (format!("Location: http://{}/blob?signature=1", storage.address), content().blob_path());
    let registry =
        Server::start(
            move |seen| {
                if seen.path == blob { answer(307, &[&target], "") } else { content().answer(&seen.path) }
            },
        )
        .await;
    let cache = tempfile::tempdir().unwrap();
    let options = options(&cache, &registry.address).allow_insecure(&storage.address);
    let client = RegistryClient::new(options).unwrap();
    let pulled = client.pull(&reference(&registry.address, "echo:1"), &NoProgress).await.unwrap();
    assert_eq!(fs::read(pulled.path).unwrap(), content_blob());
    assert_eq!(storage.seen()[0].authorization, None);
}

#[tokio::test]
async fn redirects_end() {
    let around = answer(302, &[&format!("Location: {}", Content::TAG)], "");
    let outcome = refused(Content::TAG, around, "redirects more than 5 times").await;
    assert_eq!(outcome.server.count(Content::TAG), 6);
    refused(Content::TAG, answer(302, &[], ""), "redirects to no address").await;
}

#[tokio::test]
async fn web_pages_are_refused() {
    let page = || answer(200, &["Content-Type: text/html; charset=utf-8"], "<html>Sign in</html>");
    refused(Content::TAG, page(), "a web page").await;
    refused(&content().blob_path(), page(), "a web page").await;
    refused(Content::TAG, answer(200, &[], "<html>Sign in</html>"), "something else than a manifest").await;
}

#[tokio::test]
async fn content_of_another_kind_is_refused() {
    let content = Content::new(b"<html>Sign in</html>".to_vec());
    let server = Server::start(move |seen| content.answer(&seen.path)).await;
    let cache = tempfile::tempdir().unwrap();
    let client = RegistryClient::new(options(&cache, &server.address)).unwrap();
    let error = client.pull(&reference(&server.address, "echo:1"), &NoProgress).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OciRefused);
    assert!(error.to_string().contains("neither a module nor an archive"), "{error}");
}

#[tokio::test]
async fn slow_answers_end_by_the_time_limit() {
    for path in [Content::TAG, &content().blob_path()] {
        let drip = answer(200, &[], "").then(Then::Drip);
        let limit = Duration::from_millis(40);
        let outcome = pull_with(path, drip, |options| options.total_timeout(limit)).await;
        assert!(matches!(outcome.error.kind(), ErrorKind::OciUnavailable | ErrorKind::OciRefused), "{}", outcome.error);
    }
}

#[tokio::test]
async fn an_interrupted_download_is_repeated_by_the_next_pull() {
    let blob = content_blob();
    let broken = answer(200, &[], &blob[..6]).then(Then::BreakOff(blob.len() - 6));
    let outcome = pull_with(&content().blob_path(), broken, |options| options).await;
    assert_eq!(outcome.error.kind(), ErrorKind::OciUnavailable, "{}", outcome.error);
    let short = answer(200, &[], &blob[..6]);
    let outcome = pull_with(&content().blob_path(), short, |options| options).await;
    assert_eq!(outcome.error.kind(), ErrorKind::OciUnavailable, "{}", outcome.error);
    let honest = Server::start(|seen| content().answer(&seen.path)).await;
    let client = RegistryClient::new(options(&outcome.cache, &honest.address)).unwrap();
    let pulled = client.pull(&reference(&honest.address, "echo:1"), &NoProgress).await.unwrap();
    assert_eq!(fs::read(pulled.path).unwrap(), blob);
}

#[tokio::test]
async fn failures_are_told_apart() {
    let json = r#"{"errors": [{"code": "UNSUPPORTED", "message": "over \u001b[31m quota"}]}"#;
    for (status, kind) in [
        (404, ErrorKind::OciNotFound),
        (403, ErrorKind::OciDenied),
        (418, ErrorKind::OciRefused),
        (429, ErrorKind::OciUnavailable),
        (500, ErrorKind::OciUnavailable),
        (503, ErrorKind::OciUnavailable),
    ] {
        let outcome = pull_with(Content::TAG, answer(status, &[], json), |options| options).await;
        assert_eq!(outcome.error.kind(), kind, "{}", outcome.error);
        assert!(!outcome.error.to_string().contains('\u{1b}'), "{}", outcome.error);
    }
}
