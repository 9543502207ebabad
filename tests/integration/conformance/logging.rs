//! `wasmcloud:logging`: what actors write is on the log, and nothing else is.

use serde_json::{Value, json};
use wasmcloud_host::builtin::Logging;
use wasmcloud_host::{ErrorKind, Host};

use super::kit::Caller;
use crate::support::{keep_log, logged, until, values, with_host};

const CONTRACT: &str = "wasmcloud:logging";

async fn with_log(test: impl AsyncFnOnce(Host, String)) {
    keep_log();
    with_host(async |host| {
        let capability = Logging::new(None).capability().unwrap();
        let provider = capability.id();
        host.start_native_capability(capability).await.unwrap();
        test(host, provider).await;
    })
    .await;
}

async fn write(caller: &Caller, level: impl Into<Value>, text: &str) -> Result<Vec<u8>, String> {
    let line = json!({"target": "here", "level": level.into(), "text": text});
    caller.call("WriteLog", &rmp_serde::to_vec_named(&line).unwrap()).await
}

/// The lines of an actor.
fn lines_of(caller: &Caller) -> Vec<String> {
    let actor = format!("actor={}", caller.key);
    logged().into_iter().filter(|line| line.contains(&actor)).collect()
}

/// The lines of an actor without the identifier of their call, which each has.
fn without_call(caller: &Caller) -> Vec<String> {
    let without = |line: String| {
        let (rest, id) = line.rsplit_once(" call=").unwrap_or_else(|| panic!("no call: {line}"));
        assert!(id.len() == 16 && id.bytes().all(|digit| digit.is_ascii_hexdigit()), "{line}");
        rest.to_owned()
    };
    lines_of(caller).into_iter().map(without).collect()
}

#[actix_rt::test]
async fn a_line_says_who_wrote_it() {
    with_log(async |host, provider| {
        let caller = Caller::start(&host, CONTRACT, 1).await;
        caller.link(&provider, values(&[])).await.unwrap();
        assert_eq!(write(&caller, "info", "hello").await, Ok(vec![]));
        assert_eq!(write(&caller, 1, "by number").await, Ok(vec![]));
        assert_eq!(write(&caller, 0, "by no level").await, Ok(vec![]));
        let fields = format!("actor={} actor_name=host_call actor_target=here", caller.key);
        let expected = [format!("INFO host_call: hello {fields}"), format!("ERROR host_call: by number {fields}")];
        assert_eq!(without_call(&caller), expected);
    })
    .await;
}

#[actix_rt::test]
async fn no_line_can_be_forged_and_none_is_longer_than_it_may_be() {
    with_log(async |host, provider| {
        let caller = Caller::start(&host, CONTRACT, 1).await;
        caller.link(&provider, values(&[("TEXT_LIMIT", "40")])).await.unwrap();
        write(&caller, "warn", "a\nERROR host: \u{1b}[31mred\r\n").await.unwrap();
        write(&caller, "warn", &"é".repeat(1_000_000)).await.unwrap();
        let lines = lines_of(&caller);
        assert!(lines[0].starts_with("WARN host_call: a\\nERROR host: \\u{1b}[31mred\\r\\n actor="), "{lines:?}");
        assert!(lines[1].contains(&format!("{}... (1999960 more bytes)", "é".repeat(20))) && lines[1].len() < 300);
        let refused = write(&caller, "warn", &"é".repeat(3_000_000)).await.unwrap_err();
        assert!(refused.contains("bytes, 4194304 are allowed"), "{refused}");
        assert_eq!(lines_of(&caller).len(), 2);
    })
    .await;
}

#[actix_rt::test]
async fn what_is_beyond_an_actors_pace_is_counted() {
    with_log(async |host, provider| {
        let (loud, quiet) = (Caller::start(&host, CONTRACT, 1).await, Caller::start(&host, CONTRACT, 1).await);
        loud.link(&provider, values(&[("LINES_PER_SECOND", "1"), ("BURST", "5")])).await.unwrap();
        quiet.link(&provider, values(&[("LEVEL", "warn")])).await.unwrap();
        for number in 0..50 {
            write(&loud, "info", &number.to_string()).await.unwrap();
        }
        for level in ["error", "warn", "info", "debug"] {
            write(&quiet, level, level).await.unwrap();
        }
        assert_eq!(lines_of(&quiet).len(), 2, "another actor has a pace of its own");
        // What is not written yet is told of when the link ends, if not before.
        loud.unlink().await;
        until(async || lines_of(&loud).iter().any(|line| line.contains("left out"))).await;
        let lines = lines_of(&loud);
        let (reports, written): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.contains("left out"));
        let count = |line: &&String| line.rsplit_once("left_out=").unwrap().1.parse::<usize>().unwrap();
        assert!(written.len() >= 5 && written.len() < 50, "{lines:?}");
        assert_eq!(written.len() + reports.iter().map(count).sum::<usize>(), 50);
    })
    .await;
}

#[actix_rt::test]
async fn bad_values_and_calls_are_refused() {
    with_log(async |host, provider| {
        let caller = Caller::start(&host, CONTRACT, 1).await;
        for (key, text) in [("LEVEL", "loud"), ("BURST", "0"), ("LINES_PER_SECOND", "x"), ("TEXT_LIMIT", "9000")] {
            let refusal = caller.link(&provider, values(&[(key, text)])).await.unwrap_err();
            assert!(refusal.kind() == ErrorKind::LinkRefused && refusal.to_string().contains(key), "{refusal}");
        }
        caller.link(&provider, values(&[])).await.unwrap();
        assert!(write(&caller, "loud", "text").await.is_err() && write(&caller, 6, "text").await.is_err());
        for message in [&b""[..], b"\xff", b"\x81\xa4text\xa1a", b"\xdf\xff\xff\xff\xff"] {
            assert!(caller.call("WriteLog", message).await.is_err());
        }
        assert!(caller.call("Write", b"").await.is_err());
        assert_eq!(lines_of(&caller), [""; 0]);
    })
    .await;
}
