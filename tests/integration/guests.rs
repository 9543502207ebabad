//! Guests of every kind: what they do wrong is an error of its kind, and the host lives on.

use std::time::{Duration, Instant};

use wasmcloud_host::{Actor, ErrorKind, Host, HostBuilder};

use crate::signing::{sign, sign_module};
use crate::support::{host_answer, host_call, kind, soon, with_host, with_host_of};

async fn start(host: &Host, guest: &str) -> String {
    let actor = sign(guest).actor();
    let key = actor.public_key();
    host.start_actor(actor).await.unwrap();
    key
}

#[actix_rt::test]
async fn both_interfaces_in_the_field_are_served() {
    with_host(async |host| {
        for guest in ["tiny_echo", "wasmbus_echo", "echo"] {
            let key = start(&host, guest).await;
            assert_eq!(host.call_actor(&key, "Echo", b"hello").await.unwrap(), b"hello", "{guest}");
            assert_eq!(host.call_actor(&key, "Echo", b"").await.unwrap(), b"", "{guest}");
        }
    })
    .await;
}

#[actix_rt::test]
async fn messages_of_megabytes_pass_both_ways() {
    with_host(async |host| {
        let large = start(&host, "large_reply").await;
        let reply = host.call_actor(&large, "Any", b"9000000").await.unwrap();
        assert_eq!(reply.len(), 9_000_000);
        assert!(reply.iter().enumerate().all(|(index, byte)| *byte == index as u8));
        let echo = start(&host, "echo").await;
        assert_eq!(host.call_actor(&echo, "Echo", &reply).await.unwrap(), reply);
    })
    .await;
}

#[actix_rt::test]
async fn a_message_that_is_too_large_is_refused_either_way() {
    with_host(async |host| {
        let large = start(&host, "large_reply").await;
        let too_large = 64 * 1024 * 1024 + 1;
        let reply = host.call_actor(&large, "Any", too_large.to_string().as_bytes()).await;
        assert_eq!(kind(reply), ErrorKind::MessageTooLarge);
        let request = host.call_actor(&large, "Any", &vec![b'0'; too_large]).await;
        assert_eq!(kind(request), ErrorKind::MessageTooLarge);
        assert_eq!(host.call_actor(&large, "Any", b"3").await.unwrap(), [0, 1, 2]);
    })
    .await;
}

#[actix_rt::test]
async fn a_guests_own_error_and_an_unknown_operation_are_told_apart() {
    with_host(async |host| {
        let error = start(&host, "error").await;
        let refusal = host.call_actor(&error, "Anything", b"").await.unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::ActorFailed);
        assert!(refusal.to_string().contains("deliberate failure: Anything"), "{refusal}");
        let echo = start(&host, "echo").await;
        assert_eq!(kind(host.call_actor(&echo, "Nope", b"").await), ErrorKind::UnknownOperation);
    })
    .await;
}

#[actix_rt::test]
async fn seed_defect_21_a_trap_costs_one_call_and_the_next_gets_a_fresh_instance() {
    with_host(async |host| {
        let key = start(&host, "trap").await;
        let trapped = ["Trap", "DivideByZero", "OutOfBounds"].map(|operation| (operation, ErrorKind::ActorTrapped));
        for (operation, expected) in trapped.into_iter().chain([("Recurse", ErrorKind::StackExhausted)]) {
            assert_eq!(kind(host.call_actor(&key, operation, b"").await), expected, "{operation}");
            assert_eq!(host.call_actor(&key, "Echo", b"still here").await.unwrap(), b"still here", "{operation}");
        }
    })
    .await;
}

#[actix_rt::test]
async fn seed_defect_42_misuse_of_the_interface_is_a_typed_error() {
    with_host(async |host| {
        let key = start(&host, "hostile").await;
        for (operation, expected) in [
            ("BadUtf8Operation", ErrorKind::ProtocolViolation),
            ("BadUtf8Namespace", ErrorKind::ProtocolViolation),
            ("BadUtf8Error", ErrorKind::ActorFailed),
            ("OutOfRangePointer", ErrorKind::ProtocolViolation),
            ("AbsurdLength", ErrorKind::ProtocolViolation),
            ("ResponseOutOfRange", ErrorKind::ProtocolViolation),
            ("RequestOutOfRange", ErrorKind::ProtocolViolation),
            ("NoResponse", ErrorKind::ProtocolViolation),
            ("NoError", ErrorKind::ActorFailed),
        ] {
            assert_eq!(kind(host.call_actor(&key, operation, b"x").await), expected, "{operation}");
            assert_eq!(host.call_actor(&key, "Echo", b"still here").await.unwrap(), b"still here", "{operation}");
        }
        for harmless in ["BadUtf8Log", "LogFlood", "HugeLog", "HostResponseUnasked"] {
            assert_eq!(host.call_actor(&key, harmless, b"x").await.unwrap(), b"x", "{harmless}");
        }
    })
    .await;
}

