//! Lost connections, lost messages, lost data and writers that die.

use wasmcloud_core::error::ErrorKind;

use super::super::*;
use super::*;
use crate::testing::Proxy;

#[test]
fn links_survive_a_restart_of_the_server() {
    with_servers(|mut server| async move {
        let (a, b) = (Peer::join(&server).await, Peer::join(&server).await);
        let record = link(&actor_key(), &provider_key(), "default", "kept");
        let mut follower = b.follow();
        follower.interest.add_actor(&record.actor).unwrap();
        let revision = a.registry.put_link(&record).await.unwrap();
        server.kill();
        server.restart();
        a.until_connected().await;
        follower.until(|follower| follower.resynchronisations() > 0).await;
        let found = b.registry.links_of(&record.actor).await.unwrap();
        assert_eq!(found, [RegisteredLink { definition: record.clone(), revision }]);
        let next = a.registry.put_link(&LinkRecord { values: BTreeMap::new(), ..record.clone() }).await.unwrap();
        follower.until(|follower| follower.links.values().any(|(_, at)| *at == next)).await;
        assert!(!follower.has_lost());
    });
}

#[test]
fn changes_made_while_disconnected_are_published_by_revision() {
    with_servers(|mut server| async move {
        let (a, b) = (Peer::join(&server).await, Peer::join(&server).await);
        let (actor, provider) = (actor_key(), provider_key());
        let base = |name: &str| link(&actor, &provider, name, "base");
        let mut bases = BTreeMap::new();
        for name in ["ours", "theirs", "removed"] {
            bases.insert(name, a.registry.put_link(&base(name)).await.unwrap());
        }
        server.kill();
        a.until_disconnected().await;
        let ours = |name: &str| link(&actor, &provider, name, "changed alone");
        let error = a.registry.put_link(&ours("ours")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LatticeUnavailable);
        server.restart();
        a.until_connected().await;
        b.until_connected().await;
        let theirs = b.registry.put_link(&link(&actor, &provider, "theirs", "by b")).await.unwrap();
        b.registry.remove_link(&base("removed").key().unwrap()).await.unwrap();

        let pending = |name: &str, base| PendingChange { change: Change::SetLink(ours(name)), base };
        let remove = PendingChange { change: Change::RemoveLink(ours("ours").key().unwrap()), base: bases["ours"] };
        let changes = vec![
            pending("ours", bases["ours"]),
            pending("theirs", bases["theirs"]),
            pending("removed", bases["removed"]),
            pending("new", 0),
            remove,
        ];
        let outcomes = a.registry.publish_pending(changes).await;
        let kinds: Vec<_> = outcomes
            .iter()
            .map(|outcome| outcome.outcome.as_ref().err().map(wasmcloud_core::error::Error::kind))
            .collect();
        let conflict = Some(ErrorKind::RegistryConflict);
        assert_eq!(kinds, [None, conflict, conflict, None, None]);
        let mut left: Vec<_> = a.registry.links_of(&actor).await.unwrap();
        left.sort_by(|a, b| a.definition.link_name.cmp(&b.definition.link_name));
        assert_eq!(left.len(), 2);
        assert_eq!(left[0].definition, ours("new"));
        assert_eq!((left[1].definition.values["URL"].as_str(), left[1].revision), ("by b", theirs));
    });
}

#[test]
fn lost_data_is_noticed_and_put_again() {
    with_servers(|mut server| async move {
        let (a, b) = (Peer::join(&server).await, Peer::join(&server).await);
        let record = link(&actor_key(), &provider_key(), "default", "kept by hosts");
        let mut of_a = a.follow();
        let mut of_b = b.follow();
        of_a.interest.add_actor(&record.actor).unwrap();
        of_b.interest.add_provider(&record.provider, "default").unwrap();
        for number in 0..5 {
            a.registry.put_link(&link(&record.actor, &record.provider, "default", &number.to_string())).await.unwrap();
        }
        a.registry.put_link(&record).await.unwrap();
        let has_record = |follower: &Follower| follower.links.values().any(|(link, _)| *link == record);
        of_a.until(has_record).await;
        of_b.until(has_record).await;
        server.lose_data();
        of_a.until(Follower::has_lost).await;
        assert!(has_record(&of_a), "what is known stays in effect");
        let again = a.registry.put_link(&record).await.unwrap();
        of_b.until(|follower| follower.has_lost() && follower.links.values().any(|(_, at)| *at == again)).await;
        assert_eq!(b.registry.links_of(&record.actor).await.unwrap().len(), 1);
    });
}

