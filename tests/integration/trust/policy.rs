//! Trust policies: at starts, at updates, and for running children when the policy is replaced.

use std::collections::HashMap;

use wasmcloud_host::{ChildState, ErrorKind, EventKind, HostBuilder, LinkState, TrustPolicy, WasmCloudEntity};

use crate::signing::sign;
use crate::support::{PROBE, Probe, host_answer, host_call, keep_log, kind, logged, soon, with_host, with_host_of};

#[actix_rt::test]
async fn what_the_policy_refuses_is_neither_started_nor_updated_to() {
    let trusted = sign("tiny_echo").revision(2);
    let policy = TrustPolicy::builder()
        .accept_issuers([&trusted.claims.issuer])
        .require_revision(&trusted.claims.subject, 2)
        .revoke_token("stolen")
        .build()
        .unwrap();
    let builder = HostBuilder::new().with_shards(1).enable_live_updates().with_trust_policy(policy);
    with_host_of(builder, async |host| {
        let mut signing = trusted;
        let stranger = host.start_actor(sign("tiny_echo").actor()).await.unwrap_err();
        assert_eq!(stranger.kind(), ErrorKind::Untrusted);
        assert!(stranger.to_string().contains("not an accepted issuer of actors"), "{stranger}");
        signing.set_revision(1);
        let old = host.start_actor(signing.actor()).await.unwrap_err();
        assert_eq!(old.kind(), ErrorKind::Untrusted);
        assert!(old.to_string().contains("revision 1"), "{old}");
        assert!(host.actors().await.unwrap().is_empty());

        signing.set_revision(2);
        host.start_actor(signing.actor()).await.unwrap();
        let key = signing.claims.subject.clone();
        let mut events = host.monitor(WasmCloudEntity::Actor(key.clone()));
        signing.set_revision(3);
        let token = std::mem::replace(&mut signing.claims.id, "stolen".to_owned());
        assert_eq!(kind(host.update_actor(&key, None, &signing.bytes()).await), ErrorKind::Revoked);
        let told = soon(events.next()).await.unwrap().kind;
        assert!(matches!(told, EventKind::UpdateRefused { reason } if reason.contains("\"stolen\"")));
        assert_eq!(host.call_actor(&key, "Echo", b"x").await.unwrap(), b"x");
        signing.claims.id = token;
        host.update_actor(&key, None, &signing.bytes()).await.unwrap();
    })
    .await;
}

#[actix_rt::test]
async fn another_policy_judges_what_runs() {
    with_host(async |host| {
        let probe = Probe::default();
        let capability = probe.capability();
        let provider = capability.id();
        host.start_native_capability(capability).await.unwrap();
        let (one, other) = (sign("host_call").capability(PROBE), sign("host_call"));
        let (key, bystander) = (&one.claims.subject, &other.claims.subject);
        host.start_actor(one.actor()).await.unwrap();
        host.start_actor(other.actor()).await.unwrap();
        let mut events = host.monitor(WasmCloudEntity::Actor(key.clone()));
        let revoked = TrustPolicy::builder().revoke_issuer(&one.claims.issuer).build().unwrap();
        host.set_trust_policy(revoked.clone()).await.unwrap();
        let (wait, echo) = (host_call("", PROBE, "Wait", b""), host_call("", PROBE, "Echo", b"x"));
        assert_eq!(kind(host.call_actor(key, "Any", &echo).await), ErrorKind::Revoked);
        let reply = host.call_actor(bystander, "Any", &host_call("", key, "Any", b"")).await.unwrap();
        assert!(host_answer(&reply).unwrap_err().contains("which is revoked"));
        let refused = host.set_link(key, PROBE, None, provider.clone(), HashMap::new()).await;
        assert_eq!(kind(refused), ErrorKind::Revoked);
        let actors = host.inventory().unwrap().actors;
        let state = &actors.iter().find(|actor| actor.key == *key).unwrap().state;
        assert!(matches!(state, ChildState::Distrusted { reason } if reason.contains("which is revoked")));

        // The same policy again is no news. Without it, the actor is trusted again.
        host.set_trust_policy(revoked.clone()).await.unwrap();
        host.set_trust_policy(TrustPolicy::default()).await.unwrap();
        assert!(matches!(soon(events.next()).await.unwrap().kind, EventKind::Distrusted { .. }));
        assert_eq!(soon(events.next()).await.unwrap().kind, EventKind::Trusted);
        host.set_link(key, PROBE, None, provider, HashMap::new()).await.unwrap();
        assert_eq!(host_answer(&host.call_actor(key, "Any", &echo).await.unwrap()).unwrap(), b"x");

        // What has reached an actor when trust in it ends is finished, but it gets nothing more out of that.
        let waiting = host.call_actor(key, "Any", &wait);
        let behind = host.call_actor(key, "Any", &echo);
        let end = async {
            probe.arrived.notified().await;
            host.set_trust_policy(revoked).await.unwrap();
            probe.release.add_permits(1);
        };
        let (waited, behind, ()) = soon(async { futures_util::join!(waiting, behind, end) }).await;
        assert_eq!(host_answer(&waited.unwrap()).unwrap(), b"released");
        assert!(host_answer(&behind.unwrap()).unwrap_err().contains("which is revoked"));
        assert_eq!(host.link_state(key, PROBE, None), Some(LinkState::Established));
        host.stop_actor(key).await.unwrap();
    })
    .await;
}

#[actix_rt::test]
async fn providers_of_the_program_are_trusted_with_it() {
    let probe = Probe::default();
    let capability = probe.capability();
    let policy = TrustPolicy::builder()
        .accept_provider_issuers(Vec::<String>::new())
        .revoke_subject(capability.id())
        .build()
        .unwrap();
    with_host_of(HostBuilder::new().with_trust_policy(policy.clone()), async |host| {
        host.start_native_capability(capability).await.unwrap();
        host.set_trust_policy(policy).await.unwrap();
        assert_eq!(host.inventory().unwrap().providers[0].state, ChildState::Running);
    })
    .await;
}

#[actix_rt::test]
async fn a_host_that_trusts_any_signature_warns_once() {
    keep_log();
    let said = |id: &str| {
        logged().iter().filter(|line| line.contains(id) && line.contains("trusts any valid signature")).count()
    };
    let told = async |builder: HostBuilder| {
        let host = builder.with_shards(1).build();
        host.start().await.unwrap();
        host.start_actor(sign("tiny_echo").actor()).await.unwrap();
        host.start_actor(sign("tiny_echo").actor()).await.unwrap();
        host.stop().await;
        said(&host.id())
    };
    assert_eq!(told(HostBuilder::new()).await, 1);
    assert_eq!(told(HostBuilder::new().with_trust_policy(TrustPolicy::default())).await, 0);
}