#[actix_rt::test]
async fn any_return_code_but_zero_is_success() {
    for (code, succeeds) in [(1, true), (2, true), (-1, true), (i32::MIN, true), (0, false)] {
        let module = wat::parse_str(format!(
            r#"(module
                (import "wapc" "__guest_response" (func $respond (param i32 i32)))
                (memory (export "memory") 1)
                (data (i32.const 8) "done")
                (func (export "__guest_call") (param i32 i32) (result i32)
                    (call $respond (i32.const 8) (i32.const 4))
                    (i32.const {code})))"#
        ));
        with_host(async |host| {
            let actor = sign_module("coded", module.unwrap()).actor();
            host.start_actor(actor.clone()).await.unwrap();
            for _ in 0..2 {
                let answer = soon(host.call_actor(&actor.public_key(), "Any", b"")).await;
                match succeeds {
                    true => assert_eq!(answer.unwrap(), b"done", "{code}"),
                    false => assert_eq!(kind(answer), ErrorKind::ActorFailed),
                }
            }
        })
        .await;
    }
}

#[actix_rt::test]
async fn a_call_to_nowhere_is_an_error_inside_the_guest() {
    with_host(async |host| {
        let key = start(&host, "host_call").await;
        let reply = host.call_actor(&key, "Any", &host_call("", "nobody", "Op", b"")).await.unwrap();
        let refusal = host_answer(&reply).unwrap_err();
        assert!(refusal.contains("nobody"), "{refusal}");
    })
    .await;
}

