//! Measures trust: the admission of a module, and the authorization of each call.
//!
//! `cargo bench --bench trust` prints the table and writes `target/figures/trust.json`. The benchmark also asserts that
//! authorization allocates nothing.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a benchmark that cannot run should end at once")]

mod counting_allocator;
#[allow(dead_code, reason = "other benchmarks use more of it")]
mod support;

#[path = "../tests/support/signing.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod signing;

use std::time::{Duration, Instant};

use counting_allocator::allocations;
use support::{Row, Series, Target, is_real_run, median, report, rows};
use wasmcloud_host::jwt::{self, Claims};
use wasmcloud_host::{Actor, Authorizer, Decision, ErrorKind, Host, HostBuilder, Origin, TrustPolicy, WasmCloudEntity};

/// The size of the module whose admission is timed: that of typical actors of 2021. Unit: bytes.
const MODULE_BYTES: usize = 420_000;

#[actix_rt::main]
async fn main() {
    let mut table = vec![admission().await];
    table.extend(calls().await);
    report("trust", "Admission, and calls of tiny_echo.wasm with and without somebody to ask about them", &table)
        .expect("the figures can be written");
}

/// Measures the time from the bytes of a file to the decision of the host's policy, through its supervisor. The last
/// rule of the policy refuses the module, so nothing is compiled.
async fn admission() -> Row {
    let rounds = if is_real_run() { 101 } else { 3 };
    let signing = signing::sign_module("padded", padded(signing::guest("echo_large")));
    let bytes = signing.bytes_of(signing::Era::New);
    let policy = TrustPolicy::builder().require_revision(&signing.claims.subject, 1).accept_issuers([""; 0]).build();
    let builder = HostBuilder::new().with_shards(1).with_trust_policy(policy.expect("the policy is sound"));
    let host = builder.build();
    host.start().await.expect("the host starts");
    let mut times = Vec::new();
    for _ in 0..rounds {
        let begin = Instant::now();
        let actor = Actor::from_slice(&bytes).expect("it is signed as it should be");
        let refusal = host.start_actor(actor).await.expect_err("the policy accepts no issuer");
        times.push(begin.elapsed().as_secs_f64() * 1e3);
        assert_eq!(refusal.kind(), ErrorKind::Untrusted);
    }
    host.stop().await;
    let what = format!("admission of a module of {} KB: hash, signature, policy: median", bytes.len() / 1000);
    Row { what, per_call: None, figure: median(times), unit: "ms", target: Some(Target::AtMost(2.0)) }
}

/// Returns the module with a custom section that pads it to `MODULE_BYTES`.
fn padded(mut module: Vec<u8>) -> Vec<u8> {
    let padding = vec![0; MODULE_BYTES - module.len()];
    let section = wasm_encoder::CustomSection { name: "padding".into(), data: padding.into() };
    wasm_encoder::Section::append_to(&section, &mut module);
    module
}

/// A simple authorizer that refuses every `Delete`.
struct NoDeletes;

impl Authorizer for NoDeletes {
    fn can_load(&self, claims: &Claims<jwt::Actor>) -> Decision {
        (!claims.subject.is_empty()).into()
    }

    fn can_invoke(&self, _: Origin<'_>, target: &WasmCloudEntity, operation: &str) -> Decision {
        (matches!(target, WasmCloudEntity::Actor(_)) && operation != "Delete").into()
    }
}

/// Starts a host with an actor.
async fn start(builder: HostBuilder, signing: &signing::Signing) -> Host {
    let host = builder.with_shards(1).with_health_interval(None).build();
    host.start().await.expect("the host starts");
    host.start_actor(signing.actor()).await.expect("the actor starts");
    host
}

async fn calls() -> Vec<Row> {
    let (rounds, calls) = if is_real_run() { (31, 10_000) } else { (1, 64) };
    let signing = signing::sign("tiny_echo").claims(|claims| claims.expires = Some(u64::MAX));
    let policy = TrustPolicy::builder()
        .accept_issuers([&signing.claims.issuer])
        .pin(&signing.claims.subject, &signing.claims.issuer)
        .revoke_token("another")
        .build()
        .expect("the policy is sound");
    let plain = start(HostBuilder::new(), &signing).await;
    let authorized = start(HostBuilder::new().with_trust_policy(policy).with_authorizer(NoDeletes), &signing).await;
    let key = &signing.claims.subject;

    let without = allocated(&plain, key, calls).await;
    let with = allocated(&authorized, key, calls).await;
    assert!(without > 0.0, "calls allocate for their messages");
    assert_eq!(with, without, "allocations for each call with a policy and an authorizer, and without");

    let mut reference = Series::new("call_actor, no policy, no authorizer".to_owned(), None);
    let mut authorized_calls = Series::new("call_actor, with a policy and an authorizer".to_owned(), None);
    for _ in 0..rounds {
        reference.add(call(&plain, key, calls).await, calls);
        authorized_calls.add(call(&authorized, key, calls).await, calls);
    }
    plain.stop().await;
    authorized.stop().await;
    let mut table = rows(&reference, &[&authorized_calls]);
    table.push(Row {
        what: format!("allocations for authorization, of {without} for a call"),
        per_call: None,
        figure: with - without,
        unit: "",
        target: Some(Target::AtMost(0.0)),
    });
    table
}

async fn call(host: &Host, key: &str, calls: u32) -> Duration {
    let begin = Instant::now();
    for _ in 0..calls {
        let answer = host.call_actor(key, "Echo", b"payload").await.expect("the actor answers");
        assert_eq!(answer, b"payload");
    }
    begin.elapsed()
}

/// Returns how often this thread, which runs the whole host, allocates for a call. It is the median, because queues
/// grow now and then.
async fn allocated(host: &Host, key: &str, calls: u32) -> f64 {
    call(host, key, 64).await;
    let mut counts = Vec::new();
    for _ in 0..calls {
        let before = allocations();
        call(host, key, 1).await;
        counts.push((allocations() - before) as f64);
    }
    median(counts)
}
