//! What a host tells of what it runs.

use serde_json::json;
use wasmcloud_host::{ActorOptions, Restart, RestartPolicy};

use super::{builder, get, item, state, state_when};
use crate::signing::sign;
use crate::support::{PROBE, Probe, probed_caller, values, with_host_of};

#[actix_rt::test]
async fn actors_and_providers_are_told_with_their_claims_and_figures() {
    with_host_of(builder(), async |host| {
        let signing = sign("echo").alias("echo").capability(PROBE).revision(7);
        let (actor, issuer) = (signing.actor(), signing.claims.issuer.clone());
        let key = actor.public_key();
        host.start_actor_with(actor, ActorOptions::new().instances(2)).await.unwrap();
        let (_, caller) = probed_caller(&host).await;
        for _ in 0..30 {
            host.call_actor(&key, "Echo", b"x").await.unwrap();
        }
        host.call_actor(&key, "NoSuchOperation", b"").await.unwrap_err();
        let state = state_when(&host, |state| item(state, "actors", "id", &key)["calls"] == 31).await;
        let actor = item(&state, "actors", "id", &key);
        for (field, value) in [
            ("name", json!("echo")),
            ("alias", json!("echo")),
            ("revision", json!(7)),
            ("version", json!("1.0.0")),
            ("issuer", json!(issuer)),
            ("capabilities", json!([PROBE])),
            ("trust", json!({ "trusted": true, "reason": null, "since": null })),
            ("state", json!("running")),
            ("reason", json!(null)),
            ("instances", json!(2)),
            ("instances_running", json!(2)),
            ("errors", json!(1)),
            ("errors_last_minute", json!(1)),
        ] {
            assert_eq!(actor[field], value, "{field}: {actor:#}");
        }
        let rate: Vec<u64> = serde_json::from_value(actor["rate"].clone()).unwrap();
        assert_eq!((rate.len(), rate.iter().sum::<u64>()), (60, 31));
        assert!(actor["p50_us"].as_u64().unwrap() <= actor["p99_us"].as_u64().unwrap());
        assert!(actor["memory_bytes"].as_u64().unwrap() >= 65_536, "{actor:#}");
        let since = actor["since"].as_u64().unwrap();
        assert!(since >= state["host"]["started_at"].as_u64().unwrap() && since <= state["at"].as_u64().unwrap());

        let provider = &state["providers"][0];
        assert_eq!((&provider["contract_id"], &provider["isolation"]), (&json!(PROBE), &json!("in_process")));
        assert_eq!((&provider["vendor"], &provider["state"]), (&json!("test"), &json!("running")));
        let link = item(&state, "links", "actor", &caller);
        assert_eq!((&link["state"], &link["provider"]), (&json!("established"), &provider["id"]));
        assert_eq!(state["host"]["id"], host.id());
        assert_eq!(item(&state, "hosts", "id", &host.id())["is_self"], true);
        assert!(state["host"]["memory_bytes"].as_u64().unwrap() > 1 << 20);
        let calls: Vec<u64> = serde_json::from_value(state["host"]["calls_per_second"].clone()).unwrap();
        assert_eq!(calls.iter().sum::<u64>(), 31);
    })
    .await;
}

#[actix_rt::test]
async fn a_failure_is_told_with_its_cause_and_the_events_before_it() {
    with_host_of(builder(), async |host| {
        let actor = sign("trap").actor();
        let key = actor.public_key();
        let policy = RestartPolicy::new().restart(Restart::Temporary);
        host.start_actor_with(actor, ActorOptions::new().restart(policy)).await.unwrap();
        host.call_actor(&key, "Trap", b"").await.unwrap_err();
        let state = state_when(&host, |state| item(state, "actors", "id", &key)["state"] == "failed").await;
        let actor = item(&state, "actors", "id", &key);
        assert!(actor["reason"].as_str().unwrap().contains("unreachable"), "{actor:#}");
        assert_eq!(
            (&actor["instances_running"], &actor["crashes"], &actor["health"]),
            (&json!(0), &json!(1), &json!("unhealthy"))
        );
        let events: Vec<&serde_json::Value> =
            state["events"].as_array().unwrap().iter().filter(|event| event["entity"] == key.as_str()).collect();
        let kinds: Vec<&str> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["started", "crashed", "failed"]);
        assert_eq!((&events[1]["severity"], &events[1]["name"]), (&json!("error"), &json!("trap")));
        assert!(events[1]["detail"]["cause"].as_str().unwrap().contains("unreachable"));
        let sequences: Vec<u64> =
            state["events"].as_array().unwrap().iter().map(|event| event["sequence"].as_u64().unwrap()).collect();
        assert_eq!(sequences, (1..=sequences.len() as u64).collect::<Vec<u64>>());
    })
    .await;
}

#[actix_rt::test]
async fn refused_links_are_told_with_the_reason_and_no_link_with_its_values() {
    with_host_of(builder(), async |host| {
        let actor = sign("host_call").capability(PROBE).actor();
        let key = actor.public_key();
        let capability = Probe::default().capability();
        let provider = capability.id();
        host.start_native_capability(capability).await.unwrap();
        let hidden = values(&[("REFUSE", "the account is locked"), ("PASSWORD", "hunter2hunter2")]);
        host.set_link(&key, PROBE, None, provider.clone(), hidden).await.unwrap();
        host.start_actor(actor).await.unwrap();
        let absent = nkeys::KeyPair::new_service().public_key();
        host.set_link(&key, PROBE, Some("other".to_owned()), absent, values(&[("TOKEN", "hunter3hunter3")]))
            .await
            .unwrap();
        state_when(&host, |state| item(state, "links", "link_name", "default")["state"] == "refused").await;
        let answer = get(&host, "/api/v1/state").await;
        assert!(!answer.text.contains("hunter"), "{}", answer.text);
        let state = answer.json();
        let refused = item(&state, "links", "link_name", "default");
        assert_eq!((&refused["state"], &refused["values"]), (&json!("refused"), &json!(["PASSWORD", "REFUSE"])));
        assert!(refused["reason"].as_str().unwrap().contains("the account is locked"), "{refused:#}");
        let pending = item(&state, "links", "link_name", "other");
        assert_eq!((&pending["state"], &pending["values"]), (&json!("pending"), &json!(["TOKEN"])));
        assert!(pending["reason"].as_str().unwrap().contains("does not run"), "{pending:#}");
    })
    .await;
}

#[actix_rt::test]
async fn what_a_signer_calls_its_actor_makes_no_state_large() {
    with_host_of(builder(), async |host| {
        let hostile = "<script>\u{202e}\0\n".repeat(100);
        let signing = sign("echo").claims(|claims| {
            let metadata = claims.metadata.as_mut().unwrap();
            metadata.name = Some(hostile.clone());
            metadata.tags = Some([vec![hostile.clone(); 10], vec!["tag".to_owned(); 1_000]].concat());
            metadata.ver = Some(hostile.clone());
        });
        host.start_actor(signing.actor()).await.unwrap();
        let answer = get(&host, "/api/v1/state").await;
        let actor = &answer.json()["actors"][0];
        assert!(actor["name"].as_str().unwrap().starts_with("<script>\u{202e}\0\n"));
        assert_eq!(actor["tags"].as_array().unwrap().len(), 64);
        assert!(answer.text.len() < 16 * 1024, "{} bytes", answer.text.len());
        assert_eq!(state(&host).await["actors"][0]["id"], actor["id"]);
    })
    .await;
}
