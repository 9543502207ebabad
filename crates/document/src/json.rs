//! Reads JSON. `serde_json` limits the depth, and reads the values. The positions of values are those that the reader of YAML
//! finds: JSON is a part of YAML, except for rare forms of white space, in which positions are left out.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{Content, DocumentError, Entry, Keys, Node, Position, check_size};

/// Reads a document in JSON.
///
/// # Errors
/// Why it cannot be read, with the position if it is known.
pub fn read(text: &str) -> Result<Node, DocumentError> {
    check_size(text)?;
    let mut node: Node = serde_json::from_str(text).map_err(|error| {
        let position =
            Some(Position { line: error.line(), column: error.column() }).filter(|position| position.line > 0);
        let text = error.to_string();
        // The library appends the position, which is written by `DocumentError`.
        let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
        DocumentError::of_document(reason).at_position(position)
    })?;
    if let Ok(positions) = super::yaml::read(text) {
        place(&mut node, &positions);
    }
    Ok(node)
}

/// Copies the positions of the same document.
fn place(node: &mut Node, same: &Node) {
    node.position = same.position;
    match (&mut node.content, &same.content) {
        (Content::List(nodes), Content::List(same)) => {
            nodes.iter_mut().zip(same).for_each(|(node, same)| place(node, same));
        }
        (Content::Mapping(entries), Content::Mapping(same)) => {
            for (entry, same) in entries.iter_mut().zip(same) {
                entry.position = same.position;
                place(&mut entry.value, &same.value);
            }
        }
        _ => {}
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        let content = deserializer.deserialize_any(AnyContent)?;
        Ok(Node { position: None, content })
    }
}

/// Accepts any value.
struct AnyContent;

impl<'de> Visitor<'de> for AnyContent {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Nothing)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Content, E> {
        Ok(Content::Literal(truth.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Content, E> {
        Ok(Content::Literal(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Content, E> {
        Ok(Content::Literal(number.to_string()))
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Content, E> {
        Err(E::custom("a number is not an integer, or too large: put it in quotes"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Content, E> {
        Ok(Content::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Content, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Content::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<Content, A::Error> {
        let mut keys = Keys::default();
        let mut entries = Vec::new();
        while let Some(key) = mapping.next_key::<String>()? {
            keys.add(&key).map_err(A::Error::custom)?;
            entries.push(Entry { key, position: None, value: mapping.next_value()? });
        }
        Ok(Content::Mapping(entries))
    }
}
