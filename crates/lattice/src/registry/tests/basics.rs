//! Links, claims, aliases and references between hosts.

use futures_util::StreamExt;
use wasmcloud_core::error::ErrorKind;

use super::super::*;
use super::*;

#[test]
fn a_link_reaches_the_hosts_of_its_actor_and_of_its_provider() {
    with_servers(|server| async move {
        let (writer, other) = (Peer::join(&server).await, Peer::join(&server).await);
        assert!(writer.registry.is_live());
        let (actor, provider) = (actor_key(), provider_key());
        let account = KeyPair::new_account();
        let early = link(&actor, &provider, "", "early");
        let key = early.key().unwrap();
        writer.registry.put_claims(&token(&account, &actor, 1, None), &[]).await.unwrap();
        writer.registry.put_link(&early).await.unwrap();

        let mut by_actor = other.follow();
        by_actor.interest.add_actor(&actor).unwrap();
        let mut by_provider = other.follow();
        by_provider.interest.add_provider(&provider, "default").unwrap();
        for follower in [&mut by_actor, &mut by_provider] {
            follower.until(Follower::has_snapshot).await;
            assert_eq!(follower.links[&key].0.values["URL"], "early");
            assert!(follower.claims.contains_key(&actor));
        }

        let late = link(&actor, &provider, "default", "late");
        let revision = writer.registry.put_link(&late).await.unwrap();
        let second = token(&account, &actor, 2, None);
        writer.registry.put_claims(&second, std::slice::from_ref(&late)).await.unwrap();
        for follower in [&mut by_actor, &mut by_provider] {
            follower.until(|follower| follower.links[&key].1 == revision && follower.claims[&actor] == second).await;
        }
        // The same again changes nothing, and an older token neither.
        assert_eq!(writer.registry.put_link(&late).await.unwrap(), revision);
        writer.registry.put_claims(&token(&account, &actor, 1, None), &[]).await.unwrap();
        assert_eq!(other.registry.claims(&actor).await.unwrap().unwrap().token, second);
        assert_eq!(other.registry.links_of(&actor).await.unwrap().len(), 1);

        writer.registry.remove_link(&key).await.unwrap();
        writer.registry.remove_claims(&actor, &[]).await.unwrap();
        by_actor.until(|follower| follower.links.is_empty() && follower.claims.is_empty()).await;
        by_provider.until(|follower| follower.links.is_empty()).await;
        assert_eq!(other.registry.links_of(&actor).await.unwrap(), []);
    });
}

#[test]
fn a_link_that_moves_reaches_both_providers() {
    with_servers(|server| async move {
        let (writer, other) = (Peer::join(&server).await, Peer::join(&server).await);
        let (actor, first, second) = (actor_key(), provider_key(), provider_key());
        let mut of_first = other.follow();
        of_first.interest.add_provider(&first, "default").unwrap();
        let mut of_second = other.follow();
        of_second.interest.add_provider(&second, "default").unwrap();
        of_first.until(Follower::has_snapshot).await;
        of_second.until(Follower::has_snapshot).await;
        let moving = link(&actor, &first, "default", "a");
        let key = moving.key().unwrap();
        writer.registry.put_link(&moving).await.unwrap();
        of_first.until(|follower| follower.links.contains_key(&key)).await;
        assert!(of_second.links.is_empty());
        writer.registry.put_link(&link(&actor, &second, "default", "b")).await.unwrap();
        for follower in [&mut of_first, &mut of_second] {
            follower.until(|follower| follower.links.get(&key).is_some_and(|(link, _)| link.provider == second)).await;
        }
    });
}

