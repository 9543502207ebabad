//! Messages that hosts of 2021 sent each other, byte for byte.

use serde::Deserialize;
use wasmcloud_core::entity::WasmCloudEntity;

use crate::wire::{ActorClaims, Invocation, LinkDefinition, PayloadForm, Response, WireError};

const MAX: usize = 1 << 20;

/// A captured message.
#[derive(Debug, Deserialize)]
pub(crate) struct Captured {
    pub(crate) step: String,
    pub(crate) subject: String,
    hex: String,
    decoded: serde_json::Value,
}

impl Captured {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        data_encoding::HEXLOWER.decode(self.hex.as_bytes()).unwrap()
    }

    fn msgpack(&self) -> &serde_json::Value {
        &self.decoded["msgpack"]
    }
}

/// Returns the captured messages whose decoded form has a field.
pub(crate) fn captured(field: &str) -> Vec<Captured> {
    let all: Vec<Captured> = serde_json::from_str(include_str!("../../../fixtures/lattice.json")).unwrap();
    all.into_iter().filter(|message| !message.msgpack()[field].is_null()).collect()
}

#[test]
fn captured_invocations_are_read_and_written_byte_for_byte() {
    let messages = captured("encoded_claims");
    assert!(messages.len() >= 10);
    for message in messages {
        let bytes = message.bytes();
        let invocation = Invocation::decode(&bytes, MAX).unwrap();
        let told = message.msgpack();
        assert_eq!(invocation.operation, told["operation"], "{}", message.step);
        assert_eq!(invocation.id, told["id"]);
        assert_eq!(invocation.host_id, told["host_id"]);
        assert_eq!(data_encoding::HEXLOWER.encode(&invocation.payload), told["msg"]["hex"]);
        if told["origin"]["0"] == "system" {
            assert_eq!(invocation.origin, WasmCloudEntity::Host);
        }
        assert_eq!(invocation.extension, None);
        assert_eq!(invocation.encode(PayloadForm::Array), bytes, "{}", message.step);
    }
}

#[test]
fn captured_responses_are_read_and_written_byte_for_byte() {
    let messages = captured("invocation_id");
    assert!(messages.len() >= 10);
    for message in messages {
        let bytes = message.bytes();
        let response = Response::decode(&bytes, MAX).unwrap();
        let told = message.msgpack();
        assert_eq!(response.error.as_deref(), told["error"].as_str());
        assert_eq!(response.invocation_id, told["invocation_id"]);
        assert_eq!(response.encode(PayloadForm::Array), bytes, "{}", message.step);
    }
}

#[test]
fn captured_links_and_claims_are_read_and_written_byte_for_byte() {
    let links = captured("contract_id");
    assert_eq!(links.len(), 3);
    for message in links {
        let bytes = message.bytes();
        let link = LinkDefinition::decode(&bytes, MAX).unwrap();
        assert_eq!(link.actor_id, message.msgpack()["actor_id"]);
        assert_eq!(link.provider_id.is_empty(), message.subject.ends_with("remlinks"));
        assert_eq!(link.values.len(), message.msgpack()["values"].as_object().unwrap().len());
        assert_eq!(link.encode(), bytes);
    }
    let claims = captured("wascap");
    assert_eq!(claims.len(), 5);
    for message in claims {
        let bytes = message.bytes();
        let claims = ActorClaims::decode(&bytes, MAX).unwrap();
        assert_eq!(claims.subject, message.msgpack()["sub"]);
        assert_eq!(claims.encode().unwrap(), bytes);
        let mut trailing = bytes.clone();
        trailing.push(0xc0);
        assert_eq!(ActorClaims::decode(&trailing, MAX), Err(WireError::TrailingBytes));
    }
}

/// A message of nested values for the format's other forms.
enum Value {
    Number(u64),
    Text(&'static str),
    Binary(&'static [u8]),
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

fn write(value: &Value, bytes: &mut Vec<u8>) {
    use rmp::encode;
    match value {
        Value::Number(number) => drop(encode::write_u64(bytes, *number)),
        Value::Text(text) => encode::write_str(bytes, text).unwrap(),
        Value::Binary(binary) => encode::write_bin(bytes, binary).unwrap(),
        Value::Array(values) => {
            encode::write_array_len(bytes, u32::try_from(values.len()).unwrap()).unwrap();
            values.iter().for_each(|value| write(value, bytes));
        }
        Value::Map(entries) => {
            encode::write_map_len(bytes, u32::try_from(entries.len()).unwrap()).unwrap();
            for (key, value) in entries {
                write(key, bytes);
                write(value, bytes);
            }
        }
    }
}

#[test]
fn structs_as_arrays_names_of_variants_and_unknown_fields_are_read() {
    let target = Value::Map(vec![(
        Value::Text("Capability"),
        Value::Array(vec![Value::Text("V"), Value::Text("a:b"), Value::Text("default")]),
    )]);
    let fields = vec![
        Value::Map(vec![(Value::Text("Actor"), Value::Text("system"))]),
        target,
        Value::Text("Get"),
        Value::Array(vec![Value::Number(7), Value::Number(255)]),
        Value::Text("id"),
        Value::Text(""),
        Value::Text("N"),
    ];
    let mut as_array = Vec::new();
    write(&Value::Array(fields), &mut as_array);
    let invocation = Invocation::decode(&as_array, 2).unwrap();
    assert_eq!((&invocation.origin, &*invocation.payload), (&WasmCloudEntity::Host, &[7, 255][..]));
    let mut as_map = invocation.encode(PayloadForm::Binary);
    assert_eq!(as_map[0], 0x87);
    as_map[0] = 0x89;
    for (key, value) in [
        (Value::Text("later"), Value::Array(vec![Value::Map(vec![(Value::Number(1), Value::Binary(b"x"))])])),
        (Value::Number(9), Value::Text("a key that is no text")),
    ] {
        write(&key, &mut as_map);
        write(&value, &mut as_map);
    }
    assert_eq!(Invocation::decode(&as_map, 2).unwrap(), invocation);
    assert_eq!(Invocation::decode(&as_map, 1), Err(WireError::TooLarge { limit: 1 }));
}

#[test]
fn a_field_that_occurs_twice_is_refused() {
    let message = captured("invocation_id").remove(0);
    let mut bytes = message.bytes();
    bytes[0] = 0x84;
    write(&Value::Text("invocation_id"), &mut bytes);
    write(&Value::Text("another"), &mut bytes);
    assert_eq!(Response::decode(&bytes, MAX), Err(WireError::Repeated("invocation_id")));
}
