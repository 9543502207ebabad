//! The captured messages of 2021 are read and written, in both directions.

use std::fmt::Debug;

use data_encoding::HEXLOWER;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::*;

/// A message that hosts and clients of 2021 sent, with the last part of its subject.
#[derive(Deserialize)]
struct Captured {
    step: String,
    role: String,
    name: String,
    hex: String,
}

/// Reads a message and writes it again. Maps were written in any order in 2021, so only their content can be the same.
fn there_and_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(text: &str) {
    let read: T = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let written = serde_json::to_string(&read).unwrap();
    assert_eq!(written.len(), text.len(), "{text}");
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), serde_json::from_str::<Value>(text).unwrap());
    let has_map_of_several = ["labels", "values"].iter().any(|name| text.contains(&format!("\"{name}\":{{")));
    if !has_map_of_several {
        assert_eq!(written, text, "not byte for byte");
    }
    assert_eq!(serde_json::from_str::<T>(&written).unwrap(), read);
}

#[test]
fn captured_messages_are_read_and_written_in_both_directions() {
    let all: Vec<Captured> = serde_json::from_str(include_str!("captured.json")).unwrap();
    let mut seen = 0;
    for Captured { step, role, name, hex } in &all {
        let text = &String::from_utf8(HEXLOWER.decode(hex.as_bytes()).unwrap()).unwrap();
        match (role.as_str(), name.as_str()) {
            ("request", "actor") => there_and_back::<ActorAuctionRequest>(text),
            ("request", "provider") => there_and_back::<ProviderAuctionRequest>(text),
            ("request", "la") => there_and_back::<StartActorCommand>(text),
            ("request", "sa") => there_and_back::<StopActorCommand>(text),
            ("request", "lp") => there_and_back::<StartProviderCommand>(text),
            ("request", "sp") => there_and_back::<StopProviderCommand>(text),
            ("request", "upd") => there_and_back::<UpdateActorCommand>(text),
            ("reply", _) if step.contains("actor_auction") => there_and_back::<ActorAuctionAck>(text),
            ("reply", _) if step.contains("provider_auction") => there_and_back::<ProviderAuctionAck>(text),
            ("reply", _) if step.contains("start_actor") => there_and_back::<StartActorAck>(text),
            ("reply", _) if step.contains("start_provider") => there_and_back::<StartProviderAck>(text),
            ("reply", _) if step.contains("stop_") => there_and_back::<StopAck>(text),
            ("reply", _) if step.contains("update_actor") => there_and_back::<UpdateActorAck>(text),
            ("reply", _) if step.contains("get_hosts") => there_and_back::<Host>(text),
            ("reply", _) if step.contains("inventory") => there_and_back::<HostInventory>(text),
            ("reply", _) if step.contains("get_links") => there_and_back::<LinkDefinitionList>(text),
            ("reply", _) if step.contains("get_claims") => there_and_back::<ClaimsList>(text),
            _ => panic!("no type for {step}: {role} {name} {text}"),
        }
        seen += 1;
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn what_was_added_does_not_change_what_2021_reads() {
    let outcome = crate::Outcome::accepted("request_finished", "7");
    let ack = StartActorAck { host_id: "N".to_owned(), actor_ref: "a/b:1".to_owned(), outcome };
    let written = serde_json::to_string(&ack).unwrap();
    let begin = r#"{"host_id":"N","actor_ref":"a/b:1","failure":null,"#;
    assert!(written.starts_with(begin), "{written}");
}

#[test]
fn the_values_of_links_are_not_printed() {
    let text = r#"{"actor_id":"M","provider_id":"V","contract_id":"a:b","values":{"PASSWORD":"hunter2"}}"#;
    let put: PutLinkCommand = serde_json::from_str(text).unwrap();
    let printed = format!("{put:?}");
    assert!(printed.contains("PASSWORD") && !printed.contains("hunter2"), "{printed}");
}
