//! An actor may use the capabilities of its signed claims: when a link is set, at each call, and after an update.

use std::collections::HashMap;

use wasmcloud_host::{ErrorKind, HostBuilder, LinkState};

use crate::signing::sign;
use crate::support::{PROBE, Probe, host_answer, host_call, kind, with_host_of};

#[actix_rt::test]
async fn claims_count_at_links_at_calls_and_after_an_update() {
    let builder = HostBuilder::new().with_shards(2).enable_live_updates().disable_strict_update_check();
    with_host_of(builder, async |host| {
        let probe = Probe::default();
        let capability = probe.capability();
        let provider = capability.id();
        host.start_native_capability(capability).await.unwrap();
        let mut signing = sign("host_call");
        let key = signing.claims.subject.clone();
        host.start_actor(signing.actor()).await.unwrap();
        let link = async || host.set_link(&key, PROBE, None, provider.clone(), HashMap::new()).await;
        let call = async || {
            let reply = host.call_actor(&key, "Any", &host_call("", PROBE, "Echo", b"x")).await.unwrap();
            host_answer(&reply)
        };
        assert_eq!(kind(link().await), ErrorKind::CapabilityDenied);
        assert!(call().await.unwrap_err().contains("signed claims"));

        signing = signing.capability(PROBE).revision(2);
        host.update_actor(&key, None, &signing.bytes()).await.unwrap();
        link().await.unwrap();
        assert_eq!(call().await.unwrap(), b"x");
        let dispatcher = probe.dispatcher(&key);
        assert!(dispatcher.dispatch(&key, "Any", host_call("", PROBE, "Echo", b"x")).await.is_ok());

        // An update that takes the capability away takes the link with it, in both directions.
        signing = signing.claims(|claims| claims.metadata.as_mut().unwrap().caps = Some(vec![])).revision(3);
        host.update_actor(&key, None, &signing.bytes()).await.unwrap();
        assert!(call().await.unwrap_err().contains("signed claims"));
        assert!(matches!(host.link_state(&key, PROBE, None), Some(LinkState::Refused(_))));
        assert_eq!(kind(dispatcher.dispatch(&key, "Any", vec![]).await), ErrorKind::NotLinked);

        signing = signing.capability(PROBE).revision(4);
        host.update_actor(&key, None, &signing.bytes()).await.unwrap();
        assert_eq!(call().await.unwrap(), b"x");
    })
    .await;
}

#[actix_rt::test]
async fn a_provider_calls_only_actors_that_are_linked_to_it() {
    with_host_of(HostBuilder::new().with_shards(1), async |host| {
        let (probe, linked) = crate::support::probed_caller(&host).await;
        let other = sign("tiny_echo").alias("other");
        host.start_actor(other.actor()).await.unwrap();
        let dispatcher = probe.dispatcher(&linked);
        for name in [&*other.claims.subject, "other"] {
            assert_eq!(kind(dispatcher.dispatch(name, "Echo", vec![]).await), ErrorKind::NotLinked);
        }
        host.remove_link(&linked, PROBE, None).await.unwrap();
        assert_eq!(kind(dispatcher.dispatch(&linked, "Any", vec![]).await), ErrorKind::NotLinked);
    })
    .await;
}
