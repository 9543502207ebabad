//! The trust policy and the time, for providers from signed archives.

use std::time::{Duration, SystemTime};

use nkeys::KeyPair;
use wasmcloud_host::{
    ErrorKind, EventKind, HostBuilder, NativeCapability, ProviderArchive, TrustPolicy, WasmCloudEntity,
};

use super::{Caller, PLUGIN, built};
use crate::support::{kind, soon, with_host, with_host_of};

/// The provider of an archive that was signed in the name of an account.
fn signed(issuer: &KeyPair, vendor: &str, expires: Option<SystemTime>) -> NativeCapability {
    let mut builder = ProviderArchive::builder("tally", PLUGIN, vendor)
        .revision(1)
        .target(ProviderArchive::host_target(), built::tally(&[]));
    if let Some(expires) = expires {
        builder = builder.expires(expires);
    }
    let archive = builder.sign(issuer, &KeyPair::new_service()).unwrap();
    NativeCapability::from_archive(&ProviderArchive::try_load(&archive).unwrap(), None).unwrap()
}

#[actix_rt::test]
async fn a_provider_that_the_policy_refuses_is_never_loaded() {
    let (ours, theirs) = (KeyPair::new_account(), KeyPair::new_account());
    let policy = TrustPolicy::builder()
        .accept_provider_issuers([ours.public_key()])
        .accept_provider_vendors(["us"])
        .build()
        .unwrap();
    with_host_of(HostBuilder::new().with_shards(1).with_trust_policy(policy), async |host| {
        for refused in [signed(&theirs, "us", None), signed(&ours, "them", None)] {
            assert_eq!(kind(host.start_native_capability(refused).await), ErrorKind::Untrusted);
        }
        host.start_native_capability(signed(&ours, "us", None)).await.unwrap();
    })
    .await;
}

#[actix_rt::test]
async fn a_provider_whose_token_ends_is_called_no_more() {
    with_host(async |host| {
        let soon_over = SystemTime::now() + Duration::from_secs(3);
        let capability = signed(&KeyPair::new_account(), "us", Some(soon_over));
        let entity = WasmCloudEntity::Capability {
            id: capability.id(),
            contract_id: PLUGIN.to_owned(),
            link_name: "default".to_owned(),
        };
        let mut events = host.monitor(entity);
        let caller = Caller::start(&host, capability, 1, &[]).await;
        assert_eq!(caller.text("Add", "1").await, "1");
        soon(async { while !matches!(events.next().await.unwrap().kind, EventKind::Expired) {} }).await;
        let refusal = caller.call("Add", b"1").await.unwrap_err();
        assert!(refusal.contains("ended"), "{refusal}");
        caller.stop_provider().await;
    })
    .await;
}

#[actix_rt::test]
async fn an_archive_that_was_read_in_time_is_not_started_too_late() {
    with_host(async |host| {
        let end = SystemTime::now() + Duration::from_secs(2);
        let capability = signed(&KeyPair::new_account(), "us", Some(end));
        while SystemTime::now() < end {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(kind(host.start_native_capability(capability).await), ErrorKind::TokenExpired);
    })
    .await;
}