#[test]
fn a_write_creates_a_deleted_bucket_again() {
    with_servers(|server| async move {
        let a = Peer::join(&server).await;
        let record = link(&actor_key(), &provider_key(), "default", "");
        a.registry.put_link(&record).await.unwrap();
        let mut follower = a.follow();
        follower.interest.add_actor(&record.actor).unwrap();
        follower.until(Follower::has_snapshot).await;
        async_nats::jetstream::new(a.client.clone()).delete_stream("KV_WASMCLOUD_test").await.unwrap();
        let other = link(&actor_key(), &provider_key(), "default", "");
        a.registry.put_link(&other).await.unwrap();
        follower.until(Follower::has_lost).await;
        assert_eq!(a.registry.counters().losses, 1);
    });
}

#[test]
fn a_link_whose_writer_died_is_found() {
    with_servers(|server| async move {
        let options = RegistryOptions { intent_lifetime: Duration::from_secs(1), ..options() };
        let a = Peer::join(&server).await;
        let b = Peer::join_with(&server, Arc::new(|_: &str| true), options).await;
        let record = link(&actor_key(), &provider_key(), "default", "");
        let key = record.key().unwrap();
        let mut follower = b.follow();
        follower.interest.add_provider(&record.provider, "default").unwrap();
        follower.until(Follower::has_snapshot).await;
        // The writer announces the change, writes the link, and dies before it settles the index.
        let intent = a.registry.announce(&record.provider, &key).await.unwrap();
        let value = entry::Value::Link(record.clone());
        let bytes = entry::sign(&a.key, "test", &Key::Link(key.clone()), intent, &value).unwrap();
        a.registry.0.bucket.write(&Key::Link(key.clone()), &bytes.into(), Some(0)).await.unwrap();
        follower.until(|follower| follower.links.contains_key(&key)).await;
        wait_until(|| b.registry.counters().unsettled_intents == 1).await;
        let mut late = b.follow();
        late.interest.add_provider(&record.provider, "default").unwrap();
        late.until(Follower::has_snapshot).await;
        assert!(late.links.contains_key(&key));
    });
}

#[test]
fn an_audit_finds_a_change_that_no_message_announced() {
    with_servers(|server| async move {
        // A bucket that does not republish. Servers before 2.10 cannot begin to.
        let (client, _) = connect(&server).await;
        let context = async_nats::jetstream::new(client);
        let silent = async_nats::jetstream::stream::Config {
            name: "KV_WASMCLOUD_test".to_owned(),
            subjects: vec!["$KV.WASMCLOUD_test.>".to_owned()],
            max_messages_per_subject: 1,
            allow_direct: true,
            ..Default::default()
        };
        context.create_stream(&silent).await.unwrap();
        let (a, b) = (Peer::join(&server).await, Peer::join(&server).await);
        let record = link(&actor_key(), &provider_key(), "default", "");
        let mut follower = b.follow();
        follower.interest.add_actor(&record.actor).unwrap();
        follower.until(Follower::has_snapshot).await;
        let can_change = b.registry.is_live();
        if can_change {
            context.update_stream(&silent).await.unwrap();
        }
        let revision = a.registry.put_link(&record).await.unwrap();
        b.registry.audit_now();
        follower.until(|follower| follower.links.values().any(|(_, at)| *at == revision)).await;
        assert_eq!(b.registry.counters().audit_differences, 1);
        let revision = a.registry.remove_link(&record.key().unwrap()).await.unwrap();
        assert!(revision > 0);
        if !can_change {
            b.registry.audit_now();
        }
        // Elsewhere the audit has mended the bucket too.
        follower.until(|follower| follower.links.is_empty()).await;
    });
}

