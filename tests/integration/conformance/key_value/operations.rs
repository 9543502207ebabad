//! Each operation on each backend, with ordinary, empty, huge, binary, unicode and hostile input.

use serde_json::{Value, json};

use super::super::kit::{Backend, Caller, Tenant, with_provider};
use super::{CONTRACT, Embedded, Redis, ask};
use crate::support::until;

/// Runs a case on each backend.
async fn on_each(case: impl AsyncFn(&Caller)) {
    on(&Embedded::new(), &case).await;
    on(&Redis::new(), &case).await;
}

async fn on(backend: &impl Backend, case: impl AsyncFn(&Caller)) {
    with_provider(backend, async |host, provider| {
        let caller = Caller::start(&host, CONTRACT, 1).await;
        caller.link(&provider, backend.values(Tenant::A)).await.unwrap();
        case(&caller).await;
    })
    .await;
}

/// Asks for what must be answered.
async fn answer(caller: &Caller, operation: &str, message: Value) -> Value {
    ask(caller, operation, message).await.unwrap_or_else(|error| panic!("{operation}: {error}"))
}

/// Asks for what must be refused, for this reason.
async fn refused(caller: &Caller, operation: &str, message: Value, reason: &str) {
    let refusal = ask(caller, operation, message.clone()).await.expect_err("it should be refused");
    assert!(refusal.contains(reason), "{operation} {message}: {refusal}");
}

fn sorted(mut answer: Value) -> Value {
    answer["values"].as_array_mut().unwrap().sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    answer
}

#[actix_rt::test]
async fn texts_are_set_and_had_back() {
    on_each(async |caller| {
        let missing = json!({"value": "", "exists": false});
        assert_eq!(answer(caller, "Get", json!({"key": "a"})).await, missing);
        assert_eq!(answer(caller, "KeyExists", json!({"key": "a"})).await, missing);
        let set = json!({"key": "a", "value": "b", "expires": 0});
        assert_eq!(answer(caller, "Set", set).await, json!({"value": "b"}));
        assert_eq!(answer(caller, "Get", json!({"key": "a"})).await, json!({"value": "b", "exists": true}));
        assert_eq!(answer(caller, "KeyExists", json!({"key": "a"})).await, json!({"value": "", "exists": true}));
        for _ in 0..2 {
            assert_eq!(answer(caller, "Del", json!({"key": "a"})).await, json!({"key": "a"}));
        }
        assert_eq!(answer(caller, "Get", json!({"key": "a"})).await, missing);
    })
    .await;
}

#[actix_rt::test]
async fn any_text_is_a_key_and_a_value() {
    on_each(async |caller| {
        let long = "k".repeat(4096);
        for text in ["", " ", "\0", "a\r\nDEL b\r\n", "ключ 🔑 \u{202e}", "%s{}$(rm)'\"\\", &long] {
            let set = json!({"key": text, "value": text, "expires": -1});
            assert_eq!(answer(caller, "Set", set).await, json!({"value": text}));
            assert_eq!(answer(caller, "Get", json!({"key": text})).await, json!({"value": text, "exists": true}));
            assert_eq!(answer(caller, "Del", json!({"key": text})).await, json!({"key": text}));
            assert_eq!(answer(caller, "SetAdd", json!({"key": text, "value": text})).await, json!({"new_count": 1}));
            assert_eq!(answer(caller, "SetQuery", json!({"key": text})).await, json!({"values": [text]}));
            assert_eq!(answer(caller, "Del", json!({"key": text})).await, json!({"key": text}));
            assert_eq!(answer(caller, "Push", json!({"key": text, "value": text})).await, json!({"newCount": 1}));
            let all = json!({"key": text, "start": 0, "stop": -1});
            assert_eq!(answer(caller, "Range", all).await, json!({"values": [text]}));
            assert_eq!(answer(caller, "Clear", json!({"key": text})).await, json!({"key": text}));
        }
    })
    .await;
}

#[actix_rt::test]
async fn what_is_huge_passes_up_to_the_limit_and_is_refused_beyond() {
    on_each(async |caller| {
        let huge = "x".repeat(8 * 1024 * 1024);
        answer(caller, "Set", json!({"key": "a", "value": huge, "expires": 0})).await;
        assert_eq!(answer(caller, "Get", json!({"key": "a"})).await["value"], huge.as_str());
        let too_long = format!("{huge}x");
        refused(caller, "Set", json!({"key": "a", "value": too_long, "expires": 0}), "VALUE_LIMIT").await;
        refused(caller, "Push", json!({"key": "b", "value": too_long}), "VALUE_LIMIT").await;
        let long_key = "k".repeat(4097);
        refused(caller, "Get", json!({"key": long_key}), "KEY_LIMIT").await;
        refused(caller, "SetUnion", json!({"keys": ["a", long_key]}), "KEY_LIMIT").await;
        let keys: Vec<String> = (0..20_000).map(|number| format!("none {}", number % 10_000)).collect();
        assert_eq!(answer(caller, "SetUnion", json!({"keys": keys})).await, json!({"values": []}));
    })
    .await;
}

