//! Pushes to and pulls from a real registry that wants a name and a password.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use tempfile::TempDir;
use wasmcloud_core::error::ErrorKind;

use super::registry::{PASSWORD, Registry, USER};
use super::{Counted, module, options, reference};
use crate::http::{Body, Http, Outgoing};
use crate::manifest;
use crate::session::{Access, Known, Session};
use crate::{CredentialSources, Credentials, Digest, Kind, Layout, NoProgress, RegistryClient, RegistryOptions};

fn authorized(cache: &TempDir, registry: &Registry) -> RegistryOptions {
    let sources = CredentialSources::none().with(&registry.address, Credentials::basic(USER, PASSWORD));
    options(cache, &registry.address).credentials(sources)
}

/// Writes a file to be pushed.
fn file(folder: &TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

/// The beginning of a compressed archive, and enough bytes for several pieces.
fn archive() -> Vec<u8> {
    [&[0x1f, 0x8b, 8][..], &[7; 3 << 20]].concat()
}

#[tokio::test]
async fn what_is_pushed_is_pulled() {
    let registry = Registry::start();
    let (cache, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let client = RegistryClient::new(authorized(&cache, &registry)).unwrap();
    for (name, content, layout, kind) in [
        ("actors/echo:1", module("echo"), Layout::Wasmcloud, Kind::Actor),
        ("actors/echo:2", module("second"), Layout::Cncf, Kind::Actor),
        ("providers/kv:1", archive(), Layout::Wasmcloud, Kind::Provider),
    ] {
        let reference = reference(&registry.address, name);
        let progress = Counted::default();
        let pushed = client.push(&reference, &file(&files, "x", &content), layout, &progress).await.unwrap();
        assert_eq!(progress.steps.load(Ordering::Relaxed) > 1, content.len() > 1 << 20);
        let pulled = client.pull(&reference, &progress).await.unwrap();
        assert_eq!((pulled.kind, &pulled.digest), (kind, &pushed.digest), "{name}");
        assert_eq!(fs::read(&pulled.path).unwrap(), content);
        assert_eq!(client.read(&pulled).await.unwrap(), content);
        assert_eq!(progress.finished.into_inner(), 2);
        assert_eq!(progress.advanced.into_inner(), 2 * content.len() as u64);
        let by_digest = reference.with_digest(&pushed.digest);
        assert!(client.pull(&by_digest, &NoProgress).await.unwrap().from_cache);
    }
}

#[tokio::test]
async fn a_push_can_be_repeated() {
    let registry = Registry::start();
    let (cache, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let client = RegistryClient::new(authorized(&cache, &registry)).unwrap();
    let echo = reference(&registry.address, "echo:1");
    let path = file(&files, "echo.wasm", &module("echo"));
    let first = client.push(&echo, &path, Layout::Cncf, &NoProgress).await.unwrap();
    assert_eq!(client.push(&echo, &path, Layout::Cncf, &NoProgress).await.unwrap(), first);
}

#[tokio::test]
async fn manifests_without_a_media_type_are_read() {
    let registry = Registry::start();
    let (cache, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let options = authorized(&cache, &registry);
    let client = RegistryClient::new(options.clone()).unwrap();
    let path = file(&files, "echo.wasm", &module("echo"));
    client.push(&reference(&registry.address, "echo:1"), &path, Layout::Wasmcloud, &NoProgress).await.unwrap();
    let digest = Digest::of(&module("echo"));
    let written = manifest::write(Kind::Actor, Layout::Wasmcloud, &digest, module("echo").len() as u64).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_slice(&written.manifest).unwrap();
    assert!(manifest.as_object_mut().unwrap().remove("mediaType").is_some());

    let second = reference(&registry.address, "echo:2");
    let (http, known) = (Http::new(&options).unwrap(), Known::default());
    let session = Session::new(&http, &options, &known, &second, Access::Push);
    let request = Outgoing::new(Method::PUT, session.url("manifests/2").unwrap())
        .header(CONTENT_TYPE, manifest::WRITTEN)
        .body(Body::Bytes(manifest.to_string().into()));
    session.fetch(&request).await.unwrap();
    let pulled = client.pull(&second, &NoProgress).await.unwrap();
    assert_eq!(pulled.digest, Digest::of(manifest.to_string().as_bytes()));
    assert_eq!(fs::read(pulled.path).unwrap(), module("echo"));
}

#[tokio::test]
async fn refusals_say_who_asked() {
    let registry = Registry::start();
    let (cache, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let echo = reference(&registry.address, "echo:1");
    let path = file(&files, "echo.wasm", &module("echo"));
    let wrong = CredentialSources::none().with(&registry.address, Credentials::basic(USER, "hunter2"));
    for (sources, text) in
        [(CredentialSources::none(), "without credentials"), (wrong, "with the credentials that it was given")]
    {
        let client = RegistryClient::new(options(&cache, &registry.address).credentials(sources)).unwrap();
        let errors = [
            client.pull(&echo, &NoProgress).await.unwrap_err(),
            client.push(&echo, &path, Layout::Cncf, &NoProgress).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::OciDenied, "{error}");
            assert!(error.to_string().contains(text), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}

#[tokio::test]
async fn what_is_missing_or_damaged_is_told() {
    let registry = Registry::start();
    let (cache, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let client = RegistryClient::new(authorized(&cache, &registry)).unwrap();
    let echo = reference(&registry.address, "echo:1");
    let error = client.pull(&echo, &NoProgress).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OciNotFound, "{error}");
    client.push(&echo, &file(&files, "x", &module("echo")), Layout::Cncf, &NoProgress).await.unwrap();
    fs::write(registry.blob(&Digest::of(&module("echo")).hex()), module("evil")).unwrap();
    let error = client.pull(&echo, &NoProgress).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OciRefused, "{error}");
}

#[tokio::test]
async fn what_cannot_be_pushed_is_refused_before_it_is_sent() {
    let (cache, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let client = RegistryClient::new(options(&cache, "127.0.0.1:1").max_module_size(64)).unwrap();
    let to = |name: &str| reference("127.0.0.1:1", name);
    let pinned = to(&format!("echo@{}", Digest::of(b"")));
    let wasm = file(&files, "echo.wasm", &module("echo"));
    for (reference, path, kind) in [
        (to("echo:1"), file(&files, "page", b"<html>"), ErrorKind::InvalidArgument),
        (to("echo:1"), files.path().join("missing"), ErrorKind::Io),
        (to("echo:1"), file(&files, "large.wasm", &module(&"x".repeat(100))), ErrorKind::OciRefused),
        (to("echo"), wasm.clone(), ErrorKind::InvalidArgument),
        (pinned, wasm.clone(), ErrorKind::InvalidArgument),
    ] {
        let error = client.push(&reference, &path, Layout::Cncf, &NoProgress).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}
