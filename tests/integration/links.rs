//! Links: they can be set before or after either end starts, and their reported state is the real one.

use std::collections::HashMap;

use wasmcloud_host::{ErrorKind, Host, LinkState};

use crate::signing::sign;
use crate::support::{PROBE, Probe, Seen, host_answer, host_call, kind, probed_caller, soon, until, values, with_host};

/// A call from a `host_call` actor to its probe: the answer, or the refusal.
async fn ping(host: &Host, caller: &str) -> Result<Vec<u8>, String> {
    host_answer(&host.call_actor(caller, "Any", &host_call("", PROBE, "Echo", b"ping")).await.unwrap())
}

#[actix_rt::test]
async fn a_link_may_be_set_before_between_or_after_the_starts() {
    enum Step {
        Actor,
        Provider,
        Link,
    }
    use Step::{Actor, Link, Provider};
    for order in [
        [Link, Actor, Provider],
        [Link, Provider, Actor],
        [Actor, Link, Provider],
        [Provider, Link, Actor],
        [Actor, Provider, Link],
        [Provider, Actor, Link],
    ] {
        with_host(async |host| {
            let probe = Probe::default();
            let capability = probe.capability();
            let actor = sign("host_call").capability(PROBE).actor();
            let key = actor.public_key();
            for step in order {
                assert!(probe.seen().is_empty());
                match step {
                    Actor => host.start_actor(actor.clone()).await.unwrap(),
                    Provider => host.start_native_capability(capability.clone()).await.unwrap(),
                    Link => {
                        let link = values(&[("COLOUR", "green")]);
                        host.set_link(&key, PROBE, None, capability.id(), link).await.unwrap();
                    }
                }
            }
            assert_eq!(host.link_state(&key, PROBE, None), Some(LinkState::Established));
            let bound = Seen::Bound { actor: key.clone(), values: values(&[("COLOUR", "green")]) };
            assert_eq!(probe.seen(), [bound]);
            assert_eq!(ping(&host, &key).await.unwrap(), b"ping");
        })
        .await;
    }
}

#[actix_rt::test]
async fn seed_defect_12_a_refused_link_is_an_error_and_not_a_link() {
    with_host(async |host| {
        let probe = Probe::default();
        let capability = probe.capability();
        let actor = sign("host_call").capability(PROBE).actor();
        let (key, provider) = (actor.public_key(), capability.id());
        host.start_native_capability(capability).await.unwrap();
        host.start_actor(actor).await.unwrap();

        let refusal = host.set_link(&key, PROBE, None, provider.clone(), values(&[("REFUSE", "too green")])).await;
        let refusal = refusal.unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::LinkRefused);
        assert!(refusal.to_string().contains("too green"), "{refusal}");
        assert_eq!(host.link_state(&key, PROBE, None), None);
        assert!(ping(&host, &key).await.is_err());

        host.set_link(&key, PROBE, None, provider.clone(), values(&[("A", "1")])).await.unwrap();
        let change = host.set_link(&key, PROBE, None, provider, values(&[("REFUSE", "x")])).await;
        assert_eq!(kind(change), ErrorKind::LinkRefused);
        assert_eq!(host.link_definitions().await.unwrap()[0].values, values(&[("A", "1")]));
        assert_eq!(ping(&host, &key).await.unwrap(), b"ping");
    })
    .await;
}

#[actix_rt::test]
async fn a_link_that_is_refused_when_its_end_starts_keeps_the_reason() {
    with_host(async |host| {
        let probe = Probe::default();
        let capability = probe.capability();
        let actor = sign("host_call").capability(PROBE).actor();
        let key = actor.public_key();
        host.set_link(&key, PROBE, None, capability.id(), values(&[("REFUSE", "too late")])).await.unwrap();
        assert_eq!(host.link_state(&key, PROBE, None), Some(LinkState::Pending));
        host.start_actor(actor).await.unwrap();
        host.start_native_capability(capability.clone()).await.unwrap();
        match host.link_state(&key, PROBE, None) {
            Some(LinkState::Refused(reason)) => assert!(reason.contains("too late"), "{reason}"),
            other => panic!("{other:?}"),
        }
        assert!(ping(&host, &key).await.unwrap_err().contains("too late"));
        host.set_link(&key, PROBE, None, capability.id(), HashMap::new()).await.unwrap();
        assert_eq!(ping(&host, &key).await.unwrap(), b"ping");
    })
    .await;
}

