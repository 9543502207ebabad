//! Links and claims that hosts share.

use std::collections::HashMap;

use wasmcloud_host::{ErrorKind, Host, LinkState, NativeCapability};

use super::{Lattice, run_actor, run_probe, stop};
use crate::signing::sign;
use crate::support::{PROBE, Probe, Seen, host_answer, host_call, kind, provider_claims, soon, until, values};

async fn established(host: &Host, actor: &str) {
    until(async || host.link_state(actor, PROBE, None) == Some(LinkState::Established)).await;
}

async fn gone(host: &Host, actor: &str) {
    until(async || host.link_state(actor, PROBE, None).is_none()).await;
}

#[actix_rt::test]
async fn a_link_that_any_host_sets_takes_effect_where_its_ends_run_and_is_removed_there() {
    let lattice = Lattice::start();
    let [setter, runner, store] = lattice.hosts().await;
    let caller = run_actor(&runner, &sign("host_call").capability(PROBE), &[&setter]).await;
    let (probe, provider) = run_probe(&store).await;
    setter.set_link(&caller, PROBE, None, provider.clone(), values(&[("A", "1")])).await.unwrap();
    established(&store, &caller).await;
    until(async || runner.link_state(&caller, PROBE, None).is_some()).await;
    let reply = soon(runner.call_actor(&caller, "Any", &host_call("", PROBE, "Echo", b"ping"))).await.unwrap();
    assert_eq!(host_answer(&reply).unwrap(), b"ping");

    // New values reach the provider.
    setter.set_link(&caller, PROBE, None, provider, values(&[("A", "2")])).await.unwrap();
    let bound = |value: &str| Seen::Bound { actor: caller.clone(), values: values(&[("A", value)]) };
    until(async || probe.seen().contains(&bound("2"))).await;
    assert!(probe.seen().contains(&bound("1")));

    setter.remove_link(&caller, PROBE, None).await.unwrap();
    gone(&store, &caller).await;
    gone(&runner, &caller).await;
    assert!(probe.seen().contains(&Seen::Unbound { actor: caller.clone() }));
    assert_eq!(kind(setter.remove_link(&caller, PROBE, None).await), ErrorKind::NotLinked);
    stop(&[setter, runner, store]).await;
}

#[actix_rt::test]
async fn a_link_outlives_the_restart_of_every_host() {
    let lattice = Lattice::start();
    let [one, other] = lattice.hosts().await;
    let signing = sign("host_call").capability(PROBE);
    let caller = run_actor(&one, &signing, &[]).await;
    let claims = provider_claims(PROBE);
    let capability = || NativeCapability::from_async(Probe::default(), None, claims.clone()).unwrap();
    other.start_native_capability(capability()).await.unwrap();
    one.set_link(&caller, PROBE, None, capability().id(), values(&[("KEPT", "yes")])).await.unwrap();
    established(&other, &caller).await;
    stop(&[one, other]).await;

    let [one, other] = lattice.hosts().await;
    run_actor(&one, &signing, &[]).await;
    other.start_native_capability(capability()).await.unwrap();
    established(&other, &caller).await;
    until(async || one.link_state(&caller, PROBE, None).is_some()).await;
    let reply = soon(one.call_actor(&caller, "Any", &host_call("", PROBE, "Echo", b"still"))).await.unwrap();
    assert_eq!(host_answer(&reply).unwrap(), b"still");
    stop(&[one, other]).await;
}

#[actix_rt::test]
async fn a_link_that_was_set_before_its_actor_ran_is_there_when_it_runs() {
    let lattice = Lattice::start();
    let [setter, runner, store] = lattice.hosts().await;
    let (_probe, provider) = run_probe(&store).await;
    let signing = sign("host_call").capability(PROBE);
    let key = signing.actor().public_key();
    setter.set_link(&key, PROBE, None, provider, values(&[("EARLY", "yes")])).await.unwrap();
    // The host of the provider has to learn the claims of the actor from the host that starts it.
    let caller = run_actor(&runner, &signing, &[]).await;
    established(&store, &caller).await;
    until(async || runner.link_state(&caller, PROBE, None).is_some()).await;
    let reply = soon(runner.call_actor(&caller, "Any", &host_call("", PROBE, "Echo", b"early"))).await.unwrap();
    assert_eq!(host_answer(&reply).unwrap(), b"early");
    stop(&[setter, runner, store]).await;
}

#[actix_rt::test]
async fn two_hosts_that_set_one_link_at_once_converge() {
    let lattice = Lattice::start();
    let [one, other] = lattice.hosts().await;
    let signing = sign("host_call").capability(PROBE);
    let caller = run_actor(&one, &signing, &[]).await;
    run_actor(&other, &signing, &[]).await;
    let (_probe, provider) = run_probe(&one).await;
    for round in 0..10 {
        let (first, second) = (format!("one {round}"), format!("other {round}"));
        let (first, second) = tokio::join!(
            one.set_link(&caller, PROBE, None, provider.clone(), values(&[("BY", &first)])),
            other.set_link(&caller, PROBE, None, provider.clone(), values(&[("BY", &second)])),
        );
        first.unwrap();
        second.unwrap();
    }
    let value = async |host: &Host| {
        let links = host.link_definitions().await.unwrap();
        links.into_iter().find(|link| link.actor_id == caller).map(|link| link.values)
    };
    until(async || value(&one).await == value(&other).await && value(&one).await.is_some()).await;
    stop(&[one, other]).await;
}

#[actix_rt::test]
async fn a_call_alias_belongs_to_the_actor_that_claimed_it_first_in_the_whole_lattice() {
    let lattice = Lattice::start();
    let [here, one, other] = lattice.hosts().await;
    let first = sign("tiny_echo").alias("clerk");
    run_actor(&one, &first, &[&here]).await;
    until(async || here.call_actor("clerk", "Echo", b"mine").await.is_ok()).await;
    // Another account's actor with the same alias gets no calls.
    let thief = run_actor(&other, &sign("error").alias("clerk"), &[&here]).await;
    for _ in 0..10 {
        assert_eq!(soon(here.call_actor("clerk", "Echo", b"mine")).await.unwrap(), b"mine");
    }
    assert!(soon(here.call_actor(&thief, "Echo", b"")).await.is_err());
    stop(&[here, one, other]).await;
}

#[actix_rt::test]
async fn extras_are_part_of_each_host_that_runs_a_linked_actor() {
    use wasmcloud_host::builtin::Extras;
    let lattice = Lattice::start();
    let [here, there] = lattice.hosts().await;
    let signing = sign("host_call").capability(Extras::CONTRACT);
    let caller = run_actor(&there, &signing, &[&here]).await;
    here.set_link(&caller, Extras::CONTRACT, None, Extras::PUBLIC_KEY.to_owned(), HashMap::new()).await.unwrap();
    until(async || there.link_state(&caller, Extras::CONTRACT, None) == Some(LinkState::Established)).await;
    let request = host_call("", Extras::CONTRACT, "RequestGuid", b"");
    let reply = soon(here.call_actor(&caller, "Any", &request)).await.unwrap();
    assert!(host_answer(&reply).is_ok());
    stop(&[here, there]).await;
}
