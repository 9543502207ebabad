//! Plugins that flood the connection to their host, do not read it, or violate its protocol.

use std::time::Duration;

use futures_util::future::{join, select_all};
use serde_json::json;
use wasmcloud_host::{Event, EventKind, Events, HostBuilder, Isolation, Limits};

use super::{Caller, PLUGIN, apart, both, built, plugin};
use crate::signing::{sign, sign_module};
use crate::support::{host_answer, host_call, in_own_process, soon, values, with_host, with_host_of};

const MIB: usize = 1024 * 1024;

/// Waits until something has crashed, and tells how.
async fn crashed(events: &mut Events) -> String {
    loop {
        if let Event { kind: EventKind::Crashed { cause }, .. } = events.next().await.unwrap() {
            return cause;
        }
    }
}

/// A number in the status of this process, in bytes.
fn memory(of: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(of)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// How long this thread has computed.
fn computed() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(told.split(' ').next().unwrap().parse().unwrap())
}

/// A frame with a length before it.
fn framed(frame: &serde_json::Value) -> Vec<u8> {
    let bytes = rmp_serde::to_vec(frame).unwrap();
    [&u32::try_from(bytes.len()).unwrap().to_le_bytes(), &*bytes].concat()
}

/// What has the plugin write so many frames that begin like this and end with so many zeros.
fn repeated(count: u32, zeros: u32, begin: &[&[u8]]) -> Vec<u8> {
    let begin = [&begin.concat(), zeros.to_be_bytes().as_slice()].concat();
    let length = u32::try_from(begin.len()).unwrap() + zeros;
    [&count.to_le_bytes(), &zeros.to_le_bytes(), &length.to_le_bytes(), &*begin].concat()
}

#[actix_rt::test]
async fn callbacks_that_log_or_call_again_come_to_an_end() {
    let limits = Limits::new().call_deadline(Duration::from_secs(600));
    for isolation in both() {
        with_host_of(HostBuilder::new().with_shards(2).with_limits(limits), async |host| {
            let caller = Caller::start(&host, plugin(built::mischief(), isolation), 2, &[]).await;
            let refused = host_call("", "test:nothing", "Any", b"");
            for (again, answers) in [(0, "50000"), (1, "100000")] {
                let payload = host_call("", PLUGIN, "Storm", &[&[again], &*refused].concat());
                let storm = host.call_actor(&caller.actor, "Any", &payload);
                let storm = tokio::time::timeout(Duration::from_secs(240), storm);
                let answer = host_answer(&storm.await.expect("it does not end").unwrap()).unwrap();
                assert_eq!(String::from_utf8(answer).unwrap(), answers);
                assert_eq!(caller.call("Echo", b"x").await.unwrap(), b"x");
            }
        })
        .await;
    }
}

#[actix_rt::test]
async fn a_callback_that_never_returns_does_not_keep_the_process_from_reading() {
    with_host(async |host| {
        let caller = Caller::start(&host, plugin(built::mischief(), Isolation::Process(apart())), 2, &[]).await;
        caller.call("BlockAnswer", b"").await.unwrap();
        let back = host_call("", PLUGIN, "Echo", b"there and back");
        for _ in 0..10 {
            assert_eq!(host_answer(&caller.call("CallBack", &back).await.unwrap()).unwrap(), b"there and back");
        }
        caller.stop_provider().await;
    })
    .await;
}

#[actix_rt::test]
async fn a_callback_that_never_returns_in_the_hosts_process_holds_up_no_shard() {
    let one = HostBuilder::new().with_shards(1);
    with_host_of(one, async |host| {
        let caller = Caller::start(&host, plugin(built::mischief(), Isolation::InProcess), 2, &[]).await;
        caller.call("BlockAnswer", b"").await.unwrap();
        let back = host_call("", PLUGIN, "Echo", b"there and back");
        assert_eq!(host_answer(&caller.call("CallBack", &back).await.unwrap()).unwrap(), b"there and back");
        caller.stop_provider().await;
    })
    .await;
}

/// An actor that answers every call with so many bytes.
fn generous(bytes: usize) -> Vec<u8> {
    let text = format!(
        r#"(module (import "wapc" "__guest_response" (func $respond (param i32 i32)))
             (memory (export "memory") {})
             (func (export "__guest_call") (param i32 i32) (result i32)
               (call $respond (i32.const 0) (i32.const {bytes})) (i32.const 1)))"#,
        bytes / (64 * 1024)
    );
    wat::parse_str(text).unwrap()
}