#[actix_rt::test]
async fn a_removed_link_is_released_and_refused() {
    with_host(async |host| {
        let (probe, caller) = probed_caller(&host).await;
        host.remove_link(&caller, PROBE, None).await.unwrap();
        assert_eq!(probe.seen().last(), Some(&Seen::Unbound { actor: caller.clone() }));
        assert!(ping(&host, &caller).await.unwrap_err().contains("no link"));
        assert!(host.link_definitions().await.unwrap().is_empty());
        assert_eq!(kind(host.remove_link(&caller, PROBE, None).await), ErrorKind::NotLinked);
        let late = probe.dispatcher(&caller).dispatch(&caller, "Any", vec![]).await;
        assert_eq!(kind(late), ErrorKind::NotLinked);
    })
    .await;
}

#[actix_rt::test]
async fn stopping_either_end_releases_the_link_and_starting_it_establishes_it_again() {
    with_host(async |host| {
        let probe = Probe::default();
        let capability = probe.capability();
        let actor = sign("host_call").capability(PROBE).actor();
        let key = actor.public_key();
        host.set_link(&key, PROBE, None, capability.id(), HashMap::new()).await.unwrap();
        host.start_native_capability(capability.clone()).await.unwrap();
        host.start_actor(actor.clone()).await.unwrap();

        host.stop_actor(&key).await.unwrap();
        assert_eq!(probe.seen().last(), Some(&Seen::Unbound { actor: key.clone() }));
        assert_eq!(host.link_state(&key, PROBE, None), Some(LinkState::Pending));
        host.start_actor(actor).await.unwrap();
        assert_eq!(ping(&host, &key).await.unwrap(), b"ping");

        host.stop_provider(&capability.id(), PROBE, None).await.unwrap();
        assert_eq!(probe.seen().last(), Some(&Seen::Stopped));
        assert!(ping(&host, &key).await.unwrap_err().contains("does not run"));
        host.start_native_capability(capability).await.unwrap();
        assert_eq!(ping(&host, &key).await.unwrap(), b"ping");
    })
    .await;
}

#[actix_rt::test]
async fn seed_defect_12_a_capability_that_was_not_signed_for_is_denied_and_the_provider_never_hears_of_it() {
    with_host(async |host| {
        let probe = Probe::default();
        let capability = probe.capability();
        let provider = capability.id();
        let actor = sign("host_call").actor();
        let key = actor.public_key();
        host.start_native_capability(capability).await.unwrap();
        host.start_actor(actor).await.unwrap();
        let link = host.set_link(&key, PROBE, None, provider, HashMap::new()).await;
        assert_eq!(kind(link), ErrorKind::CapabilityDenied);
        assert!(ping(&host, &key).await.unwrap_err().contains("signed claims"));
        assert!(probe.seen().is_empty());
    })
    .await;
}

#[actix_rt::test]
async fn a_link_set_early_does_not_grant_what_was_not_signed_for() {
    with_host(async |host| {
        let probe = Probe::default();
        let capability = probe.capability();
        let actor = sign("host_call").actor();
        let key = actor.public_key();
        host.set_link(&key, PROBE, None, capability.id(), HashMap::new()).await.unwrap();
        host.start_native_capability(capability).await.unwrap();
        host.start_actor(actor).await.unwrap();
        assert!(matches!(host.link_state(&key, PROBE, None), Some(LinkState::Refused(_))));
        assert!(ping(&host, &key).await.unwrap_err().contains("signed claims"));
        assert!(probe.seen().is_empty());
    })
    .await;
}

#[actix_rt::test]
async fn links_of_one_actor_are_distinguished_by_name() {
    with_host(async |host| {
        let (probe, caller) = probed_caller(&host).await;
        let nowhere = host_call("backup", PROBE, "Echo", b"");
        let refusal = host_answer(&host.call_actor(&caller, "Any", &nowhere).await.unwrap()).unwrap_err();
        assert!(refusal.contains("backup"), "{refusal}");
        assert_eq!(probe.calls(), [""; 0]);
    })
    .await;
}

#[actix_rt::test]
async fn malformed_links_are_refused() {
    with_host(async |host| {
        let (actor, provider) = (sign("echo").actor().public_key(), Probe::default().capability().id());
        for (actor, contract, provider) in [
            ("nobody", PROBE, provider.as_str()),
            (&actor, "", &provider),
            (&actor, PROBE, "V"),
            (&actor, PROBE, &actor),
        ] {
            let link = host.set_link(actor, contract, None, provider.to_owned(), HashMap::new()).await;
            assert_eq!(kind(link), ErrorKind::InvalidArgument, "{actor} {contract} {provider}");
        }
        let (probe, caller) = probed_caller(&host).await;
        let provider = host.link_definitions().await.unwrap()[0].provider_id.clone();
        let other_contract =
            host.set_link(&caller, PROBE, Some("other".into()), provider.clone(), HashMap::new()).await;
        other_contract.unwrap();
        assert_eq!(host.link_state(&caller, PROBE, Some("other")), Some(LinkState::Pending));
        let denied = host.set_link(&caller, "test:other", None, provider, HashMap::new()).await;
        assert_eq!(kind(denied), ErrorKind::CapabilityDenied);
        assert_eq!(probe.seen().len(), 1);
    })
    .await;
}

