//! The request of a call.

use wasmcloud_core::entity::WasmCloudEntity;

use super::reader::Reader;
use super::writer::Writer;
use super::{Extension, MAX_NAME, MAX_TOKEN, PayloadForm, WireError, check_size, entity};

/// The length of a call without its payload and token, if no actor waits for it. Unit: bytes.
const ENVELOPE: usize = 640;

const FIELDS: &[&str] = &["origin", "target", "operation", "msg", "id", "encoded_claims", "host_id", "extension"];

/// A call of an actor or provider on another host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The caller.
    pub origin: WasmCloudEntity,
    /// The actor or provider that is called.
    pub target: WasmCloudEntity,
    /// The name of the operation.
    pub operation: String,
    /// The payload, in the encoding of the contract.
    pub payload: Vec<u8>,
    /// The identifier of the call: a UUID, in version 4 by convention.
    pub id: String,
    /// The token of 2021. Empty if the call is authenticated by sessions alone.
    pub encoded_claims: String,
    /// The public key of the sending host.
    pub host_id: String,
    /// What current hosts add. `None` for calls of hosts of 2021.
    pub extension: Option<Extension>,
}

impl Invocation {
    /// Returns the call as it is sent.
    pub fn encode(&self, form: PayloadForm) -> Vec<u8> {
        let mut writer = Writer::with_capacity(ENVELOPE + self.payload.len() + self.encoded_claims.len());
        writer.map(FIELDS.len() - usize::from(self.extension.is_none()));
        writer.text("origin");
        entity::write(&self.origin, &mut writer);
        writer.text("target");
        entity::write(&self.target, &mut writer);
        writer.text_field("operation", &self.operation);
        writer.text("msg");
        writer.payload(&self.payload, form);
        writer.text_field("id", &self.id);
        writer.text_field("encoded_claims", &self.encoded_claims);
        writer.text_field("host_id", &self.host_id);
        if let Some(extension) = &self.extension {
            writer.text("extension");
            extension.write(&mut writer);
        }
        writer.into_bytes()
    }

    /// Returns the call that bytes hold. `max_payload` is the greatest payload in bytes.
    ///
    /// # Errors
    /// The reason if the bytes are not a call, or exceed a limit. Nothing is allocated before its size is checked.
    pub fn decode(bytes: &[u8], max_payload: usize) -> Result<Invocation, WireError> {
        check_size(bytes, max_payload)?;
        Reader::whole(bytes, |reader| read(reader, max_payload))
    }
}

fn read(reader: &mut Reader<'_>, max_payload: usize) -> Result<Invocation, WireError> {
    let mut origin = None;
    let mut target = None;
    let mut operation = None;
    let mut payload = None;
    let mut id = None;
    let mut encoded_claims = None;
    let mut host_id = None;
    let mut extension = None;
    reader.fields("an invocation", FIELDS, |reader, index| {
        match FIELDS[index] {
            "origin" => origin = Some(entity::read(reader, "origin")?),
            "target" => target = Some(entity::read(reader, "target")?),
            "operation" => operation = Some(reader.text("operation", MAX_NAME)?.to_owned()),
            "msg" => payload = Some(reader.payload("msg", max_payload)?),
            "id" => id = Some(reader.text("id", MAX_NAME)?.to_owned()),
            "encoded_claims" => encoded_claims = Some(reader.text("encoded_claims", MAX_TOKEN)?.to_owned()),
            "host_id" => host_id = Some(reader.text("host_id", MAX_NAME)?.to_owned()),
            _ => extension = Extension::read(reader)?,
        }
        Ok(())
    })?;
    Ok(Invocation {
        origin: origin.ok_or(WireError::Missing("origin"))?,
        target: target.ok_or(WireError::Missing("target"))?,
        operation: operation.ok_or(WireError::Missing("operation"))?,
        payload: payload.ok_or(WireError::Missing("msg"))?,
        id: id.ok_or(WireError::Missing("id"))?,
        encoded_claims: encoded_claims.ok_or(WireError::Missing("encoded_claims"))?,
        host_id: host_id.ok_or(WireError::Missing("host_id"))?,
        extension,
    })
}
