//! The SDKs of several languages: a real actor of AssemblyScript, and the texts that the others refuse unknown operations by.

use wasmcloud_host::{ErrorKind, Health, WasmCloudEntity};

use super::{start, start_module};
use crate::http::{link, start_actor, start_server};
use crate::signing::{guest, sign};
use crate::support::{kind, with_host};

#[actix_rt::test]
async fn an_actor_of_assemblyscript_is_served_like_any_other() {
    with_host(async |host| {
        let key = start_module(&host, guest("assemblyscript")).await.unwrap();
        assert_eq!(host.call_actor(&key, "Echo", b"hello").await.unwrap(), b"hello");
        assert_eq!(kind(host.call_actor(&key, "Fail", b"").await), ErrorKind::ActorFailed);
        assert_eq!(kind(host.call_actor(&key, "Nope", b"").await), ErrorKind::UnknownOperation);
        assert_eq!(host.health_of(WasmCloudEntity::Actor(key)).await.unwrap(), Health::Healthy);
    })
    .await;
}

#[actix_rt::test]
async fn what_assemblyscript_throws_is_told_with_its_place() {
    with_host(async |host| {
        let key = start_module(&host, guest("assemblyscript")).await.unwrap();
        let error = host.call_actor(&key, "Panic", b"it will break").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ActorTrapped);
        let text = error.to_string();
        assert!(text.contains("its error was: deliberate panic; assembly/index.ts ("), "{text}");
        assert!(text.contains("its last line on the log was: it will break"), "{text}");
        assert!(text.contains("; it was in ") && text.contains("assembly/index/panic"), "{text}");
    })
    .await;
}

#[actix_rt::test]
async fn the_nil_of_assemblyscript_is_an_empty_body() {
    with_host(async |host| {
        let (http, provider) = start_server(&host).await;
        let actor = start_actor(&host, sign("assemblyscript")).await;
        let address = link(&host, &http, &provider, &actor, &[]).await;
        let client = reqwest::Client::new();
        for body in ["", "hello"] {
            let response = client.post(format!("http://{address}/")).body(body).send().await.unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(response.text().await.unwrap(), body);
        }
    })
    .await;
}

/// A guest that knows no operation, and says so as an SDK does: with the operation between two texts.
fn knowing_nothing(before: &str, after: &str) -> String {
    let [before, after] = [before, after].map(|text| text.replace('"', "\\22"));
    format!(
        "(module
           (import \"wapc\" \"__guest_request\" (func $request (param i32 i32)))
           (import \"wapc\" \"__guest_error\" (func $error (param i32 i32)))
           (memory (export \"memory\") 1)
           (data $before \"{before}\") (data $after \"{after}\")
           (func (export \"__guest_call\") (param $operation i32) (param $message i32) (result i32)
             (local $length i32)
             (memory.init $before (i32.const 0) (i32.const 0) (i32.const {}))
             (call $request (i32.const {0}) (i32.const 32768))
             (local.set $length (i32.add (i32.const {0}) (local.get $operation)))
             (memory.init $after (local.get $length) (i32.const 0) (i32.const {}))
             (call $error (i32.const 0) (i32.add (local.get $length) (i32.const {1})))
             (i32.const 0)))",
        before.replace("\\22", "x").len(),
        after.replace("\\22", "x").len(),
    )
}

#[actix_rt::test]
async fn an_unknown_operation_is_one_in_the_words_of_every_sdk() {
    with_host(async |host| {
        for (sdk, before, after) in [
            ("Rust", "No handler registered for function \"", "\""),
            ("TinyGo", "Could not find function \"", "\""),
            ("Zig", "Could not find function ", ""),
            ("Swift", "Uknown function '", "'"),
            ("wasmbus-rpc", "method not handled Actor::", ""),
        ] {
            let key = start(&host, &knowing_nothing(before, after)).await.unwrap();
            for operation in ["Nope", "a b\n\u{1b}"] {
                assert_eq!(kind(host.call_actor(&key, operation, b"").await), ErrorKind::UnknownOperation, "{sdk}");
            }
            assert_eq!(host.health_of(WasmCloudEntity::Actor(key)).await.unwrap(), Health::Healthy, "{sdk}");
        }
        let key = start(&host, &knowing_nothing("not in the mood for ", "")).await.unwrap();
        assert_eq!(kind(host.call_actor(&key, "Nope", b"").await), ErrorKind::ActorFailed);
        assert!(matches!(host.health_of(WasmCloudEntity::Actor(key)).await.unwrap(), Health::Unhealthy { .. }));
    })
    .await;
}