#[actix_rt::test]
async fn changes_of_one_link_at_once_leave_one_of_them_in_effect() {
    with_host(async |host| {
        let (probe, caller) = probed_caller(&host).await;
        let provider = host.link_definitions().await.unwrap()[0].provider_id.clone();
        let changes = (0..20).map(|number: u32| {
            let (host, caller, provider) = (host.clone(), caller.clone(), provider.clone());
            async move {
                if number.is_multiple_of(3) {
                    let _ = host.remove_link(&caller, PROBE, None).await;
                } else {
                    let link = values(&[("NUMBER", &number.to_string())]);
                    host.set_link(&caller, PROBE, None, provider, link).await.unwrap();
                }
            }
        });
        futures_util::future::join_all(changes).await;
        let definitions = host.link_definitions().await.unwrap();
        let told = Seen::Bound { actor: caller.clone(), values: definitions[0].values.clone() };
        assert_eq!(probe.seen().last(), Some(&told));
        assert_eq!(ping(&host, &caller).await.unwrap(), b"ping");
    })
    .await;
}

#[actix_rt::test]
async fn a_link_moves_to_another_provider_without_an_interruption() {
    with_host(async |host| {
        let (first, caller) = probed_caller(&host).await;
        let second = Probe::default();
        let capability = second.capability();
        host.start_native_capability(capability.clone()).await.unwrap();
        // A change that is refused leaves the first provider in effect.
        let refused = host.set_link(&caller, PROBE, None, capability.id(), values(&[("REFUSE", "x")])).await;
        assert_eq!(kind(refused), ErrorKind::LinkRefused);
        assert_eq!(ping(&host, &caller).await.unwrap(), b"ping");
        assert_eq!(first.calls().len(), 1);

        let moving = host.set_link(&caller, PROBE, None, capability.id(), HashMap::new());
        let (moved, answered) = futures_util::future::join(moving, ping(&host, &caller)).await;
        moved.unwrap();
        assert_eq!(answered.unwrap(), b"ping");
        assert_eq!(ping(&host, &caller).await.unwrap(), b"ping");
        assert_eq!(first.seen().last(), Some(&Seen::Unbound { actor: caller.clone() }));
        assert!(!second.calls().is_empty());
        let late = first.dispatcher(&caller).dispatch(&caller, "Any", vec![]).await;
        assert_eq!(kind(late), ErrorKind::NotLinked);
    })
    .await;
}

#[actix_rt::test]
async fn a_link_moves_to_a_provider_that_starts_later() {
    with_host(async |host| {
        let (first, caller) = probed_caller(&host).await;
        let second = Probe::default();
        let capability = second.capability();
        host.set_link(&caller, PROBE, None, capability.id(), HashMap::new()).await.unwrap();
        assert_eq!(first.seen().last(), Some(&Seen::Unbound { actor: caller.clone() }));
        assert_eq!(host.link_state(&caller, PROBE, None), Some(LinkState::Pending));
        host.start_native_capability(capability).await.unwrap();
        assert_eq!(ping(&host, &caller).await.unwrap(), b"ping");
        assert_eq!(second.calls(), ["Echo"]);
    })
    .await;
}

#[actix_rt::test]
async fn a_provider_is_stopped_after_the_calls_it_is_serving() {
    with_host(async |host| {
        let (probe, caller) = probed_caller(&host).await;
        let provider = host.link_definitions().await.unwrap()[0].provider_id.clone();
        let waits = host_call("", PROBE, "Wait", b"");
        let call = host.call_actor(&caller, "Any", &waits);
        let stop = async {
            probe.arrived.notified().await;
            let release = async {
                // Its links cannot be changed any more, so its stop is under way.
                until(async || {
                    host.set_link(&caller, PROBE, None, provider.clone(), HashMap::new()).await.is_err()
                        || host.link_state(&caller, PROBE, None) != Some(LinkState::Established)
                })
                .await;
                assert!(!probe.seen().contains(&Seen::Stopped));
                probe.release.add_permits(1);
            };
            futures_util::future::join(host.stop_provider(&provider, PROBE, None), release).await.0
        };
        let (reply, stopped) = soon(futures_util::future::join(call, stop)).await;
        stopped.unwrap();
        assert_eq!(host_answer(&reply.unwrap()).unwrap(), b"released");
        assert_eq!(probe.seen().last(), Some(&Seen::Stopped));
    })
    .await;
}
