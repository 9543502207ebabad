//! Call aliases belong to the issuer of their first holder.

use wasmcloud_host::{ErrorKind, Host, HostBuilder};

use crate::signing::{Signing, sign};
use crate::support::{PROBE, host_answer, host_call, kind, probed_caller, with_host, with_host_of};

async fn start(host: &Host, signing: &Signing) -> wasmcloud_host::Result<()> {
    host.start_actor(signing.actor()).await
}

#[actix_rt::test]
async fn seed_defect_07_an_alias_stays_with_the_issuer_of_its_first_holder() {
    with_host(async |host| {
        let first = sign("tiny_echo").alias("payments");
        start(&host, &first).await.unwrap();
        let (stranger, sibling) =
            (sign("error").alias("payments"), sign("tiny_echo").alias("payments").issued_like(&first));
        // While the first one runs, no other actor gets it.
        assert_eq!(kind(start(&host, &stranger).await), ErrorKind::AliasTaken);
        assert_eq!(kind(start(&host, &sibling).await), ErrorKind::AliasTaken);
        host.stop_actor(&first.claims.subject).await.unwrap();
        // Afterwards, neither does an actor of another issuer, nor one with the subject of the first: any issuer can sign that.
        let refusal = start(&host, &stranger).await.unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::AliasTaken);
        assert!(refusal.to_string().contains(&first.claims.issuer), "{refusal}");
        let subject = first.claims.subject.clone();
        let pretender = sign("error").alias("payments").claims(|claims| claims.subject = subject);
        assert_eq!(kind(start(&host, &pretender).await), ErrorKind::AliasTaken);
        assert_eq!(kind(host.call_actor("payments", "Echo", b"").await), ErrorKind::ActorNotFound);
        // One of the same issuer does, and so does the first one again after that.
        for holder in [&sibling, &first] {
            start(&host, holder).await.unwrap();
            assert_eq!(host.call_actor("payments", "Echo", b"x").await.unwrap(), b"x");
            host.stop_actor(&holder.claims.subject).await.unwrap();
        }
    })
    .await;
}

#[actix_rt::test]
async fn an_alias_that_an_update_lets_go_of_stays_with_its_issuer() {
    with_host_of(HostBuilder::new().with_shards(1).enable_live_updates(), async |host| {
        let mut signing = sign("tiny_echo").alias("before");
        start(&host, &signing).await.unwrap();
        signing = signing.alias("after").revision(2);
        host.update_actor(&signing.claims.subject, None, &signing.bytes()).await.unwrap();
        assert_eq!(kind(start(&host, &sign("error").alias("before")).await), ErrorKind::AliasTaken);
        start(&host, &sign("tiny_echo").alias("before").issued_like(&signing)).await.unwrap();
        // Nor does an update get an alias that another issuer owns.
        let mut other = sign("tiny_echo");
        start(&host, &other).await.unwrap();
        other = other.alias("after").revision(2);
        assert_eq!(kind(host.update_actor(&other.claims.subject, None, &other.bytes()).await), ErrorKind::AliasTaken);
    })
    .await;
}

#[actix_rt::test]
async fn a_start_that_fails_takes_no_alias() {
    with_host(async |host| {
        let broken = sign("tiny_echo").alias("wanted").module(wat::parse_str("(module)").unwrap());
        assert_eq!(kind(start(&host, &broken).await), ErrorKind::InvalidModule);
        start(&host, &sign("tiny_echo").alias("wanted")).await.unwrap();
        assert_eq!(host.call_actor("wanted", "Echo", b"x").await.unwrap(), b"x");
    })
    .await;
}

#[actix_rt::test]
async fn seed_defect_07_a_contract_that_comes_later_is_not_hidden_by_an_alias() {
    with_host(async |host| {
        // Of the form of a contract or a key, an alias is none; and one that was free before its contract came is none
        // from then on.
        let key = sign("tiny_echo").claims.subject;
        for alias in [PROBE, "wasmcloud:keyvalue", &key] {
            start(&host, &sign("tiny_echo").alias(alias)).await.unwrap();
            assert_eq!(kind(host.call_actor(alias, "Echo", b"").await), ErrorKind::ActorNotFound);
        }
        let (probe, caller) = probed_caller(&host).await;
        let reply = host.call_actor(&caller, "Any", &host_call("", PROBE, "Echo", b"x")).await.unwrap();
        assert_eq!(host_answer(&reply).unwrap(), b"x");
        assert_eq!(probe.calls(), ["Echo"]);
    })
    .await;
}