#[test]
fn concurrent_sets_of_one_link_converge() {
    with_servers(|server| async move {
        let (a, b) = (Peer::join(&server).await, Peer::join(&server).await);
        let (actor, provider) = (actor_key(), provider_key());
        let mut followers = [a.follow(), b.follow()];
        for follower in &followers {
            follower.interest.add_actor(&actor).unwrap();
        }
        let set = |peer: &Peer, name: &'static str| {
            let registry = peer.registry.clone();
            let (actor, provider) = (actor.clone(), provider.clone());
            async move {
                let mut last = 0;
                for number in 0..20 {
                    last = registry
                        .put_link(&link(&actor, &provider, "default", &format!("{name}{number}")))
                        .await
                        .unwrap();
                }
                last
            }
        };
        let (last_a, last_b) = tokio::join!(set(&a, "a"), set(&b, "b"));
        let found = a.registry.links_of(&actor).await.unwrap().remove(0);
        assert_eq!(found.revision, last_a.max(last_b));
        let expected = if last_a > last_b { "a19" } else { "b19" };
        assert_eq!(found.definition.values["URL"], expected);
        let key = found.definition.key().unwrap();
        for follower in &mut followers {
            follower.until(|follower| follower.links.get(&key).is_some_and(|(_, at)| *at == found.revision)).await;
            assert_eq!(follower.links[&key].0, found.definition);
        }
        // The index of the provider has been settled by the last writer.
        let index = Key::Index { provider, link: key };
        let current = a.registry.current(&index).await.unwrap();
        assert!(matches!(current.value(), Some(entry::Value::Settled(_))), "{current:?}");
    });
}

#[test]
fn the_first_holder_keeps_an_alias() {
    with_servers(|server| async move {
        let (a, b) = (Peer::join(&server).await, Peer::join(&server).await);
        let (account, stranger) = (KeyPair::new_account(), KeyPair::new_account());
        let (first, second, third) = (actor_key(), actor_key(), actor_key());
        let plain = actor_key();
        for (actor, issuer, alias) in [
            (&first, &account, Some("shop/cart")),
            (&second, &account, Some("shop/cart")),
            (&third, &stranger, Some("shop/cart")),
            (&plain, &account, None),
        ] {
            a.registry.put_claims(&token(issuer, actor, 1, alias), &[]).await.unwrap();
        }
        let claim = |registry: &Registry, actor: &str| {
            let (registry, actor) = (registry.clone(), actor.to_owned());
            async move { registry.claim_alias("shop/cart", &actor).await }
        };
        let error = claim(&a.registry, &plain).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        let (left, right) = tokio::join!(claim(&a.registry, &first), claim(&b.registry, &second));
        let loser = if left.is_ok() { right } else { left };
        assert_eq!(loser.unwrap_err().kind(), ErrorKind::AliasTaken);
        let holder = b.registry.resolve_alias("shop/cart").await.unwrap().unwrap();
        assert!([&first, &second].contains(&&holder.actor));
        let mut follower = b.follow();
        follower.interest.add_alias("shop/cart").unwrap();
        follower.until(Follower::has_snapshot).await;
        let is_held = |change: &RegistryChange| matches!(change, RegistryChange::Alias { actor: Some(_), .. });
        assert!(follower.others.iter().any(is_held));

        a.registry.release_alias("shop/cart", &holder.actor).await.unwrap();
        assert_eq!(claim(&a.registry, &third).await.unwrap_err().kind(), ErrorKind::AliasTaken);
        assert_eq!(b.registry.resolve_alias("shop/cart").await.unwrap(), None);
        claim(&b.registry, &second).await.unwrap();
        let other_issuer = a.registry.put_claims(&token(&stranger, &second, 9, Some("shop/cart")), &[]).await;
        assert_eq!(other_issuer.unwrap_err().kind(), ErrorKind::RegistryConflict);
    });
}

#[test]
fn a_reference_stands_for_an_entity() {
    with_servers(|server| async move {
        let (a, b) = (Peer::join(&server).await, Peer::join(&server).await);
        let actor = actor_key();
        a.registry.put_reference("registry.example/echo:1", &actor).await.unwrap();
        assert_eq!(b.registry.reference("registry.example/echo:1").await.unwrap(), Some(actor.clone()));
        assert_eq!(b.registry.reference("registry.example/echo:2").await.unwrap(), None);
        let error = a.registry.put_reference(&"r".repeat(LONGEST_REFERENCE + 1), &actor).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    });
}