#[actix_rt::test]
async fn counters_count_in_32_bits() {
    on_each(async |caller| {
        for (add, sum) in [(1, 1), (41, 42), (-50, -8), (0, -8), (i32::MAX, i32::MAX - 8)] {
            assert_eq!(answer(caller, "Add", json!({"key": "n", "value": add})).await, json!({"value": sum}));
        }
        refused(caller, "Add", json!({"key": "n", "value": 9}), "32 bits").await;
        assert_eq!(answer(caller, "Get", json!({"key": "n"})).await["value"], (i32::MAX - 8).to_string());
        for text in ["9223372036854775807", "-9223372036854775808", "4294967296"] {
            answer(caller, "Set", json!({"key": "n", "value": text, "expires": 0})).await;
            for value in [1, -1] {
                refused(caller, "Add", json!({"key": "n", "value": value}), "32 bits").await;
            }
            assert_eq!(answer(caller, "Get", json!({"key": "n"})).await["value"], text);
        }
        for text in ["", "one", " 1", "1 ", "+1", "01", "-0", "1.5", "9223372036854775808", "1\0"] {
            answer(caller, "Set", json!({"key": "n", "value": text, "expires": 0})).await;
            refused(caller, "Add", json!({"key": "n", "value": 1}), "not an integer").await;
        }
    })
    .await;
}

#[actix_rt::test]
async fn lists_begin_with_what_was_pushed_last() {
    on_each(async |caller| {
        for (number, value) in ["a", "b", "a", "c", "a"].into_iter().enumerate() {
            let pushed = answer(caller, "Push", json!({"key": "l", "value": value})).await;
            assert_eq!(pushed, json!({"newCount": number + 1}));
        }
        let range = async |start: i32, stop: i32| {
            answer(caller, "Range", json!({"key": "l", "start": start, "stop": stop})).await["values"].clone()
        };
        assert_eq!(range(0, -1).await, json!(["a", "c", "a", "b", "a"]));
        assert_eq!(range(1, 2).await, json!(["c", "a"]));
        assert_eq!(range(-2, -1).await, json!(["b", "a"]));
        assert_eq!(range(-100, 0).await, json!(["a"]));
        assert_eq!(range(3, 100).await, json!(["b", "a"]));
        assert_eq!(range(i32::MIN, i32::MAX).await, json!(["a", "c", "a", "b", "a"]));
        for (start, stop) in [(5, 9), (2, 1), (0, -6), (i32::MAX, i32::MIN), (i32::MIN, i32::MIN)] {
            assert_eq!(range(start, stop).await, json!([]), "{start} {stop}");
        }
        let delete = async |value: &str| answer(caller, "ListItemDelete", json!({"key": "l", "value": value})).await;
        assert_eq!(delete("none").await, json!({"newCount": 0}));
        assert_eq!(delete("a").await, json!({"newCount": 3}));
        assert_eq!(range(0, -1).await, json!(["c", "b"]));
        assert_eq!(answer(caller, "Push", json!({"key": "l", "value": "d"})).await, json!({"newCount": 3}));
        assert_eq!(range(1, 1).await, json!(["c"]));
        for value in ["b", "c", "d"] {
            assert_eq!(delete(value).await, json!({"newCount": 1}));
        }
        assert_eq!(answer(caller, "KeyExists", json!({"key": "l"})).await["exists"], false);
    })
    .await;
}

#[actix_rt::test]
async fn sets_hold_each_member_once() {
    on_each(async |caller| {
        for (key, value, count) in [("s", "a", 1), ("s", "a", 0), ("s", "b", 1), ("t", "b", 1), ("t", "c", 1)] {
            assert_eq!(
                answer(caller, "SetAdd", json!({"key": key, "value": value})).await,
                json!({"new_count": count})
            );
        }
        let of = async |operation: &str, keys: &[&str]| sorted(answer(caller, operation, json!({"keys": keys})).await);
        assert_eq!(of("SetUnion", &["s", "t", "s", "none"]).await, json!({"values": ["a", "b", "c"]}));
        assert_eq!(of("SetIntersection", &["s", "t", "s"]).await, json!({"values": ["b"]}));
        assert_eq!(of("SetIntersection", &["s"]).await, json!({"values": ["a", "b"]}));
        assert_eq!(of("SetIntersection", &["s", "none"]).await, json!({"values": []}));
        refused(caller, "SetUnion", json!({"keys": []}), "no keys").await;
        for (value, count) in [("a", 1), ("a", 0), ("b", 1)] {
            let removed = answer(caller, "SetRemove", json!({"key": "s", "value": value})).await;
            assert_eq!(removed, json!({"new_count": count}));
        }
        assert_eq!(answer(caller, "SetQuery", json!({"key": "s"})).await, json!({"values": []}));
        assert_eq!(answer(caller, "KeyExists", json!({"key": "s"})).await["exists"], false);
    })
    .await;
}