#[test]
fn reconnects_leave_no_consumers_behind() {
    with_servers(|server| async move {
        let a = Peer::join(&server).await;
        let record = link(&actor_key(), &provider_key(), "default", "");
        a.registry.put_link(&record).await.unwrap();
        let mut follower = a.follow();
        follower.interest.add_actor(&record.actor).unwrap();
        follower.interest.add_provider(&record.provider, "default").unwrap();
        follower.until(Follower::has_snapshot).await;
        let mut connections = a.connections.clone();
        for _ in 0..20 {
            connections.mark_unchanged();
            a.client.force_reconnect().await.unwrap();
            connections.changed().await.unwrap();
            let before = follower.resynchronisations();
            follower.until(|follower| follower.resynchronisations() > before).await;
        }
        let context = async_nats::jetstream::new(a.client.clone());
        let stream = context.get_stream("KV_WASMCLOUD_test").await.unwrap();
        let state = &stream.cached_info().state;
        assert_eq!(state.consumer_count, 0);
        assert!(a.registry.counters().snapshots >= 20);
    });
}

#[test]
fn old_removals_are_purged_and_do_not_resurface() {
    with_servers(|server| async move {
        let a = Peer::join(&server).await;
        let record = link(&actor_key(), &provider_key(), "default", "");
        let key = record.key().unwrap();
        a.registry.put_link(&record).await.unwrap();
        let old = a.registry.0.bucket.read(&Key::Link(key.clone())).await.unwrap().unwrap();
        let mut follower = a.follow();
        follower.interest.add_actor(&record.actor).unwrap();
        follower.until(|follower| !follower.links.is_empty()).await;
        let removal = a.registry.remove_link(&key).await.unwrap();
        follower.until(|follower| follower.links.is_empty()).await;
        a.registry.0.bucket.purge(&Key::Link(key.clone()), removal).await.unwrap();
        assert!(a.registry.0.bucket.read(&Key::Link(key.clone())).await.unwrap().is_none());
        // A host that still knows the removal refuses the old entry, and accepts a new one.
        let _ = a.registry.0.bucket.write(&Key::Link(key.clone()), &old.payload, None).await.unwrap();
        a.registry.audit_now();
        follower.until(|follower| follower.refusals().contains(&Refusal::Outdated)).await;
        assert!(follower.links.is_empty());
        let next = LinkRecord { values: BTreeMap::new(), ..record };
        let revision = a.registry.put_link(&next).await.unwrap();
        follower.until(|follower| follower.links.values().any(|(_, at)| *at == revision)).await;
    });
}

#[test]
fn claims_that_changed_before_a_link_are_read_by_a_host_that_was_cut_off() {
    with_servers(|server| async move {
        let a = Peer::join(&server).await;
        let proxy = Proxy::to(server.address()).await;
        let b = Peer::join_at(&format!("nats://{}", proxy.address()), Arc::new(|_: &str| true), options()).await;
        let (account, record) = (KeyPair::new_account(), link(&actor_key(), &provider_key(), "default", "first"));
        let (first, second) = (token(&account, &record.actor, 1, None), token(&account, &record.actor, 2, None));
        a.registry.put_claims(&first, &[]).await.unwrap();
        a.registry.put_link(&record).await.unwrap();
        let mut follower = b.follow();
        follower.interest.add_provider(&record.provider, "default").unwrap();
        follower.until(Follower::has_snapshot).await;
        assert_eq!(follower.claims[&record.actor], first);
        proxy.partition();
        proxy.cut();
        b.until_disconnected().await;
        a.registry.put_claims(&second, std::slice::from_ref(&record)).await.unwrap();
        // The index entry of the link tells of its last change only.
        a.registry.put_link(&LinkRecord { values: BTreeMap::new(), ..record.clone() }).await.unwrap();
        proxy.heal();
        follower.until(|follower| follower.claims[&record.actor] == second).await;
    });
}
