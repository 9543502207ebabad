//! What a plan expects.

use wasmcloud_document::{Content, DocumentError, Field, Fields, printable, wrong};

use crate::lab::expectation::{self, Expectation, Scope};

/// Reads what is expected of something.
pub(super) fn expectations(fields: &mut Fields, scope: Scope) -> Result<Vec<Expectation>, DocumentError> {
    let Some(Field { node, key: name }) = fields.take("expect") else { return Ok(Vec::new()) };
    let Content::Mapping(entries) = node.content else { return Err(wrong(&node, &name, "a mapping")) };
    let mut expectations = Vec::new();
    for entry in entries {
        let key = format!("{name}.{}", printable(&entry.key));
        let at = |reason: String| DocumentError::at(&key, reason).at_position(entry.position);
        match &entry.value.content {
            Content::Text(text) | Content::Literal(text) => {
                expectations.push(expectation::read(&scope, &entry.key, text).map_err(at)?);
            }
            _ => return Err(wrong(&entry.value, &key, "a number, or a text such as \"<= 20ms\"")),
        }
    }
    Ok(expectations)
}
