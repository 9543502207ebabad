//! What is told of a guest that traps: what it said before, and the functions that it was in.

use wasmcloud_host::{ErrorKind, EventKind, Host};

use super::start;
use crate::support::{soon, with_host};

/// A guest that breaks in a way that the length of the operation chooses, in a function that three others lead to.
///
/// 1 to 6: traps; 7: says something and then breaks; 8: says something and answers with it; 9: calls until its stack is full.
fn breaking(with_names: bool) -> String {
    let name = |name: &'static str| if with_names { format!("${name}") } else { String::new() };
    let functions = [
        ("unreachable", "(unreachable)"),
        ("divides", "(drop (i32.div_s (i32.const 1) (global.get $zero)))"),
        ("reads", "(drop (i32.load (i32.const -4)))"),
        ("fills", "(memory.fill (i32.const 0) (i32.const 0) (i32.const -1))"),
        ("calls_nothing", "(call_indirect (type $nothing) (i32.const 0))"),
        ("calls_wrongly", "(call_indirect (type $other) (i64.const 0) (i32.const 1))"),
        (
            "panics",
            "(call $log (i32.const 16) (i32.const 14)) (call $error (i32.const 32) (i32.const 13)) (unreachable)",
        ),
        ("fails", "(call $error (i32.const 48) (i32.const 9))"),
        ("recurses", "(call $log (i32.const 16) (i32.const 14)) (call $deeper (i32.const 1))"),
    ];
    let mut bodies = String::new();
    let mut choices = String::new();
    for (number, (function, body)) in functions.iter().enumerate() {
        let index = 5 + number;
        bodies.push_str(&format!("(func {} {body})\n", name(function)));
        choices.push_str(&format!("(if (i32.eq (local.get 0) (i32.const {})) (then (call {index})))\n", number + 1));
    }
    let middle = 5 + functions.len();
    format!(
        "(module
           (type $nothing (func)) (type $other (func (param i64)))
           (import \"wapc\" \"__guest_error\" (func $error (param i32 i32)))
           (import \"wapc\" \"__console_log\" (func $log (param i32 i32)))
           (import \"wapc\" \"__guest_response\" (func $respond (param i32 i32)))
           (memory (export \"memory\") 1)
           (table 2 funcref) (elem (i32.const 1) func $unused)
           (global $zero (mut i32) (i32.const 0))
           (data (i32.const 16) \"before\\1b[2J end\") (data (i32.const 32) \"boom\\0aERROR: x\") (data (i32.const 48) \"old error\")
           (func $unused)
           (func $deeper (param i32) (if (local.get 0) (then (call $deeper (local.get 0)))) (global.set $zero (i32.const 0)))
           {bodies}
           (func {} (param i32) {choices})
           (func {} (export \"__guest_call\") (param i32 i32) (result i32)
             (call {middle} (local.get 0))
             (if (i32.eq (local.get 0) (i32.const 8)) (then (return (i32.const 0))))
             (call $respond (i32.const 0) (i32.const 0))
             (i32.const 1)))",
        name("chooses"),
        name("serves"),
    )
}

async fn break_by(host: &Host, key: &str, length: usize) -> (ErrorKind, String) {
    let error = host.call_actor(key, &"x".repeat(length), b"").await.unwrap_err();
    (error.kind(), error.to_string())
}

#[actix_rt::test]
async fn every_trap_tells_the_functions_that_the_guest_was_in() {
    with_host(async |host| {
        let key = start(&host, &breaking(true)).await.unwrap();
        for (length, function) in [
            (1, "unreachable"),
            (2, "divides"),
            (3, "reads"),
            (4, "fills"),
            (5, "calls_nothing"),
            (6, "calls_wrongly"),
            (7, "panics"),
        ] {
            let (kind, text) = break_by(&host, &key, length).await;
            assert_eq!(kind, ErrorKind::ActorTrapped, "{text}");
            assert!(text.ends_with(&format!("; it was in {function} <- chooses <- serves")), "{text}");
            // One that answers in between is restarted at once.
            host.call_actor(&key, "another one", b"").await.unwrap();
        }
    })
    .await;
}

#[actix_rt::test]
async fn functions_without_names_are_told_by_their_number_in_the_module() {
    with_host(async |host| {
        let key = start(&host, &breaking(false)).await.unwrap();
        let (_, text) = break_by(&host, &key, 3).await;
        // Three imports and two other functions come before the first one.
        assert!(text.ends_with("; it was in function 7 <- function 14 <- function 15"), "{text}");
    })
    .await;
}

#[actix_rt::test]
async fn what_a_guest_said_before_it_broke_is_in_the_error_and_in_the_event() {
    with_host(async |host| {
        let key = start(&host, &breaking(true)).await.unwrap();
        let mut events = host.events();
        let (_, text) = break_by(&host, &key, 7).await;
        let said =
            "its error was: boom\\nERROR: x; its last line on the log was: before\\u{1b}[2J end; it was in panics";
        assert!(text.contains("trapped: unreachable") && text.contains(said), "{text}");
        let cause = soon(async {
            loop {
                if let EventKind::Crashed { cause } = events.next().await.unwrap().kind {
                    return cause;
                }
            }
        })
        .await;
        assert!(cause.contains(said), "{cause}");
    })
    .await;
}

#[actix_rt::test]
async fn a_stack_that_is_used_up_comes_with_what_was_said_too() {
    with_host(async |host| {
        let key = start(&host, &breaking(true)).await.unwrap();
        let (kind, text) = break_by(&host, &key, 9).await;
        assert_eq!(kind, ErrorKind::StackExhausted);
        assert!(text.contains("its last line on the log was: before"), "{text}");
    })
    .await;
}

#[actix_rt::test]
async fn what_was_said_in_another_call_is_not_told() {
    with_host(async |host| {
        let key = start(&host, &breaking(true)).await.unwrap();
        let (kind, text) = break_by(&host, &key, 8).await;
        assert_eq!(kind, ErrorKind::ActorFailed);
        assert!(text.contains("old error"), "{text}");
        let (_, text) = break_by(&host, &key, 1).await;
        assert!(!text.contains("old error") && !text.contains("its error was"), "{text}");
    })
    .await;
}

#[actix_rt::test]
async fn a_guest_that_breaks_at_its_start_tells_why() {
    with_host(async |host| {
        let text = "(module
           (import \"wapc\" \"__guest_error\" (func $error (param i32 i32)))
           (memory (export \"memory\") 1) (data (i32.const 0) \"no configuration\")
           (func $begins (export \"wapc_init\") (call $error (i32.const 0) (i32.const 16)) (unreachable))
           (func (export \"__guest_call\") (param i32 i32) (result i32) (i32.const 1)))";
        let refusal = start(&host, text).await.unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::ActorTrapped);
        assert!(refusal.to_string().contains("its error was: no configuration; it was in begins"), "{refusal}");
    })
    .await;
}

#[actix_rt::test]
async fn all_that_is_told_is_bounded() {
    with_host(async |host| {
        let long = "n".repeat(100_000);
        let text = format!(
            "(module
               (import \"wapc\" \"__guest_error\" (func $error (param i32 i32)))
               (import \"wapc\" \"__console_log\" (func $log (param i32 i32)))
               (memory (export \"memory\") 1)
               (func $down (@name \"{long}\") (param i32)
                 (if (i32.eqz (local.get 0)) (then (unreachable)))
                 (call $down (i32.sub (local.get 0) (i32.const 1)))
                 (i32.store (i32.const 0) (local.get 0)))
               (func (export \"__guest_call\") (param i32 i32) (result i32)
                 (call $error (i32.const 0) (i32.const 65536))
                 (call $log (i32.const 0) (i32.const 65536))
                 (call $down (i32.const 100))
                 (i32.const 1)))"
        );
        let key = start(&host, &text).await.unwrap();
        let error = host.call_actor(&key, "Any", b"").await.unwrap_err().to_string();
        assert!(error.contains("its error was: \\u{0}\\u{0}"), "{error}");
        assert_eq!(error.matches("nnn... <- ").count(), 31, "{error}");
        assert!(error.len() < 12_000, "{} bytes", error.len());
    })
    .await;
}