#[test]
fn a_plugin_that_does_not_read_cannot_have_the_host_keep_its_answers() {
    const NAME: &str = "plugins::connection::a_plugin_that_does_not_read_cannot_have_the_host_keep_its_answers";
    in_own_process(NAME, async || {
        let limits = Limits::new().mailbox_length(8000);
        with_host_of(HostBuilder::new().with_shards(2).with_limits(limits), async |host| {
            let caller = Caller::start(&host, plugin(built::mischief(), Isolation::Process(apart())), 1, &[]).await;
            let generous = sign_module("generous", generous(256 * 1024)).capability(PLUGIN).actor();
            let key = generous.public_key();
            host.start_actor(generous).await.unwrap();
            host.set_link(&key, PLUGIN, None, caller.provider.clone(), values(&[])).await.unwrap();
            let request = json!({"within": 0, "actor": key, "operation": "Any", "message": []});
            let frames = (0..4000).flat_map(|id| framed(&json!({"CallActor": {"id": id, "request": request}})));
            let (mut events, before) = (host.events(), memory("VmRSS"));
            let payload = host_call("", PLUGIN, "RawAndFreeze", &frames.collect::<Vec<u8>>());
            let (told, cause) = soon(join(host.call_actor(&caller.actor, "Any", &payload), crashed(&mut events))).await;
            let grown = memory("VmHWM") - before;
            println!("the host grew by {} MiB", grown / MIB);
            assert!(cause.contains("read nothing of what it was sent"), "{cause}");
            assert!(host_answer(&told.unwrap()).unwrap_err().contains("read nothing of what it was sent"));
            assert!(grown < 256 * MIB, "{grown}");
            // It is back, and the host holds nothing for the former one.
            assert_eq!(caller.call("Echo", b"x").await.unwrap(), b"x");
            let payload = host_call("", PLUGIN, "Echo", &vec![1; 32 * MIB]);
            assert!(host_answer(&soon(host.call_actor(&caller.actor, "Any", &payload)).await.unwrap()).is_ok());
        })
        .await;
    });
}

#[actix_rt::test]
async fn the_bytes_of_calls_that_a_plugin_has_before_it_are_bounded() {
    // Four of the largest messages, and not a fifth.
    let limits = Limits::new().message_bytes(16 * MIB).call_deadline(Duration::from_secs(10));
    for isolation in both() {
        with_host_of(HostBuilder::new().with_shards(2).with_limits(limits), async |host| {
            let caller = Caller::start(&host, plugin(built::mischief(), isolation), 5, &[]).await;
            let payload = host_call("", PLUGIN, "Block", &vec![0; 15 * MIB]);
            let calls = (0..5).map(|_| Box::pin(host.call_actor(&caller.actor, "Any", &payload)));
            let (first, _, others) = soon(select_all(calls)).await;
            let refusal = host_answer(&first.unwrap()).unwrap_err();
            assert!(refusal.contains("have too many bytes"), "{refusal}");
            drop(others);
        })
        .await;
    }
}

#[actix_rt::test]
async fn a_message_too_large_is_refused_alike_and_kills_nothing() {
    let mut told = Vec::new();
    for isolation in both() {
        with_host(async |host| {
            let caller = Caller::start(&host, plugin(built::mischief(), isolation), 2, &[]).await;
            let process = caller.text("Process", "").await;
            let refusals = caller.text("Large", "70").await;
            assert_eq!(refusals.matches("Failed: a payload of 73400320 bytes").count(), 2, "{refusals}");
            let answer = caller.call("LargeAnswer", b"70").await.unwrap_err();
            assert!(answer.contains("73400320 bytes"), "{answer}");
            caller.call("LargeLog", b"70").await.unwrap();
            let failure = caller.call("LargeFailure", b"70").await.unwrap_err();
            assert!(failure.len() < 16 * 1024, "{}", failure.len());
            assert_eq!(caller.text("Process", "").await, process);
            told.push(refusals);
        })
        .await;
    }
    assert_eq!(told[0], told[1]);
}

