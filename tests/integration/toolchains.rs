//! Guests of every toolchain: how they begin, how they break, and what they say about it.

mod crashes;
mod sdks;

use wasmcloud_host::{Actor, ErrorKind, Host};

use crate::signing::sign_module;
use crate::support::{kind, with_host};

/// Starts a guest that is written as text, and answers with its key.
async fn start(host: &Host, text: &str) -> wasmcloud_host::Result<String> {
    start_module(host, wat::parse_str(text).unwrap()).await
}

async fn start_module(host: &Host, module: Vec<u8>) -> wasmcloud_host::Result<String> {
    let actor = sign_module("guest", module).actor();
    let key = actor.public_key();
    host.start_actor(actor).await.map(|()| key)
}

/// A guest with these fields that answers each call with the bytes of its memory from 0 to where the global `$end` is.
fn answering(fields: &str) -> String {
    format!(
        "(module (import \"wapc\" \"__guest_response\" (func $respond (param i32 i32)))
           (memory (export \"memory\") 1)
           (global $end (mut i32) (i32.const 0))
           (func $note (param i32)
             (i32.store8 (global.get $end) (local.get 0))
             (global.set $end (i32.add (global.get $end) (i32.const 1))))
           {fields}
           (func (export \"__guest_call\") (param i32 i32) (result i32)
             (call $respond (i32.const 0) (global.get $end))
             (i32.const 1)))"
    )
}

/// A function that notes a letter, under a name of the module's.
fn noting(name: &str, letter: char) -> String {
    format!("(func ${name} (export \"{name}\") (call $note (i32.const {})))", u32::from(letter))
}

#[actix_rt::test]
async fn start_functions_are_called_in_their_order_and_each_once() {
    with_host(async |host| {
        let [initialize, start_, init] =
            [("_initialize", 'r'), ("_start", 't'), ("wapc_init", 'w')].map(|(name, letter)| noting(name, letter));
        let begin = "(func $begin (call $note (i32.const 98))) (start $begin)";
        for (fields, expected) in [
            (format!("{begin} {init} {start_} {initialize}"), "brtw"),
            (format!("{start_} {init}"), "tw"),
            (initialize.clone(), "r"),
            (format!("{initialize} {init}"), "rw"),
            (String::new(), ""),
        ] {
            let key = start(&host, &answering(&fields)).await.unwrap();
            for _ in 0..2 {
                assert_eq!(host.call_actor(&key, "Any", b"").await.unwrap(), expected.as_bytes());
            }
        }
    })
    .await;
}

#[actix_rt::test]
async fn an_initialize_that_is_no_start_function_is_refused() {
    with_host(async |host| {
        let text = answering("(func (export \"_initialize\") (param i32))");
        let refusal = start(&host, &text).await.unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::InvalidModule);
        assert!(refusal.to_string().contains("_initialize"), "{refusal}");
    })
    .await;
}

#[actix_rt::test]
async fn an_import_that_no_host_has_is_refused_with_what_helps() {
    with_host(async |host| {
        for (import, remedy) in [
            (
                "\"wasi_snapshot_preview1\" \"fd_write\" (func (param i32 i32 i32 i32) (result i32))",
                "wasm32-unknown-unknown",
            ),
            ("\"wasi_unstable\" \"proc_exit\" (func (param i32))", "wasm32-unknown-unknown"),
            ("\"env\" \"abort\" (func (param i32 i32 i32 i32))", "--use abort="),
            ("\"env\" \"seed\" (func (result f64))", "wasmcloud:extras"),
            ("\"env\" \"memcpy\" (func (param i32 i32 i32) (result i32))", "link what defines it"),
            ("\"env\" \"memory\" (memory 1)", "--import-memory"),
            ("\"__wbindgen_placeholder__\" \"__wbindgen_describe\" (func (param i32))", "wasm-bindgen"),
            ("\"gojs\" \"runtime.ticks\" (func (result f64))", "TinyGo"),
        ] {
            let memory = if import.contains("(memory") { "" } else { "(memory (export \"memory\") 1)" };
            let call = "(func (export \"__guest_call\") (param i32 i32) (result i32) (i32.const 1))";
            let refusal = start(&host, &format!("(module (import {import}) {memory} {call})")).await.unwrap_err();
            assert_eq!(refusal.kind(), ErrorKind::InvalidModule, "{import}");
            let text = refusal.to_string();
            assert!(text.contains("it imports") && text.contains(remedy), "{text}");
        }
    })
    .await;
}

#[actix_rt::test]
async fn names_of_imports_reach_no_log_as_they_are() {
    with_host(async |host| {
        let text = "(module (import \"a\\1b[31m\\0aERROR\" \"b\" (func)) (memory (export \"memory\") 1))";
        let refusal = start(&host, text).await.unwrap_err().to_string();
        assert!(refusal.contains("it imports a\\u{1b}[31m\\nERROR.b"), "{refusal}");
    })
    .await;
}

#[test]
fn a_component_is_called_one_and_what_helps_is_said() {
    for version in [&b"\x0d\0"[..], b"\x0a\0"] {
        let component = [b"\0asm", version, b"\x01\0"].concat();
        let refusal = Actor::from_slice(&component).unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::InvalidModule);
        assert!(refusal.to_string().contains("component") && refusal.to_string().contains("wasm32-unknown-unknown"));
    }
    assert_eq!(kind(Actor::from_slice(b"\0asm\x0d\0\x01")), ErrorKind::InvalidModule);
}
