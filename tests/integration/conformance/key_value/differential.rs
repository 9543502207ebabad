//! Random operations have equal answers on the embedded store and on Redis, whatever came before them.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRng, TestRunner};
use serde_json::{Value, json};

use super::super::kit::{Backend, Caller, Tenant, with_provider};
use super::{CONTRACT, Embedded, Redis, ask};

/// How many sequences are tried, and how long each is.
const SEQUENCES: u32 = 40;
const LENGTH: usize = 60;

/// Few keys, so that operations meet each other's.
fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c", ""])
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["", "x", "y", "0", "7", "-1", "2147483647", "9223372036854775807", "01"])
            .prop_map(str::to_owned),
        ".{0,3}",
    ]
}

fn number() -> impl Strategy<Value = i32> {
    prop_oneof![-6..6, any::<i32>(), Just(i32::MAX), Just(i32::MIN)]
}

fn operation() -> impl Strategy<Value = (&'static str, Value)> {
    let one = prop::sample::select(vec!["Get", "KeyExists", "Del", "Clear", "SetQuery"]);
    let pair = prop::sample::select(vec!["Push", "Push", "ListItemDelete", "SetAdd", "SetAdd", "SetRemove"]);
    let several = prop::sample::select(vec!["SetUnion", "SetIntersection"]);
    prop_oneof![
        2 => (one, key()).prop_map(|(operation, key)| (operation, json!({"key": key}))),
        1 => (key(), number()).prop_map(|(key, value)| ("Add", json!({"key": key, "value": value}))),
        // An expiry that comes while the sequence runs would come at two times.
        1 => (key(), text(), prop::sample::select(vec![0, -1, 100_000, i32::MAX, i32::MIN]))
            .prop_map(|(key, value, expires)| ("Set", json!({"key": key, "value": value, "expires": expires}))),
        3 => (pair, key(), text()).prop_map(|(operation, key, value)| (operation, json!({"key": key, "value": value}))),
        1 => (key(), number(), number())
            .prop_map(|(key, start, stop)| ("Range", json!({"key": key, "start": start, "stop": stop}))),
        1 => (several, prop::collection::vec(key(), 0..4))
            .prop_map(|(operation, keys)| (operation, json!({"keys": keys}))),
    ]
}

/// An answer that can be compared: the members of sets are in no order.
async fn outcome(caller: &Caller, operation: &str, message: &Value) -> Result<Value, String> {
    let mut answer = ask(caller, operation, message.clone()).await?;
    if operation.starts_with("Set")
        && let Some(values) = answer.get_mut("values").and_then(Value::as_array_mut)
    {
        values.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    }
    Ok(answer)
}

#[actix_rt::test]
async fn both_backends_give_equal_answers() {
    let (embedded, redis) = (Embedded::new(), Redis::new());
    with_provider(&embedded, async |host, provider| {
        let one = Caller::start(&host, CONTRACT, 1).await;
        let other = Caller::start(&host, CONTRACT, 1).await;
        one.link(&provider, embedded.values(Tenant::A)).await.unwrap();
        other.link(&provider, redis.values(Tenant::A)).await.unwrap();
        let seed: u64 = rand::random();
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let random = TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), random);
        let sequence = prop::collection::vec(operation(), LENGTH);
        let mut refusals = 0;
        for number in 0..SEQUENCES {
            for key in ["a", "b", "c", ""] {
                for caller in [&one, &other] {
                    ask(caller, "Del", json!({"key": key})).await.unwrap();
                }
            }
            let mut before = Vec::new();
            for (operation, message) in sequence.new_tree(&mut runner).unwrap().current() {
                let (here, there) = futures_util::future::join(
                    outcome(&one, operation, &message),
                    outcome(&other, operation, &message),
                )
                .await;
                before.push(format!("{operation} {message}"));
                refusals += u32::from(here.is_err());
                assert_eq!(here, there, "seed {seed}, sequence {number}: {}", before.join("\n"));
            }
        }
        assert!(refusals > 0, "the sequences meet no refusal, and show little");
    })
    .await;
}
