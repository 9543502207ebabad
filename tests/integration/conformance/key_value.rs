//! `wasmcloud:keyvalue` on its backends: the embedded store and Redis.
//!
//! # Layout
//! - `operations`: each operation with ordinary, empty, huge, binary, unicode and hostile input
//! - `differential`: random operations have equal answers on both
//! - `embedded`: what is true of the embedded store alone, and its bad days
//! - `redis`: what is true of Redis alone, and its bad days

mod counter;
mod differential;
mod embedded;
mod operations;
mod redis;

use std::collections::HashMap;

use serde_json::{Value, json};
use tempfile::TempDir;
use wasmcloud_host::builtin::KeyValue;
use wasmcloud_host::{Host, NativeCapability};

use super::kit::{self, Backend, Caller, Tenant};
use super::redis_server::RedisServer;
use super::server_failures::{Served, bad_days};
use super::server_process::ServerProcess;
use crate::support::values;

const CONTRACT: &str = "wasmcloud:keyvalue";

/// The embedded store, in files of a folder.
struct Embedded {
    folder: TempDir,
}

impl Embedded {
    fn new() -> Embedded {
        Embedded { folder: tempfile::tempdir().unwrap() }
    }

    /// The path of a file in the folder.
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

impl Backend for Embedded {
    const CONTRACT: &'static str = CONTRACT;

    fn provider(&self) -> NativeCapability {
        KeyValue::new(None).capability().unwrap()
    }

    fn values(&self, tenant: Tenant) -> HashMap<String, String> {
        values(&[("PATH", &self.path(&format!("{tenant:?}.redb")))])
    }

    fn bad_values(&self) -> Vec<(&'static str, HashMap<String, String>)> {
        let no_store = self.path("no_store");
        std::fs::write(&no_store, "this is no store of anybody's".repeat(1000)).unwrap();
        vec![
            ("PATH", values(&[("PATH", &no_store)])),
            ("PATH", values(&[("PATH", &self.path("no/such/folder.redb"))])),
            ("PATH", values(&[("PATH", self.folder.path().to_str().unwrap())])),
            ("PATH", values(&[("PATH", "/")])),
            ("PREFIX", values(&[("PATH", ":memory:"), ("PREFIX", "a:b")])),
            ("KEY_LIMIT", values(&[("PATH", ":memory:"), ("KEY_LIMIT", "1000000")])),
            ("VALUE_LIMIT", values(&[("PATH", ":memory:"), ("VALUE_LIMIT", "much")])),
            ("URL", values(&[("URL", "memcached://user:secret@localhost")])),
        ]
    }

    async fn leave_mark(&self, caller: &Caller, mark: &str) -> Result<(), String> {
        leave_mark(caller, mark).await
    }

    async fn marks(&self, caller: &Caller) -> Vec<String> {
        marks(caller).await
    }
}

/// A Redis server, whose tenants have prefixes.
struct Redis {
    server: RedisServer,
}

impl Redis {
    fn new() -> Redis {
        Redis { server: RedisServer::start() }
    }
}

impl Backend for Redis {
    const CONTRACT: &'static str = CONTRACT;

    fn provider(&self) -> NativeCapability {
        KeyValue::new(None).capability().unwrap()
    }

    fn values(&self, tenant: Tenant) -> HashMap<String, String> {
        values(&[("URL", &self.server.url()), ("PREFIX", &format!("{tenant:?}"))])
    }

    fn bad_values(&self) -> Vec<(&'static str, HashMap<String, String>)> {
        let port = self.server.port;
        vec![
            ("URL", values(&[("URL", "redis://:secret@127.0.0.1:1")])),
            ("URL", values(&[("URL", &format!("redis://:secret@127.0.0.1:{port}"))])),
            ("URL", values(&[("URL", &format!("redis://secret:secret@127.0.0.1:{port}"))])),
            ("URL", values(&[("URL", "redis://secret@host:port")])),
            ("URL", values(&[("URL", &format!("rediss://:secret@127.0.0.1:{port}"))])),
            ("URL", values(&[("URL", &format!("redis://127.0.0.1:{port}/1000000"))])),
            ("CA_FILE", values(&[("URL", &format!("rediss://127.0.0.1:{port}")), ("CA_FILE", "/no/such/file")])),
            ("PATH", values(&[("URL", &self.server.url()), ("PATH", "keys.redb")])),
        ]
    }

    async fn leave_mark(&self, caller: &Caller, mark: &str) -> Result<(), String> {
        leave_mark(caller, mark).await
    }

    async fn marks(&self, caller: &Caller) -> Vec<String> {
        marks(caller).await
    }
}

impl Served for Redis {
    fn server(&self) -> &ServerProcess {
        &self.server
    }

    async fn revive(&self) {
        self.server.start_again();
    }

    async fn start_beside(&self, host: &Host, provider: &str) -> Caller {
        let caller = Caller::start(host, CONTRACT, 1).await;
        caller.link(provider, values(&[("PATH", ":memory:")])).await.unwrap();
        caller
    }
}

/// The marks are the members of a set.
async fn leave_mark(caller: &Caller, mark: &str) -> Result<(), String> {
    ask(caller, "SetAdd", json!({"key": "marks", "value": mark})).await.map(drop)
}

async fn marks(caller: &Caller) -> Vec<String> {
    let answer = ask(caller, "SetQuery", json!({"key": "marks"})).await.unwrap();
    serde_json::from_value(answer["values"].clone()).unwrap()
}

/// Calls an operation with a message in the contract's form.
///
/// # Errors
/// What the actor is told.
async fn ask(caller: &Caller, operation: &str, message: Value) -> Result<Value, String> {
    let answer = caller.call(operation, &rmp_serde::to_vec_named(&message).unwrap()).await?;
    Ok(rmp_serde::from_slice(&answer).unwrap())
}

#[actix_rt::test]
async fn links_live_as_they_should_on_the_embedded_store() {
    kit::lifecycle(&Embedded::new()).await;
}

#[actix_rt::test]
async fn links_live_as_they_should_on_redis() {
    kit::lifecycle(&Redis::new()).await;
}

#[actix_rt::test]
async fn bad_days_of_redis_are_told_and_end() {
    bad_days(&Redis::new()).await;
}
