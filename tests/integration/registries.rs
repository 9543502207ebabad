//! Actors and providers from OCI registries.
//!
//! # Layout
//! - `starts`: starts, updates and stops by reference, with a real registry that wants a name and a password
//! - `bad_days`: registries that are slow, lie, send too much or something else, and disks that are full
//! - `seed_defects`: faults of the host of 2021
//! - `command`: `wasmcloud registry`

mod bad_days;
mod command;
#[path = "../../crates/oci/src/tests/registry.rs"]
#[allow(dead_code, reason = "the tests of the crate use more of it")]
mod docker;
mod seed_defects;
#[path = "../../crates/oci/src/tests/server.rs"]
#[allow(dead_code, reason = "the tests of the crate use more of it")]
mod server;
mod starts;

use std::path::PathBuf;

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use wasmcloud_host::oci::{CredentialSources, Credentials, Layout, NoProgress, RegistryClient};
use wasmcloud_host::{HostBuilder, RegistryOptions};

use docker::{PASSWORD, Registry, USER};
use server::{Answer, Seen, answer};

/// A registry with a cache and files of its own.
pub(crate) struct Images {
    registry: Registry,
    folder: TempDir,
}

impl Images {
    pub(crate) fn start() -> Images {
        Images { registry: Registry::start(), folder: tempfile::tempdir().unwrap() }
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// The options of a host that knows the registry's name and password.
    fn options(&self) -> RegistryOptions {
        options(&self.registry.address, self.cache()).credentials(self.credentials())
    }

    fn credentials(&self) -> CredentialSources {
        CredentialSources::none().with(&self.registry.address, Credentials::basic(USER, PASSWORD))
    }

    /// Lets a builder know the registry.
    pub(crate) fn known_to(&self, builder: HostBuilder) -> HostBuilder {
        builder.with_registries(self.options())
    }

    fn builder(&self) -> HostBuilder {
        self.known_to(HostBuilder::new().with_shards(2))
    }

    fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.registry.address)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The host and port of the registry.
    pub(crate) fn address(&self) -> &str {
        &self.registry.address
    }

    /// Pushes content, and returns its reference.
    pub(crate) async fn push(&self, name: &str, bytes: &[u8]) -> String {
        let reference = self.reference(name);
        let client = RegistryClient::new(self.options()).unwrap();
        let file = self.file("pushed", bytes);
        client.push(&reference.parse().unwrap(), &file, Layout::Wasmcloud, &NoProgress).await.unwrap();
        reference
    }
}

/// Options for an insecure registry, without credentials.
fn options(registry: &str, cache: PathBuf) -> RegistryOptions {
    RegistryOptions::new(cache).allow_insecure(registry).credentials(CredentialSources::none())
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", data_encoding::HEXLOWER.encode(&Sha256::digest(bytes)))
}

/// An actor as a server has it in its repository `echo`, with the tag `1`.
struct Served {
    manifest: Vec<u8>,
    blob: Vec<u8>,
}

impl Served {
    const TAG: &str = "/v2/echo/manifests/1";

    fn new(blob: Vec<u8>) -> Served {
        Served::announced_as(blob.len() as u64, blob)
    }

    /// An actor whose manifest announces a size.
    fn announced_as(size: u64, blob: Vec<u8>) -> Served {
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "config": {
                "mediaType": "application/vnd.wasmcloud.actor.archive.config", "digest": digest(b"{}"), "size": 2,
            },
            "layers": [{
                "mediaType": "application/vnd.module.wasm.content.layer.v1+wasm", "digest": digest(&blob), "size": size,
            }],
        });
        Served { manifest: manifest.to_string().into_bytes(), blob }
    }

    fn blob_path(&self) -> String {
        format!("/v2/echo/blobs/{}", digest(&self.blob))
    }

    /// Answers as an honest registry.
    fn answer(&self, seen: &Seen) -> Answer {
        let by_digest = format!("/v2/echo/manifests/{}", digest(&self.manifest));
        match seen.path.as_str() {
            path if path == Served::TAG || path == by_digest => answer(200, &[], self.manifest.clone()),
            path if path == self.blob_path() => answer(200, &[], self.blob.clone()),
            _ => answer(404, &[], "{}"),
        }
    }
}
