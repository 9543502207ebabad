//! Reads and writes entities: `{0: "M..."}` for an actor, `{1: {id, contract_id, link_name}}` for a provider.

use rmp::Marker;
use wasmcloud_core::entity::{SYSTEM_ACTOR, WasmCloudEntity};

use super::reader::Reader;
use super::writer::Writer;
use super::{MAX_NAME, WireError};

const FIELDS: &[&str] = &["id", "contract_id", "link_name"];

pub(super) fn write(entity: &WasmCloudEntity, writer: &mut Writer) {
    writer.map(1);
    let actor = match entity {
        WasmCloudEntity::Actor(key) => key.as_str(),
        WasmCloudEntity::Capability { id, contract_id, link_name } => {
            writer.number(1);
            writer.map(FIELDS.len());
            writer.text_field("id", id);
            writer.text_field("contract_id", contract_id);
            writer.text_field("link_name", link_name);
            return;
        }
        // The host, which hosts of 2021 call an actor.
        _ => SYSTEM_ACTOR,
    };
    writer.number(0);
    writer.text(actor);
}

pub(super) fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<WasmCloudEntity, WireError> {
    let variants = match reader.peek()? {
        // A variant of one value in the form of an array: its index and the value.
        Marker::FixArray(2) => reader.array(field, 2)? / 2,
        _ => reader.map(field, 1)?,
    };
    if variants != 1 {
        return Err(WireError::Unexpected(field));
    }
    let is_actor = match reader.peek()? {
        Marker::FixStr(_) | Marker::Str8 => match reader.text(field, MAX_NAME)? {
            "Actor" => true,
            "Capability" => false,
            _ => return Err(WireError::Unexpected(field)),
        },
        _ => match reader.unsigned(field)? {
            0 => true,
            1 => false,
            _ => return Err(WireError::Unexpected(field)),
        },
    };
    if !is_actor {
        return read_provider(reader, field);
    }
    let key = reader.text(field, MAX_NAME)?;
    Ok(if key == SYSTEM_ACTOR { WasmCloudEntity::Host } else { WasmCloudEntity::Actor(key.to_owned()) })
}

fn read_provider(reader: &mut Reader<'_>, field: &'static str) -> Result<WasmCloudEntity, WireError> {
    let mut values: [Option<String>; 3] = Default::default();
    reader.fields(field, FIELDS, |reader, index| {
        values[index] = Some(reader.text(FIELDS[index], MAX_NAME)?.to_owned());
        Ok(())
    })?;
    let [id, contract_id, link_name] = values;
    Ok(WasmCloudEntity::Capability {
        id: id.ok_or(WireError::Missing("id"))?,
        contract_id: contract_id.ok_or(WireError::Missing("contract_id"))?,
        link_name: link_name.ok_or(WireError::Missing("link_name"))?,
    })
}
