//! `wasmcloud:extras`: part of every host, in both shapes.

use std::collections::HashSet;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wasmcloud_host::builtin::Extras;
use wasmcloud_host::{ErrorKind, Host};

use super::kit::Caller;
use crate::support::{kind, values, with_host};

const CONTRACT: &str = Extras::CONTRACT;

async fn linked(host: &Host) -> Caller {
    let caller = Caller::start(host, CONTRACT, 1).await;
    caller.link(Extras::PUBLIC_KEY, values(&[])).await.unwrap();
    caller
}

/// Asks in the newer shape.
async fn ask<T: DeserializeOwned>(caller: &Caller, operation: &str, message: &[u8]) -> Result<T, String> {
    caller.call(operation, message).await.map(|answer| rmp_serde::from_slice(&answer).unwrap())
}

fn older(min: u32, max: u32) -> Vec<u8> {
    let request = json!({"guid": false, "sequence": false, "random": true, "min": min, "max": max});
    rmp_serde::to_vec_named(&request).unwrap()
}

fn range(min: u32, max: u32) -> Vec<u8> {
    rmp_serde::to_vec_named(&json!({"min": min, "max": max})).unwrap()
}

#[actix_rt::test]
async fn every_host_has_extras_for_whoever_is_linked_to_them() {
    with_host(async |host| {
        assert!(host.providers().await.unwrap().is_empty(), "nothing runs that nobody uses");
        let first = linked(&host).await;
        let second = linked(&host).await;
        assert_eq!(host.providers().await.unwrap().len(), 1);
        let guids = [ask(&first, "RequestGuid", b"").await.unwrap(), ask(&second, "RequestGuid", b"").await.unwrap()];
        let guids: HashSet<String> = guids.into();
        assert!(guids.len() == 2 && guids.iter().all(|guid| uuid::Uuid::parse_str(guid).is_ok()), "{guids:?}");
        host.set_link(&first.key, CONTRACT, Some("dice".to_owned()), Extras::PUBLIC_KEY.to_owned(), values(&[]))
            .await
            .unwrap();
        assert_eq!(host.providers().await.unwrap().len(), 2);
    })
    .await;
}

#[actix_rt::test]
async fn extras_are_for_actors_that_are_signed_for_them() {
    with_host(async |host| {
        let caller = Caller::start(&host, "test:other", 1).await;
        let extras = Extras::PUBLIC_KEY.to_owned();
        let refused = host.set_link(&caller.key, CONTRACT, None, extras, values(&[])).await;
        assert_eq!(kind(refused), ErrorKind::CapabilityDenied);
    })
    .await;
}

#[actix_rt::test]
async fn a_sequence_is_an_actors_own_and_ends_with_its_link() {
    with_host(async |host| {
        let (first, second) = (linked(&host).await, linked(&host).await);
        for number in 0..3_u64 {
            assert_eq!(ask(&first, "RequestSequence", b"").await, Ok(number));
        }
        assert_eq!(ask(&second, "RequestSequence", b"\xc0").await, Ok(0_u64));
        let answer: Value = ask(&first, "RequestSequence", &older(0, 0)).await.unwrap();
        assert_eq!(answer, json!({"guid": null, "sequenceNumber": 3, "random_number": 0}));
        // A link that is set again is the same one.
        first.link(Extras::PUBLIC_KEY, values(&[])).await.unwrap();
        assert_eq!(ask(&first, "RequestSequence", b"").await, Ok(4_u64));
        first.unlink().await;
        first.link(Extras::PUBLIC_KEY, values(&[])).await.unwrap();
        assert_eq!(ask(&first, "RequestSequence", b"").await, Ok(0_u64));
        assert_eq!(ask(&second, "RequestSequence", b"").await, Ok(1_u64));
    })
    .await;
}

#[actix_rt::test]
async fn random_numbers_are_within_their_range() {
    with_host(async |host| {
        let caller = linked(&host).await;
        let mut seen = HashSet::new();
        for _ in 0..100 {
            let number: u32 = ask(&caller, "RequestRandom", &range(5, 8)).await.unwrap();
            let answer: Value = ask(&caller, "RequestRandom", &older(5, 8)).await.unwrap();
            assert!((5..8).contains(&number) && (5..8).contains(&answer["random_number"].as_u64().unwrap()));
            seen.insert(number);
        }
        assert_eq!(seen.len(), 3);
        let top = u32::MAX - 1;
        assert_eq!(ask(&caller, "RequestRandom", &range(top, u32::MAX)).await, Ok(top));
        let mut bits = 0;
        for _ in 0..100 {
            bits |= ask::<u32>(&caller, "RequestRandom", &range(0, u32::MAX)).await.unwrap();
            bits |= ask::<u32>(&caller, "RequestRandom", b"").await.unwrap();
        }
        assert_eq!(bits, u32::MAX);
    })
    .await;
}

#[actix_rt::test]
async fn seed_defect_24_an_empty_range_is_an_error_and_no_panic() {
    with_host(async |host| {
        let caller = linked(&host).await;
        for (min, max) in [(0, 0), (5, 5), (9, 3), (u32::MAX, 0), (u32::MAX, u32::MAX)] {
            for message in [older(min, max), range(min, max)] {
                let refusal = ask::<Value>(&caller, "RequestRandom", &message).await.unwrap_err();
                assert!(refusal.contains("min has to be less than max"), "{refusal}");
            }
        }
        for message in [&b"\xff"[..], b"\x81\xa3min\x01", b"\xdf\xff\xff\xff\xff"] {
            assert!(ask::<Value>(&caller, "RequestRandom", message).await.is_err());
        }
        assert!(ask::<Value>(&caller, "RequestTime", b"").await.is_err());
        assert_eq!(ask(&caller, "RequestSequence", b"").await, Ok(0_u64), "it goes on as if nothing had been");
    })
    .await;
}