#[test]
fn large_frames_do_not_hold_the_shard() {
    in_own_process("plugins::connection::large_frames_do_not_hold_the_shard", async || {
        with_host_of(HostBuilder::new().with_shards(1), async |host| {
            let caller = Caller::start(&host, plugin(built::mischief(), Isolation::Process(apart())), 1, &[]).await;
            assert_eq!(caller.call("Echo", b"x").await.unwrap(), b"x");
            let lines = repeated(10, 60 << 20, &[b"\x81\xa3Log\x82\xa5level\x03\xa4text\xdb"]);
            let before = computed();
            caller.call("Repeat", &lines).await.unwrap();
            assert_eq!(caller.call("Echo", b"x").await.unwrap(), b"x");
            let computed = computed() - before;
            println!("the shard has computed for {computed:?}");
            assert!(computed < Duration::from_millis(150), "{computed:?}");
        })
        .await;
    });
}

#[actix_rt::test]
async fn a_process_that_answers_what_it_was_not_asked_is_ended() {
    with_host(async |host| {
        let caller = Caller::start(&host, plugin(built::mischief(), Isolation::Process(apart())), 1, &[]).await;
        let bystander = Caller::start(&host, plugin(built::tally(&[]), Isolation::Process(apart())), 1, &[]).await;
        let mut events = host.events();
        let id = 1_000_000_u64.to_be_bytes();
        let answers = repeated(20, 60 << 20, &[b"\x81\xa4Done\x82\xa2id\xcf", &id, b"\xa7outcome\x81\xa2Ok\xc6"]);
        let refusal = caller.call("Repeat", &answers).await.unwrap_err();
        assert!(refusal.contains("a request was answered that was not made"), "{refusal}");
        assert!(soon(crashed(&mut events)).await.contains("a request was answered that was not made"));
        assert_eq!(caller.call("Echo", b"x").await.unwrap(), b"x");
        assert_eq!(bystander.call("Add", b"1").await.unwrap(), b"1");
    })
    .await;
}

#[actix_rt::test]
async fn a_process_that_does_not_keep_to_the_frames_is_ended() {
    let call = |actor: &str, operation: usize| {
        let request = json!({"within": 0, "actor": actor, "operation": "x".repeat(operation), "message": []});
        framed(&json!({"CallActor": {"id": 1, "request": request}}))
    };
    let breaches = [
        (vec![0xff; 64], "a frame has 4294967295 bytes"),
        (vec![0; 64], "a frame cannot be decoded"),
        (framed(&json!({"Unknown": {"id": 1}})), "a frame cannot be decoded"),
        (framed(&json!({"Done": {"id": 0, "outcome": {"Ok": []}}})), "a request was answered that was not made"),
    ];
    with_host(async |host| {
        let caller = Caller::start(&host, plugin(built::mischief(), Isolation::Process(apart())), 1, &[]).await;
        // What is odd and no breach is refused, and the process lives.
        caller.call("Raw", &call("nobody", 10)).await.unwrap();
        caller.call("Raw", &call("nobody", 1 << 20)).await.unwrap();
        let mut events = host.events();
        for (bytes, told) in breaches {
            // The answer may be on the line before the breach.
            let _ = caller.call("Raw", &bytes).await;
            let cause = soon(crashed(&mut events)).await;
            assert!(cause.contains(told), "{told}: {cause}");
            assert_eq!(caller.call("Echo", b"x").await.unwrap(), b"x");
        }
    })
    .await;
}

#[actix_rt::test]
async fn a_process_whose_calls_come_back_to_it_by_the_thousand_goes_on() {
    // Each call waits for an answer of the very process that calls: neither side may wait for room to take it.
    let limits = Limits::new().mailbox_length(8000);
    with_host_of(HostBuilder::new().with_shards(2).with_limits(limits), async |host| {
        let caller = Caller::start(&host, plugin(built::mischief(), Isolation::Process(apart())), 1, &[]).await;
        let actor = sign("host_call").capability(PLUGIN).actor();
        let key = actor.public_key();
        host.start_actor(actor).await.unwrap();
        host.set_link(&key, PLUGIN, None, caller.provider.clone(), values(&[])).await.unwrap();
        let back = host_call("", PLUGIN, "Echo", b"x");
        let storm = [key.as_bytes(), &back].concat();
        assert_eq!(caller.text("Circle", std::str::from_utf8(&storm).unwrap()).await, "6000");
        assert_eq!(caller.call("Echo", b"x").await.unwrap(), b"x");
    })
    .await;
}
