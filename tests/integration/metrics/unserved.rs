//! Calls that no instance answers: each is counted once, whatever ends it.

use futures_util::future::join_all;
use wasmcloud_host::{Authorizer, BoxedError, Decision, Invocation, Middleware, Origin, TrustPolicy, WasmCloudEntity};

use super::*;
use crate::lattice::{Lattice, acquainted, run_actor, run_probe};
use crate::support::{Probe, with_tested_compiler};

/// The calls to targets that do not run, by outcome.
fn absent(series: &Series, outcome: &str) -> f64 {
    series.get(&call_series("absent", "other", outcome)).unwrap()
}

/// Calls a provider over the guest `host_call`. Returns whether it answered.
async fn call_provider(host: &Host, caller: &str, operation: &str) -> bool {
    let answer = soon(host.call_actor(caller, "Any", &host_call("", PROBE, operation, b"x"))).await.unwrap();
    host_answer(&answer).is_ok()
}

#[actix_rt::test]
async fn each_call_is_counted_once_while_its_provider_crashes_and_comes_back() {
    const CALLERS: usize = 8;
    const ROUNDS: usize = 12;
    let quick = builder().with_call_deadline(Duration::from_secs(5));
    with_host_of(quick, async |host| {
        let capability = Probe::default().capability();
        let id = capability.id();
        let policy = RestartPolicy::new().intensity(10_000, Duration::from_secs(3600)).in_a_row(10_000);
        host.start_native_capability_with(capability, policy).await.unwrap();
        let mut callers = Vec::new();
        for _ in 0..CALLERS {
            let key = start(&host, &sign("host_call").capability(PROBE)).await;
            host.set_link(&key, PROBE, None, id.clone(), HashMap::new()).await.unwrap();
            callers.push(key);
        }
        for round in 0..ROUNDS {
            let operation = |at: usize| if (at + round).is_multiple_of(CALLERS) { "Panic" } else { "Echo" };
            let calls = callers.iter().enumerate();
            join_all(calls.map(async |(at, caller)| call_provider(&host, caller, operation(at)).await)).await;
        }
        let series = Series::of(&host);
        let target = label(&id, "test provider");
        let counted: f64 = ["ok", "error", "timeout", "refused", "busy", "cancelled"]
            .into_iter()
            .map(|outcome| series.calls(&target, outcome) + absent(&series, outcome))
            .sum();
        assert_eq!(counted, (CALLERS * ROUNDS) as f64);
        let crashes = format!("wasmcloud_crashes_total{{entity=\"{target}\"}}");
        assert!(series.get(&crashes).unwrap() >= 1.0);
        assert!(series.calls(&target, "error") >= 1.0);
    })
    .await;
}

#[actix_rt::test]
async fn a_chain_that_is_too_deep_and_calls_of_a_provider_without_trust_are_counted() {
    with_host_of(builder().with_limits(Limits::new().chain_depth(1)), async |host| {
        let mut keys = Vec::new();
        for _ in 0..3 {
            keys.push(start(&host, &sign("host_call")).await);
        }
        let deepest = host_call("", &keys[2], "Any", b"the end");
        let answer = host.call_actor(&keys[0], "Any", &host_call("", &keys[1], "Any", &deepest)).await.unwrap();
        assert!(host_answer(&host_answer(&answer).unwrap()).is_err());
        assert_eq!(Series::of(&host).calls(&label(&keys[2], "host_call"), "refused"), 1.0);

        let (probe, caller) = probed_caller(&host).await;
        let none = TrustPolicy::builder().accept_issuers([nkeys::KeyPair::new_account().public_key()]).build().unwrap();
        host.set_trust_policy(none).await.unwrap();
        let refused = soon(probe.dispatcher(&caller).dispatch(&caller, "Any", Vec::new())).await;
        assert_eq!(kind(refused), ErrorKind::Untrusted);
        let series = Series::of(&host);
        assert_eq!(series.calls(&label(&caller, "host_call"), "refused"), 1.0);
        let distrusted = |entity: &str| series.get(&format!("wasmcloud_entity_distrusted{{entity=\"{entity}\"}}"));
        assert_eq!(distrusted(&label(&caller, "host_call")), Some(1.0));
    })
    .await;
}

/// Refuses calls with the operation `Refuse`.
struct Refusing;

impl Authorizer for Refusing {
    fn can_invoke(&self, _: Origin<'_>, _: &WasmCloudEntity, operation: &str) -> Decision {
        (operation != "Refuse").into()
    }
}

/// Refuses calls with the operation `Forbid`.
struct Forbidding;

impl Middleware for Forbidding {
    fn actor_pre_invoke(&self, invocation: &mut Invocation) -> Result<(), BoxedError> {
        if invocation.operation == "Forbid" { Err("it is forbidden".into()) } else { Ok(()) }
    }
}

#[actix_rt::test]
async fn calls_to_other_hosts_that_this_one_refuses_are_counted() {
    let lattice = Lattice::start();
    let strict = with_tested_compiler(HostBuilder::new().with_shards(1).with_metrics())
        .with_lattice(lattice.options())
        .with_authorizer(Refusing)
        .with_middleware(Forbidding);
    let here = crate::lattice::start(strict).await;
    let there = lattice.host().await;
    acquainted(&[here.clone(), there.clone()]).await;
    let far = run_actor(&there, &sign("host_call").capability(PROBE), &[&here]).await;
    assert_eq!(kind(soon(here.call_actor(&far, "Refuse", b"")).await), ErrorKind::Unauthorized);
    assert_eq!(kind(soon(here.call_actor(&far, "Forbid", b"")).await), ErrorKind::MiddlewareRefused);
    assert_eq!(absent(&Series::of(&here), "refused"), 2.0);

    // A provider that is not linked to an actor of another host, which is known here for its link to another provider.
    let (_, linked) = run_probe(&here).await;
    let (stranger, near) = probed_caller(&here).await;
    here.set_link(&far, PROBE, None, linked, HashMap::new()).await.unwrap();
    until(async || {
        let call = there.call_actor(&far, "Any", &host_call("", PROBE, "Echo", b"x")).await;
        call.is_ok_and(|answer| host_answer(&answer).is_ok())
    })
    .await;
    assert_eq!(kind(soon(stranger.dispatcher(&near).dispatch(&far, "Any", Vec::new())).await), ErrorKind::NotLinked);
    assert_eq!(absent(&Series::of(&here), "refused"), 3.0);
    // What another host has answered is counted there.
    assert!(soon(here.call_actor(&far, "Any", &host_call("", PROBE, "Echo", b"x"))).await.is_ok());
    assert_eq!(absent(&Series::of(&here), "error"), 0.0);
    for host in [here, there] {
        host.stop().await;
    }
}

#[actix_rt::test]
async fn a_mailbox_tells_what_it_holds() {
    with_host_of(builder(), async |host| {
        let options = ActorOptions::new().limits(Limits::new().mailbox_length(7)).instances(3);
        let key = start_with(&host, &sign("echo"), options).await;
        let capacity = format!("wasmcloud_mailbox_capacity{{target=\"{}\"}}", label(&key, "echo"));
        assert_eq!(Series::of(&host).get(&capacity), Some(21.0));
        host.call_actor(&key, "Echo", b"x").await.unwrap();
        let timed = format!("wasmcloud_timed_calls_total{{target=\"{}\"}}", label(&key, "echo"));
        assert_eq!(Series::of(&host).get(&timed), Some(1.0));
    })
    .await;
}