#[actix_rt::test]
async fn no_operation_works_on_another_type() {
    on_each(async |caller| {
        answer(caller, "Set", json!({"key": "text", "value": "1", "expires": 0})).await;
        answer(caller, "Push", json!({"key": "list", "value": "1"})).await;
        answer(caller, "SetAdd", json!({"key": "set", "value": "1"})).await;
        for key in ["list", "set"] {
            refused(caller, "Get", json!({"key": key}), "another type").await;
            refused(caller, "Add", json!({"key": key, "value": 1}), "another type").await;
        }
        for key in ["text", "set"] {
            refused(caller, "Push", json!({"key": key, "value": "1"}), "another type").await;
            refused(caller, "ListItemDelete", json!({"key": key, "value": "1"}), "another type").await;
            refused(caller, "Range", json!({"key": key, "start": 0, "stop": 1}), "another type").await;
        }
        for key in ["text", "list"] {
            refused(caller, "SetAdd", json!({"key": key, "value": "1"}), "another type").await;
            refused(caller, "SetRemove", json!({"key": key, "value": "1"}), "another type").await;
            refused(caller, "SetQuery", json!({"key": key}), "another type").await;
            refused(caller, "SetUnion", json!({"keys": ["none", key]}), "another type").await;
            refused(caller, "SetIntersection", json!({"keys": ["none", "set", key]}), "another type").await;
        }
        // A new text takes any place.
        for key in ["list", "set"] {
            answer(caller, "Set", json!({"key": key, "value": "1", "expires": 0})).await;
            assert_eq!(answer(caller, "Add", json!({"key": key, "value": 1})).await, json!({"value": 2}));
        }
    })
    .await;
}

#[actix_rt::test]
async fn texts_expire_and_leave_room_for_anything() {
    on_each(async |caller| {
        let exists = async |key: &str| answer(caller, "KeyExists", json!({"key": key})).await["exists"] == true;
        for key in ["a", "n", "kept", "replaced"] {
            answer(caller, "Set", json!({"key": key, "value": "1", "expires": 1})).await;
        }
        answer(caller, "Set", json!({"key": "later", "value": "1", "expires": i32::MAX})).await;
        // Adding keeps the time, setting anew does not.
        assert_eq!(answer(caller, "Add", json!({"key": "n", "value": 1})).await, json!({"value": 2}));
        answer(caller, "Set", json!({"key": "replaced", "value": "2", "expires": 0})).await;
        until(async || !exists("a").await && !exists("n").await && !exists("kept").await).await;
        assert!(exists("later").await && exists("replaced").await);
        assert_eq!(answer(caller, "Push", json!({"key": "a", "value": "1"})).await, json!({"newCount": 1}));
        assert_eq!(answer(caller, "Add", json!({"key": "n", "value": 5})).await, json!({"value": 5}));
    })
    .await;
}

#[actix_rt::test]
async fn hostile_messages_are_refused_and_the_next_call_is_served() {
    on_each(async |caller| {
        let operations = [
            "Get",
            "KeyExists",
            "Add",
            "Set",
            "Del",
            "Clear",
            "Range",
            "Push",
            "ListItemDelete",
            "SetAdd",
            "SetRemove",
            "SetUnion",
            "SetIntersection",
            "SetQuery",
        ];
        let nested = [vec![0x91; 100_000], vec![0xc0]].concat();
        let messages: [&[u8]; 12] = [
            b"",
            b"\xc0",
            b"\xc1",
            b"\x80",
            b"garbage",
            b"\x81\xa3key\x01",
            b"\x81\xa3key\xc4\x02\xff\xfe",
            b"\x81\xa3key\xa2\xff\xfe",
            b"\x81\xa3key\xdb\xff\xff\xff\xff",
            b"\x81\xa4keys\xdd\xff\xff\xff\xff",
            b"\xdf\xff\xff\xff\xff\xa3key\xa1a",
            &nested,
        ];
        for operation in operations {
            for message in messages {
                let refusal = caller.call(operation, message).await.unwrap_err();
                assert!(refusal.contains("not what the operation takes"), "{operation}: {refusal}");
            }
        }
        for (operation, message) in [
            ("Add", json!({"key": "a", "value": 2_147_483_648_i64})),
            ("Add", json!({"key": "a", "value": "1"})),
            ("Set", json!({"key": "a", "value": "b"})),
            ("Set", json!({"key": "a", "value": 1, "expires": 0})),
            ("Range", json!({"key": "a", "start": 0})),
            ("SetUnion", json!({"keys": "a"})),
            ("SetUnion", json!({"keys": [1]})),
        ] {
            refused(caller, operation, message, "not what the operation takes").await;
        }
        for operation in ["", "get", "FLUSHALL", "GET a\r\nFLUSHALL"] {
            assert!(caller.call(operation, b"\x81\xa3key\xa1a").await.unwrap_err().contains("no such operation"));
        }
        assert_eq!(answer(caller, "Add", json!({"key": "a", "value": 1, "more": [1]})).await, json!({"value": 1}));
    })
    .await;
}
