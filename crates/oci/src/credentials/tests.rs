//! Tests of how credentials are found.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use wasmcloud_core::error::ErrorKind;

use super::*;

/// Returns sources that read this text as Docker's configuration.
fn sources(folder: &Path, config: &str) -> CredentialSources {
    let path = folder.join("config.json");
    fs::write(&path, config).unwrap();
    CredentialSources::none().docker_config(path)
}

async fn found_in(config: &str, registry: &str) -> Result<Found> {
    let folder = tempfile::tempdir().unwrap();
    sources(folder.path(), config).find(registry).await
}

#[tokio::test]
async fn entries_are_found_by_all_their_forms() {
    let auth = data_encoding::BASE64.encode(b"me:pass:word");
    for key in ["example.com", "https://example.com", "https://example.com/v1/", "EXAMPLE.com"] {
        let config = format!(r#"{{"auths": {{"{key}": {{"auth": "{auth}"}}, "other.com": {{}}}}}}"#);
        let found = found_in(&config, "example.com").await.unwrap();
        assert_eq!(found.credentials, Some(Credentials::basic("me", "pass:word")), "{key}");
    }
    let hub = format!(r#"{{"auths": {{"https://index.docker.io/v1/": {{"auth": "{auth}"}}}}}}"#);
    assert!(found_in(&hub, "docker.io").await.unwrap().credentials.is_some());
}

#[tokio::test]
async fn tokens_are_found() {
    let config = r#"{"auths": {"a.io": {"auth": "MDAwOg==", "identitytoken": "t"}, "b.io": {"registrytoken": "r"}}}"#;
    assert_eq!(found_in(config, "a.io").await.unwrap().credentials, Some(Credentials::identity_token("t")));
    assert_eq!(found_in(config, "b.io").await.unwrap().credentials, Some(Credentials::registry_token("r")));
}

#[tokio::test]
async fn a_missing_file_means_anonymous_and_is_named() {
    let sources = CredentialSources::none().docker_config("/nonexistent/config.json");
    let found = sources.find("example.com").await.unwrap();
    assert_eq!(found.credentials, None);
    assert_eq!(found.origin, "'/nonexistent/config.json' does not exist");
    let fallback = Credentials::basic("me", "secret");
    let found = sources.fallback(fallback.clone()).find_for_challenge("example.com").await.unwrap();
    assert_eq!(found.credentials, Some(fallback));
}

#[tokio::test]
async fn given_credentials_come_first() {
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(folder.path(), r#"{"auths": {"a.io": {"username": "file", "password": "x"}}}"#)
        .with("b.io", Credentials::basic("given", "x"))
        .fallback(Credentials::basic("fallback", "x"));
    for (registry, user) in [("a.io", "file"), ("b.io", "given"), ("c.io", "fallback")] {
        let found = sources.find_for_challenge(registry).await.unwrap();
        assert_eq!(found.credentials, Some(Credentials::basic(user, "x")), "{registry}");
    }
}

#[tokio::test]
async fn malformed_files_do_not_spill_secrets() {
    for config in [
        "",
        "[",
        r#"{"auths": {"a.io": {"auth": 12}}}"#,
        r#"{"auths": {"a.io": {"auth": "hunter2!"}}}"#,
        r#"{"auths": {"a.io": "hunter2"}}"#,
    ] {
        let error = found_in(config, "a.io").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{config}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let shown = format!("{:?}", CredentialSources::none().with("a.io", Credentials::basic("me", "hunter2")));
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn helpers_are_refused_by_name_or_absence() {
    let error = found_in(r#"{"credsStore": "../../evil"}"#, "a.io").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let error = found_in(r#"{"credHelpers": {"a.io": "no-such-helper"}}"#, "a.io").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("not installed"), "{error}");
    assert!(found_in(r#"{"credHelpers": {"a.io": "no-such-helper"}}"#, "b.io").await.unwrap().credentials.is_none());
}

/// Writes a helper that runs this script, and returns sources that use it for all registries.
fn with_helper(folder: &Path, script: &str) -> CredentialSources {
    let path = folder.join("docker-credential-test");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    sources(folder, r#"{"credsStore": "test"}"#).helper_folder(folder)
}

/// Finds credentials by a helper that was just written. While another test starts a process, the kernel may take the file
/// for one that is still being written.
async fn found_by(sources: &CredentialSources, registry: &str) -> Result<Found> {
    loop {
        match sources.find(registry).await {
            Err(error) if error.to_string().contains("Text file busy") => tokio::task::yield_now().await,
            result => return result,
        }
    }
}

#[tokio::test]
async fn helpers_are_asked_for_the_registry() {
    let folder = tempfile::tempdir().unwrap();
    let echo = r#"name=$(cat); printf '{"ServerURL":"%s","Username":"of %s","Secret":"x"}' "$name" "$name""#;
    for (registry, key) in [("a.io:5000", "a.io:5000"), ("docker.io", "https://index.docker.io/v1/")] {
        let found = found_by(&with_helper(folder.path(), echo), registry).await.unwrap();
        assert_eq!(found.credentials, Some(Credentials::basic(format!("of {key}"), "x")));
        assert_eq!(found.origin, "those of docker-credential-test");
    }
    let token = r#"echo '{"Username":"<token>","Secret":"t"}'"#;
    let found = found_by(&with_helper(folder.path(), token), "a.io").await.unwrap();
    assert_eq!(found.credentials, Some(Credentials::identity_token("t")));
}

#[tokio::test]
async fn helpers_may_know_nothing_and_may_fail() {
    let folder = tempfile::tempdir().unwrap();
    let unknown = "echo 'credentials not found in native keychain'; exit 1";
    assert_eq!(found_by(&with_helper(folder.path(), unknown), "a.io").await.unwrap().credentials, None);
    for (script, kind) in [
        ("echo hunter2; exit 1", ErrorKind::Io),
        ("echo hunter2", ErrorKind::Io),
        ("exec sleep 600", ErrorKind::DeadlineExceeded),
    ] {
        let sources = with_helper(folder.path(), script).helper_timeout(Duration::from_millis(300));
        let error = found_by(&sources, "a.io").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{script}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
