//! What calls carry: a text, bytes, a file, or JSON that is sent as msgpack.

use std::path::Path;

use data_encoding::BASE64;
use wasmcloud_document::{Content, DocumentError, Field, Fields, quantity, text};

use crate::ctl::msgpack;
use crate::input;

const PAYLOAD: [&str; 5] = ["text", "base64", "file", "msgpack", "zeros"];

/// The size of the largest payload, in bytes.
const LARGEST: usize = 64 * 1024 * 1024;

/// Reads a payload: a text, or a mapping that says what the bytes are.
pub(super) fn payload(Field { node, key }: Field, folder: &Path) -> Result<Vec<u8>, DocumentError> {
    if !matches!(node.content, Content::Mapping(_)) {
        return text(node, key).map(String::into_bytes);
    }
    let position = node.position;
    let refused = |reason: String| DocumentError::at(&key, reason).at_position(position);
    let mut fields = Fields::of(node, key.clone(), &PAYLOAD)?;
    let given = [
        fields.optional("text")?.map(|text| Ok(text.into_bytes())),
        fields.optional("base64")?.map(|text| of_base64(&text)),
        fields.optional("file")?.map(|path| of_file(&folder.join(path))),
        fields.optional("msgpack")?.map(|json| of_json(&json)),
        fields.quantity("zeros", quantity::bytes)?.map(zeros),
    ];
    let mut given = given.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(bytes), None) => bytes.map_err(refused),
        _ => Err(refused(format!("it should have one of {}", PAYLOAD.join(", ")))),
    }
}

fn of_base64(text: &str) -> Result<Vec<u8>, String> {
    BASE64.decode(text.as_bytes()).map_err(|error| format!("it is not base64: {error}"))
}

fn of_file(path: &Path) -> Result<Vec<u8>, String> {
    input::read_up_to(path, "the payload", LARGEST).map_err(|error| error.message())
}

fn of_json(text: &str) -> Result<Vec<u8>, String> {
    let value = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    msgpack::of_json(&value)
}

fn zeros(bytes: u64) -> Result<Vec<u8>, String> {
    let length = usize::try_from(bytes).ok().filter(|length| *length <= LARGEST);
    length.map(|length| vec![0; length]).ok_or_else(|| format!("it has more than {LARGEST} bytes"))
}
