//! Tests of the client with a real registry, and with servers that misbehave.
//!
//! # Layout
//! - `server`, `content`: an HTTP server that answers as a test says, or honestly
//! - `registry`: a process of Debian's `docker-registry`
//! - `hostile`, `authentication`, `offline`, `real`: the tests

mod authentication;
mod content;
mod hostile;
mod offline;
mod real;
mod registry;
mod server;

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{CredentialSources, Layout, NoProgress, Progress, Reference, RegistryClient, RegistryOptions};

/// A module that has no content but its header and some bytes.
fn module(content: &str) -> Vec<u8> {
    [b"\0asm\x01\0\0\0", content.as_bytes()].concat()
}

/// Options for an insecure registry, with a cache of their own and without credentials.
fn options(cache: &tempfile::TempDir, registry: &str) -> RegistryOptions {
    RegistryOptions::new(cache.path()).allow_insecure(registry).credentials(CredentialSources::none())
}

fn reference(registry: &str, name: &str) -> Reference {
    format!("{registry}/{name}").parse().unwrap()
}

/// Programs pull on any thread.
#[test]
fn transfers_can_be_sent_to_other_threads() {
    fn is_send(_: impl Send) {}
    let cache = tempfile::tempdir().unwrap();
    let client = RegistryClient::new(options(&cache, "localhost:1")).unwrap();
    let echo = reference("localhost:1", "echo:1");
    is_send(client.resolve(&echo));
    is_send(client.pull(&echo, &NoProgress));
    is_send(client.push(&echo, cache.path(), Layout::Cncf, &NoProgress));
}

/// Counts what is reported.
#[derive(Debug, Default)]
struct Counted {
    started: AtomicU64,
    advanced: AtomicU64,
    /// How often an advance was reported.
    steps: AtomicU64,
    finished: AtomicU64,
}

impl Progress for Counted {
    fn started(&self, total: u64) {
        self.started.fetch_add(total, Ordering::Relaxed);
    }

    fn advanced(&self, bytes: u64) {
        self.advanced.fetch_add(bytes, Ordering::Relaxed);
        self.steps.fetch_add(u64::from(bytes > 0), Ordering::Relaxed);
    }

    fn finished(&self) {
        self.finished.fetch_add(1, Ordering::Relaxed);
    }
}
