//! Signed providers, whose tokens end and whose signers can be mistrusted while they run.

use std::time::{Duration, SystemTime};

use nkeys::KeyPair;
use wasmcloud_host::jwt::{self, Claims};
use wasmcloud_host::{
    Authorizer, ChildState, Decision, ErrorKind, EventKind, Host, HostBuilder, LinkState, NativeCapability, Origin,
    ProviderArchive, TrustPolicy, WasmCloudEntity,
};

use super::{Caller, PLUGIN, both, built, plugin};
use crate::signing::sign;
use crate::support::{host_call, kind, soon, values, with_host, with_host_of};

/// The plugin that counts, signed by an account for some time.
fn tally(account: &KeyPair, lasts: Duration) -> NativeCapability {
    let archive = ProviderArchive::builder("plugin of a test", PLUGIN, "Example")
        .target(ProviderArchive::host_target(), built::tally(&[]))
        .expires(SystemTime::now() + lasts)
        .sign(account, &KeyPair::new_service())
        .unwrap();
    NativeCapability::from_archive(&ProviderArchive::try_load(&archive).unwrap(), None).unwrap()
}

const HOUR: Duration = Duration::from_secs(3600);

fn state(host: &Host) -> ChildState {
    host.inventory().unwrap().providers[0].state.clone()
}

fn entity(caller: &Caller) -> WasmCloudEntity {
    WasmCloudEntity::Capability {
        id: caller.provider.clone(),
        contract_id: PLUGIN.to_owned(),
        link_name: "default".to_owned(),
    }
}

#[actix_rt::test]
async fn a_provider_that_the_policy_does_not_trust_is_not_started() {
    let (account, other) = (KeyPair::new_account(), KeyPair::new_account());
    let policy = TrustPolicy::builder().accept_provider_issuers([account.public_key()]);
    with_host_of(HostBuilder::new().with_trust_policy(policy.clone().build().unwrap()), async |host| {
        assert_eq!(kind(host.start_native_capability(tally(&other, HOUR)).await), ErrorKind::Untrusted);
        let vendor = policy.accept_provider_vendors(["Nobody"]).build().unwrap();
        soon(host.start_native_capability(tally(&account, HOUR))).await.unwrap();
        host.set_trust_policy(vendor).await.unwrap();
        assert!(matches!(state(&host), ChildState::Distrusted { reason } if reason.contains("vendor")));
    })
    .await;
}

#[actix_rt::test]
async fn a_provider_that_is_mistrusted_serves_nobody_and_calls_nobody() {
    with_host(async |host| {
        let account = KeyPair::new_account();
        let caller = Caller::start(&host, tally(&account, HOUR), 2, &[]).await;
        let mut events = host.monitor(entity(&caller));
        assert_eq!(caller.text("Add", "1").await, "1");
        let revoked = TrustPolicy::builder().revoke_issuer(account.public_key()).build().unwrap();
        host.set_trust_policy(revoked).await.unwrap();
        assert!(matches!(soon(events.next()).await.unwrap().kind, EventKind::Distrusted { .. }));
        assert!(caller.call("Add", b"1").await.unwrap_err().contains("which is revoked"));
        let back = host_call("", PLUGIN, "Add", b"1");
        assert!(caller.call("CallBack", &back).await.unwrap_err().contains("which is revoked"));
        assert_eq!(host.link_state(&caller.actor, PLUGIN, None), Some(LinkState::Established));
        let link = host.set_link(&caller.actor, PLUGIN, None, caller.provider.clone(), values(&[("BEGIN", "7")])).await;
        assert_eq!(kind(link), ErrorKind::Revoked);

        // What begins to wait for it while it is mistrusted is linked when it is trusted again.
        let late = sign("host_call").capability(PLUGIN);
        let key = late.claims.subject.clone();
        host.stop_actor(&caller.actor).await.unwrap();
        host.set_link(&key, PLUGIN, None, caller.provider.clone(), values(&[])).await.unwrap_err();
        host.set_trust_policy(TrustPolicy::default()).await.unwrap();
        assert_eq!(soon(events.next()).await.unwrap().kind, EventKind::Trusted);
        host.start_actor(late.actor()).await.unwrap();
        host.set_link(&key, PLUGIN, None, caller.provider.clone(), values(&[])).await.unwrap();
        let late = Caller { host: host.clone(), actor: key, provider: caller.provider.clone() };
        assert_eq!(late.text("Add", "1").await, "1");
    })
    .await;
}

#[actix_rt::test]
async fn a_provider_whose_token_ends_serves_nobody_and_can_be_stopped() {
    built::tally(&[]);
    with_host(async |host| {
        let capability = tally(&KeyPair::new_account(), Duration::from_secs(5));
        let caller = Caller::start(&host, capability.clone(), 2, &[]).await;
        assert_eq!(caller.text("Add", "1").await, "1");
        let mut events = host.monitor(entity(&caller));
        assert_eq!(soon(events.next()).await.unwrap().kind, EventKind::Expired);
        assert!(caller.call("Add", b"1").await.unwrap_err().contains("has expired"));
        assert_eq!(state(&host), ChildState::Expired);
        caller.stop_provider().await;
        assert_eq!(kind(host.start_native_capability(capability).await), ErrorKind::TokenExpired);
    })
    .await;
}

#[actix_rt::test]
async fn an_archive_that_was_read_in_time_is_not_started_too_late() {
    with_host(async |host| {
        let (lasts, begin) = (Duration::from_secs(2), SystemTime::now());
        let capability = tally(&KeyPair::new_account(), lasts);
        tokio::time::sleep(lasts).await;
        // A token ends on a whole second at the latest.
        assert!(begin.elapsed().unwrap() >= lasts);
        assert_eq!(kind(host.start_native_capability(capability).await), ErrorKind::TokenExpired);
    })
    .await;
}

/// Lets providers call nobody.
struct NoCallsBack;

impl Authorizer for NoCallsBack {
    fn can_load(&self, _: &Claims<jwt::Actor>) -> Decision {
        true.into()
    }

    fn can_invoke(&self, origin: Origin<'_>, _: &WasmCloudEntity, _: &str) -> Decision {
        (!matches!(origin, Origin::Provider(_))).into()
    }
}

#[actix_rt::test]
async fn seed_defect_01_what_comes_in_from_another_process_is_authorized_like_any_call() {
    for isolation in both() {
        let builder = HostBuilder::new().with_shards(2).with_authorizer(NoCallsBack);
        with_host_of(builder, async |host| {
            let caller = Caller::start(&host, plugin(built::mischief(), isolation), 2, &[]).await;
            assert_eq!(caller.call("Echo", b"x").await.unwrap(), b"x");
            let back = host_call("", PLUGIN, "Echo", b"x");
            for operation in ["CallBack", "CallBackLater", "CallOutside"] {
                let refusal = caller.call(operation, &back).await.unwrap_err();
                assert!(refusal.contains("authorizer"), "{operation}: {refusal}");
            }
        })
        .await;
    }
}
