//! What joining costs, in buckets of different sizes. Ignored: it stores up to a million links.

use std::process::Command;
use std::time::Instant;

use bytes::Bytes;

use super::*;
use crate::registry::entry::{self, Settlement, Value};

/// The actors of the host that joins, and the links of each.
const ACTORS: usize = 100;
const LINKS_EACH: usize = 10;

/// The sizes of the buckets. Unit: links.
const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];

/// The most messages that are sent before the server is asked whether it has stored them.
const WINDOW: usize = 10_000;

/// The environment variables that tell the joining process where the server is, and whose links to follow.
const URL: &str = "WASMCLOUD_TEST_COST_URL";
const FOLLOWED: &str = "WASMCLOUD_TEST_COST_ACTORS";

/// A text that can stand for the public key of an actor. Only the keys of the host that joins are real.
fn stand_in(number: usize) -> String {
    format!("M{:0>55}", data_encoding::BASE32_NOPAD.encode(&number.to_be_bytes()))
}

/// Stores messages without waiting for each.
struct Loader {
    peer: Peer,
    sent: usize,
}

impl Loader {
    async fn store(&mut self, key: &str, bytes: Bytes) {
        self.peer.client.publish(self.peer.registry.0.bucket.subject(key), bytes).await.unwrap();
        self.sent += 1;
        if self.sent.is_multiple_of(WINDOW) {
            self.settle().await;
        }
    }

    /// Waits until the server has stored everything.
    async fn settle(&self) {
        while self.peer.registry.0.bucket.last_sequence().await.unwrap() < self.sent as u64 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Stores the links of the host that joins.
    async fn store_own(&mut self, actors: &[String], provider: &str) {
        for actor in actors {
            for number in 0..LINKS_EACH {
                let record = link(actor, provider, &number.to_string(), "redis://127.0.0.1:6379/0");
                let key = Key::Link(record.key().unwrap());
                let index = Key::Index { provider: provider.to_owned(), link: record.key().unwrap() };
                let settled = Settlement { intent: 0, link: self.sent as u64 + 1, claims: 0 };
                for (key, value) in [(key, Value::Link(record)), (index, Value::Settled(settled))] {
                    let bytes = entry::sign(&self.peer.key, "test", &key, 0, &value).unwrap();
                    self.store(&key.to_string(), bytes.into()).await;
                }
            }
        }
    }

    /// Stores the links of others. They have the size of real ones, and are not signed: the host that joins must not read them.
    async fn store_others(&mut self, numbers: std::ops::Range<usize>) {
        let provider = provider_key();
        let bytes = Bytes::from(vec![b'x'; 420]);
        let contract = key::token("wasmcloud:keyvalue");
        for number in numbers {
            let actor = stand_in(number / LINKS_EACH);
            let name = key::token(&(number % LINKS_EACH).to_string());
            self.store(&format!("link.{actor}.{contract}.{name}"), bytes.clone()).await;
            self.store(&format!("provider.{provider}.{name}.{actor}.{contract}"), bytes.slice(..200)).await;
        }
    }
}

/// Runs the joining process. Returns what it prints.
fn join_in_a_process(url: &str, actors: &[String]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "registry::tests::cost::a_joining_host"])
        .env(URL, url)
        .env(FOLLOWED, actors.join(","))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    text.lines().find(|line| line.contains("joined")).unwrap_or(&text).to_owned()
}

/// Prints the time and the memory of joining for each size of the bucket.
#[test]
#[ignore = "it stores a million links"]
fn joining_costs_the_same_in_a_large_bucket() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = NatsServer::start(&binaries()[0]);
    let actors: Vec<String> = (0..ACTORS).map(|_| actor_key()).collect();
    let mut loader = Loader { peer: runtime.block_on(Peer::join(&server)), sent: 0 };
    runtime.block_on(loader.store_own(&actors, &provider_key()));
    let mut stored = ACTORS * LINKS_EACH;
    for size in SIZES {
        let start = Instant::now();
        runtime.block_on(async {
            loader.store_others(stored..size).await;
            loader.settle().await;
        });
        stored = size;
        println!("{size} links, loaded in {:.1} s", start.elapsed().as_secs_f64());
        for _ in 0..5 {
            println!("    {}", join_in_a_process(&server.url(), &actors));
        }
    }
}

/// Joins, and prints what it has cost.
#[test]
#[ignore = "it is run by the test above"]
fn a_joining_host() {
    let (Ok(url), Ok(actors)) = (std::env::var(URL), std::env::var(FOLLOWED)) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let memory_before = own_memory();
        let start = Instant::now();
        let peer = Peer::join_at(&url, Arc::new(|_: &str| true), options()).await;
        let mut follower = peer.follow();
        for actor in actors.split(',') {
            follower.interest.add_actor(actor).unwrap();
        }
        let is_complete = |change: &&RegistryChange| matches!(change, RegistryChange::SnapshotComplete { .. });
        follower.until(|follower| follower.others.iter().filter(is_complete).count() == ACTORS).await;
        let elapsed = start.elapsed().as_secs_f64() * 1000.0;
        assert_eq!(follower.links.len(), ACTORS * LINKS_EACH);
        let (memory, grown) = (own_memory(), own_memory() - memory_before);
        println!("joined in {elapsed:.1} ms, resident {memory} KiB, of which joining {grown} KiB");
    });
}

/// Returns the resident memory of this process. Unit: KiB.
fn own_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
