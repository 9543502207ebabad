//! Writes by strangers: each is refused and counted, and the valid state stays.

use std::sync::Mutex;

use async_nats::HeaderMap;
use bytes::Bytes;

use super::super::*;
use super::*;

/// A link in effect at a follower that trusts its writer only.
struct Scene {
    owner: Peer,
    reader: Peer,
    stranger: Client,
    follower: Follower,
    record: LinkRecord,
    key: Key,
}

impl Scene {
    async fn new(server: &NatsServer) -> Scene {
        let trusted: Arc<Mutex<String>> = Arc::default();
        let trust = Arc::clone(&trusted);
        let trust: Arc<dyn TrustedWriters> = Arc::new(move |key: &str| *trust.lock().unwrap() == key);
        let owner = Peer::join_with(server, Arc::clone(&trust), options()).await;
        *trusted.lock().unwrap() = owner.key.public_key();
        let reader = Peer::join_with(server, trust, options()).await;
        let (stranger, _) = connect(server).await;
        let record = link(&actor_key(), &provider_key(), "default", "valid");
        let mut follower = reader.follow();
        follower.interest.add_actor(&record.actor).unwrap();
        follower.until(Follower::has_snapshot).await;
        owner.registry.put_link(&record).await.unwrap();
        follower.until(|follower| !follower.links.is_empty()).await;
        let key = Key::Link(record.key().unwrap());
        Scene { owner, reader, stranger, follower, record, key }
    }

    async fn store(&self, headers: HeaderMap, payload: impl Into<Bytes>) -> u64 {
        let context = async_nats::jetstream::new(self.stranger.clone());
        let subject = self.owner.registry.0.bucket.subject(&self.key.to_string());
        context.publish_with_headers(subject, headers, payload.into()).await.unwrap().await.unwrap().sequence
    }

    /// Checks that a refusal comes, that the link stays, and that the owner can replace what the stranger wrote.
    async fn expect(mut self, reason: Refusal) {
        let before = self.follower.links.clone();
        self.follower.until(|follower| follower.refusals().contains(&reason)).await;
        assert_eq!(self.follower.links, before);
        assert!(self.reader.registry.counters().refused > 0);
        let next = LinkRecord { values: BTreeMap::new(), ..self.record.clone() };
        let revision = self.owner.registry.put_link(&next).await.unwrap();
        let key = self.record.key().unwrap();
        self.follower.until(|follower| follower.links[&key].1 == revision).await;
    }
}

#[test]
fn an_unsigned_write_is_refused() {
    with_servers(|server| async move {
        let scene = Scene::new(&server).await;
        scene.store(HeaderMap::new(), "garbage").await;
        scene.expect(Refusal::Malformed).await;
    });
}

#[test]
fn a_write_of_an_untrusted_host_is_refused() {
    with_servers(|server| async move {
        let scene = Scene::new(&server).await;
        let value = entry::Value::Removed(entry::Removal::default());
        let base = scene.follower.links.values().next().unwrap().1;
        let bytes = entry::sign(&KeyPair::new_server(), "test", &scene.key, base, &value).unwrap();
        scene.store(HeaderMap::new(), bytes).await;
        scene.expect(Refusal::Untrusted).await;
    });
}

#[test]
fn a_marker_of_the_key_value_store_is_refused() {
    with_servers(|server| async move {
        let scene = Scene::new(&server).await;
        let mut headers = HeaderMap::new();
        headers.insert("KV-Operation", "DEL");
        scene.store(headers, "").await;
        scene.expect(Refusal::Marker).await;
    });
}

#[test]
fn an_old_entry_that_is_written_again_is_refused() {
    with_servers(|server| async move {
        let mut scene = Scene::new(&server).await;
        let old = scene.owner.registry.0.bucket.read(&scene.key).await.unwrap().unwrap();
        let removal = scene.owner.registry.remove_link(&scene.record.key().unwrap()).await.unwrap();
        scene.follower.until(|follower| follower.links.is_empty()).await;
        let stored = scene.store(HeaderMap::new(), old.payload).await;
        assert!(stored > removal);
        // The announced entry follows a revision that has passed. The audit finds it in the bucket as well.
        scene.reader.registry.audit_now();
        scene.follower.until(|follower| follower.refusals().contains(&Refusal::Outdated)).await;
        assert!(scene.follower.links.is_empty());
        // The owner finds the rolled back entry in place, and replaces it.
        let next = LinkRecord { values: BTreeMap::new(), ..scene.record.clone() };
        let revision = scene.owner.registry.put_link(&next).await.unwrap();
        scene.follower.until(|follower| follower.links.values().any(|(_, at)| *at == revision)).await;
    });
}

#[test]
fn an_oversized_entry_is_refused() {
    with_servers(|server| async move {
        let scene = Scene::new(&server).await;
        scene.store(HeaderMap::new(), vec![0_u8; LARGEST_ENTRY + 1]).await;
        scene.expect(Refusal::TooLarge).await;
    });
}

#[test]
fn an_entry_that_is_purged_by_a_stranger_stays_in_effect() {
    with_servers(|server| async move {
        let scene = Scene::new(&server).await;
        let revision = scene.follower.links.values().next().unwrap().1;
        scene.owner.registry.0.bucket.purge(&scene.key, revision).await.unwrap();
        scene.reader.registry.audit_now();
        scene.expect(Refusal::Vanished).await;
    });
}

#[test]
fn an_entry_of_a_newer_schema_is_kept_and_reported() {
    with_servers(|server| async move {
        let mut scene = Scene::new(&server).await;
        let revision = scene.follower.links.values().next().unwrap().1;
        let bytes =
            entry::sign_body(&scene.owner.key, "test", &scene.key, revision, SCHEMA + 1, b"of the future").unwrap();
        let stored = scene.store(HeaderMap::new(), bytes).await;
        scene.follower.until(|follower| follower.refusals().contains(&Refusal::NewerSchema)).await;
        let next = LinkRecord { values: BTreeMap::new(), ..scene.record.clone() };
        let error = scene.owner.registry.put_link(&next).await.unwrap_err();
        assert_eq!(error.kind(), wasmcloud_core::error::ErrorKind::Unsupported);
        let kept = scene.owner.registry.0.bucket.read(&scene.key).await.unwrap().unwrap();
        assert_eq!(kept.sequence, stored);
        assert_eq!(scene.follower.links.values().next().unwrap().1, revision);
    });
}

#[test]
fn invented_messages_on_the_republished_subject_change_nothing() {
    with_servers(|server| async move {
        let mut scene = Scene::new(&server).await;
        let valid = scene.owner.registry.0.bucket.read(&scene.key).await.unwrap().unwrap();
        let subject = scene.owner.registry.0.bucket.republished(&scene.key.to_string());
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Sequence", u64::MAX.to_string());
        scene.stranger.publish_with_headers(subject.clone(), headers.clone(), valid.payload).await.unwrap();
        for number in 0..500 {
            let garbage = Bytes::from(format!("garbage {number}"));
            scene.stranger.publish_with_headers(subject.clone(), headers.clone(), garbage).await.unwrap();
        }
        scene.stranger.publish(format!("{subject}.more"), "x".into()).await.unwrap();
        crate::testing::settled(&scene.stranger).await;
        let next = LinkRecord { values: BTreeMap::new(), ..scene.record.clone() };
        let revision = scene.owner.registry.put_link(&next).await.unwrap();
        scene.follower.until(|follower| follower.links.values().next().unwrap().1 == revision).await;
        wait_until(|| scene.reader.registry.counters().refused == 500).await;
    });
}
