//! `wasmcloud:blobstore` on its backends: a directory and S3.
//!
//! # Layout
//! - `client`: an actor that uploads and downloads
//! - `operations`: each operation with ordinary, empty, huge, binary, unicode and hostile input
//! - `directory`: what is true of a directory alone, and its bad days
//! - `s3`: what is true of S3 alone, and its bad days
//! - `file_drop`: an actor of the era through its front door, and the example that runs it

mod client;
mod directory;
mod file_drop;
mod operations;
mod s3;

use std::collections::HashMap;

use serde_json::json;
use tempfile::TempDir;
use wasmcloud_host::builtin::BlobStore;
use wasmcloud_host::{Host, NativeCapability};

use super::kit::{self, Backend, Caller, Tenant, with_provider};
use super::s3_server::{BUCKET, S3Server};
use super::server_failures::{Served, bad_days};
use super::server_process::ServerProcess;
use crate::support::values;
use client::{chunk, field, outcome};

const CONTRACT: &str = "wasmcloud:blobstore";

/// The container that marks are left in.
const MARKS: &str = "marks";

/// Directories in a folder.
struct Directory {
    folder: TempDir,
}

impl Directory {
    fn new() -> Directory {
        Directory { folder: tempfile::tempdir().unwrap() }
    }

    /// The path of something in the folder.
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

impl Backend for Directory {
    const CONTRACT: &'static str = CONTRACT;

    fn provider(&self) -> NativeCapability {
        BlobStore::new(None).capability().unwrap()
    }

    fn values(&self, tenant: Tenant) -> HashMap<String, String> {
        values(&[("ROOT", &self.path(&format!("{tenant:?}")))])
    }

    fn bad_values(&self) -> Vec<(&'static str, HashMap<String, String>)> {
        let file = self.path("file");
        std::fs::write(&file, "this is no directory").unwrap();
        let root = self.path("A");
        vec![
            ("ROOT", values(&[("ROOT", &file)])),
            ("ROOT", values(&[("ROOT", &self.path("no/such/folder"))])),
            ("ROOT", values(&[("ROOT", "/proc")])),
            ("ROOT", values(&[("ROOT", "a\0b")])),
            ("BLOB_LIMIT", values(&[("ROOT", &root), ("BLOB_LIMIT", "much")])),
            ("UPLOADS", values(&[("ROOT", &root), ("UPLOADS", "0")])),
            ("URL", values(&[("URL", "ftp://user:secret@localhost")])),
            ("URL", values(&[("URL", "s3://bucket"), ("ROOT", &root)])),
            ("AWS_SECRET_ACCESS_KEY", values(&[("ROOT", &root), ("AWS_SECRET_ACCESS_KEY", "secret")])),
        ]
    }

    async fn leave_mark(&self, caller: &Caller, mark: &str) -> Result<(), String> {
        leave_mark(caller, mark).await
    }

    async fn marks(&self, caller: &Caller) -> Vec<String> {
        marks(caller).await
    }
}

/// A server, whose tenants have prefixes.
struct S3 {
    server: S3Server,
    /// For those who do not need the server.
    beside: Directory,
}

impl S3 {
    /// A server of its own; none where the environment says that this machine cannot have one.
    fn new() -> Option<S3> {
        if std::env::var_os("WASMCLOUD_TEST_WITHOUT_S3").is_some() {
            eprintln!("left out: there is no S3 server on this machine");
            return None;
        }
        Some(S3 { server: S3Server::start(), beside: Directory::new() })
    }

    fn values_with(&self, more: &[(&str, &str)]) -> HashMap<String, String> {
        let mut all = values(&[
            ("URL", &format!("s3://{BUCKET}/some/prefix")),
            ("ENDPOINT", &self.server.endpoint()),
            ("AWS_ACCESS_KEY", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ]);
        all.extend(values(more));
        all
    }
}

impl Backend for S3 {
    const CONTRACT: &'static str = CONTRACT;

    fn provider(&self) -> NativeCapability {
        BlobStore::new(None).capability().unwrap()
    }

    fn values(&self, tenant: Tenant) -> HashMap<String, String> {
        self.values_with(&[("URL", &format!("s3://{BUCKET}/{tenant:?}"))])
    }

    fn bad_values(&self) -> Vec<(&'static str, HashMap<String, String>)> {
        vec![
            ("URL", self.values_with(&[("URL", "s3://no-such-bucket")])),
            ("URL", self.values_with(&[("URL", "s3://user:secret@bucket")])),
            ("URL", self.values_with(&[("ENDPOINT", "http://127.0.0.1:1")])),
            ("ENDPOINT", self.values_with(&[("ENDPOINT", "http://secret:secret@127.0.0.1")])),
            ("AWS_SECRET_ACCESS_KEY", self.values_with(&[("AWS_SECRET_ACCESS_KEY", "")])),
            ("CHUNK_LIMIT", self.values_with(&[("CHUNK_LIMIT", "0")])),
        ]
    }

    async fn leave_mark(&self, caller: &Caller, mark: &str) -> Result<(), String> {
        leave_mark(caller, mark).await
    }

    async fn marks(&self, caller: &Caller) -> Vec<String> {
        marks(caller).await
    }
}

impl Served for S3 {
    fn server(&self) -> &ServerProcess {
        &self.server
    }

    async fn revive(&self) {
        self.server.start_again();
        make_containers(self).await;
    }

    async fn start_beside(&self, host: &Host, provider: &str) -> Caller {
        let caller = Caller::start(host, CONTRACT, 1).await;
        caller.link(provider, self.beside.values(Tenant::A)).await.unwrap();
        make_container(&caller).await;
        caller
    }
}

/// The marks are blobs, each uploaded by a single call.
async fn leave_mark(caller: &Caller, mark: &str) -> Result<(), String> {
    let message = chunk(MARKS, mark, 0, 1, 1, b"x");
    outcome(&caller.call("StartUpload", &message).await?)
}

async fn marks(caller: &Caller) -> Vec<String> {
    let message = rmp_serde::to_vec_named(&json!({"container_id": MARKS})).unwrap();
    let answer = caller.call("ListObjects", &message).await.unwrap();
    let blobs = field(&answer, "blobs");
    blobs.as_array().unwrap().iter().map(|blob| blob["id"].as_str().unwrap().to_owned()).collect()
}

/// Makes the container for marks in the place of each tenant: values change between two calls of an actor.
async fn make_containers(backend: &impl Backend) {
    with_provider(backend, async |host, provider| {
        let caller = Caller::start(&host, CONTRACT, 1).await;
        for tenant in [Tenant::A, Tenant::B] {
            caller.link(&provider, backend.values(tenant)).await.unwrap();
            make_container(&caller).await;
        }
    })
    .await;
}

async fn make_container(caller: &Caller) {
    let message = rmp_serde::to_vec_named(&json!({"id": MARKS})).unwrap();
    caller.call("CreateContainer", &message).await.unwrap();
}

#[actix_rt::test]
async fn links_live_as_they_should_on_a_directory() {
    let directory = Directory::new();
    make_containers(&directory).await;
    kit::lifecycle(&directory).await;
}

#[actix_rt::test]
async fn links_live_as_they_should_on_s3() {
    let Some(s3) = S3::new() else { return };
    make_containers(&s3).await;
    kit::lifecycle(&s3).await;
}

#[actix_rt::test]
async fn bad_days_of_s3_are_told_and_end() {
    let Some(s3) = S3::new() else { return };
    make_containers(&s3).await;
    bad_days(&s3).await;
}