#[test]
fn a_slow_consumer_gets_the_latest_of_each_key() {
    with_servers(|server| async move {
        let (a, b) = (Peer::join(&server).await, Peer::join(&server).await);
        let (actor, provider) = (actor_key(), provider_key());
        let mut follower = b.follow();
        follower.interest.add_actor(&actor).unwrap();
        follower.until(Follower::has_snapshot).await;
        let mut last = 0;
        for number in 0..50 {
            last = a.registry.put_link(&link(&actor, &provider, "default", &number.to_string())).await.unwrap();
        }
        assert!(follower.changes.waiting() <= 1);
        follower.until(|follower| follower.links.values().any(|(_, revision)| *revision == last)).await;
    });
}

#[test]
fn a_server_without_jetstream_is_told_apart() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for binary in binaries() {
        let server = NatsServer::start_with(&binary, false);
        runtime.block_on(async {
            let (client, _) = connect(&server).await;
            let key = Arc::new(KeyPair::new_server());
            let opening = Registry::open(client, Namespace::default(), key, Arc::new(|_: &str| true), options()).await;
            assert!(matches!(opening, Ok(Opening::WithoutJetStream)));
        });
    }
}

#[test]
fn an_existing_bucket_is_checked_and_completed() {
    with_servers(|server| async move {
        let (client, _) = connect(&server).await;
        let context = async_nats::jetstream::new(client.clone());
        let config = async_nats::jetstream::stream::Config {
            name: "KV_WASMCLOUD_test".to_owned(),
            subjects: vec!["$KV.WASMCLOUD_test.>".to_owned()],
            max_messages_per_subject: 1,
            discard: async_nats::jetstream::stream::DiscardPolicy::New,
            ..Default::default()
        };
        context.create_stream(config).await.unwrap();
        // Servers before 2.10 cannot begin to republish.
        let is_live = Peer::join(&server).await.registry.is_live();
        assert_eq!(is_live, client.is_server_compatible(2, 10, 0));
        let forgetful = async_nats::jetstream::stream::Config {
            name: "KV_WASMCLOUD_other".to_owned(),
            subjects: vec!["$KV.WASMCLOUD_other.>".to_owned()],
            max_age: Duration::from_secs(60),
            ..Default::default()
        };
        context.create_stream(forgetful).await.unwrap();
        let namespace = Namespace::new("other").unwrap();
        let key = Arc::new(KeyPair::new_server());
        let error = Registry::open(client, namespace, key, Arc::new(|_: &str| true), options()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    });
}

#[test]
fn many_and_large_links_of_an_actor_are_all_read() {
    with_servers(|server| async move {
        let a = Peer::join(&server).await;
        let (actor, provider) = (actor_key(), provider_key());
        // More than a batch holds by its bytes, and, of the second actor, by its number.
        let large = "x".repeat(900_000);
        for number in 0..12 {
            a.registry.put_link(&link(&actor, &provider, &number.to_string(), &large)).await.unwrap();
        }
        let second = actor_key();
        let puts = (0..1_500).map(|number| {
            let (registry, record) = (a.registry.clone(), link(&second, &provider, &number.to_string(), ""));
            async move { registry.put_link(&record).await.unwrap() }
        });
        let revisions: Vec<u64> = futures_util::stream::iter(puts).buffer_unordered(64).collect().await;
        assert_eq!(revisions.len(), 1_500);
        let mut follower = a.follow();
        follower.interest.add_actor(&actor).unwrap();
        follower.interest.add_actor(&second).unwrap();
        let is_complete = |change: &&RegistryChange| matches!(change, RegistryChange::SnapshotComplete { .. });
        follower.until(|follower| follower.others.iter().filter(is_complete).count() == 2).await;
        assert_eq!(follower.links.len(), 1_512);
        assert_eq!(a.registry.links_of(&second).await.unwrap().len(), 1_500);
    });
}