#[actix_rt::test]
async fn seed_defect_13_what_is_no_guest_is_refused_with_the_reason_and_does_not_run() {
    const CALL: &str = r#"(func (export "__guest_call") (param i32 i32) (result i32) (i32.const 1))"#;
    const MEMORY: &str = r#"(memory (export "memory") 1)"#;
    let wat = |parts: &[&str]| wat::parse_str(format!("(module {})", parts.join(" "))).unwrap();
    let import = |text: &'static str| wat(&[text, MEMORY, CALL]);
    let cases = [
        ("no memory", wat(&[CALL]), "memory"),
        ("no guest call", wat(&[MEMORY]), "__guest_call"),
        ("a guest call of another type", wat(&[MEMORY, r#"(func (export "__guest_call"))"#]), "__guest_call"),
        (
            "a guest call that is no function",
            wat(&[MEMORY, r#"(global (export "__guest_call") i32 (i32.const 1))"#]),
            "__guest_call",
        ),
        ("an import from elsewhere", import(r#"(import "env" "abort" (func))"#), "env.abort"),
        ("a system interface", import(r#"(import "wasi_snapshot_preview1" "fd_write" (func))"#), "fd_write"),
        ("an unknown function", import(r#"(import "wapc" "__open_file" (func))"#), "__open_file"),
        ("an import of another type", import(r#"(import "wapc" "__console_log" (func (param i64)))"#), "__console_log"),
        ("an import that is no function", import(r#"(import "wapc" "__host_call" (global i32))"#), "__host_call"),
        (
            "a start function with parameters",
            wat(&[MEMORY, CALL, r#"(func (export "wapc_init") (param i32))"#]),
            "wapc_init",
        ),
        ("a start that traps", wat(&[MEMORY, CALL, r#"(func $s unreachable) (start $s)"#]), "unreachable"),
        ("an init that traps", wat(&[MEMORY, CALL, r#"(func (export "wapc_init") unreachable)"#]), "unreachable"),
        ("data out of range", wat(&[MEMORY, CALL, r#"(data (i32.const 65535) "ab")"#]), "out of bounds"),
        ("an empty module", wat(&[]), "memory"),
        ("a memory for threads", wat(&[r#"(memory (export "memory") 1 1 shared)"#, CALL]), "not valid"),
        ("more than one memory", wat(&[MEMORY, "(memory 1)", CALL]), "not valid"),
        ("a memory of 64 bits", wat(&[r#"(memory (export "memory") i64 1)"#, CALL]), "not valid"),
    ];
    with_host(async |host| {
        for (what, module, named) in cases {
            let actor = sign_module("odd", module).actor();
            let key = actor.public_key();
            let refusal = host.start_actor(actor).await.expect_err(what);
            assert!(
                matches!(refusal.kind(), ErrorKind::InvalidModule | ErrorKind::ActorTrapped),
                "{what}: {refusal:?}"
            );
            assert!(refusal.to_string().contains(named), "{what}: {refusal}");
            assert_eq!(kind(host.call_actor(&key, "Any", b"").await), ErrorKind::ActorNotFound, "{what}");
        }
        assert!(host.actors().await.unwrap().is_empty());
    })
    .await;
}

#[actix_rt::test]
async fn a_module_that_does_not_validate_is_refused() {
    // Sections in order and of the right sizes, but a code section whose body is no code.
    let mut module = wat::parse_str(r#"(module (func (export "f") (result i32) (i32.const 1)))"#).unwrap();
    let body = module.len() - 3;
    module[body] = 0xff;
    with_host(async |host| {
        let actor = sign_module("garbage", module).actor();
        assert_eq!(kind(host.start_actor(actor).await), ErrorKind::InvalidModule);
    })
    .await;
}

#[test]
fn what_is_no_wasm_at_all_is_refused() {
    for bytes in [&b""[..], b"\0", b"hello", b"\0asm", b"\0asm\x01\0\0\0\xff\xff\xff\xff\xff\xff"] {
        assert_eq!(kind(Actor::from_slice(bytes)), ErrorKind::InvalidModule, "{bytes:?}");
    }
}

#[actix_rt::test]
async fn a_guest_that_computes_without_end_ends_at_its_deadline_and_holds_up_nobody() {
    let builder = HostBuilder::new().with_shards(1).with_call_deadline(Duration::from_millis(300));
    with_host_of(builder, async |host| {
        let spinner = start(&host, "spin").await;
        let bystander = start(&host, "tiny_echo").await;
        let mut answered = 0;
        let spin = async {
            let begin = Instant::now();
            (host.call_actor(&spinner, "Spin", b"").await, begin.elapsed())
        };
        let meanwhile = async {
            loop {
                assert_eq!(host.call_actor(&bystander, "Echo", b"x").await.unwrap(), b"x");
                answered += 1;
                tokio::task::yield_now().await;
            }
        };
        let (ended, lasted) = soon(async {
            tokio::select! {
                ended = spin => ended,
                () = meanwhile => unreachable!("it goes on for ever"),
            }
        })
        .await;
        assert_eq!(kind(ended), ErrorKind::DeadlineExceeded);
        assert!(lasted >= Duration::from_millis(300), "{lasted:?}");
        assert!(answered > 10, "{answered} calls were answered beside it");
        assert_eq!(host.call_actor(&spinner, "Echo", b"again").await.unwrap(), b"again");
    })
    .await;
}

#[actix_rt::test]
async fn a_guest_that_never_gets_through_its_start_is_not_started() {
    let builder = HostBuilder::new().with_shards(1).with_call_deadline(Duration::from_millis(100));
    with_host_of(builder, async |host| {
        let guest = |start: &str| {
            let module = format!(
                r#"(module (memory (export "memory") 1) (global $count (mut i32) (i32.const 0))
                    (func (export "__guest_call") (param i32 i32) (result i32) (global.get $count)) {start})"#
            );
            sign_module("slow to start", wat::parse_str(module).unwrap()).actor()
        };
        for endless in [
            "(func $s (loop (br 0))) (start $s)",
            r#"(func (export "wapc_init") (loop (br 0)))"#,
            r#"(func $a (call $b)) (func $b (call $a)) (func (export "_start") (call $a))"#,
        ] {
            let refused = soon(host.start_actor(guest(endless))).await.unwrap_err();
            assert!(
                matches!(refused.kind(), ErrorKind::DeadlineExceeded | ErrorKind::StackExhausted),
                "{endless}: {refused:?}"
            );
        }
        // One that takes longer than a quantum is started: its start function yields like any other.
        let long = guest(
            "(func $s (loop (global.set $count (i32.add (global.get $count) (i32.const 1)))
                (br_if 0 (i32.lt_u (global.get $count) (i32.const 2000000))))) (start $s)",
        );
        host.start_actor(long).await.unwrap();
    })
    .await;
}

#[actix_rt::test]
async fn a_guest_gets_so_much_memory_and_no_more() {
    with_host(async |host| {
        let key = start(&host, "grow").await;
        assert_eq!(host.call_actor(&key, "GrowBy", b"100").await.unwrap(), b"ok");
        assert_eq!(host.call_actor(&key, "GrowBy", b"5000").await.unwrap(), b"refused");
        assert_eq!(host.call_actor(&key, "Grow", b"").await.unwrap(), b"4096");
    })
    .await;
}

#[actix_rt::test]
async fn a_guest_that_has_the_host_copy_without_end_pays_for_it() {
    let builder = HostBuilder::new().with_shards(1).with_call_deadline(Duration::from_millis(300));
    with_host_of(builder, async |host| {
        let guest = |body: &str| {
            let module = format!(
                r#"(module
                    (import "wapc" "__guest_response" (func $respond (param i32 i32)))
                    (import "wapc" "__guest_request" (func $request (param i32 i32)))
                    (memory (export "memory") 300)
                    (func (export "__guest_call") (param i32 i32) (result i32) (loop {body} (br 0)) (i32.const 1)))"#
            );
            sign_module("copies", wat::parse_str(module).unwrap()).actor()
        };
        let responds = guest("(call $respond (i32.const 0) (i32.const 16777216))");
        host.start_actor(responds.clone()).await.unwrap();
        let begin = Instant::now();
        let ended = soon(host.call_actor(&responds.public_key(), "Any", b"")).await;
        assert_eq!(kind(ended), ErrorKind::DeadlineExceeded);
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());

        let requests = guest("(call $request (i32.const 0) (i32.const 100))");
        host.start_actor(requests.clone()).await.unwrap();
        // It may fetch as often as it likes, since it pays each time.
        let ended = soon(host.call_actor(&requests.public_key(), "Any", &vec![1; 1_000_000])).await;
        assert_eq!(kind(ended), ErrorKind::DeadlineExceeded);
    })
    .await;
}
